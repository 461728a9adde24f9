"""Separation: private latents should say nothing of z."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mvlatent.objectives.base import Scene, Term

__all__ = ["SEPARATIONS", "Separation", "dependence"]

MIN_PATIENTS = 4  # the unbiased estimates need as many


def _squared_distances(x: Tensor) -> Tensor:
    squares = x.square().sum(1)
    return (squares[:, None] + squares[None] - 2 * x @ x.mT).clamp_min(0.0)


def distances(x: Tensor, pairs: Tensor) -> Tensor:
    """Euclidean distances, (n, n): the matrix of distance correlation."""
    return _squared_distances(x).clamp_min(1e-10).sqrt()  # a bounded slope where rows are equal


def gaussian_kernel(x: Tensor, pairs: Tensor) -> Tensor:
    """Gaussian kernel, (n, n), as wide as the mean squared distance of the pairs: that of HSIC."""
    squared = _squared_distances(x)
    width = (squared * pairs).sum() / pairs.sum().clamp_min(1)
    return (-squared / width.detach().clamp_min(1e-12)).exp()


SEPARATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "hsic": gaussian_kernel,
    "dcor": distances,
}


def _centred(matrix: Tensor, pairs: Tensor, n: Tensor) -> Tensor:
    """U-centred matrix: 0 on the diagonal, rows and columns that sum to 0."""
    matrix = matrix * pairs
    row = matrix.sum(1)
    whole = row.sum() / ((n - 1) * (n - 2))
    row = row / (n - 2)
    return (matrix - row[:, None] - row[None] + whole) * pairs


def dependence(x: Tensor, y: Tensor, rows: Tensor, kind: str) -> Tensor:
    """Dependence of two sets of variables: 0 in expectation if independent, 1 at most.

    The correlation of the U-centred kernel matrices (``"hsic"``) or distance matrices (``"dcor"``,
    the bias-corrected squared distance correlation). 0 for fewer than four patients.

    Parameters
    ----------
    x, y
        Two sets of variables of the same patients, (n, a) and (n, b).
    rows
        Which patients count, (n,) bool.
    kind
        A key of `SEPARATIONS`.

    References
    ----------
    Song et al. (2012), Feature selection via dependence maximization; Székely & Rizzo (2013), The
    distance correlation t-test of independence in high dimension.

    Examples
    --------
    >>> x = torch.linspace(0, 1, 20)[:, None]
    >>> round(float(dependence(x, 3 * x, torch.ones(20, dtype=torch.bool), "dcor")), 4)
    1.0
    """
    pairs = (rows[:, None] & rows[None]).to(x.dtype)
    pairs = pairs - torch.diag(pairs.diagonal())
    count = rows.sum()
    n = count.clamp_min(MIN_PATIENTS).to(x.dtype)
    matrix = SEPARATIONS[kind]
    a = _centred(matrix(x, pairs), pairs, n)
    b = _centred(matrix(y, pairs), pairs, n)
    scale = (a.square().sum() * b.square().sum()).clamp_min(1e-20).sqrt()
    return torch.where(count >= MIN_PATIENTS, (a * b).sum() / scale, 0.0)


@dataclass(frozen=True, kw_only=True)
class Separation(Term):
    r"""Minus the dependence of each private latent on z, mean over the views.

    Between draws of ``q(w_m | x_m, z)`` and of z, which is detached: w is told to move out of z's
    way, never the other way round. The value is a correlation without unit, 0 in expectation
    where z and w are independent (noise may make it a little positive), -1 where w is a
    function of z.

    Parameters
    ----------
    weight, schedule
        As in `Term`.
    kind
        ``"hsic"`` (Gaussian kernels) or ``"dcor"`` (distance correlation), see `dependence`.

    References
    ----------
    Gretton et al. (2005), Measuring statistical dependence with Hilbert-Schmidt norms.

    Examples
    --------
    >>> Separation(kind="dcor", weight=10.0).kind
    'dcor'
    """

    name: ClassVar[str] = "separation"
    needs_views: ClassVar[int] = 1

    kind: str = "hsic"

    def check(self) -> None:
        self._choose("kind", tuple(SEPARATIONS))

    def value(self, scene: Scene, state: Any) -> Tensor:
        z = scene.draw["z"].detach()
        found = []
        for name in scene.vae.names:
            w = scene.evidence[name].private(z).rsample()
            found.append(dependence(z, w, scene.cohort.views[name].present, self.kind))
        return -torch.stack(found).mean()
