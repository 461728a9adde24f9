"""The two spaces in which a group ridge is solved for given block sds: patients and columns.

The linear predictor is ``eta = sum_b X_b beta_b`` with ``beta_b ~ N(0, tau_b^2 I)``. Two spaces do
the same sums: patients (n x n, for more columns than patients) and columns (P x P). Coordinates of
either are dual, ``beta_b = tau_b^2 X_b' a``, so that a block with tau 0 needs no special care.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .target import Curvature

__all__ = ["Columns", "Patients", "Shrinkage", "Space", "curvature_factor", "make_space"]


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
        unit = torch.eye(len(self.q), dtype=self.q.dtype)
        return unit - (self.q * (1.0 - self.rest)) @ self.q.T


class Space(Protocol):
    """Where the sums are done; all tensors float64, coordinates (m, C)."""

    def zeros(self, n_outputs: int) -> Tensor:
        """Coordinates of the zero predictor."""
        ...

    def eta(self, coord: Tensor) -> Tensor:
        """Linear predictor (n, C)."""
        ...

    def inner(self, left: Tensor, right: Tensor) -> Tensor:
        """Prior precision form ``beta' T^-2 beta``, a scalar."""
        ...

    def set_tau(self, tau: Tensor) -> None:
        """Take new block sds (B,)."""
        ...

    def newton(self, curvature: Curvature, eta: Tensor) -> Tensor:
        """Coordinates of the next Newton iterate; keeps the factorisation for `evidence`."""
        ...

    def evidence(self) -> tuple[Tensor, Tensor]:
        """``tr(K_b S)`` of each block (B,) summed over outputs, and ``log|I + K W|``."""
        ...

    def norms(self, coord: Tensor) -> Tensor:
        """Form ``a' K_b a`` of each block, (B,)."""
        ...

    def coefficients(self, coord: Tensor) -> Tensor:
        """Standardised coefficients ``u = T X' a``, (C, P)."""
        ...

    def shrinkage(self) -> list[Shrinkage]:
        """Posterior covariance of the standardised coefficients, by output."""
        ...


def make_space(blocks: Sequence[Tensor]) -> Space:
    """Choose the smaller of patients and columns for blocks (n, p_b)."""
    n, p = len(blocks[0]), sum(b.shape[1] for b in blocks)
    return Patients(blocks) if p > n else Columns(blocks)


class Patients:
    """Function space: n x n kernels, for more columns than patients (Rasmussen & Williams 3.1)."""

    def __init__(self, blocks: Sequence[Tensor]) -> None:
        self._x = torch.cat(list(blocks), 1)
        self._sizes = torch.tensor([b.shape[1] for b in blocks])
        self._kernels = torch.stack([b @ b.T for b in blocks])
        self._factors: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def zeros(self, n_outputs: int) -> Tensor:
        """Coordinates of the zero predictor."""
        return self._x.new_zeros(len(self._x), n_outputs)

    def set_tau(self, tau: Tensor) -> None:
        """Take new block sds (B,)."""
        self._tau = tau
        self._kernel = torch.tensordot(tau.square(), self._kernels, 1)

    def eta(self, coord: Tensor) -> Tensor:
        """Linear predictor (n, C)."""
        return self._kernel @ coord

    def inner(self, left: Tensor, right: Tensor) -> Tensor:
        """Prior precision form, a scalar."""
        return (left * (self._kernel @ right)).sum()

    def newton(self, curvature: Curvature, eta: Tensor) -> Tensor:
        """Coordinates of the next Newton iterate."""
        self._factors, out = [], []
        for c in range(eta.shape[1]):
            root, q, shrink = curvature_factor(curvature.diag[:, c], curvature.low_rank[c])
            middle = _deflate(root[:, None] * self._kernel * root, q, shrink)
            middle = _deflate(middle.T, q, shrink)
            middle.diagonal().add_(1.0)
            factor = torch.linalg.cholesky(middle)
            self._factors.append((root, q, shrink, factor))
            low = curvature.low_rank[c]
            right = curvature.diag[:, c] * eta[:, c] - low @ (low.T @ eta[:, c])
            right = right + curvature.grad[:, c]
            half = _deflate((root * (self._kernel @ right))[:, None], q, shrink)
            half = _deflate(torch.cholesky_solve(half, factor), q, shrink)
            out.append(right - root * half[:, 0])
        return torch.stack(out, 1)

    def evidence(self) -> tuple[Tensor, Tensor]:
        """Traces by block and the log determinant."""
        traces, logdet = self._x.new_zeros(len(self._kernels)), self._x.new_zeros(())
        for root, q, shrink, factor in self._factors:
            inverse = torch.cholesky_inverse(factor)
            s = _deflate(_deflate(inverse, q, shrink).T, q, shrink) * root * root[:, None]
            traces += torch.mv(self._kernels.flatten(1), s.flatten())
            logdet += 2 * factor.diagonal().log().sum()
        return traces, logdet

    def norms(self, coord: Tensor) -> Tensor:
        """Form ``a' K_b a`` of each block, (B,)."""
        return torch.einsum("ic,bij,jc->b", coord, self._kernels, coord)

    def coefficients(self, coord: Tensor) -> Tensor:
        """Standardised coefficients, (C, P)."""
        return (self._x.T @ coord).T * self._tau.repeat_interleave(self._sizes)

    def shrinkage(self) -> list[Shrinkage]:
        """Posterior covariance of the standardised coefficients, by output."""
        out = []
        scaled = self._x * self._tau.repeat_interleave(self._sizes)
        for root, q, shrink, factor in self._factors:
            values, vectors = torch.linalg.eigh(factor @ factor.T)
            keep = values - 1.0 > 1e-9 * values[-1]
            values, vectors = values[keep], vectors[:, keep]
            columns = root[:, None] * _deflate(vectors, q, shrink) / (values - 1.0).sqrt()
            out.append(Shrinkage(scaled.T @ columns, 1.0 / values))
        return out


