"""Predictions on the scale of a model, taken back to the user's units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

__all__ = ["Prediction", "through"]

HERMITE_NODES = 9


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted values, of a view (n, p) arrays; the bounds only where they are asked for."""

    mean: np.ndarray
    sd: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None


def through(
    mean: np.ndarray,
    sd: np.ndarray,
    inverse: Callable[[np.ndarray], np.ndarray],
    level: float | None = None,
) -> Prediction:
    """Gaussian predictions taken through an inverse transform: moments, and with a level bounds."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(HERMITE_NODES)
    weights = weights / weights.sum()
    first = np.zeros_like(mean, dtype=np.float64)
    second = np.zeros_like(first)
    for node, weight in zip(nodes, weights, strict=True):
        value = inverse(mean + node * sd).astype(np.float64)
        first += weight * value
        second += weight * value**2
    spread = np.sqrt(np.maximum(second - first**2, 0.0))
    if level is None:
        return Prediction(first, spread)
    width = norm.ppf(0.5 + level / 2) * sd
    return Prediction(first, spread, inverse(mean - width), inverse(mean + width))
