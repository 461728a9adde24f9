"""Cox's log partial likelihood, with ties, strata and left truncation; fixed shapes only."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.data.outcome_data import SurvivalData

__all__ = ["efron_log_likelihood", "partial_log_likelihood"]

NEVER = -1e30  # log hazard of a row that is in no risk set


def _group_sum(values: Tensor, group: Tensor) -> Tensor:
    return torch.zeros_like(values).index_add(0, group, values)


def _group_logsumexp(values: Tensor, group: Tensor) -> Tensor:
    top = torch.full_like(values, NEVER).scatter_reduce(0, group, values.detach(), "amax")
    return top + _group_sum((values - top[group]).exp(), group).clamp(min=1e-30).log()


def efron_log_likelihood(
    eta: Tensor, time: Tensor, event: Tensor, *, ties: str = "efron"
) -> Tensor:
    """Log partial likelihood of one stratum seen from the start, a scalar.

    Fixed shapes only, so that it never waits for a device. Without events it is exactly 0.

    Parameters
    ----------
    eta
        Log relative hazards, (n,); a row of about -1e30 or below is in no risk set.
    time, event
        Follow-up time and event indicator, (n,).
    ties
        ``"efron"`` or ``"breslow"``.

    References
    ----------
    Efron, B. (1977). The efficiency of Cox's likelihood function for censored data.
    Breslow, N. (1974). Covariance analysis of censored survival data.
    """
    order = torch.argsort(time, descending=True, stable=True)
    eta, time, died = eta[order], time[order], event[order] > 0
    new = torch.cat([time.new_zeros(1, dtype=torch.bool), time[1:] != time[:-1]])
    group = new.long().cumsum(0)
    last = torch.zeros_like(group).scatter_reduce(
        0, group, torch.arange(len(time), device=time.device), "amax"
    )
    log_risk = torch.logcumsumexp(eta, 0)[last[group]]
    if ties == "efron":
        tied = _group_logsumexp(torch.where(died, eta, NEVER), group)[group]
        deaths = _group_sum(died.to(eta.dtype), group)[group]
        running = died.to(eta.dtype).cumsum(0)
        before = running - died.to(eta.dtype)
        first = torch.full_like(before, torch.inf).scatter_reduce(0, group, before, "amin")[group]
        log_risk = _without_share(log_risk, tied, (before - first) / deaths.clamp(min=1.0), died)
    return torch.where(died, eta - log_risk, 0.0).sum()


def _without_share(log_risk: Tensor, tied: Tensor, share: Tensor, died: Tensor) -> Tensor:
    """Take the share of the tied deaths out of the risk set, in logarithms."""
    ratio = torch.where(died, tied - log_risk, 0.0).clamp(max=0.0).exp()
    return log_risk + torch.log1p(-share * ratio)


def _pairwise_log_likelihood(eta: Tensor, data: SurvivalData, entry: Tensor, ties: str) -> Tensor:
    """Log partial likelihood from the n × n table of who is at risk when; for left truncation."""
    died, time, now = data.event > 0, data.time, data.time[:, None]
    risk = (time >= now) & (entry.to(time.dtype) < now)
    if data.stratum is not None:
        risk = risk & (data.stratum == data.stratum[:, None])
    log_risk = torch.logsumexp(torch.where(risk, eta, NEVER), 1)
    if ties == "efron":
        together = risk & (time == now) & died
        tied = torch.logsumexp(torch.where(together, eta, NEVER), 1)
        share = together.tril(-1).sum(1) / together.sum(1).clamp(min=1)
        log_risk = _without_share(log_risk, tied, share, died)
    return torch.where(died, eta - log_risk, 0.0).sum()


def partial_log_likelihood(eta: Tensor, data: SurvivalData, *, ties: str = "efron") -> Tensor:
    """Log partial likelihood, a scalar; exactly 0 without events.

    A patient is at risk at ``t`` if ``entry < t <= time``, in the own stratum only. Left truncation
    takes memory of n × n.

    Parameters
    ----------
    eta
        Log relative hazards, (n,); a row of about -1e30 or below is in no risk set.
    data
        Outcomes, all of which count.
    ties
        ``"efron"`` or ``"breslow"``.
    """
    if data.entry is not None:
        return _pairwise_log_likelihood(eta, data, data.entry, ties)
    if data.stratum is None or data.n_strata == 1:
        return efron_log_likelihood(eta, data.time, data.event, ties=ties)
    total = eta.new_zeros(())
    for s in range(data.n_strata):
        own = data.stratum == s
        total = total + efron_log_likelihood(
            torch.where(own, eta, NEVER), data.time, torch.where(own, data.event, 0.0), ties=ties
        )
    return total
