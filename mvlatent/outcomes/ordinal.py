"""Ordered levels: a cumulative logit with cut points between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from mvlatent.data.outcome_data import TargetData
from mvlatent.outcomes.likelihood import Likelihood
from mvlatent.outcomes.target import BaselineShape, Curvature, ProfiledBaseline
from mvlatent.specs import Target

__all__ = ["Cutpoints", "Ordinal", "OrdinalTarget", "ordered_log_prob"]

MAX_STEPS = 100
SETTLED = 1e-12  # Newton decrement, in nats
PSEUDO = 0.5  # patients at eta = 0 of a level that nobody has: its cut points stay apart
RIDGE = 1e-9  # of the cut points' precision: they stay finite where patients say nothing of them
MIN_GAP = 1e-6


def ordered_log_prob(eta: Tensor, codes: Tensor, cuts: Tensor) -> Tensor:
    r"""Log probability of levels, :math:`\log[\sigma(c_k - \eta) - \sigma(c_{k-1} - \eta)]`.

    Written as a sum of three logarithms it neither cancels nor overflows.

    Parameters
    ----------
    eta
        Linear predictors, (..., n); higher means higher levels.
    codes
        Levels, (n,) integers from 0.
    cuts
        Increasing cut points, (L - 1,).

    Examples
    --------
    >>> import torch
    >>> cuts, codes = torch.tensor([-1.0, 1.0]), torch.arange(3)
    >>> round(ordered_log_prob(torch.zeros(3), codes, cuts).exp().sum().item(), 6)
    1.0
    """
    end = cuts.new_zeros(1)
    upper, lower = torch.cat([cuts, end])[codes], torch.cat([end, cuts])[codes]
    inside = torch.cat([end, torch.log(-torch.expm1(-cuts.diff())), end])[codes]
    below = torch.where(codes < len(cuts), logsigmoid(upper - eta), 0.0)
    above = torch.where(codes > 0, logsigmoid(eta - lower), 0.0)
    return below + above + inside


def _starting_cuts(counts: Tensor) -> Tensor:
    """Cut points (L - 1,) that give levels their frequencies at eta = 0."""
    share = ((counts + 0.5) / (counts + 0.5).sum()).cumsum(0)[:-1]
    return torch.logit(share)


class Ordinal(Likelihood[TargetData]):
    """Ordered logit: one linear predictor, and cut points between neighbouring levels.

    Parameters
    ----------
    cuts
        Initial cut points, (L - 1,), increasing.

    References
    ----------
    McCullagh, P. (1980). Regression models for ordinal data. JRSS B 42, 109-142.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import TargetData
    >>> data = TargetData(torch.tensor([0.0, 1.0, 1.0, 2.0]), levels=("I", "II", "III"))
    >>> stage = Ordinal.from_data(data)
    >>> stage.cuts.diff().item() > 0
    True
    """

    def __init__(self, cuts: Tensor) -> None:
        super().__init__()
        self.first = nn.Parameter(cuts[:1].clone())
        self.log_gaps = nn.Parameter(cuts.diff().clamp(min=MIN_GAP).log())

    @property
    def cuts(self) -> Tensor:
        """Cut points, (L - 1,)."""
        return torch.cat([self.first, self.log_gaps.exp()]).cumsum(0)

    @classmethod
    def from_data(cls, data: TargetData, spec: Target | None = None) -> Self:
        """Start the cut points at the frequencies of the levels; ValueError if none is observed."""
        return cls(_starting_cuts(_counts(data).float()))

    def log_prob(self, eta: Tensor, data: TargetData) -> Tensor:
        """Log probability of each patient's level, (..., n); higher ``eta``, higher levels."""
        out = ordered_log_prob(eta, data.value.long(), self.cuts)
        return torch.where(data.observed, out, 0.0)

    def log_prior(self) -> Tensor:
        """Zero: the cut points have a flat prior."""
        return self.first.new_zeros(())

    def target(self, data: TargetData) -> OrdinalTarget:
        """Bind the likelihood to levels, for the reported head."""
        return OrdinalTarget(data)


