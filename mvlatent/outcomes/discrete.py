"""Discrete-time survival: a logistic hazard in each interval of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot, softplus

from mvlatent.data.outcome_data import SurvivalData
from mvlatent.outcomes.bound import BaselineShape
from mvlatent.outcomes.intervals import (
    by_stratum,
    event_cuts,
    interval_overlap,
    known_outcomes,
    of_stratum,
)
from mvlatent.outcomes.profiled import Response, Slopes
from mvlatent.outcomes.walk import ProfiledWalk, WalkingHazard
from mvlatent.specs import Survival

__all__ = ["BoundDiscrete", "DiscreteBaseline", "DiscreteHazard", "periods_at_risk"]

JITTER = 1e-9  # of the information, where hazards of 0 or 1 leave none


def periods_passed(times: Tensor, ends: Tensor) -> Tensor:
    """Share of each interval that has passed, (n, K), for ends (K,) of the intervals."""
    widths = torch.diff(ends, prepend=ends.new_zeros(1))
    return (interval_overlap(times, ends[:-1]) / widths).clamp(max=1.0)


def periods_at_risk(data: SurvivalData, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Person-periods: weight of each interval and whether the event was in it, (n, K) each.

    An interval counts by the share of it that the patient was under observation, and whole where
    the event was. Events after the last end are taken as of the last interval.
    """
    weight = periods_passed(data.time, ends)
    if data.entry is not None:
        weight = weight - periods_passed(data.entry.to(data.time.dtype), ends)
    died = one_hot(torch.bucketize(data.time, ends[:-1]), len(ends)) * (data.event > 0)[:, None]
    return torch.where(died > 0, 1.0, weight), died.to(data.time.dtype)


class DiscreteHazard(WalkingHazard):
    """Logistic hazard of each interval, ``logit h_ik = alpha_k + eta_i``.

    Intervals end at quantiles of the event times. The likelihood is that of a logistic regression
    on person-periods; a patient who leaves within an interval counts by the share that was
    observed. ``eta`` is a log odds ratio of the hazard: higher means sooner. Within an interval
    survival falls at a constant rate; after the last event it stays.

    Parameters
    ----------
    ends
        Ends of the intervals (K,), increasing, in the unit of time; the last is the last event.
    logit
        Initial logits (n_strata K,), stratum by stratum.

    References
    ----------
    Tutz, G. & Schmid, M. (2016). Modeling discrete time-to-event data.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import SurvivalData
    >>> from mvlatent.specs import Survival
    >>> data = SurvivalData(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.ones(4))
    >>> spec = Survival("t", "e", kind="discrete", n_intervals=2)
    >>> DiscreteHazard.from_data(data, spec).ends
    tensor([2.5000, 4.0000])
    """

    ends: Tensor

    def __init__(self, ends: Tensor, logit: Tensor) -> None:
        super().__init__(logit, len(ends))
        self.register_buffer("ends", ends)

    @classmethod
    def from_data(cls, data: SurvivalData, spec: Survival) -> Self:
        """Cut at quantiles of the event times; start at the crude hazards."""
        known = known_outcomes(data)
        last = known.time[known.event > 0].max()
        ends = torch.cat([event_cuts(known, spec.n_intervals), last[None]])
        weight, died = (by_stratum(x, known).sum(0) for x in periods_at_risk(known, ends))
        logit = ((died + 0.5) / (weight + 1.0)).clamp(max=0.999).logit()
        return cls(ends.to(data.time.dtype), logit.to(data.time.dtype))

    def log_prob(self, eta: Tensor, data: SurvivalData) -> Tensor:
        """Log-likelihood of each patient; ``eta`` are log odds ratios of the hazard."""
        weight, died = periods_at_risk(data, self.ends.to(data.time.dtype))
        logit = of_stratum(self.alpha, data) + eta[..., None]
        value = (died * logit - weight * softplus(logit)).sum(-1)
        return torch.where(data.observed, value, 0.0)

    def bind(self, data: SurvivalData) -> BoundDiscrete:
        """Bind the likelihood to outcomes for the reported head, which refits the logits."""
        return BoundDiscrete(self.ends, data)


