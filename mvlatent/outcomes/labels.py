"""Class labels: a softmax likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from mvlatent.data.outcome_data import LabelData
from mvlatent.outcomes.bound import BaselineShape, Curvature, ProfiledBaseline
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.outcomes.profiled import ProfileSearch, Slopes
from mvlatent.specs import Labels

__all__ = ["LABELS", "BoundCategorical", "CategoricalOutcome", "Intercepts"]

MIN_INFORMATION = 1e-2  # of an intercept: a class that nobody has would have none
LEVEL_PRECISION = 1e-6  # keeps the intercept of a class without a patient finite


class CategoricalOutcome(OutcomeLikelihood[LabelData]):
    """Softmax likelihood with an intercept a class.

    Parameters
    ----------
    log_frequency
        Initial intercepts, (C,).

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import LabelData
    >>> data = LabelData(torch.tensor([0, 1, 1, -1]), ("luminal", "basal"))
    >>> labels = CategoricalOutcome.from_data(data)
    >>> labels.log_prob(torch.zeros(4, 2), data)[-1].item()
    0.0
    """

    several: ClassVar[bool] = True

    def __init__(self, log_frequency: Tensor) -> None:
        super().__init__()
        self.n_outputs = len(log_frequency)
        self.intercept = nn.Parameter(log_frequency)

    @classmethod
    def from_data(cls, data: LabelData, spec: Labels | None = None) -> Self:
        """Start the intercepts at the log frequencies; ValueError if no label is observed."""
        counts = torch.bincount(_seen_classes(data), minlength=len(data.categories)).float()
        log_frequency = ((counts + 0.5) / (counts + 0.5).sum()).log()
        return cls(log_frequency - log_frequency.mean())

    def log_prob(self, eta: Tensor, data: LabelData) -> Tensor:
        """Log probability of each patient's class, (..., n), for logits (..., n, C)."""
        log_p = torch.log_softmax(eta + self.intercept, -1)
        index = data.codes.clamp(min=0).expand(log_p.shape[:-1])[..., None]
        return torch.where(data.observed, log_p.gather(-1, index)[..., 0], 0.0)

    def log_prior(self) -> Tensor:
        """Zero: the intercepts have a flat prior."""
        return torch.zeros_like(self.intercept).sum()

    def bind(self, data: LabelData) -> BoundCategorical:
        """Bind the likelihood to labels, for the reported head."""
        return BoundCategorical(data)


def _seen_classes(data: LabelData) -> Tensor:
    """Classes of the patients whose label is observed; ValueError where nobody's is."""
    codes = data.codes[data.observed].long()
    if not len(codes):
        raise ValueError("no label is observed: nothing to learn classes from. Leave it out.")
    return codes


class _Logits:
    """A linear predictor (n, C), and log probabilities with the intercepts last asked for."""

    def __init__(self, eta: Tensor) -> None:
        self.eta = eta
        self._last: tuple[Tensor, Tensor] | None = None

    def log_p(self, intercept: Tensor) -> Tensor:
        """Log probabilities of the classes, (n, C)."""
        if self._last is None or self._last[0] is not intercept:
            self._last = intercept, torch.log_softmax(self.eta + intercept, 1)
        return self._last[1]


class BoundCategorical(ProfileSearch[_Logits]):
    """Softmax likelihood of known labels with the intercepts profiled out.

    The curvature is block diagonal over classes, ``W_c = C / (C - 1) pi_c (1 - pi_c)``. The factor
    makes it exact along contrasts between classes for C = 2 and for even probabilities; the level
    that all classes share is invisible to a softmax, hence ``effective_share``.

    Parameters
    ----------
    data
        Classes of all patients; only observed ones count.
    """

    def __init__(self, data: LabelData) -> None:
        n_classes = len(data.categories)
        if n_classes < 2:
            raise ValueError(f"labels need at least two classes, got {n_classes}: leave them out.")
        codes = _seen_classes(data)
        self.n_outputs = n_classes
        self.effective_share = (n_classes - 1) / n_classes
        self._hot = torch.nn.functional.one_hot(codes, n_classes).double()
        intercept = ((self._hot.sum(0) + 0.5) / len(codes)).log()
        super().__init__(data.observed, intercept - intercept.mean())

    def seen(self, eta: Tensor) -> _Logits:
        return _Logits(eta)

    def objective(self, parameters: Tensor, seen: _Logits) -> Tensor:
        """Log-likelihood and log prior of intercepts (C,)."""
        prior = 0.5 * LEVEL_PRECISION * parameters.square().sum()
        return (self._hot * seen.log_p(parameters)).sum() - prior

    def slopes(self, parameters: Tensor, seen: _Logits) -> Slopes:
        p = seen.log_p(parameters).exp()
        grad = (self._hot - p).sum(0) - LEVEL_PRECISION * parameters
        return Slopes(grad, self._information(p))

    def _probabilities(self, eta: Tensor) -> Tensor:
        """Probabilities of the classes, (n, C), with the intercepts that suit eta."""
        found, seen = self._search(eta)
        return seen.log_p(found.parameters).exp()

    @staticmethod
    def _information(p: Tensor) -> Tensor:
        """Precision of the intercepts (C, C) at probabilities (n, C); their level is held."""
        eye = torch.eye(p.shape[1], dtype=p.dtype)
        return p.sum(0).diag() - p.T @ p + LEVEL_PRECISION * eye + 1.0

    def curvature(self, eta: Tensor) -> Curvature:
        """Profile log-likelihood, gradient and curvature at a linear predictor (n, C)."""
        p = self._probabilities(eta)
        diag = p * (1 - p) / self.effective_share
        low_rank = diag / diag.sum(0).clamp(min=1e-12).sqrt()
        return Curvature(self.loglik(eta), self._hot - p, diag, low_rank.T[:, :, None])

    def bend(self, eta: Tensor, move: Tensor) -> Tensor:
        """Minus the second derivative at eta along move (n, C), the intercepts following it."""
        p = self._probabilities(eta)
        pushed = p * (move - (p * move).sum(1, keepdim=True))
        pull = pushed.sum(0)
        follows: Tensor = torch.linalg.solve(self._information(p), pull)
        return (pushed * move).sum() - pull @ follows

    def log_volume(self, eta: Tensor) -> Tensor:
        """Log determinant of the precision of the intercepts."""
        volume: Tensor = self.curvature(eta).diag.sum(0).clamp(min=1e-12).log().sum()
        return volume * self.effective_share

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Posterior of the intercepts at a linear predictor (n, C)."""
        intercept = self.profile(eta).parameters
        diag = self.curvature(eta).diag
        total = diag.sum(0).clamp(min=1e-12)
        share = (diag / total).T
        weights = torch.eye(len(share), dtype=share.dtype)[:, :, None] * share[:, None]
        factor = total.clamp(min=MIN_INFORMATION).rsqrt().diag()
        return ProfiledBaseline(Intercepts(factor, intercept), weights)


@dataclass(frozen=True)
class Intercepts(BaselineShape):
    """Intercepts of the classes; coordinates are their deviations.

    Attributes
    ----------
    intercept
        Intercepts at the posterior mode, (C,).
    """

    kind: ClassVar[str] = "intercepts"
    hazard: ClassVar[bool] = False
    intercept: Tensor

    @property
    def coordinates(self) -> Tensor:
        return self.intercept

    def level(self, draw: Tensor | None = None) -> Tensor:
        return self.at(draw)


LABELS: dict[str, type[CategoricalOutcome]] = {"categorical": CategoricalOutcome}