def _counts(data: TargetData) -> Tensor:
    """Patients of each level, (L,)."""
    if len(data.levels) < 2:
        raise ValueError(f"an ordinal target needs at least two levels, got {len(data.levels)}.")
    counts = torch.bincount(data.value[data.observed].long(), minlength=len(data.levels))
    if counts.sum() == 0:
        raise ValueError("no level is observed: nothing to learn cut points from.")
    return counts


class _Fit(NamedTuple):
    """Cut points at a linear predictor, and the second derivatives there.

    ``precision`` (L - 1, L - 1) is that of the cut points, ``cross`` (L - 1, n) how each patient
    pulls on them, ``diag`` and ``grad`` (n,) are of the predictor at fixed cut points.
    """

    cuts: Tensor
    value: Tensor
    precision: Tensor
    cross: Tensor
    diag: Tensor
    grad: Tensor


class OrdinalTarget:
    """Ordered logit of known levels with the cut points profiled out, with its exact Hessian.

    The likelihood is concave in predictor and cut points together (Pratt 1981), so its profile is
    concave in the predictor. A level that no patient has counts as half a patient at ``eta = 0``.

    Parameters
    ----------
    data
        Levels of all patients; only observed ones count.
    """

    n_outputs = 1
    effective_share = 1.0
    has_baseline = True

    def __init__(self, data: TargetData) -> None:
        counts = _counts(data)
        self.rows = data.observed.nonzero()[:, 0]
        nobody = (counts == 0).nonzero()[:, 0]
        self._n, n_levels = len(self.rows), len(counts)
        self._codes = torch.cat([data.value[self.rows].long(), nobody])
        pseudo = torch.full((len(nobody),), PSEUDO, dtype=torch.float64)
        self._weight = torch.cat([torch.ones(self._n, dtype=torch.float64), pseudo])
        hot = torch.nn.functional.one_hot(self._codes, n_levels).double()
        self._upper, self._lower = hot[:, :-1], hot[:, 1:]
        self._inside = (self._weight @ hot)[1:-1]
        self._start = self._cuts = _starting_cuts(counts.double())

    def _padded(self, eta: Tensor) -> Tensor:
        """Predictors with those of the pseudo-patients, (n + e,)."""
        return torch.cat([eta[:, 0], eta.new_zeros(len(self._weight) - self._n)])

    def _objective(self, cuts: Tensor, eta: Tensor) -> Tensor:
        if bool((cuts.diff() <= 0).any()):
            return cuts.new_tensor(-torch.inf)
        fit = self._weight @ ordered_log_prob(eta, self._codes, cuts)
        return fit - 0.5 * RIDGE * cuts.square().sum()

    def _derivatives(self, cuts: Tensor, eta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradient and precision of the cut points, and each patient's two probabilities."""
        below = torch.sigmoid(cuts - eta[:, None])  # of a level up to each cut
        upper, lower = self._upper * self._weight[:, None], self._lower * self._weight[:, None]
        gap = torch.expm1(cuts.diff()).reciprocal()
        steps = torch.eye(len(cuts), dtype=cuts.dtype).diff(dim=0)
        grad = (upper * (1 - below)).sum(0) - (lower * below).sum(0)
        grad = grad + steps.T @ (self._inside * gap) - RIDGE * cuts
        spread = (upper + lower) * below * (1 - below)
        precision = spread.sum(0).diag() + steps.T @ (
            (self._inside * gap * (1 + gap))[:, None] * steps
        )
        precision = precision + RIDGE * torch.eye(len(cuts), dtype=cuts.dtype)
        return grad, precision, below, spread

    def _profile(self, eta: Tensor) -> _Fit:
        """Find the cut points that suit eta (n, 1)."""
        eta = self._padded(eta)
        # cuts of a step that was tried and refused may lie anywhere
        starts = (self._cuts, self._start)
        value, cuts = max(((self._objective(c, eta), c) for c in starts), key=lambda x: float(x[0]))
        for _ in range(MAX_STEPS):
            grad, precision, _, _ = self._derivatives(cuts, eta)
            step = torch.linalg.solve(precision, grad)
            if grad @ step < SETTLED:  # one more step and nothing is left but rounding
                cuts, value = cuts + step, self._objective(cuts + step, eta)
                break
            size = 1.0
            while (new := self._objective(cuts + size * step, eta)) < value and size > 1e-8:
                size /= 2
            if new < value:
                break
            cuts, value = cuts + size * step, new
        self._cuts = cuts
        _, precision, below, spread = self._derivatives(cuts, eta)
        slope = (self._lower * below).sum(1) - (self._upper * (1 - below)).sum(1)
        n = self._n
        # at the lowest level nothing lies below, at the highest nothing above
        return _Fit(cuts, value, precision, spread[:n].T, spread[:n].sum(1), slope[:n])

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        """Log-likelihood of a predictor (n, 1), a first cut point and log gaps (L - 1,)."""
        cuts = torch.cat([coordinates[:1], coordinates[1:].exp()]).cumsum(0)
        return self._objective(cuts, self._padded(eta))

    def loglik(self, eta: Tensor) -> Tensor:
        """Profile log-likelihood of a linear predictor (n, 1)."""
        return self._profile(eta).value

    def curvature(self, eta: Tensor) -> Curvature:
        """Profile log-likelihood, gradient and curvature at a linear predictor (n, 1)."""
        fit = self._profile(eta)
        root = torch.linalg.cholesky(fit.precision)
        low_rank = torch.linalg.solve_triangular(root, fit.cross, upper=False).T
        return Curvature(fit.value, fit.grad[:, None], fit.diag[:, None], low_rank[None])

    def log_volume(self, eta: Tensor) -> Tensor:
        """Log determinant of the precision of the cut points."""
        return torch.logdet(self._profile(eta).precision)

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Posterior of the cut points at a linear predictor (n, 1)."""
        fit = self._profile(eta)
        gaps = fit.cuts.diff()
        # the coordinates are the first cut and the logarithms of the gaps: draws stay in order
        change = torch.eye(len(fit.cuts), dtype=gaps.dtype)
        change[1:] = change.diff(dim=0) / gaps[:, None]
        follows = torch.linalg.solve(fit.precision, fit.cross)  # cut points go with the predictor
        covariance = change @ torch.linalg.solve(fit.precision, change.T)
        factor = torch.linalg.cholesky((covariance + covariance.T) / 2)
        place = torch.cat([fit.cuts[:1], gaps.log()])
        return ProfiledBaseline(Cutpoints(factor, place), -(change @ follows)[None])


@dataclass(frozen=True)
class Cutpoints(BaselineShape):
    """Cut points between levels; coordinates are deviations of the first and of the log gaps.

    Attributes
    ----------
    place
        First cut point and logarithms of the gaps at the posterior mode, (L - 1,).
    """

    kind: ClassVar[str] = "cutpoints"
    hazard: ClassVar[bool] = False
    place: Tensor

    @property
    def coordinates(self) -> Tensor:
        """First cut point and log gaps, (L - 1,)."""
        return self.place

    def cuts(self, draw: Tensor | None = None) -> Tensor:
        """Cut points, (..., L - 1)."""
        place = self.place if draw is None else self.place + draw
        return torch.cat([place[..., :1], place[..., 1:].exp()], -1).cumsum(-1)

    def probabilities(self, eta: Tensor, draw: Tensor | None = None) -> Tensor:
        """Probabilities of the levels, (..., n, L), for predictors (..., n)."""
        below = torch.sigmoid(self.cuts(draw)[..., None, :] - eta[..., None])
        nothing = torch.zeros_like(below[..., :1])
        return torch.cat([nothing, below, nothing + 1], -1).diff(dim=-1)