class BoundDiscrete(ProfiledWalk[Tensor]):
    """Discrete-time likelihood of known outcomes with the logits of the baseline profiled out.

    Parameters
    ----------
    ends
        Ends of the intervals (K,).
    data
        Outcomes of all patients; only observed ones count.
    """

    def __init__(self, ends: Tensor, data: SurvivalData) -> None:
        self.ends = ends.detach().double()
        known = known_outcomes(data)
        weight, died = periods_at_risk(known, self.ends)
        self._weight = by_stratum(weight, known)
        level = (known.event.sum() / self._weight.sum()).clamp(max=0.99).logit()
        super().__init__(data, known, died, level)

    def seen(self, eta: Tensor) -> Tensor:
        return eta[:, 0]

    def start(self, seen: Tensor) -> Tensor:
        """Logits of the last predictor, moved alike where they expect far too few or many."""
        total = self.counts.sum()
        if (self._expected(self.warm, seen) - total).abs() <= 0.5 * total:
            return self.warm
        logit = self.warm - self.warm.mean()
        low, high = -seen.max() - 50.0, -seen.min() + 50.0
        for _ in range(60):
            middle = (low + high) / 2
            few = self._expected(logit + middle, seen) < total
            low, high = torch.where(few, middle, low), torch.where(few, high, middle)
        return logit + (low + high) / 2

    def _expected(self, logit: Tensor, eta: Tensor) -> Tensor:
        """Events that are expected in all, a scalar."""
        return (self._weight * self._hazard(logit, eta)).sum()

    def _hazard(self, logit: Tensor, eta: Tensor) -> Tensor:
        return torch.sigmoid(logit + eta[:, None])

    def objective(self, parameters: Tensor, seen: Tensor) -> Tensor:
        fit = (self.counts * parameters).sum() + (self.event * seen).sum()
        fit = fit - (self._weight * softplus(parameters + seen[:, None])).sum()
        return fit + self.log_walk(parameters)

    def slopes(self, parameters: Tensor, seen: Tensor) -> Slopes:
        hazard = self._hazard(parameters, seen)
        expected = self._weight * hazard
        variance = (expected * (1.0 - hazard)).sum(0) + JITTER
        return self.balance(parameters, expected.sum(0), variance)

    def response(self, parameters: Tensor, seen: Tensor) -> Response:
        hazard = self._hazard(parameters, seen)
        expected = self._weight * hazard
        variance = expected * (1.0 - hazard)
        return Response(
            self.event - expected.sum(1),
            variance.sum(1),
            variance,
            (variance.sum(0) + JITTER).diag() + self.precision,
            bend=variance * (1.0 - 2.0 * hazard),
        )

    def baseline(self, parameters: Tensor, factor: Tensor) -> DiscreteBaseline:
        return DiscreteBaseline(factor, self.ends, parameters)


@dataclass(frozen=True)
class DiscreteBaseline(BaselineShape):
    """Logits of the hazard of each interval; coordinates are their deviations.

    Attributes
    ----------
    ends
        Ends of the intervals, (K,).
    logit
        Logits at the posterior mode, (n_strata K,).
    """

    kind: ClassVar[str] = "discrete"
    ends: Tensor
    logit: Tensor

    @property
    def coordinates(self) -> Tensor:
        return self.logit

    def cumulative_hazard(
        self, times: Tensor, eta: Tensor, draw: Tensor | None = None, stratum: int = 0
    ) -> Tensor:
        own = slice(stratum * len(self.ends), (stratum + 1) * len(self.ends))
        logit = self.at(draw)[..., own]
        # -log(1 - h) of an interval
        spent = softplus(logit[..., None, :] + eta.double()[..., None])
        return torch.einsum("tk,...nk->...tn", periods_passed(times.double(), self.ends), spent)
