"""Intervals of time between quantiles of the events, and the walk of a hazard over them."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.data.outcome_data import SurvivalData

__all__ = [
    "by_stratum",
    "event_cuts",
    "interval_overlap",
    "known_outcomes",
    "observed_overlap",
    "of_stratum",
    "random_walk_precision",
    "walk_log_prior",
]

STRATUM_SD = 3.0  # of the levels of strata around their mean: a stratum without events stays finite


def known_outcomes(data: SurvivalData) -> SurvivalData:
    """Return the outcomes that are observed, in float64; ValueError where none is an event."""
    known = data.known()
    if not bool((known.event > 0).any()):
        raise ValueError("survival outcome has no events: nothing to learn a hazard from.")
    return known


def interval_overlap(times: Tensor, cuts: Tensor) -> Tensor:
    """Time spent in each interval, (n, K), for K - 1 inner cuts; the last interval is open."""
    starts = torch.cat([cuts.new_zeros(1), cuts])
    widths = torch.cat([cuts, cuts.new_full((1,), torch.inf)]) - starts
    return torch.minimum((times[:, None] - starts).clamp(min=0.0), widths)


def observed_overlap(data: SurvivalData, cuts: Tensor) -> Tensor:
    """Time under observation in each interval, (n, K): from entry on."""
    overlap = interval_overlap(data.time, cuts)
    if data.entry is None:
        return overlap
    return overlap - interval_overlap(data.entry.to(data.time.dtype), cuts)


def event_cuts(known: SurvivalData, n_intervals: int) -> Tensor:
    """Inner cuts at quantiles of the event times, float64 (at most ``n_intervals - 1``)."""
    times = known.time[known.event > 0].double()
    n_intervals = max(1, min(n_intervals, len(times) // 2))
    levels = torch.linspace(0.0, 1.0, n_intervals + 1, dtype=torch.float64)[1:-1]
    cuts = torch.quantile(times, levels).unique()
    return cuts[(cuts > 0) & (cuts < times.max())]


def by_stratum(values: Tensor, data: SurvivalData) -> Tensor:
    """Spread values (n, K) over the columns of each row's stratum, (n, n_strata K)."""
    if data.stratum is None or data.n_strata == 1:
        return values
    hot = torch.nn.functional.one_hot(data.stratum.long(), data.n_strata).to(values.dtype)
    return (hot[:, :, None] * values[:, None, :]).flatten(1)


def of_stratum(parameters: Tensor, data: SurvivalData) -> Tensor:
    """Values of each row's stratum, (n, K), of parameters (n_strata K,)."""
    one = torch.zeros_like(data.time, dtype=torch.long)
    return parameters.view(data.n_strata, -1)[one if data.stratum is None else data.stratum]


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
