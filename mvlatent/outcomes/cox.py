"""Cox partial likelihood with Efron's ties, and Breslow's baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from .piecewise import SurvivalOptions
from .target import Curvature, LinearBaseline, ProfiledBaseline

__all__ = ["BreslowBaseline", "Cox", "CoxTarget", "efron_log_likelihood"]

MAX_KNOTS = 256
EVENTS_PER_GROUP = 8
NEVER = -1e30


def _group_sum(values: Tensor, group: Tensor) -> Tensor:
    return torch.zeros_like(values).index_add(0, group, values)


def _group_logsumexp(values: Tensor, group: Tensor) -> Tensor:
    top = torch.full_like(values, NEVER).scatter_reduce(0, group, values.detach(), "amax")
    return top + _group_sum((values - top[group]).exp(), group).clamp(min=1e-30).log()


def efron_log_likelihood(eta: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Log partial likelihood with Efron's treatment of ties, a scalar.

    Fixed shapes only, so that it never waits for a device. Without events it is exactly 0.

    Parameters
    ----------
    eta
        Log relative hazards, (n,); a row of about -1e30 or below is in no risk set.
    time, event
        Follow-up time and event indicator, (n,).

    References
    ----------
    Efron, B. (1977). The efficiency of Cox's likelihood function for censored data.
    """
    order = torch.argsort(time, descending=True, stable=True)
    eta, time, died = eta[order], time[order], event[order] > 0
    new = torch.cat([time.new_zeros(1, dtype=torch.bool), time[1:] != time[:-1]])
    group = new.long().cumsum(0)
    last = torch.zeros_like(group).scatter_reduce(
        0, group, torch.arange(len(time), device=time.device), "amax"
    )
    at_risk = torch.logcumsumexp(eta, 0)[last[group]]
    tied = _group_logsumexp(torch.where(died, eta, NEVER), group)[group]
    deaths = _group_sum(died.to(eta.dtype), group)[group]
    running = died.to(eta.dtype).cumsum(0)
    before = running - died.to(eta.dtype)
    first = torch.full_like(before, torch.inf).scatter_reduce(0, group, before, "amin")[group]
    share = (before - first) / deaths.clamp(min=1.0)
    ratio = torch.where(died, tied - at_risk, 0.0).clamp(max=0.0).exp()
    log_risk = at_risk + torch.log1p(-share * ratio)
    return torch.where(died, eta - log_risk, 0.0).sum()


