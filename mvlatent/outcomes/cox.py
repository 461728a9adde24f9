"""Cox proportional hazards: the partial likelihood as a module, and bound to outcomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from mvlatent.data.outcome_data import SurvivalData
from mvlatent.outcomes.bound import Curvature, ProfiledBaseline
from mvlatent.outcomes.breslow import BreslowBaseline, breslow
from mvlatent.outcomes.intervals import known_outcomes
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.outcomes.partial import NEVER, efron_log_likelihood, partial_log_likelihood
from mvlatent.specs import Survival

__all__ = ["BoundCox", "BreslowBaseline", "Cox", "efron_log_likelihood"]


class Cox(OutcomeLikelihood[SurvivalData]):
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

    References
    ----------
    Cox, D. R. (1972). Regression models and life-tables.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import SurvivalData
    >>> data = SurvivalData(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 1.0]))
    >>> round(float(Cox().log_prob(torch.zeros(3), data)), 4)  # -log 3
    -1.0986
    """

    factorises = False

    def __init__(self, n_intervals: int = 15, *, ties: str = "efron") -> None:
        super().__init__()
        self.n_intervals, self.ties = n_intervals, ties

    @classmethod
    def from_data(cls, data: SurvivalData, spec: Survival) -> Self:
        """Check that there is an event; nothing is learnt."""
        known_outcomes(data)
        return cls(spec.n_intervals, ties=spec.ties)

    def log_prob(self, eta: Tensor, data: SurvivalData) -> Tensor:
        """Log partial likelihood of the batch, a scalar; exactly 0 where it has no event."""
        eta = torch.where(data.observed, eta, NEVER)
        event = torch.where(data.observed, data.event, 0.0)
        return partial_log_likelihood(eta, replace(data, event=event), ties=self.ties)

    def log_prior(self) -> Tensor:
        """Zero: the baseline has no parameters."""
        return torch.zeros(())

    def bind(self, data: SurvivalData) -> BoundCox:
        """Bind the likelihood to outcomes, for the reported head."""
        return BoundCox(data, n_intervals=self.n_intervals, ties=self.ties)


class BoundCox:
    """The partial likelihood of known outcomes, with its exact Hessian.

    Parameters
    ----------
    data
        Outcomes of all patients; only observed ones count.
    n_intervals
        Groups of events in which the baseline's uncertainty is told apart, a stratum.
    ties
        ``"efron"`` or ``"breslow"``.
    """

    n_outputs = 1
    effective_share = 1.0
    has_baseline = False

    def __init__(self, data: SurvivalData, *, n_intervals: int = 15, ties: str = "efron") -> None:
        self.rows = data.observed.nonzero()[:, 0]
        known = known_outcomes(data)
        time, self._event, self._n_intervals = known.time, known.event, n_intervals
        died = self._event > 0
        self._stratified = known.stratum is not None
        within = torch.zeros_like(time) if known.stratum is None else known.stratum.double()
        places, self._deaths = torch.stack([within, time])[:, died].unique(
            dim=1, return_counts=True
        )
        self._stratum, self._times = places[0].long(), places[1]
        self._at_risk = (time >= self._times[:, None]) & (within == places[0][:, None])
        if known.entry is not None:
            self._at_risk &= known.entry < self._times[:, None]
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
