"""Intervals of time between quantiles of the events, and what patients spend in them."""

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
]


def known_outcomes(data: SurvivalData) -> SurvivalData:
    """Return the outcomes that are observed, in float64; ValueError where none is an event."""
    known = data.known()
    if not bool((known.event > 0).any()):
        raise ValueError(
            "survival outcome has no events: nothing to learn a hazard from. Check which value of "
            "the event column means that it happened."
        )
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
    cuts: Tensor = torch.quantile(times, levels).unique()
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
