"""Piecewise exponential survival: a hazard constant between cuts, times exp(linear predictor)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from mvlatent.data.outcome_data import SurvivalData
from mvlatent.outcomes.bound import LinearBaseline
from mvlatent.outcomes.intervals import (
    by_stratum,
    event_cuts,
    interval_overlap,
    known_outcomes,
    observed_overlap,
    of_stratum,
)
from mvlatent.outcomes.profiled import Response, Slopes
from mvlatent.outcomes.walk import ProfiledWalk, WalkingHazard
from mvlatent.specs import Survival

__all__ = [
    "BoundPiecewise",
    "PiecewiseBaseline",
    "PiecewiseExponential",
    "bounded_exp",
    "interval_overlap",
]

LOG_RATE_LIMIT = 20.0


def bounded_exp(x: Tensor, limit: float = LOG_RATE_LIMIT) -> Tensor:
    """Exponential that goes on as a straight line above ``limit``: gradients stay finite."""
    low = x.clamp(max=limit)
    return low.exp() * (1.0 + (x - low))


class PiecewiseExponential(WalkingHazard):
    """Proportional hazards with a piecewise constant baseline.

    ``d_ik ~ Poisson(e_ik exp(alpha_k + eta_i))`` for events d and time at risk e (from entry on) of
    patient i in interval k, with a random walk on the log hazards alpha. Factorises over patients,
    so that minibatches are exact, and tends to Cox as the cuts approach the event times. Each
    stratum has its own log hazards.

    Parameters
    ----------
    cuts
        Inner cuts (K - 1,), increasing, in the unit of time.
    log_hazard
        Initial log hazards (n_strata K,), per unit of time, stratum by stratum.

    References
    ----------
    Friedman, M. (1982). Piecewise exponential models for survival data with covariates.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import SurvivalData
    >>> from mvlatent.specs import Survival
    >>> time, event = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 1.0, 0.0, 1.0])
    >>> data = SurvivalData(time, event)
    >>> hazard = PiecewiseExponential.from_data(data, Survival("t", "e", n_intervals=2))
    >>> hazard.log_prob(torch.zeros(4), data).shape
    torch.Size([4])
    """

    cuts: Tensor

    def __init__(self, cuts: Tensor, log_hazard: Tensor) -> None:
        super().__init__(log_hazard, len(cuts) + 1)
        self.register_buffer("cuts", cuts)

    @classmethod
    def from_data(cls, data: SurvivalData, spec: Survival) -> Self:
        """Cut at quantiles of the event times; start at the crude hazards."""
        known = known_outcomes(data)
        cuts = event_cuts(known, spec.n_intervals)
        overlap = by_stratum(observed_overlap(known, cuts), known).sum(0)
        events = by_stratum(_events(known, cuts), known).sum(0)
        rate = (events + 0.5) / (overlap + 0.5 * overlap.sum() / known.event.sum())
        return cls(cuts.to(data.time.dtype), rate.log().to(data.time.dtype))

    def log_prob(self, eta: Tensor, data: SurvivalData) -> Tensor:
        cuts = self.cuts.to(data.time.dtype)
        overlap = observed_overlap(data, cuts)
        alpha = of_stratum(self.alpha, data)
        at_event = alpha.gather(1, torch.bucketize(data.time, cuts)[:, None])[:, 0]
        rate = bounded_exp(alpha + eta[..., None])
        value = data.event * (at_event + eta) - (overlap * rate).sum(-1)
        return torch.where(data.observed, value, 0.0)

    def bind(self, data: SurvivalData) -> BoundPiecewise:
        """Bind the likelihood to outcomes for the reported head, which refits the hazards."""
        return BoundPiecewise(self.cuts, data)


def _events(data: SurvivalData, cuts: Tensor) -> Tensor:
    """Events in each interval, (n, K)."""
    hot = torch.nn.functional.one_hot(torch.bucketize(data.time, cuts), len(cuts) + 1)
    return hot * data.event[:, None]


class _Seen(NamedTuple):
    """A linear predictor (n,) and the log exposures (n_strata K,) that it leads to."""

    eta: Tensor
    exposure: Tensor


class BoundPiecewise(ProfiledWalk[_Seen]):
    """Piecewise exponential likelihood of known outcomes with the log hazards profiled out.

    Parameters
    ----------
    cuts
        Inner cuts (K - 1,).
    data
        Outcomes of all patients; only observed ones count.
    """

    def __init__(self, cuts: Tensor, data: SurvivalData) -> None:
        self.cuts = cuts.detach().double()
        known = known_outcomes(data)
        self._log_overlap = by_stratum(observed_overlap(known, self.cuts), known).log()
        level = known.event.sum().log() - torch.logsumexp(self._log_overlap.flatten(), 0)
        super().__init__(data, known, _events(known, self.cuts), level)

    def seen(self, eta: Tensor) -> _Seen:
        return _Seen(eta[:, 0], torch.logsumexp(self._log_overlap + eta, 0))

    def start(self, seen: _Seen) -> Tensor:
        """Log hazards at whose level, which has a closed form, expected and seen events agree."""
        level = self.counts.sum().log() - torch.logsumexp(self.warm + seen.exposure, 0)
        return self.warm + level

    def objective(self, parameters: Tensor, seen: _Seen) -> Tensor:
        fit = (self.counts * parameters).sum() - (parameters + seen.exposure).exp().sum()
        fit = fit + self.log_walk(parameters)
        return (self.event * seen.eta).sum() + fit

    def slopes(self, parameters: Tensor, seen: _Seen) -> Slopes:
        expected = (parameters + seen.exposure).exp()
        return self.balance(parameters, expected, expected)

    def response(self, parameters: Tensor, seen: _Seen) -> Response:
        expected = (self._log_overlap + seen.eta[:, None] + parameters).exp()
        total = expected.sum(1)
        information = expected.sum(0).diag() + self.precision
        return Response(self.event - total, total, expected, information)

    def baseline(self, parameters: Tensor, factor: Tensor) -> PiecewiseBaseline:
        return PiecewiseBaseline(factor, self.cuts, parameters)


@dataclass(frozen=True)
class PiecewiseBaseline(LinearBaseline):
    """Baseline hazard constant between cuts; coordinates are the log hazards' deviations.

    Attributes
    ----------
    cuts
        Inner cuts, (K - 1,).
    log_hazard
        Log hazards at the posterior mode, (n_strata K,).
    """

    kind: ClassVar[str] = "piecewise"
    cuts: Tensor
    log_hazard: Tensor

    @property
    def coordinates(self) -> Tensor:
        return self.log_hazard

    def exposure(self, times: Tensor, stratum: int = 0) -> Tensor:
        """Cumulative hazard that each interval has contributed at each time, (T, n_strata K)."""
        size = len(self.cuts) + 1
        own = slice(stratum * size, (stratum + 1) * size)
        out = self.log_hazard.new_zeros(len(times), len(self.log_hazard))
        out[:, own] = interval_overlap(times.double(), self.cuts) * self.log_hazard[own].exp()
        return out

    def knots(self, stratum: int = 0) -> Tensor:
        """Cuts, at which the hazard changes its level."""
        return self.cuts
