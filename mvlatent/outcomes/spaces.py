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
        along = (self.q * self.rest) @ self.q.T
        if self.q.shape[0] == self.q.shape[1]:  # nothing lies across: no cancellation either
            return along
        return torch.eye(len(self.q), dtype=self.q.dtype) - self.q @ self.q.T + along


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

    def lift(self, grad: Tensor) -> Tensor:
        """Coordinates (m, C) of a gradient by the linear predictor (n, C)."""
        ...

    def factorise(self, curvature: Curvature) -> None:
        """Factorise ``I + W K``, which all that follows reads."""
        ...

    def solve(self, right: Tensor) -> Tensor:
        """Coordinates ``(I + W K)^-1 right``, (m, C)."""
        ...

    def log_det(self) -> Tensor:
        """``log|I + K W|``, summed over outputs."""
        ...

    def traces(self) -> Tensor:
        """``tr(K_b S)`` of each block, (B,), summed over outputs."""
        ...

    def norms(self, coord: Tensor) -> Tensor:
        """Form ``a' K_b a`` of each block, (B,)."""
        ...

    def coefficients(self, coord: Tensor) -> Tensor:
        """Standardised coefficients ``u = T X' a``, (C, P)."""
        ...

    def shrinkage(self, least: float = 0.0) -> list[Shrinkage]:
        """Posterior covariance of the standardised coefficients, by output.

        Directions that lose no more than the share ``least`` of their prior variance are left out.
        """
        ...

    def covariance(self) -> Tensor:
        """Posterior covariance of the first output's linear predictor, (n, n)."""
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

    def lift(self, grad: Tensor) -> Tensor:
        """Coordinates of a gradient."""
        return grad

    def factorise(self, curvature: Curvature) -> None:
        """Factorise ``I + W K``."""
        self._factors = []
        for c in range(curvature.diag.shape[1]):
            root, q, shrink = curvature_factor(curvature.diag[:, c], curvature.low_rank[c])
            middle = _deflate(root[:, None] * self._kernel * root, q, shrink)
            middle = _deflate(middle.T, q, shrink)
            middle.diagonal().add_(1.0)
            self._factors.append((root, q, shrink, torch.linalg.cholesky(middle)))

    def solve(self, right: Tensor) -> Tensor:
        """Coordinates ``(I + W K)^-1 right``."""
        out, known = [], self._kernel @ right
        for c, (root, q, shrink, factor) in enumerate(self._factors):
            half = _deflate((root * known[:, c])[:, None], q, shrink)
            half = _deflate(torch.cholesky_solve(half, factor), q, shrink)
            out.append(right[:, c] - root * half[:, 0])
        return torch.stack(out, 1)

    def log_det(self) -> Tensor:
        """Log determinant, summed over outputs."""
        return _log_det([factor for *_, factor in self._factors])

    def traces(self) -> Tensor:
        """Traces by block, (B,)."""
        total = torch.zeros_like(self._kernel)
        for root, q, shrink, factor in self._factors:
            inverse = torch.cholesky_inverse(factor)
            total += _deflate(_deflate(inverse, q, shrink).T, q, shrink) * root * root[:, None]
        return torch.mv(self._kernels.flatten(1), total.flatten())

    def norms(self, coord: Tensor) -> Tensor:
        """Form ``a' K_b a`` of each block, (B,)."""
        return torch.mv(self._kernels.flatten(1), (coord @ coord.T).flatten())

    def coefficients(self, coord: Tensor) -> Tensor:
        """Standardised coefficients, (C, P)."""
        return (self._x.T @ coord).T * self._tau.repeat_interleave(self._sizes)

    def covariance(self) -> Tensor:
        """Posterior covariance of the first output's linear predictor, (n, n)."""
        root, q, shrink, factor = self._factors[0]
        half = _deflate(root[:, None] * self._kernel, q, shrink)
        half = torch.linalg.solve_triangular(factor, half, upper=False)
        return self._kernel - half.T @ half

    def shrinkage(self, least: float = 0.0) -> list[Shrinkage]:
        """Posterior covariance of the standardised coefficients, by output."""
        out = []
        scaled = self._x * self._tau.repeat_interleave(self._sizes)
        for root, q, shrink, factor in self._factors:
            values, vectors = torch.linalg.eigh(factor @ factor.T)
            keep = (values - 1.0 > 1e-9 * values[-1]) & (1.0 - 1.0 / values > least)
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

    def lift(self, grad: Tensor) -> Tensor:
        """Coordinates of a gradient."""
        return self._x.T @ grad

    def factorise(self, curvature: Curvature) -> None:
        """Factorise ``I + W K``."""
        self._factors = []
        for c in range(curvature.diag.shape[1]):
            low = self._x.T @ curvature.low_rank[c]
            information = self._x.T @ (curvature.diag[:, c, None] * self._x) - low @ low.T
            middle = self._tau[:, None] * information * self._tau
            middle = (middle + middle.T) / 2
            middle.diagonal().add_(1.0)
            self._factors.append((information, torch.linalg.cholesky(middle)))

    def solve(self, right: Tensor) -> Tensor:
        """Coordinates ``(I + W K)^-1 right``."""
        out, scaled = [], self._tau[:, None] * right
        for c, (information, factor) in enumerate(self._factors):
            u = torch.cholesky_solve(scaled[:, c, None], factor)[:, 0]
            out.append(right[:, c] - information @ (self._tau * u))
        return torch.stack(out, 1)

    def log_det(self) -> Tensor:
        """Log determinant, summed over outputs."""
        return _log_det([factor for _, factor in self._factors])

    def traces(self) -> Tensor:
        """Traces by block, (B,)."""
        traces = self._x.new_zeros(self._n_blocks)
        for information, factor in self._factors:
            half = torch.linalg.solve_triangular(
                factor, self._tau[:, None] * information, upper=False
            )
            traces.index_add_(0, self._block, information.diagonal() - half.square().sum(0))
        return traces

    def norms(self, coord: Tensor) -> Tensor:
        """Form ``a' K_b a`` of each block, (B,)."""
        return self._x.new_zeros(self._n_blocks).index_add_(0, self._block, coord.square().sum(1))

    def coefficients(self, coord: Tensor) -> Tensor:
        """Standardised coefficients, (C, P)."""
        return (self._tau[:, None] * coord).T

    def covariance(self) -> Tensor:
        """Posterior covariance of the first output's linear predictor, (n, n)."""
        half = torch.linalg.solve_triangular(
            self._factors[0][1], (self._x * self._tau).T, upper=False
        )
        return half.T @ half

    def shrinkage(self, least: float = 0.0) -> list[Shrinkage]:
        """Posterior covariance of the standardised coefficients, by output."""
        out = []
        for _, factor in self._factors:
            values, vectors = torch.linalg.eigh(factor @ factor.T)
            rest = 1.0 / values.clamp(min=1.0)
            keep = 1.0 - rest > least if least else slice(None)
            out.append(Shrinkage(vectors[:, keep], rest[keep]))
        return out


def _log_det(factors: Sequence[Tensor]) -> Tensor:
    """Summed log determinants of matrices with these Cholesky factors."""
    return 2 * torch.stack([factor.diagonal().log().sum() for factor in factors]).sum()


def _deflate(x: Tensor, q: Tensor, shrink: Tensor) -> Tensor:
    """Apply ``I - Q diag(c) Q'`` from the left."""
    return x - q @ (shrink[:, None] * (q.T @ x))
