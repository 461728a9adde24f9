"""Ordered levels: a cumulative logit with cut points between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from mvlatent.data.outcome_data import TargetData
from mvlatent.outcomes.bound import PlacedBaseline, ProfiledBaseline
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.outcomes.profiled import Profiled, Response, Slopes
from mvlatent.specs import Target

__all__ = ["BoundOrdinal", "Cutpoints", "OrdinalOutcome", "ordered_log_prob"]

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


def _cuts(place: Tensor) -> Tensor:
    """Cut points (..., L - 1) of a first one and the logarithms of the gaps."""
    return torch.cat([place[..., :1], place[..., 1:].exp()], -1).cumsum(-1)


def _starting_cuts(counts: Tensor) -> Tensor:
    """Cut points (L - 1,) that give levels their frequencies at eta = 0."""
    share = ((counts + 0.5) / (counts + 0.5).sum()).cumsum(0)[:-1]
    return torch.logit(share)


class OrdinalOutcome(OutcomeLikelihood[TargetData]):
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
    >>> stage = OrdinalOutcome.from_data(data)
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
        return _cuts(torch.cat([self.first, self.log_gaps]))

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

    def bind(self, data: TargetData) -> BoundOrdinal:
        """Bind the likelihood to levels, for the reported head."""
        return BoundOrdinal(data)


def _counts(data: TargetData) -> Tensor:
    """Patients of each level, (L,)."""
    if len(data.levels) < 2:
        raise ValueError(
            f"an ordinal target needs at least two levels, got {len(data.levels)}: leave it out."
        )
    counts = torch.bincount(data.value[data.observed].long(), minlength=len(data.levels))
    if counts.sum() == 0:
        raise ValueError("no level is observed: nothing to learn cut points from. Leave it out.")
    return counts


class BoundOrdinal(Profiled[Tensor]):
    """Ordered logit of known levels with the cut points profiled out, with its exact Hessian.

    The likelihood is concave in predictor and cut points together (Pratt 1981), so its profile is
    concave in the predictor. A level that no patient has counts as half a patient at ``eta = 0``.

    Parameters
    ----------
    data
        Levels of all patients; only observed ones count.
    """

    def __init__(self, data: TargetData) -> None:
        counts = _counts(data)
        nobody = (counts == 0).nonzero()[:, 0]
        codes = data.value[data.observed].long()
        self._codes, self._n = torch.cat([codes, nobody]), len(codes)
        pseudo = torch.full((len(nobody),), PSEUDO, dtype=torch.float64)
        self._weight = torch.cat([torch.ones(self._n, dtype=torch.float64), pseudo])
        hot = torch.nn.functional.one_hot(self._codes, len(counts)).double()
        self._upper, self._lower = hot[:, :-1], hot[:, 1:]
        self._inside = (self._weight @ hot)[1:-1]
        self._first = _starting_cuts(counts.double())
        super().__init__(data.observed, self._first)

    def seen(self, eta: Tensor) -> Tensor:
        """Predictors with those of the pseudo-patients, (n + e,)."""
        return torch.cat([eta[:, 0], eta.new_zeros(len(self._weight) - self._n)])

    def start(self, seen: Tensor) -> Tensor:
        """Cut points of the last predictor; those of a step that was refused may lie anywhere."""
        first = self.objective(self._first, seen) > self.objective(self.warm, seen)
        return self._first if first else self.warm

    def objective(self, parameters: Tensor, seen: Tensor) -> Tensor:
        if bool((parameters.diff() <= 0).any()):
            return parameters.new_tensor(-torch.inf)
        fit = self._weight @ ordered_log_prob(seen, self._codes, parameters)
        return fit - 0.5 * RIDGE * parameters.square().sum()

    def _pulls(self, cuts: Tensor, eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How each patient pushes cut points up and down, and its information, (n + e, L - 1)."""
        below = torch.sigmoid(cuts - eta[:, None])  # of a level up to each cut
        upper, lower = self._upper * self._weight[:, None], self._lower * self._weight[:, None]
        return upper * (1 - below), lower * below, (upper + lower) * below * (1 - below)

    def _information(self, cuts: Tensor, spread: Tensor) -> Tensor:
        gap = torch.expm1(cuts.diff()).reciprocal()
        eye = torch.eye(len(cuts), dtype=cuts.dtype)
        steps = eye.diff(dim=0)
        between = steps.T @ ((self._inside * gap * (1 + gap))[:, None] * steps)
        return spread.sum(0).diag() + between + RIDGE * eye

    def slopes(self, parameters: Tensor, seen: Tensor) -> Slopes:
        up, down, spread = self._pulls(parameters, seen)
        steps = torch.eye(len(parameters), dtype=parameters.dtype).diff(dim=0)
        apart = steps.T @ (self._inside * torch.expm1(parameters.diff()).reciprocal())
        grad = up.sum(0) - down.sum(0) + apart - RIDGE * parameters
        return Slopes(grad, self._information(parameters, spread))

    def response(self, parameters: Tensor, seen: Tensor) -> Response:
        # at the lowest level nothing lies below, at the highest nothing above
        up, down, spread = self._pulls(parameters, seen)
        information, own = self._information(parameters, spread), slice(self._n)
        return Response((down - up)[own].sum(1), spread[own].sum(1), -spread[own], information)

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        """Log-likelihood of a predictor (n, 1), a first cut point and log gaps (L - 1,)."""
        return self.objective(_cuts(coordinates), self.seen(eta))

    @staticmethod
    def _in_order(cuts: Tensor) -> Tensor:
        """Derivative of the first cut and the log gaps by the cuts, lower triangular."""
        change = torch.eye(len(cuts), dtype=cuts.dtype)
        change[1:] = change.diff(dim=0) / cuts.diff()[:, None]
        return change

    def baseline(self, parameters: Tensor, factor: Tensor) -> Cutpoints:
        place = torch.cat([parameters[:1], parameters.diff().log()])
        return Cutpoints(self._in_order(parameters) @ factor, place)

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Posterior of a first cut point and log gaps (their draws stay in order), at (n, 1)."""
        change, of_cuts = self._in_order(self.profile(eta).parameters), super().profiled(eta)
        return of_cuts._replace(weights=change @ of_cuts.weights)


@dataclass(frozen=True)
class Cutpoints(PlacedBaseline):
    """Cut points between levels; coordinates are deviations of the first and of the log gaps.

    Attributes
    ----------
    place
        First cut point and logarithms of the gaps at the posterior mode, (L - 1,).
    """

    kind: ClassVar[str] = "cutpoints"
    hazard: ClassVar[bool] = False

    def cuts(self, draw: Tensor | None = None) -> Tensor:
        """Cut points, (..., L - 1)."""
        return _cuts(self.at(draw))

    def probabilities(self, eta: Tensor, draw: Tensor | None = None) -> Tensor:
        """Probabilities of the levels, (..., n, L), for predictors (..., n)."""
        below = torch.sigmoid(self.cuts(draw)[..., None, :] - eta[..., None])
        nothing = torch.zeros_like(below[..., :1])
        return torch.cat([nothing, below, nothing + 1], -1).diff(dim=-1)
