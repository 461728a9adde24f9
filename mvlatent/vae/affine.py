"""Linear predictors kept as factors, and what a Gaussian view needs of their residuals.

A view of thousands of features is never multiplied out: its squared residuals and its projections
follow from products with as many columns as there are factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Affine", "Residual"]


@dataclass(frozen=True, eq=False)
class Affine:
    """The linear predictor ``intercept + factors @ loadings``.

    Attributes
    ----------
    factors
        (..., n, m).
    loadings
        (m, p).
    intercept
        (p,).

    Examples
    --------
    >>> eta = Affine(torch.ones(2, 1), torch.ones(1, 3), torch.zeros(3))
    >>> eta.shape, eta.dense().shape
    (torch.Size([2, 3]), torch.Size([2, 3]))
    """

    factors: Tensor
    loadings: Tensor
    intercept: Tensor

    @property
    def shape(self) -> torch.Size:
        """Shape of the predictor, (..., n, p)."""
        return self.factors.shape[:-1] + self.intercept.shape

    def expand(self, *shape: int) -> Affine:
        """Return the predictor with its leading dimensions widened; the last is kept."""
        factors = self.factors.expand(*shape[:-1], self.factors.shape[-1])
        return Affine(factors, self.loadings, self.intercept)

    def dense(self) -> Tensor:
        """Return the predictor multiplied out, (..., n, p)."""
        if self.factors.dim() == 2:
            return torch.addmm(self.intercept, self.factors, self.loadings)
        return self.factors @ self.loadings + self.intercept


class Residual:
    r"""The residual :math:`x - \eta` of n patients, never multiplied out.

    The squares are taken around the current intercept, whose gradient goes through a factor
    of ones: so nothing cancels where the features are far from 0.

    Parameters
    ----------
    x
        Values, (n, p).
    eta
        Their linear predictor, (..., n, p).

    Examples
    --------
    >>> x, eta = torch.ones(2, 3), Affine(torch.ones(2, 1), torch.ones(1, 3), torch.ones(3))
    >>> Residual(x, eta).weighted_squares(torch.ones(3)).tolist()
    [3.0, 3.0]
    """

    def __init__(self, x: Tensor, eta: Affine) -> None:
        self.x, self.origin = x, eta.intercept.detach()
        self.factors = torch.cat([eta.factors, eta.factors.new_ones(*eta.shape[:-1], 1)], -1)
        self.loadings = torch.cat([eta.loadings, (eta.intercept - self.origin)[None]])

    def __matmul__(self, matrix: Tensor) -> Tensor:
        """Product with a matrix (p, m), (..., n, m)."""
        return self._centred(matrix) - self.factors @ (self.loadings @ matrix)

    def weighted_squares(self, weight: Tensor) -> Tensor:
        r"""Return :math:`\sum_j w_j (x_j - \eta_j)^2` a patient, (..., n), for weights (p,)."""
        weighted = (self.loadings * weight).mT
        energy = (self.x - self.origin).square_() @ weight
        fitted = self.factors @ (self.loadings @ weighted)
        return energy + ((fitted - 2.0 * self._centred(weighted)) * self.factors).sum(-1)

    def _centred(self, matrix: Tensor) -> Tensor:
        return self.x @ matrix - self.origin @ matrix
