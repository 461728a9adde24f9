"""Which values a likelihood takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mvlatent.data.matrix import Matrix, columns_of, entries_of
from mvlatent.data.names import quote
from mvlatent.specs import COUNTS, View

__all__ = ["MAX_LEVELS", "SPARSE", "check_support"]

SPARSE = (*COUNTS, "bernoulli")
"""Likelihoods whose sparse values stay sparse: most of their entries are 0."""

MAX_LEVELS = 30
"""Most levels of an ordinal view, or of a feature of a categorical one."""


def _zero_one(x: np.ndarray) -> np.ndarray:
    return (x == 0) | (x == 1)


def _whole(x: np.ndarray) -> np.ndarray:
    return x == np.rint(x)


def _count(x: np.ndarray) -> np.ndarray:
    return _whole(x) & (x >= 0)


def _share(x: np.ndarray) -> np.ndarray:
    return (x >= 0) & (x <= 1)


COUNTED = (_count, "holds negative numbers or fractions where counts are asked for,")
LEVELLED = (_whole, "holds other levels than whole numbers")
TAKES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    **dict.fromkeys(COUNTS, COUNTED),
    "bernoulli": (_zero_one, "holds values other than 0 and 1"),
    "beta": (_share, "holds values outside 0..1"),
    "ordinal": LEVELLED,
    "categorical": LEVELLED,
}


def check_support(x: Matrix, features: Sequence[str], spec: View, name: str) -> None:
    """Raise ValueError, naming view and columns, where values do not suit the likelihood."""
    if spec.likelihood not in TAKES:
        return
    takes, why = TAKES[spec.likelihood]
    entries = entries_of(x)
    refused = ~(takes(entries) | np.isnan(entries))
    if not refused.any():
        return
    bad = [features[j] for j in columns_of(x, refused)]
    example = entries[refused].flat[0]
    raise ValueError(
        f"view {name!r} is {spec.likelihood} but {why} in {quote(bad)} (for example {example:g}); "
        f"use raw values, name their layer, or choose another likelihood."
    )
