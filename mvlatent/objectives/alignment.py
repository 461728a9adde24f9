"""Alignment: the same patient, seen through two views, should lie at the same place in z."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mvlatent.objectives.base import Scene, Term

__all__ = ["ALIGNMENTS", "Alignment", "barlow", "cca", "cosine", "infonce"]

RIDGE = 1e-4  # of the mean variance, so that few patients can be whitened


def infonce(a: Tensor, b: Tensor, both: Tensor, term: Alignment) -> Tensor:
    r"""Return the contrastive loss of the pairs, a scalar ≥ 0, in nats a patient.

    The symmetric cross-entropy of finding a patient's other view among those of all patients by
    cosine over ``temperature``.

    Parameters
    ----------
    a, b
        Means of two views, (n, k).
    both
        Who has both, (n,) bool; the others take no part.
    term
        The options.
    """
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).mT / term.temperature
    hidden = torch.finfo(logits.dtype).min / 2
    rows = logits.masked_fill(~both[None], hidden).logsumexp(1)
    columns = logits.masked_fill(~both[:, None], hidden).logsumexp(0)
    return _mean(0.5 * (rows + columns) - logits.diagonal(), both)


def cosine(a: Tensor, b: Tensor, both: Tensor, term: Alignment) -> Tensor:
    """Return one minus the mean cosine, in [0, 2]; arguments as in `infonce`."""
    return _mean(1 - F.cosine_similarity(a, b, dim=1), both)


def cca(a: Tensor, b: Tensor, both: Tensor, term: Alignment) -> Tensor:
    r"""Return :math:`\lVert C_{mn} - I\rVert_F^2 / k`; arguments as in `infonce`.

    C is the cross-covariance after each view's means are whitened (by Cholesky factors): its
    singular values are the canonical correlations, and it is I for equal means. Dimensions that
    were switched off do not count.
    """
    a, b, count = _centred(a, b, both)
    left = _whitened(a, count)
    right = _whitened(b, count)
    correlation = left.mT @ right / count
    alive = _alive(a, b)
    return (correlation - torch.diag(alive)).square().sum() / alive.sum().clamp_min(1)


def barlow(a: Tensor, b: Tensor, both: Tensor, term: Alignment) -> Tensor:
    r"""Return :math:`\frac1k [\sum_i (1 - C_{ii})^2 + \gamma \sum_{i \ne j} C_{ij}^2]`.

    C holds the correlations of the dimensions of two views, γ is ``off_diagonal``; arguments as in
    `infonce`. Dimensions that were switched off do not count.
    """
    a, b, count = _centred(a, b, both)
    left = a / (a.square().sum(0) / count).add(1e-8).sqrt()
    right = b / (b.square().sum(0) / count).add(1e-8).sqrt()
    correlation = left.mT @ right / count
    diagonal = correlation.diagonal()
    between = correlation.square().sum() - diagonal.square().sum()
    alive = _alive(a, b)
    along = (alive - diagonal).square().sum()
    return (along + term.off_diagonal * between) / alive.sum().clamp_min(1)


ALIGNMENTS: dict[str, Callable[[Tensor, Tensor, Tensor, Alignment], Tensor]] = {
    "infonce": infonce,
    "cosine": cosine,
    "cca": cca,
    "barlow": barlow,
}


def _mean(values: Tensor, both: Tensor) -> Tensor:
    return torch.where(both, values, 0.0).sum() / both.sum().clamp_min(1)


def _centred(a: Tensor, b: Tensor, both: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means about their average over the pairs, 0 elsewhere, and the number of pairs."""
    weight, count = both[:, None].to(a.dtype), both.sum().clamp_min(1)
    a, b = a * weight, b * weight
    return (a - a.sum(0) / count) * weight, (b - b.sum(0) / count) * weight, count


def _alive(a: Tensor, b: Tensor) -> Tensor:
    """One for each dimension that varies in either view, 0 for those switched off, (k,)."""
    return ((a.detach().square() + b.detach().square()).sum(0) > 0).to(a.dtype)


def _whitened(x: Tensor, count: Tensor) -> Tensor:
    covariance = x.mT @ x / count
    ridge = RIDGE * covariance.diagonal().mean() + 1e-8
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    factor = torch.linalg.cholesky(covariance + ridge * eye)
    white: Tensor = torch.linalg.solve_triangular(factor, x.mT, upper=False).mT
    return white


@dataclass(frozen=True, kw_only=True)
class Alignment(Term):
    """Minus the misfit between the means of ``q(z | x_m)`` of two views, over all pairs of views.

    Only patients who have both views of a pair take part; the value is the mean over the pairs that
    at least two patients share. It is 0 at best (``"infonce"``, in nats a patient, stays a little
    below it).

    Parameters
    ----------
    weight, schedule
        As in `Term`.
    kind
        ``"infonce"`` (contrastive: own other view against those of other patients), ``"cosine"``,
        ``"cca"`` (‖C − I‖² of the whitened cross-covariance) or ``"barlow"`` (correlation matrix,
        off-diagonals at a smaller price).
    temperature
        Of ``"infonce"``.
    off_diagonal
        Price of off-diagonal correlations, ``"barlow"``.

    References
    ----------
    van den Oord et al. (2018), Representation learning with contrastive predictive coding;
    Andrew et al. (2013), Deep canonical correlation analysis; Zbontar et al. (2021), Barlow twins.

    Examples
    --------
    >>> Alignment(kind="cca").kind
    'cca'
    """

    name: ClassVar[str] = "alignment"

    kind: str = "infonce"
    temperature: float = 0.2
    off_diagonal: float = 0.005

    def check(self) -> None:
        self._choose("kind", tuple(ALIGNMENTS))
        self._positive("temperature")
        self._positive("off_diagonal")

    def value(self, scene: Scene, state: Any) -> Tensor:
        misfit = ALIGNMENTS[self.kind]
        losses, enough = [], []
        for left, right in scene.pairs:
            both = scene.cohort.views[left].present & scene.cohort.views[right].present
            losses.append(misfit(scene.alone[left].mean, scene.alone[right].mean, both, self))
            enough.append(both.sum() > 1)
        if not losses:
            return scene.alone[scene.vae.names[0]].mean.sum() * 0.0
        counted = torch.stack(enough)
        total = torch.where(counted, torch.stack(losses), 0.0).sum()
        return -total / counted.sum().clamp_min(1)
