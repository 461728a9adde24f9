"""Survival curves from a baseline, whose strata patients are in."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mvlatent.outcomes.bound import BaselineShape

__all__ = ["by_patient_stratum", "survival_curves"]


def by_patient_stratum(
    curves: Callable[[Tensor, int], Tensor], n: int, stratum: Tensor | None
) -> Tensor:
    """Curves (..., n) of all patients from a function of rows (m,) of one stratum."""
    if stratum is None:
        return curves(torch.arange(n), 0)
    strata = sorted(set(stratum.tolist()))
    rows = [(stratum == s).nonzero()[:, 0] for s in strata]
    parts = [curves(r, s) for r, s in zip(rows, strata, strict=True)]
    return torch.cat(parts, -1)[..., torch.cat(rows).argsort()]


def survival_curves(
    times: Tensor,
    eta: Tensor,
    baseline: BaselineShape,
    draw: Tensor | None = None,
    stratum: Tensor | None = None,
) -> Tensor:
    """Probability of surviving each time, ``S(t) = exp(-H(t))``.

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
    stratum
        Codes of the patients' strata, (n,); None is one stratum.

    Returns
    -------
    Tensor
        Survival probabilities, (..., T, n).
    """

    def curves(rows: Tensor, s: int) -> Tensor:
        return torch.exp(-baseline.cumulative_hazard(times, eta[..., rows], draw, s))

    return by_patient_stratum(curves, eta.shape[-1], stratum)
