"""Discrete-time survival: a logistic hazard in each interval of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus

from mvlatent.data.outcome_data import SurvivalData
from mvlatent.outcomes.intervals import (
    by_stratum,
    event_cuts,
    interval_overlap,
    known_outcomes,
    of_stratum,
    random_walk_precision,
    walk_log_prior,
)
from mvlatent.outcomes.likelihood import Likelihood
from mvlatent.outcomes.target import BaselineShape, Curvature, ProfiledBaseline
from mvlatent.specs import Survival

__all__ = ["DiscreteBaseline", "DiscreteHazard", "DiscreteTarget", "periods_at_risk"]

SMOOTHNESS = 0.5  # sd of one step of the random walk of the logits
MAX_STEPS = 100
SETTLED = 1e-13  # of the objective, gained by a last Newton step
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


class DiscreteHazard(Likelihood[SurvivalData]):
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
        super().__init__()
        self.register_buffer("ends", ends)
        self.alpha = nn.Parameter(logit)
        self.n_strata = len(logit) // len(ends)

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

    def log_prior(self) -> Tensor:
        """Log density of the random walk of the logits, up to a constant."""
        return walk_log_prior(self.alpha, self.n_strata, SMOOTHNESS)

    def target(self, data: SurvivalData) -> DiscreteTarget:
        """Bind the likelihood to outcomes for the reported head, which refits the logits."""
        return DiscreteTarget(self.ends, data)


class DiscreteTarget:
    """Discrete-time likelihood of known outcomes with the logits of the baseline profiled out.

    Parameters
    ----------
    ends
        Ends of the intervals (K,).
    data
        Outcomes of all patients; only observed ones count.
    """

    n_outputs = 1
    effective_share = 1.0
    has_baseline = True

    def __init__(self, ends: Tensor, data: SurvivalData) -> None:
        self.rows = data.observed.nonzero()[:, 0]
        self.ends = ends.detach().double()
        known = known_outcomes(data)
        self._event = known.event
        weight, died = periods_at_risk(known, self.ends)
        self._weight = by_stratum(weight, known)
        self._counts = by_stratum(died, known).sum(0)
        self._precision = random_walk_precision(len(self.ends), SMOOTHNESS, known.n_strata)
        start = self._event.sum() / self._weight.sum()
        self._alpha = start.clamp(max=0.99).logit().expand(len(self._counts)).clone()

    def _objective(self, alpha: Tensor, eta: Tensor) -> Tensor:
        fit = (self._counts * alpha).sum() + (self._event * eta).sum()
        fit = fit - (self._weight * softplus(alpha + eta[:, None])).sum()
        return fit - 0.5 * alpha @ self._precision @ alpha

    def _level(self, alpha: Tensor, eta: Tensor) -> Tensor:
        """Move all logits alike until as many events are expected as were seen."""
        low, high = -eta.max() - 50.0, -eta.min() + 50.0
        for _ in range(60):
            middle = (low + high) / 2
            expected = (self._weight * torch.sigmoid(alpha + middle + eta[:, None])).sum()
            low, high = torch.where(
                expected < self._counts.sum(),
                torch.stack([middle, high]),
                torch.stack([low, middle]),
            )
        return alpha + (low + high) / 2

    def _profile(self, eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (K,) that suit eta (n,), hazards (n, K) and the objective."""
        alpha, total = self._alpha, self._counts.sum()
        hazard = torch.sigmoid(alpha + eta[:, None])
        if ((self._weight * hazard).sum() - total).abs() > 0.5 * total:
            alpha = self._level(alpha - alpha.mean(), eta)
        value = self._objective(alpha, eta)
        for _ in range(MAX_STEPS):
            hazard = torch.sigmoid(alpha + eta[:, None])
            grad = self._counts - (self._weight * hazard).sum(0) - self._precision @ alpha
            step = torch.linalg.solve(self._information(self._variance(hazard)), grad)
            if grad @ step < SETTLED * (1 + value.abs()):  # rounding hides what is left to gain
                alpha, value = alpha + step, self._objective(alpha + step, eta)
                break
            size = 1.0
            while (new := self._objective(alpha + size * step, eta)) < value and size > 1e-8:
                size /= 2
            alpha, value = alpha + size * step, new
        self._alpha = alpha
        return alpha, torch.sigmoid(alpha + eta[:, None]), value

    def _variance(self, hazard: Tensor) -> Tensor:
        return self._weight * hazard * (1.0 - hazard)

    def _information(self, variance: Tensor) -> Tensor:
        return (variance.sum(0) + JITTER).diag() + self._precision

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        """Log-likelihood of a predictor (n, 1) and logits (K,), with their log prior."""
        return self._objective(coordinates, eta[:, 0])

    def loglik(self, eta: Tensor) -> Tensor:
        """Profile log-likelihood of a linear predictor (n, 1)."""
        return self._profile(eta[:, 0])[2]

    def curvature(self, eta: Tensor) -> Curvature:
        """Profile log-likelihood, gradient and curvature at a linear predictor (n, 1)."""
        _, hazard, value = self._profile(eta[:, 0])
        variance = self._variance(hazard)
        factor = torch.linalg.cholesky(self._information(variance))
        low_rank = torch.linalg.solve_triangular(factor, variance.T, upper=False).T
        grad = self._event - (self._weight * hazard).sum(1)
        return Curvature(value, grad[:, None], variance.sum(1)[:, None], low_rank[None])

    def log_volume(self, eta: Tensor) -> Tensor:
        """Log determinant of the precision of the logits."""
        return torch.logdet(self._information(self._variance(self._profile(eta[:, 0])[1])))

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Posterior of the logits at a linear predictor (n, 1)."""
        alpha, hazard, _ = self._profile(eta[:, 0])
        variance = self._variance(hazard)
        information = self._information(variance)
        factor = torch.linalg.cholesky(torch.linalg.inv(information))
        weights = torch.linalg.solve(information, variance.T)
        bend = torch.linalg.solve(information, (variance * (1.0 - 2.0 * hazard)).T)
        return ProfiledBaseline(
            DiscreteBaseline(factor, self.ends, alpha), weights[None], bend[None]
        )


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
        logit = self.logit[own] if draw is None else self.logit[own] + draw[..., own]
        # -log(1 - h) of an interval
        spent = softplus(logit[..., None, :] + eta.double()[..., None])
        return torch.einsum("tk,...nk->...tn", periods_passed(times.double(), self.ends), spent)
