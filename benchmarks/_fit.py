"""Ours as every benchmark fits it: default settings but what is said, quiet, with its CPU time."""

from __future__ import annotations

import time
import warnings
from typing import Any, NamedTuple

__all__ = ["Fit", "fit_ours"]


class Fit(NamedTuple):
    """A fitted model, and the CPU seconds of its fit."""

    model: Any
    seconds: float


def fit_ours(data: Any, *, seed: int = 0, **options: Any) -> Fit:
    """Fit `mvlatent` to a MuData or AnnData.

    Parameters
    ----------
    data
        Cohort.
    seed
        Seed of everything.
    **options
        Options of `mvlatent.fit` that differ from its defaults.
    """
    from mvlatent import _fit as api  # a slow import, which is not the fit's time

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun = time.process_time()
        model = api.fit(data, seed=seed, **{"progress": False, **options})
        return Fit(model, time.process_time() - begun)
