"""Survival likelihoods by name, bound to a cohort's outcomes, and curves from a baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .breslow import BreslowBaseline
from .competing import Competing
from .cox import Cox
from .discrete import DiscreteBaseline, DiscreteHazard
from .piecewise import PiecewiseBaseline, PiecewiseExponential
from .target import BaselineShape
from .weibull import Weibull, WeibullBaseline

if TYPE_CHECKING:
    from mvlatent.data.cohort import SurvivalData
    from mvlatent.specs import Survival

__all__ = [
    "BASELINES",
    "SURVIVAL",
    "SurvivalLikelihood",
    "by_patient_stratum",
    "survival_curves",
    "survival_likelihood",
    "survival_target",
]

SurvivalLikelihood = PiecewiseExponential | Cox | DiscreteHazard | Weibull | Competing

SURVIVAL: dict[str, type[SurvivalLikelihood]] = {
    "piecewise": PiecewiseExponential,
    "cox": Cox,
    "discrete": DiscreteHazard,
    "weibull": Weibull,
    "competing": Competing,
}
BASELINES: dict[str, type[BaselineShape]] = {
    cls.kind: cls for cls in (PiecewiseBaseline, BreslowBaseline, DiscreteBaseline, WeibullBaseline)
}


def survival_likelihood(data: SurvivalData, spec: Survival) -> SurvivalLikelihood:
    """Likelihood of an outcome, started on the patients whose outcome is observed.

    Raises
    ------
    ValueError
        If there is no event.
    """
    seen = data.subset(data.observed)
    return SURVIVAL[spec.kind].from_data(
        seen.time,
        seen.outcome,
        spec,
        entry=seen.entry,
        stratum=seen.stratum,
        n_strata=seen.n_strata,
    )


def survival_target(data: SurvivalData, spec: Survival) -> Any:
    """Likelihood bound to the patients' outcomes, for `mvlatent.outcomes.fit_head`."""
    return survival_likelihood(data, spec).target(
        data.time, data.outcome, data.observed, entry=data.entry, stratum=data.stratum
    )


def by_patient_stratum(
    curves: Callable[[Tensor, int], Tensor], n: int, stratum: Tensor | None
) -> Tensor:
    """Curves (..., n) of all patients from a function of rows (m,) of one stratum."""
    if stratum is None:
        return curves(torch.arange(n), 0)
    rows = [(stratum == s).nonzero()[:, 0] for s in stratum.unique()]
    parts = [curves(r, int(s)) for r, s in zip(rows, stratum.unique(), strict=True)]
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
