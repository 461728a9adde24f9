r"""What a view has of its own: a covariance that is free, and shrunk as its patients ask.

In the thin-SVD basis of a view its gram matrix is a diagonal, and what regression on latents leaves
of it a diagonal less a matrix of the latents' rank. So a private covariance of hundreds of
directions is held, inverted and maximised over in products as wide as z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

__all__ = ["FLAT", "RAISED", "PrivateCovariance", "noise_edge", "regress", "ridge_of", "shrunk"]

FLAT, RAISED = 0.0, -1.0  # shares that stand for a bulk raised to its mean, or to its edge


@dataclass(frozen=True, eq=False)
class PrivateCovariance:
    r"""The covariance :math:`\Psi = \mathrm{diag}(d) - L' H L` around the mean :math:`u L`.

    Attributes
    ----------
    diagonal
        d, (r,).
    loadings
        L, (m, r): rows of z, and of the intercept last.
    weight
        H, (m, m), symmetric positive definite.

    Notes
    -----
    :math:`L\Psi^{-1} = H^{-1} K L\,\mathrm{diag}(d)^{-1}` with
    :math:`K = (H^{-1} - L\,\mathrm{diag}(d)^{-1}L')^{-1}` (Woodbury).

    Examples
    --------
    >>> psi = PrivateCovariance(torch.ones(3).double(), 0.5 * torch.eye(1, 3).double(),
    ...                         torch.ones(1, 1).double())
    >>> round(psi.log_det, 4) == round(math.log(0.75), 4)
    True
    """

    diagonal: Tensor
    loadings: Tensor
    weight: Tensor
    scaled: Tensor = field(init=False)
    kernel: Tensor = field(init=False)
    pull: Tensor = field(init=False)
    precision: Tensor = field(init=False)
    log_det: float = field(init=False)

    def __post_init__(self) -> None:
        """Solve the small systems once."""
        scaled = self.loadings / self.diagonal
        cross = scaled @ self.loadings.T
        inverse = torch.linalg.inv(self.weight)
        kernel = torch.linalg.inv(inverse - cross)
        turn = inverse @ kernel
        object.__setattr__(self, "scaled", scaled)
        object.__setattr__(self, "kernel", 0.5 * (kernel + kernel.T))
        object.__setattr__(self, "pull", (turn @ scaled).T)
        precision = turn @ cross
        object.__setattr__(self, "precision", 0.5 * (precision + precision.T))
        _, volume = torch.linalg.slogdet(
            torch.eye(len(cross), dtype=cross.dtype) - self.weight @ cross
        )
        object.__setattr__(self, "log_det", float(self.diagonal.log().sum() + volume))

    def dense(self) -> Tensor:
        """The covariance written out, (r, r)."""
        return torch.diag(self.diagonal) - self.loadings.T @ self.weight @ self.loadings


def ridge_of(energy: Tensor, share: float, n: int) -> float:
    """Ridge at which regression on directions of these energies (r,) has ``share * n`` freedoms.

    Parameters
    ----------
    energy
        Squared singular values.
    share
        Degrees of freedom of the ridge regression as a share of the patients, in (0, 1).
    n
        Patients.

    Examples
    --------
    >>> round(ridge_of(torch.ones(10), 0.25, 20), 3)  # 10 / (1 + ridge) = 5
    1.0
    """
    energy = energy.double()
    goal = min(share * n, 0.999 * int((energy > 0).sum()))
    low, high = math.log(1e-8 * float(energy[0])), math.log(1e8 * float(energy[0]))
    for _ in range(60):
        middle = 0.5 * (low + high)
        if float((energy / (energy + math.exp(middle))).sum()) > goal:
            low = middle
        else:
            high = middle
    return math.exp(0.5 * (low + high))


EDGE_POINTS = 4000


def shrunk(energy: Tensor, n: int, p: int, share: float) -> Tensor:
    r"""What a prior adds to the squared singular values of a view, (r,).

    Either the same ridge everywhere, or what raises the bulk of directions that do not stand out
    of noise to its mean (``share=FLAT``) or its edge (``RAISED``): sample eigenvalues of noise
    alone spread from :math:`\sigma^2(1-\sqrt{p/n})^2` to :math:`\sigma^2(1+\sqrt{p/n})^2`, and an
    expert that took the smallest at their word would trust them most.

    Parameters
    ----------
    energy
        Squared singular values (r,), falling.
    n, p
        Patients and features.
    share
        Degrees of freedom of ridge regression on them as a share of the patients, or
        `FLAT` or `RAISED`.

    References
    ----------
    Marchenko & Pastur (1967), Distribution of eigenvalues for some sets of random matrices;
    Gavish & Donoho (2014), The optimal hard threshold for singular values is 4/sqrt(3).
    """
    if share > 0:
        return torch.full_like(energy, ridge_of(energy, share, n))
    bulk = int((energy > noise_edge(energy, n, p)).sum())
    rest = energy[bulk:]
    if not len(rest):
        return torch.zeros_like(energy)
    level = rest.mean() if share == FLAT else rest[0]
    return (level - energy).clamp_min(0.0)


def noise_edge(energy: Tensor, n: int, p: int) -> float:
    """Largest squared singular value of noise as strong as the median one says."""
    beta = min(n, p) / max(n, p)
    low, high = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    angle = (torch.arange(EDGE_POINTS, dtype=torch.float64) + 0.5) / EDGE_POINTS * math.pi / 2
    grid = low + (high - low) * angle.sin().square()  # dense at both ends, where the density bends
    density = ((high - grid) * (grid - low)).sqrt() / grid * angle.sin() * angle.cos()
    total = density.cumsum(0)
    median = float(grid[int((total < 0.5 * total[-1]).sum())])
    middle = float(energy[min(len(energy), min(n, p)) // 2])
    return middle / median * high


def regress(
    energy: Tensor, ridge: Tensor, n: int, gram: Tensor, projection: Tensor, prior: Tensor
) -> PrivateCovariance:
    r"""Loadings and private covariance that are most probable given the latents' moments.

    With latents u of gram matrix :math:`G = \sum_i E[u_i u_i']` and rows y of a view in its
    thin-SVD basis, under :math:`L \mid \Psi \sim MN(0, \mathrm{diag}(\alpha)^{-1}, \Psi)` and a
    prior :math:`\exp(-\tfrac12\mathrm{tr}\,R\Psi^{-1})`, R diagonal in the basis:

    .. math:: L = (G + \alpha)^{-1} \sum_i E[u_i] y_i', \quad
              \Psi = \bigl(Y'Y + R - L'(G + \alpha)L\bigr) / (n + k).

    Parameters
    ----------
    energy
        Diagonal of Y'Y, (r,).
    ridge
        Diagonal of R, (r,).
    n
        Patients who have the view.
    gram
        G, (m, m).
    projection
        :math:`\sum_i E[u_i] y_i'`, (m, r).
    prior
        α, (m,); 0 of the intercept.
    """
    weight = gram + torch.diag(prior)
    loadings = torch.linalg.solve(weight, projection)
    size = float(n + int((prior > 0).sum()))
    return PrivateCovariance((energy + ridge) / size, loadings, weight / size)
