"""Piecewise exponential survival: a hazard constant between cuts, times exp(linear predictor)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from .target import Curvature, LinearBaseline, ProfiledBaseline

__all__ = ["PiecewiseBaseline", "PiecewiseExponential", "PiecewiseTarget", "bounded_exp"]

SMOOTHNESS = 0.5  # sd of one step of the random walk of the log hazard
LOG_RATE_LIMIT = 20.0
MAX_STEPS = 100


class SurvivalOptions(Protocol):
    """The options of a survival outcome that a likelihood reads."""

    @property
    def n_intervals(self) -> int:
        """Number of intervals of the baseline."""
        ...


def bounded_exp(x: Tensor, limit: float = LOG_RATE_LIMIT) -> Tensor:
    """Exponential that goes on as a straight line above ``limit``: gradients stay finite."""
    low = x.clamp(max=limit)
    return low.exp() * (1.0 + (x - low))


def interval_overlap(times: Tensor, cuts: Tensor) -> Tensor:
    """Time spent in each interval, (n, K), for K - 1 inner cuts; the last interval is open."""
    starts = torch.cat([cuts.new_zeros(1), cuts])
    widths = torch.cat([cuts, cuts.new_full((1,), torch.inf)]) - starts
    return torch.minimum((times[:, None] - starts).clamp(min=0.0), widths)


def event_cuts(time: Tensor, event: Tensor, n_intervals: int) -> Tensor:
    """Inner cuts at quantiles of the event times, float64 (at most ``n_intervals - 1``)."""
    times = time[event > 0].double()
    if not len(times):
        raise ValueError("survival outcome has no events: nothing to learn a hazard from")
    n_intervals = max(1, min(n_intervals, len(times) // 2))
    levels = torch.linspace(0.0, 1.0, n_intervals + 1, dtype=torch.float64)[1:-1]
    cuts = torch.quantile(times, levels).unique()
    return cuts[(cuts > 0) & (cuts < times.max())]


def random_walk_precision(size: int, sd: float) -> Tensor:
    """Precision matrix (size, size) of a first-order random walk with a free level."""
    steps = torch.diff(torch.eye(size, dtype=torch.float64), dim=0)
    return steps.T @ steps / sd**2


class PiecewiseExponential(nn.Module):
    """Proportional hazards with a piecewise constant baseline.

    ``d_ik ~ Poisson(e_ik exp(alpha_k + eta_i))`` for events d and time at risk e of patient i in
    interval k, with a random walk on the log hazards alpha. Factorises over patients, so that
    minibatches are exact, and tends to Cox as the cuts approach the event times.

    Parameters
    ----------
    cuts
        Inner cuts (K - 1,), increasing, in the unit of time.
    log_hazard
        Initial log hazards (K,), per unit of time.

    References
    ----------
    Friedman, M. (1982). Piecewise exponential models for survival data with covariates.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.specs import Survival
    >>> time, event = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 1.0, 0.0, 1.0])
    >>> hazard = PiecewiseExponential.from_data(time, event, Survival("t", "e", n_intervals=2))
    >>> hazard.log_prob(torch.zeros(4), time, event).shape
    torch.Size([4])
    """

    factorises: ClassVar[bool] = True
    cuts: Tensor

    def __init__(self, cuts: Tensor, log_hazard: Tensor) -> None:
        super().__init__()
        self.register_buffer("cuts", cuts)
        self.alpha = nn.Parameter(log_hazard)

    @classmethod
    def from_data(cls, time: Tensor, event: Tensor, spec: SurvivalOptions) -> Self:
        """Cut at quantiles of the event times; start at the crude hazards.

        Raises
        ------
        ValueError
            If there is no event.
        """
        cuts = event_cuts(time, event, spec.n_intervals)
        overlap = interval_overlap(time.double(), cuts)
        which = torch.bucketize(time.double(), cuts)
        events = torch.zeros(len(cuts) + 1, dtype=torch.float64)
        events.index_add_(0, which, event.double())
        rate = (events + 0.5) / (overlap.sum(0) + 0.5 * overlap.sum() / event.sum())
        return cls(cuts.to(time.dtype), rate.log().to(time.dtype))

    def log_prob(
        self, eta: Tensor, time: Tensor, event: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Log-likelihood of each patient, (n,); 0 where the outcome is not observed.

        Parameters
        ----------
        eta
            Log relative hazards, (..., n).
        time, event
            Follow-up time and event indicator, (n,).
        observed
            Boolean mask, (n,); None means that every outcome is observed.
        """
        cuts = self.cuts.to(time.dtype)
        overlap = interval_overlap(time, cuts)
        at_event = self.alpha[torch.bucketize(time, cuts)]
        rate = bounded_exp(self.alpha + eta[..., None])
        value = event * (at_event + eta) - (overlap * rate).sum(-1)
        return value if observed is None else torch.where(observed, value, 0.0)

    def log_prior(self) -> Tensor:
        """Log density of the random walk of the log hazards, up to a constant."""
        return -0.5 * (torch.diff(self.alpha) / SMOOTHNESS).square().sum()

    def target(
        self, time: Tensor, event: Tensor, observed: Tensor | None = None
    ) -> PiecewiseTarget:
        """Bind the likelihood to outcomes for the reported head, which refits the hazards."""
        return PiecewiseTarget(self.cuts, time, event, observed)


