"""Survival likelihoods by name, and survival curves from a baseline and linear predictors."""

from __future__ import annotations

import torch
from torch import Tensor

from .cox import BreslowBaseline, Cox
from .piecewise import PiecewiseBaseline, PiecewiseExponential
from .target import LinearBaseline

__all__ = ["BASELINES", "SURVIVAL", "survival_curves"]

SURVIVAL: dict[str, type[PiecewiseExponential] | type[Cox]] = {
    "piecewise": PiecewiseExponential,
    "cox": Cox,
}
BASELINES: dict[str, type[LinearBaseline]] = {
    cls.kind: cls for cls in (PiecewiseBaseline, BreslowBaseline)
}


def survival_curves(
    times: Tensor, eta: Tensor, baseline: LinearBaseline, draw: Tensor | None = None
) -> Tensor:
    """Probability of surviving each time, ``S(t) = exp(-H(t) exp(eta))``.

    Parameters
    ----------
    times
        Times (T,), in the unit of the training times.
    eta
        Linear predictors, (..., n).
    baseline
        Baseline of the head.
    draw
        Coordinates of the baseline, (..., K); None is the posterior mode.

    Returns
    -------
    Tensor
        Survival probabilities, (..., T, n).
    """
    exposure = baseline.exposure(times)
    scale = exposure.new_ones(exposure.shape[1]) if draw is None else draw.exp()
    hazard = scale @ exposure.T
    return torch.exp(-hazard[..., :, None] * eta.double().exp()[..., None, :])
