"""Breslow's baseline of a Cox model, in groups of consecutive events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mvlatent.outcomes.bound import LinearBaseline, ProfiledBaseline

__all__ = ["BreslowBaseline", "breslow"]

MAX_KNOTS = 256
EVENTS_PER_GROUP = 8


@dataclass(frozen=True)
class BreslowBaseline(LinearBaseline):
    """Breslow's cumulative hazard; coordinates scale it within groups of consecutive events.

    Attributes
    ----------
    times
        Times of the jumps, (J,), increasing within a stratum.
    steps
        Size of each jump, in the column of its group, (J, K).
    stratum
        Stratum of each jump, (J,); None is one stratum.
    """

    kind: ClassVar[str] = "breslow"
    jumps: ClassVar[bool] = True
    times: Tensor
    steps: Tensor
    stratum: Tensor | None = None

    @property
    def coordinates(self) -> Tensor:
        return self.steps.sum(0).log()

    def _own(self, stratum: int) -> tuple[Tensor, Tensor]:
        if self.stratum is None:
            return self.times, self.steps
        own = self.stratum == stratum
        return self.times[own], self.steps[own]

    def exposure(self, times: Tensor, stratum: int = 0) -> Tensor:
        """Cumulative hazard that each group has contributed at each time, (T, K)."""
        knots, steps = self._own(stratum)
        total = torch.cat([steps.new_zeros(1, steps.shape[1]), steps.cumsum(0)])
        return total[torch.searchsorted(knots, times.double(), right=True)]

    def knots(self, stratum: int = 0) -> Tensor:
        """Times at which the hazard jumps."""
        return self._own(stratum)[0]


def breslow(
    eta: Tensor,
    times: Tensor,
    deaths: Tensor,
    at_risk: Tensor,
    stratum: Tensor,
    n_intervals: int,
    *,
    stratified: bool,
) -> ProfiledBaseline:
    """Breslow's baseline at a linear predictor (n,).

    Parameters
    ----------
    eta
        Linear predictor of the training rows, (n,).
    times, deaths, stratum
        Times of the events (J,) in order within each stratum, deaths at each, and its stratum.
    at_risk
        Who is at risk at each, (J, n) bool.
    n_intervals
        Most groups a stratum in which the baseline's uncertainty is told apart.
    stratified
        Whether there are strata; one without an event has no hazard.
    """
    log_hazard = torch.where(at_risk, eta, -torch.inf)
    log_total = torch.logsumexp(log_hazard, 1)
    increments = (deaths.double().log() - log_total).exp()
    parts = [_groups(deaths[stratum == s], n_intervals) for s in stratum.unique()]
    member = torch.block_diag(*parts)
    steps = member * increments[:, None]
    weights = (steps / steps.sum(0)).T @ (log_hazard - log_total[:, None]).exp()
    factor = (member.T @ deaths.double()).rsqrt().diag()
    thinned = [_thin(times[stratum == s], steps[stratum == s]) for s in stratum.unique()]
    knots, jumps = (torch.cat(part) for part in zip(*thinned, strict=True))
    sizes = torch.tensor([len(t) for t, _ in thinned])
    named = stratum.unique().repeat_interleave(sizes) if stratified else None
    return ProfiledBaseline(BreslowBaseline(factor, knots, jumps, named), weights[None])


def _groups(deaths: Tensor, n_intervals: int) -> Tensor:
    """Which group of about as many deaths each event time is in, (J, G) of 0 and 1."""
    n_groups = int(deaths.sum()) // EVENTS_PER_GROUP
    n_groups = max(1, min(n_groups, n_intervals, len(deaths)))
    middle = deaths.cumsum(0) - deaths / 2
    group = (middle / deaths.sum() * n_groups).long().clamp(max=n_groups - 1)
    member = torch.nn.functional.one_hot(group, n_groups).double()
    return member[:, member.sum(0) > 0]


def _thin(times: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
    """Merge a step function's jumps (J, K) into at most 256, each at the last time it holds."""
    if len(times) <= MAX_KNOTS:
        return times, steps
    place = torch.arange(len(times)) * MAX_KNOTS // len(times)
    merged = torch.zeros(MAX_KNOTS, steps.shape[1], dtype=steps.dtype).index_add(0, place, steps)
    return torch.zeros(MAX_KNOTS, dtype=times.dtype).scatter_reduce(0, place, times, "amax"), merged
