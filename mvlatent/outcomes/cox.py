"""Cox proportional hazards: the partial likelihood as a module, and bound to outcomes."""

from __future__ import annotations

from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from .breslow import BreslowBaseline, breslow
from .intervals import NO_EVENTS, SurvivalOptions
from .partial import NEVER, efron_log_likelihood, partial_log_likelihood
from .target import Curvature, ProfiledBaseline

__all__ = ["BreslowBaseline", "Cox", "CoxTarget", "efron_log_likelihood"]


class Cox(nn.Module):
    """Cox proportional hazards: the partial likelihood knows the order of events only.

    Does not factorise over patients: in a minibatch the risk sets are the batch's, which is a
    randomly stratified Cox model, so use batches of 128 patients or more. Each stratum has risk
    sets of its own; with entry times a patient is at risk from entry on.

    Parameters
    ----------
    n_intervals
        Number of groups of events in which the baseline's uncertainty is told apart.
    ties
        ``"efron"`` or ``"breslow"``.
    n_strata
        Number of strata.

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
    n_outputs: int = 1

    def __init__(self, n_intervals: int = 15, *, ties: str = "efron", n_strata: int = 1) -> None:
        super().__init__()
        self.n_intervals, self.ties, self.n_strata = n_intervals, ties, n_strata

    @classmethod
    def from_data(
        cls,
        time: Tensor,
        event: Tensor,
        spec: SurvivalOptions,
        *,
        entry: Tensor | None = None,
        stratum: Tensor | None = None,
        n_strata: int = 1,
    ) -> Self:
        """Check that there is an event; nothing is learnt.

        Raises
        ------
        ValueError
            If there is no event.
        """
        if not bool((event > 0).any()):
            raise ValueError(NO_EVENTS)
        return cls(spec.n_intervals, ties=spec.ties, n_strata=n_strata)

    def log_prob(
        self,
        eta: Tensor,
        time: Tensor,
        event: Tensor,
        observed: Tensor | None = None,
        *,
        entry: Tensor | None = None,
        stratum: Tensor | None = None,
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
        entry
            Times at which patients came under observation, (n,); None is 0.
        stratum
            Codes of strata, (n,); None is one stratum.
        """
        if observed is not None:
            eta = torch.where(observed, eta, NEVER)
            event = torch.where(observed, event, 0.0)
        return partial_log_likelihood(
            eta,
            time,
            event,
            ties=self.ties,
            entry=entry,
            stratum=stratum,
            n_strata=self.n_strata,
        )

    def log_prior(self) -> Tensor:
        """Zero: the baseline has no parameters."""
        return torch.zeros(())

    def target(
        self,
        time: Tensor,
        event: Tensor,
        observed: Tensor | None = None,
        *,
        entry: Tensor | None = None,
        stratum: Tensor | None = None,
    ) -> CoxTarget:
        """Bind the likelihood to outcomes, for the reported head."""
        return CoxTarget(
            time,
            event,
            observed,
            n_intervals=self.n_intervals,
            ties=self.ties,
            entry=entry,
            stratum=stratum,
        )


class CoxTarget:
    """The partial likelihood of known outcomes, with its exact Hessian.

    Parameters
    ----------
    time, event, observed
        Outcomes of all patients, (N,); only observed ones count.
    n_intervals
        Groups of events in which the baseline's uncertainty is told apart, a stratum.
    ties
        ``"efron"`` or ``"breslow"``.
    entry, stratum
        Entry times and codes of strata, (N,).
    """

    n_outputs = 1
    effective_share = 1.0
    has_baseline = False

    def __init__(
        self,
        time: Tensor,
        event: Tensor,
        observed: Tensor | None,
        *,
        n_intervals: int = 15,
        ties: str = "efron",
        entry: Tensor | None = None,
        stratum: Tensor | None = None,
    ) -> None:
        mask = torch.ones_like(time, dtype=torch.bool) if observed is None else observed
        self.rows = mask.nonzero()[:, 0]
        time = time[self.rows].double()
        self._event = event[self.rows].double()
        self._n_intervals = n_intervals
        died = self._event > 0
        if not bool(died.any()):
            raise ValueError(NO_EVENTS)
        self._stratified = stratum is not None
        within = time.new_zeros(len(time)) if stratum is None else stratum[self.rows].double()
        places, self._deaths = torch.stack([within, time])[:, died].unique(
            dim=1, return_counts=True
        )
        self._stratum, self._times = places[0].long(), places[1]
        self._at_risk = (time >= self._times[:, None]) & (within == places[0][:, None])
        if entry is not None:
            self._at_risk &= entry[self.rows].double() < self._times[:, None]
        # a slot is one death; log of how much of each patient is at risk in it
        slot = torch.repeat_interleave(torch.arange(len(self._times)), self._deaths)
        risk = self._at_risk[slot].double()
        if ties == "efron":
            first = self._deaths.cumsum(0) - self._deaths
            share = (torch.arange(len(slot)) - first[slot]) / self._deaths[slot].double()
            tied = (time == self._times[slot][:, None]) & (risk > 0) & died
            risk -= share[:, None] * tied
        self._log_risk = risk.log()

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        """Log partial likelihood of a predictor (n, 1): there are no coordinates."""
        return self.loglik(eta)

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
        return breslow(
            eta[:, 0],
            self._times,
            self._deaths,
            self._at_risk,
            self._stratum,
            self._n_intervals,
            stratified=self._stratified,
        )
