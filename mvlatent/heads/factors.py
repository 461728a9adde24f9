"""Factorisations that both spaces of a group ridge share, and the covariance they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mvlatent.outcomes.bound import Curvature

__all__ = ["OnColumns", "Shrinkage", "curvature_factor", "deflate", "log_det_of"]


def curvature_factor(diag: Tensor, low_rank: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Factor ``diag - low_rank low_rank' = R R'``, ``R = D^1/2 (I - Q diag(c) Q')``.

    Returns
    -------
    tuple
        ``D^1/2`` (n,), ``Q`` (n, r) and ``c`` (r,).
    """
    root = diag.clamp(min=0.0).sqrt()
    small = root <= 1e-9 * root.max().clamp(min=1e-300)
    scaled = torch.where(small[:, None], 0.0, low_rank / torch.where(small, 1.0, root)[:, None])
    values, vectors = torch.linalg.eigh(scaled.T @ scaled)
    keep = values > 1e-12
    values, vectors = values[keep], vectors[:, keep]
    q = scaled @ vectors / values.sqrt()
    return torch.where(small, 0.0, root), q, 1.0 - (1.0 - values).clamp(min=0.0).sqrt()


class Shrinkage(NamedTuple):
    """Posterior covariance of standardised coefficients u, ``I - Q diag(1 - rest) Q'``.

    Attributes
    ----------
    q
        Orthonormal directions that the data speak of, (P, r).
    rest
        Variance that is left along each, (r,); it is 1 across them.
    """

    q: Tensor
    rest: Tensor

    def variance(self, x: Tensor) -> Tensor:
        """Posterior variance of ``x @ u`` for rows x (..., P)."""
        along = x @ self.q
        across = x - along @ self.q.T
        return across.square().sum(-1) + along.square() @ self.rest

    def covariance(self, x: Tensor, y: Tensor) -> Tensor:
        """Posterior covariance (a, b) of ``x @ u`` and ``y @ u``, rows x (a, P), y (b, P)."""
        return x @ y.T - ((x @ self.q) * (1.0 - self.rest)) @ (y @ self.q).T

    def root(self, z: Tensor) -> Tensor:
        """Turn standard Normal draws (S, P) into draws of ``u - mode``."""
        return z - (z @ self.q * (1.0 - self.rest.sqrt())) @ self.q.T

    def dense(self) -> Tensor:
        """Return the covariance itself, (P, P)."""
        along = (self.q * self.rest) @ self.q.T
        if self.q.shape[0] == self.q.shape[1]:  # nothing lies across: no cancellation either
            return along
        return torch.eye(len(self.q), dtype=self.q.dtype) - self.q @ self.q.T + along


class OnColumns(NamedTuple):
    """Factorisation in the columns of the blocks that are on, of one output.

    Attributes
    ----------
    x
        Those columns times their sds, ``X T``, (n, r).
    diag, low
        Curvature of the output, ``W = diag - low low'``.
    factor
        Cholesky factor of ``I + T X' W X T``, (r, r).
    """

    x: Tensor
    diag: Tensor
    low: Tensor
    factor: Tensor

    @classmethod
    def of(cls, x: Tensor, curvature: Curvature, c: int) -> OnColumns:
        """Factorise at a curvature."""
        diag, low = curvature.diag[:, c], curvature.low_rank[c]
        along = x.T @ low
        middle = x.T @ (diag[:, None] * x) - along @ along.T
        middle = (middle + middle.T) / 2
        middle.diagonal().add_(1.0)
        return cls(x, diag, low, torch.linalg.cholesky(middle))

    def weigh(self, y: Tensor) -> Tensor:
        """``W y`` of (n, m)."""
        return self.diag[:, None] * y - self.low @ (self.low.T @ y)

    def back(self, right: Tensor) -> Tensor:
        """``W X T (I + T X' W X T)^-1 right`` of right (r,), (n,)."""
        return self.weigh(self.x @ torch.cholesky_solve(right[:, None], self.factor))[:, 0]

    def half(self, y: Tensor) -> Tensor:
        """``L^-1 T X' y`` of (n, m), where ``L L' = I + T X' W X T``, (r, m)."""
        half: Tensor = torch.linalg.solve_triangular(self.factor, self.x.T @ y, upper=False)
        return half

    def covariance(self) -> Tensor:
        """Posterior covariance of the linear predictor, (n, n)."""
        half: Tensor = torch.linalg.solve_triangular(self.factor, self.x.T, upper=False)
        return half.T @ half

    def shrinkage(self, on: Tensor, least: float) -> Shrinkage:
        """Covariance of the standardised coefficients of all columns, of which those are on."""
        values, vectors = torch.linalg.eigh(self.factor @ self.factor.T)
        rest = 1.0 / values.clamp(min=1.0)
        if least:
            vectors, rest = vectors[:, 1.0 - rest > least], rest[1.0 - rest > least]
        q = vectors.new_zeros(len(on), len(rest))
        q[on] = vectors
        return Shrinkage(q, rest)


def log_det_of(factors: Sequence[Tensor]) -> Tensor:
    """Summed log determinants of matrices with these Cholesky factors."""
    return 2 * torch.stack([factor.diagonal().log().sum() for factor in factors]).sum()


def deflate(x: Tensor, q: Tensor, shrink: Tensor) -> Tensor:
    """Apply ``I - Q diag(c) Q'`` from the left."""
    return x - q @ (shrink[:, None] * (q.T @ x))
