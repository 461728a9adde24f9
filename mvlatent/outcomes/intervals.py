"""Intervals of time between quantiles of the events, and the walk of a hazard over them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

__all__ = [
    "NO_EVENTS",
    "SurvivalOptions",
    "by_stratum",
    "event_cuts",
    "interval_overlap",
    "observed_overlap",
    "random_walk_precision",
    "walk_log_prior",
]

NO_EVENTS = "survival outcome has no events: nothing to learn a hazard from"
STRATUM_SD = 3.0  # of the levels of strata around their mean: a stratum without events stays finite


class SurvivalOptions(Protocol):
    """The options of a survival outcome that a likelihood reads."""

    @property
    def n_intervals(self) -> int:
        """Number of intervals of the baseline."""
        ...

    @property
    def ties(self) -> str:
        """Treatment of ties by a partial likelihood, ``"efron"`` or ``"breslow"``."""
        ...

    @property
    def hazard(self) -> str | None:
        """Kind of the hazard of each competing cause."""
        ...


def interval_overlap(times: Tensor, cuts: Tensor) -> Tensor:
    """Time spent in each interval, (n, K), for K - 1 inner cuts; the last interval is open."""
    starts = torch.cat([cuts.new_zeros(1), cuts])
    widths = torch.cat([cuts, cuts.new_full((1,), torch.inf)]) - starts
    return torch.minimum((times[:, None] - starts).clamp(min=0.0), widths)


def observed_overlap(time: Tensor, cuts: Tensor, entry: Tensor | None) -> Tensor:
    """Time under observation in each interval, (n, K): from entry on."""
    overlap = interval_overlap(time, cuts)
    return overlap if entry is None else overlap - interval_overlap(entry.to(time.dtype), cuts)


def event_cuts(time: Tensor, event: Tensor, n_intervals: int) -> Tensor:
    """Inner cuts at quantiles of the event times, float64 (at most ``n_intervals - 1``)."""
    times = time[event > 0].double()
    if not len(times):
        raise ValueError(NO_EVENTS)
    n_intervals = max(1, min(n_intervals, len(times) // 2))
    levels = torch.linspace(0.0, 1.0, n_intervals + 1, dtype=torch.float64)[1:-1]
    cuts = torch.quantile(times, levels).unique()
    return cuts[(cuts > 0) & (cuts < times.max())]


def by_stratum(values: Tensor, stratum: Tensor | None, n_strata: int) -> Tensor:
    """Spread values (n, K) over the columns of each row's stratum, (n, n_strata K)."""
    if stratum is None or n_strata == 1:
        return values
    hot = torch.nn.functional.one_hot(stratum.long(), n_strata).to(values.dtype)
    return (hot[:, :, None] * values[:, None, :]).flatten(1)


def random_walk_precision(size: int, sd: float, n_strata: int = 1) -> Tensor:
    """Precision of a first-order random walk a stratum, (n_strata size, n_strata size).

    The level they share is free; the strata's own levels scatter around it.
    """
    steps = torch.diff(torch.eye(size, dtype=torch.float64), dim=0)
    one = torch.eye(n_strata, dtype=torch.float64)
    scatter = (one - 1.0 / n_strata) / (size * STRATUM_SD) ** 2
    level = torch.ones(size, size, dtype=torch.float64)
    return torch.kron(one, steps.T @ steps / sd**2) + torch.kron(scatter, level)


def walk_log_prior(alpha: Tensor, n_strata: int, sd: float) -> Tensor:
    """Log density of log hazards (n_strata K,) under `random_walk_precision`, up to a constant."""
    walks = alpha.view(n_strata, -1)
    level = walks.mean(1)
    rough = (torch.diff(walks, dim=1) / sd).square().sum()
    return -0.5 * (rough + ((level - level.mean()) / STRATUM_SD).square().sum())
