"""Class labels: a softmax likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from .target import BaselineShape, Curvature, ProfiledBaseline

__all__ = ["LABELS", "Categorical", "CategoricalTarget", "Intercepts"]

MAX_STEPS = 100
MIN_INFORMATION = 1e-2  # of an intercept: a class that nobody has would have none
LEVEL_PRECISION = 1e-6  # keeps the intercept of a class without a patient finite


class Categorical(nn.Module):
    """Softmax likelihood with an intercept a class.

    Parameters
    ----------
    log_frequency
        Initial intercepts, (C,).

    Examples
    --------
    >>> import torch
    >>> labels = Categorical.from_data(torch.tensor([0, 1, 1, -1]), 2)
    >>> labels.log_prob(torch.zeros(4, 2), torch.tensor([0, 1, 1, -1]))[-1].item()
    0.0
    """

    factorises: ClassVar[bool] = True

    def __init__(self, log_frequency: Tensor) -> None:
        super().__init__()
        self.intercept = nn.Parameter(log_frequency)

    @classmethod
    def from_data(cls, codes: Tensor, n_classes: int) -> Self:
        """Start the intercepts at the log frequencies of the codes (n,), -1 where missing.

        Raises
        ------
        ValueError
            If no label is observed.
        """
        counts = torch.bincount(codes[codes >= 0], minlength=n_classes).float()
        if counts.sum() == 0:
            raise ValueError("no label is observed: nothing to learn classes from")
        log_frequency = ((counts + 0.5) / (counts + 0.5).sum()).log()
        return cls(log_frequency - log_frequency.mean())

    def log_prob(self, logits: Tensor, codes: Tensor) -> Tensor:
        """Log probability of each patient's class, (..., n); 0 where the code is -1.

        Parameters
        ----------
        logits
            Linear predictors without intercept, (..., n, C).
        codes
            Class codes, (n,), -1 where missing.
        """
        log_p = torch.log_softmax(logits + self.intercept, -1)
        index = codes.clamp(min=0).expand(log_p.shape[:-1])[..., None]
        return torch.where(codes >= 0, log_p.gather(-1, index)[..., 0], 0.0)

    def log_prior(self) -> Tensor:
        """Zero: the intercepts have a flat prior."""
        return torch.zeros_like(self.intercept).sum()

    def target(self, codes: Tensor) -> CategoricalTarget:
        """Bind the likelihood to labels, for the reported head."""
        return CategoricalTarget(codes, len(self.intercept))


class CategoricalTarget:
    """Softmax likelihood of known labels with the intercepts profiled out.

    The curvature is block diagonal over classes, ``W_c = C / (C - 1) pi_c (1 - pi_c)``. The factor
    makes it exact along contrasts between classes for C = 2 and for even probabilities; the level
    that all classes share is invisible to a softmax, hence ``effective_share``.

    Parameters
    ----------
    codes
        Class codes of all patients, (N,), -1 where missing.
    n_classes
        Number of classes C.
    """

    has_baseline = True

    def __init__(self, codes: Tensor, n_classes: int) -> None:
        if n_classes < 2:
            raise ValueError(f"labels need at least two classes, got {n_classes}")
        self.rows = (codes >= 0).nonzero()[:, 0]
        if not len(self.rows):
            raise ValueError("no label is observed: nothing to learn classes from")
        self.n_outputs = n_classes
        self.effective_share = (n_classes - 1) / n_classes
        hot = torch.nn.functional.one_hot(codes[self.rows].long(), n_classes)
        self._hot = hot.double()
        self._intercept = ((self._hot.sum(0) + 0.5) / len(self.rows)).log()
        self._intercept -= self._intercept.mean()

    def _objective(self, intercept: Tensor, eta: Tensor) -> Tensor:
        fit = (self._hot * torch.log_softmax(eta + intercept, 1)).sum()
        return fit - 0.5 * LEVEL_PRECISION * intercept.square().sum()

    def _profile(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """Find the intercepts (C,) that suit eta (n, C), and the objective there."""
        intercept = self._intercept
        value = self._objective(intercept, eta)
        for _ in range(MAX_STEPS):
            p = torch.softmax(eta + intercept, 1)
            grad = (self._hot - p).sum(0) - LEVEL_PRECISION * intercept
            hessian = p.sum(0).diag() - p.T @ p
            hessian = hessian + LEVEL_PRECISION * torch.eye(len(grad), dtype=grad.dtype) + 1.0
            step = torch.linalg.solve(hessian, grad)
            size = 1.0
            while (new := self._objective(intercept + size * step, eta)) < value and size > 1e-8:
                size /= 2
            if new < value:
                break
            intercept, value = intercept + size * step, new
            if grad @ step < 1e-18 * (1 + value.abs()):
                break
        self._intercept = intercept
        return intercept, value

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        """Log-likelihood of a predictor (n, C) and intercepts (C,), with their log prior."""
        return self._objective(coordinates, eta)

    def loglik(self, eta: Tensor) -> Tensor:
        """Profile log-likelihood of a linear predictor (n, C)."""
        return self._profile(eta)[1]

    def curvature(self, eta: Tensor) -> Curvature:
        """Profile log-likelihood, gradient and curvature at a linear predictor (n, C)."""
        intercept, value = self._profile(eta)
        p = torch.softmax(eta + intercept, 1)
        diag = p * (1 - p) / self.effective_share
        low_rank = diag / diag.sum(0).clamp(min=1e-12).sqrt()
        return Curvature(value, self._hot - p, diag, low_rank.T[:, :, None])

    def log_volume(self, eta: Tensor) -> Tensor:
        """Log determinant of the precision of the intercepts."""
        total = self.curvature(eta).diag.sum(0)
        return self.effective_share * total.clamp(min=1e-12).log().sum()

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Posterior of the intercepts at a linear predictor (n, C)."""
        intercept, _ = self._profile(eta)
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
        return self.intercept if draw is None else self.intercept + draw


LABELS: dict[str, type[Categorical]] = {"categorical": Categorical}