class PiecewiseTarget:
    """Piecewise exponential likelihood of known outcomes with the log hazards profiled out.

    Parameters
    ----------
    cuts
        Inner cuts (K - 1,).
    time, event, observed
        Outcomes of all patients, (N,); only observed ones count.
    """

    n_outputs = 1
    effective_share = 1.0

    def __init__(self, cuts: Tensor, time: Tensor, event: Tensor, observed: Tensor | None) -> None:
        mask = torch.ones_like(time, dtype=torch.bool) if observed is None else observed
        self.rows = mask.nonzero()[:, 0]
        self.cuts = cuts.detach().double()
        time = time[self.rows].double()
        self._event = event[self.rows].double()
        if self._event.sum() == 0:
            raise ValueError("survival outcome has no events: nothing to learn a hazard from")
        self._log_overlap = interval_overlap(time, self.cuts).log()
        self._counts = torch.zeros(len(self.cuts) + 1, dtype=torch.float64)
        self._counts.index_add_(0, torch.bucketize(time, self.cuts), self._event)
        self._precision = random_walk_precision(len(self._counts), SMOOTHNESS)
        start = self._event.sum().log() - torch.logsumexp(self._log_overlap.flatten(), 0)
        self._alpha = start.expand(len(self._counts)).clone()

    def _objective(self, alpha: Tensor, exposure: Tensor) -> Tensor:
        fit = (self._counts * alpha).sum() - (alpha + exposure).exp().sum()
        return fit - 0.5 * alpha @ self._precision @ alpha

    def _profile(self, eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log hazards (K,) that suit eta (n,), the log exposures (K,) and the objective."""
        exposure = torch.logsumexp(self._log_overlap + eta[:, None], 0)
        # the level has a closed form: start where expected and observed events agree
        alpha = self._alpha + self._counts.sum().log()
        alpha = alpha - torch.logsumexp(self._alpha + exposure, 0)
        value = self._objective(alpha, exposure)
        for _ in range(MAX_STEPS):
            expected = (alpha + exposure).exp()
            grad = self._counts - expected - self._precision @ alpha
            step = torch.linalg.solve(expected.diag() + self._precision, grad)
            size = 1.0
            while (new := self._objective(alpha + size * step, exposure)) < value and size > 1e-8:
                size /= 2
            if new < value:
                break
            alpha, value = alpha + size * step, new
            if grad @ step < 1e-18 * (1 + value.abs()):
                break
        self._alpha = alpha
        return alpha, exposure, value

    def loglik(self, eta: Tensor) -> Tensor:
        """Profile log-likelihood of a linear predictor (n, 1)."""
        return (self._event * eta[:, 0]).sum() + self._profile(eta[:, 0])[2]

    def _expected(self, eta: Tensor, alpha: Tensor) -> Tensor:
        return (self._log_overlap + eta + alpha).exp()

    def _information(self, expected: Tensor) -> Tensor:
        return expected.sum(0).diag() + self._precision

    def curvature(self, eta: Tensor) -> Curvature:
        """Profile log-likelihood, gradient and curvature at a linear predictor (n, 1)."""
        alpha, _, value = self._profile(eta[:, 0])
        expected = self._expected(eta, alpha)
        factor = torch.linalg.cholesky(self._information(expected))
        low_rank = torch.linalg.solve_triangular(factor, expected.T, upper=False).T
        total = expected.sum(1)
        loglik = (self._event * eta[:, 0]).sum() + value
        return Curvature(loglik, (self._event - total)[:, None], total[:, None], low_rank[None])

    def log_volume(self, eta: Tensor) -> Tensor:
        """Log determinant of the precision of the log hazards."""
        alpha, _, _ = self._profile(eta[:, 0])
        return torch.logdet(self._information(self._expected(eta, alpha)))

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Posterior of the log hazards at a linear predictor (n, 1)."""
        alpha, _, _ = self._profile(eta[:, 0])
        expected = self._expected(eta, alpha)
        cov = torch.linalg.inv(self._information(expected))
        factor = torch.linalg.cholesky((cov + cov.T) / 2)
        weights = torch.linalg.solve(self._information(expected), expected.T)
        return ProfiledBaseline(PiecewiseBaseline(factor, self.cuts, alpha), weights[None])


@dataclass(frozen=True)
class PiecewiseBaseline(LinearBaseline):
    """Baseline hazard constant between cuts; coordinates are the log hazards' deviations.

    Attributes
    ----------
    cuts
        Inner cuts, (K - 1,).
    log_hazard
        Log hazards at the posterior mode, (K,).
    """

    kind: ClassVar[str] = "piecewise"
    cuts: Tensor
    log_hazard: Tensor

    def exposure(self, times: Tensor) -> Tensor:
        """Cumulative hazard that each interval has contributed at each time, (T, K)."""
        return interval_overlap(times.double(), self.cuts) * self.log_hazard.exp()