class Cox(nn.Module):
    """Cox proportional hazards: the partial likelihood knows the order of events only.

    Does not factorise over patients: in a minibatch the risk sets are the batch's, which is a
    randomly stratified Cox model, so use batches of 128 patients or more.

    Parameters
    ----------
    n_intervals
        Number of groups of events in which the baseline's uncertainty is told apart.

    References
    ----------
    Cox, D. R. (1972). Regression models and life-tables.

    Examples
    --------
    >>> import torch
    >>> time, event = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 1.0])
    >>> round(float(Cox().log_prob(torch.zeros(3), time, event)), 4)  # -log 3
    -1.0986
    """

    factorises: ClassVar[bool] = False

    def __init__(self, n_intervals: int = 15) -> None:
        super().__init__()
        self.n_intervals = n_intervals

    @classmethod
    def from_data(cls, time: Tensor, event: Tensor, spec: SurvivalOptions) -> Self:
        """Check that there is an event; nothing is learnt.

        Raises
        ------
        ValueError
            If there is no event.
        """
        if not bool((event > 0).any()):
            raise ValueError("survival outcome has no events: nothing to learn a hazard from")
        return cls(spec.n_intervals)

    def log_prob(
        self, eta: Tensor, time: Tensor, event: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Log partial likelihood of the batch, a scalar; exactly 0 where it has no event.

        Parameters
        ----------
        eta
            Log relative hazards, (n,).
        time, event
            Follow-up time and event indicator, (n,).
        observed
            Boolean mask, (n,); None means that every outcome is observed.
        """
        if observed is not None:
            eta = torch.where(observed, eta, NEVER)
            event = torch.where(observed, event, 0.0)
        return efron_log_likelihood(eta, time, event)

    def log_prior(self) -> Tensor:
        """Zero: the baseline has no parameters."""
        return torch.zeros(())

    def target(self, time: Tensor, event: Tensor, observed: Tensor | None = None) -> CoxTarget:
        """Bind the likelihood to outcomes, for the reported head."""
        return CoxTarget(time, event, observed, n_intervals=self.n_intervals)


class CoxTarget:
    """Efron's partial likelihood of known outcomes, with its exact Hessian.

    Parameters
    ----------
    time, event, observed
        Outcomes of all patients, (N,); only observed ones count.
    n_intervals
        Groups of events in which the baseline's uncertainty is told apart.
    """

    n_outputs = 1
    effective_share = 1.0

    def __init__(
        self, time: Tensor, event: Tensor, observed: Tensor | None, *, n_intervals: int = 15
    ) -> None:
        mask = torch.ones_like(time, dtype=torch.bool) if observed is None else observed
        self.rows = mask.nonzero()[:, 0]
        self._time = time[self.rows].double()
        self._event = event[self.rows].double()
        self._n_intervals = n_intervals
        died = self._event > 0
        if not bool(died.any()):
            raise ValueError("survival outcome has no events: nothing to learn a hazard from")
        self._times, self._deaths = self._time[died].unique(return_counts=True)
        slot = torch.repeat_interleave(torch.arange(len(self._times)), self._deaths)
        first = self._deaths.cumsum(0) - self._deaths
        share = (torch.arange(len(slot)) - first[slot]) / self._deaths[slot].double()
        times = self._times[slot][:, None]
        tied = (self._time == times) & died
        # a slot is one death; log of how much of each patient is at risk in it
        self._log_risk = ((self._time >= times).double() - share[:, None] * tied).log()

    def loglik(self, eta: Tensor) -> Tensor:
        """Log partial likelihood of a linear predictor (n, 1)."""
        risk = torch.logsumexp(self._log_risk + eta[:, 0], 1)
        return (self._event * eta[:, 0]).sum() - risk.sum()

    def curvature(self, eta: Tensor) -> Curvature:
        """Log partial likelihood, gradient and curvature at a linear predictor (n, 1)."""
        weights = torch.softmax(self._log_risk + eta[:, 0], 1)
        total = weights.sum(0)
        grad = (self._event - total)[:, None]
        return Curvature(self.loglik(eta), grad, total[:, None], weights.T[None])

    def log_volume(self, eta: Tensor) -> Tensor:
        """Zero: the partial likelihood has no baseline."""
        return eta.new_zeros(())

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Breslow's baseline at a linear predictor (n, 1), in groups of consecutive events."""
        at_risk = torch.where(self._time >= self._times[:, None], eta[:, 0], -torch.inf)
        log_total = torch.logsumexp(at_risk, 1)
        increments = (self._deaths.double().log() - log_total).exp()
        n_groups = int(self._deaths.sum()) // EVENTS_PER_GROUP
        n_groups = max(1, min(n_groups, self._n_intervals, len(self._times)))
        middle = self._deaths.cumsum(0) - self._deaths / 2
        group = (middle / self._deaths.sum() * n_groups).long().clamp(max=n_groups - 1)
        member = torch.nn.functional.one_hot(group, n_groups).double()
        member = member[:, member.sum(0) > 0]
        share = (member * increments[:, None]) / (member * increments[:, None]).sum(0)
        weights = share.T @ (at_risk - log_total[:, None]).exp()
        factor = (member.T @ self._deaths.double()).rsqrt().diag()
        times, steps = _thin(self._times, member * increments[:, None])
        return ProfiledBaseline(BreslowBaseline(factor, times, steps), weights[None])


def _thin(times: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Merge a step function's jumps (J, K) into at most 256, each at the last time it holds."""
    if len(times) <= MAX_KNOTS:
        return times, steps
    place = torch.arange(len(times)) * MAX_KNOTS // len(times)
    merged = torch.zeros(MAX_KNOTS, steps.shape[1], dtype=steps.dtype).index_add(0, place, steps)
    return torch.zeros(MAX_KNOTS, dtype=times.dtype).scatter_reduce(0, place, times, "amax"), merged


@dataclass(frozen=True)
class BreslowBaseline(LinearBaseline):
    """Breslow's cumulative hazard; coordinates scale it within groups of consecutive events.

    Attributes
    ----------
    times
        Times of the jumps, (J,).
    steps
        Size of each jump, in the column of its group, (J, K).
    """

    kind: ClassVar[str] = "breslow"
    times: Tensor
    steps: Tensor

    def exposure(self, times: Tensor) -> Tensor:
        """Cumulative hazard that each group has contributed at each time, (T, K)."""
        total = torch.cat([self.steps.new_zeros(1, self.steps.shape[1]), self.steps.cumsum(0)])
        return total[torch.searchsorted(self.times, times.double(), right=True)]