class Columns:
    """Coefficient space: P x P, for at most as many columns as patients."""

    def __init__(self, blocks: Sequence[Tensor]) -> None:
        self._x = torch.cat(list(blocks), 1)
        sizes = [b.shape[1] for b in blocks]
        self._sizes = torch.tensor(sizes)
        self._n_blocks = len(sizes)
        self._block = torch.repeat_interleave(torch.arange(len(sizes)), self._sizes)
        self._factors: list[tuple[Tensor, Tensor]] = []

    def zeros(self, n_outputs: int) -> Tensor:
        """Coordinates of the zero predictor."""
        return self._x.new_zeros(self._x.shape[1], n_outputs)

    def set_tau(self, tau: Tensor) -> None:
        """Take new block sds (B,)."""
        self._tau = tau[self._block]

    def eta(self, coord: Tensor) -> Tensor:
        """Linear predictor (n, C)."""
        return self._x @ (self._tau.square()[:, None] * coord)

    def inner(self, left: Tensor, right: Tensor) -> Tensor:
        """Prior precision form, a scalar."""
        return (left * self._tau.square()[:, None] * right).sum()

    def newton(self, curvature: Curvature, eta: Tensor) -> Tensor:
        """Coordinates of the next Newton iterate."""
        self._factors, out = [], []
        for c in range(eta.shape[1]):
            low = self._x.T @ curvature.low_rank[c]
            information = self._x.T @ (curvature.diag[:, c, None] * self._x) - low @ low.T
            middle = self._tau[:, None] * information * self._tau
            middle = (middle + middle.T) / 2
            middle.diagonal().add_(1.0)
            factor = torch.linalg.cholesky(middle)
            self._factors.append((information, factor))
            rank = curvature.low_rank[c]
            right = curvature.diag[:, c] * eta[:, c] - rank @ (rank.T @ eta[:, c])
            right = self._x.T @ (right + curvature.grad[:, c])
            u = torch.cholesky_solve((self._tau * right)[:, None], factor)[:, 0]
            out.append(right - information @ (self._tau * u))
        return torch.stack(out, 1)

    def evidence(self) -> tuple[Tensor, Tensor]:
        """Traces by block and the log determinant."""
        traces, logdet = self._x.new_zeros(self._n_blocks), self._x.new_zeros(())
        for information, factor in self._factors:
            half = torch.linalg.solve_triangular(
                factor, self._tau[:, None] * information, upper=False
            )
            traces.index_add_(0, self._block, information.diagonal() - half.square().sum(0))
            logdet += 2 * factor.diagonal().log().sum()
        return traces, logdet

    def norms(self, coord: Tensor) -> Tensor:
        """Form ``a' K_b a`` of each block, (B,)."""
        return self._x.new_zeros(self._n_blocks).index_add_(0, self._block, coord.square().sum(1))

    def coefficients(self, coord: Tensor) -> Tensor:
        """Standardised coefficients, (C, P)."""
        return (self._tau[:, None] * coord).T

    def shrinkage(self) -> list[Shrinkage]:
        """Posterior covariance of the standardised coefficients, by output."""
        out = []
        for _, factor in self._factors:
            values, vectors = torch.linalg.eigh(factor @ factor.T)
            out.append(Shrinkage(vectors, 1.0 / values.clamp(min=1.0)))
        return out


def _deflate(x: Tensor, q: Tensor, shrink: Tensor) -> Tensor:
    """Apply ``I - Q diag(c) Q'`` from the left."""
    return x - q @ (shrink[:, None] * (q.T @ x))
