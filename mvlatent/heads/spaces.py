"""The two spaces in which a group ridge is solved for given block sds: patients and columns.

The linear predictor is ``eta = sum_b X_b beta_b`` with ``beta_b ~ N(0, tau_b^2 I)``. Two spaces do
the same sums: patients (n x n, for more columns than patients) and columns (P x P). Coordinates of
either are dual, ``beta_b = tau_b^2 X_b' a``, so that a block with tau 0 needs no special care.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from mvlatent.heads.factors import OnColumns, Shrinkage, curvature_factor, deflate, log_det_of
from mvlatent.outcomes.bound import Curvature

__all__ = ["ColumnSpace", "PatientSpace", "Space", "make_space"]


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
    return PatientSpace(blocks) if p > n else ColumnSpace(blocks)


class PatientSpace:
    """Function space: n x n kernels, for more columns than patients (Rasmussen & Williams 3.1).

    While the blocks that are on have fewer columns than there are patients, the factorisation is
    in those columns.
    """

    def __init__(self, blocks: Sequence[Tensor]) -> None:
        self._x = torch.cat(list(blocks), 1)
        self._sizes = torch.tensor([b.shape[1] for b in blocks])
        self._kernels = torch.stack([b @ b.T for b in blocks])
        self._factors: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._narrow: list[OnColumns] = []

    def zeros(self, n_outputs: int) -> Tensor:
        """Coordinates of the zero predictor."""
        return self._x.new_zeros(len(self._x), n_outputs)

    def set_tau(self, tau: Tensor) -> None:
        """Take new block sds (B,)."""
        self._tau = tau.repeat_interleave(self._sizes)
        on = self._tau > 0
        self._thin = int(on.sum()) < len(self._x)
        if self._thin:
            self._x_on = self._x[:, on] * self._tau[on]
        else:
            self._kernel: Tensor = torch.tensordot(tau.square(), self._kernels, 1)

    def eta(self, coord: Tensor) -> Tensor:
        """Linear predictor (n, C)."""
        return self._x_on @ (self._x_on.T @ coord) if self._thin else self._kernel @ coord

    def inner(self, left: Tensor, right: Tensor) -> Tensor:
        """Prior precision form, a scalar."""
        return (left * self.eta(right)).sum()

    def lift(self, grad: Tensor) -> Tensor:
        """Coordinates of a gradient."""
        return grad

    def factorise(self, curvature: Curvature) -> None:
        """Factorise ``I + W K``."""
        self._factors, self._narrow = [], []
        for c in range(curvature.diag.shape[1]):
            if self._thin:
                self._narrow.append(OnColumns.of(self._x_on, curvature, c))
                continue
            root, q, shrink = curvature_factor(curvature.diag[:, c], curvature.low_rank[c])
            middle = deflate(root[:, None] * self._kernel * root, q, shrink)
            middle = deflate(middle.T, q, shrink)
            middle.diagonal().add_(1.0)
            self._factors.append((root, q, shrink, torch.linalg.cholesky(middle)))

    def solve(self, right: Tensor) -> Tensor:
        """Coordinates ``(I + W K)^-1 right``."""
        if self._thin:
            known = self._x_on.T @ right
            back = [part.back(known[:, c]) for c, part in enumerate(self._narrow)]
            return right - torch.stack(back, 1)
        out, known = [], self._kernel @ right
        for c, (root, q, shrink, factor) in enumerate(self._factors):
            half = deflate((root * known[:, c])[:, None], q, shrink)
            half = deflate(torch.cholesky_solve(half, factor), q, shrink)
            out.append(right[:, c] - root * half[:, 0])
        return torch.stack(out, 1)

    def log_det(self) -> Tensor:
        """Log determinant, summed over outputs."""
        factors = [part.factor for part in self._narrow] if self._thin else None
        return log_det_of(factors or [factor for *_, factor in self._factors])

    def traces(self) -> Tensor:
        """Traces by block, (B,)."""
        total = self._x.new_zeros(len(self._x), len(self._x))
        for part in self._narrow:
            half = torch.linalg.solve_triangular(part.factor, part.weigh(part.x).T, upper=False)
            total += part.diag.diag() - part.low @ part.low.T - half.T @ half
        for root, q, shrink, factor in self._factors:
            inverse = torch.cholesky_inverse(factor)
            total += deflate(deflate(inverse, q, shrink).T, q, shrink) * root * root[:, None]
        return torch.mv(self._kernels.flatten(1), total.flatten())

    def norms(self, coord: Tensor) -> Tensor:
        """Form ``a' K_b a`` of each block, (B,)."""
        return torch.mv(self._kernels.flatten(1), (coord @ coord.T).flatten())

    def coefficients(self, coord: Tensor) -> Tensor:
        """Standardised coefficients, (C, P)."""
        return (self._x.T @ coord).T * self._tau

    def covariance(self) -> Tensor:
        """Posterior covariance of the first output's linear predictor, (n, n)."""
        if self._thin:
            return self._narrow[0].covariance()
        root, q, shrink, factor = self._factors[0]
        known = deflate(root[:, None] * self._kernel, q, shrink)
        half: Tensor = torch.linalg.solve_triangular(factor, known, upper=False)
        return self._kernel - half.T @ half

    def shrinkage(self, least: float = 0.0) -> list[Shrinkage]:
        """Posterior covariance of the standardised coefficients, by output."""
        if self._thin:
            return [part.shrinkage(self._tau > 0, least) for part in self._narrow]
        out, scaled = [], self._x * self._tau
        for root, q, shrink, factor in self._factors:
            values, vectors = torch.linalg.eigh(factor @ factor.T)
            keep = (values - 1.0 > 1e-9 * values[-1]) & (1.0 - 1.0 / values > least)
            values, vectors = values[keep], vectors[:, keep]
            columns = root[:, None] * deflate(vectors, q, shrink) / (values - 1.0).sqrt()
            out.append(Shrinkage(scaled.T @ columns, 1.0 / values))
        return out


class ColumnSpace:
    """Coefficient space: coordinates of P columns, for at most as many columns as patients."""

    def __init__(self, blocks: Sequence[Tensor]) -> None:
        self._x = torch.cat(list(blocks), 1)
        sizes = [b.shape[1] for b in blocks]
        self._sizes = torch.tensor(sizes)
        self._n_blocks = len(sizes)
        self._block = torch.repeat_interleave(torch.arange(len(sizes)), self._sizes)
        self._factors: list[OnColumns] = []

    def zeros(self, n_outputs: int) -> Tensor:
        """Coordinates of the zero predictor."""
        return self._x.new_zeros(self._x.shape[1], n_outputs)

    def set_tau(self, tau: Tensor) -> None:
        """Take new block sds (B,)."""
        self._tau = tau[self._block]
        self._on = self._tau > 0
        self._x_on = self._x[:, self._on] * self._tau[self._on]

    def eta(self, coord: Tensor) -> Tensor:
        """Linear predictor (n, C)."""
        return self._x_on @ (self._tau[:, None] * coord)[self._on]

    def inner(self, left: Tensor, right: Tensor) -> Tensor:
        """Prior precision form, a scalar."""
        return (left * self._tau.square()[:, None] * right).sum()

    def lift(self, grad: Tensor) -> Tensor:
        """Coordinates of a gradient."""
        return self._x.T @ grad

    def factorise(self, curvature: Curvature) -> None:
        """Factorise ``I + W K``."""
        outputs = range(curvature.diag.shape[1])
        self._factors = [OnColumns.of(self._x_on, curvature, c) for c in outputs]

    def solve(self, right: Tensor) -> Tensor:
        """Coordinates ``(I + W K)^-1 right``."""
        scaled = (self._tau[:, None] * right)[self._on]
        back = [part.back(scaled[:, c]) for c, part in enumerate(self._factors)]
        return right - self._x.T @ torch.stack(back, 1)

    def log_det(self) -> Tensor:
        """Log determinant, summed over outputs."""
        return log_det_of([part.factor for part in self._factors])

    def traces(self) -> Tensor:
        """Traces by block, (B,)."""
        traces = self._x.new_zeros(self._n_blocks)
        for part in self._factors:
            weighed = part.weigh(self._x)
            own = (self._x * weighed).sum(0) - part.half(weighed).square().sum(0)
            traces.index_add_(0, self._block, own)
        return traces

    def norms(self, coord: Tensor) -> Tensor:
        """Form ``a' K_b a`` of each block, (B,)."""
        return self._x.new_zeros(self._n_blocks).index_add_(0, self._block, coord.square().sum(1))

    def coefficients(self, coord: Tensor) -> Tensor:
        """Standardised coefficients, (C, P)."""
        return (self._tau[:, None] * coord).T

    def covariance(self) -> Tensor:
        """Posterior covariance of the first output's linear predictor, (n, n)."""
        return self._factors[0].covariance()

    def shrinkage(self, least: float = 0.0) -> list[Shrinkage]:
        """Posterior covariance of the standardised coefficients, by output."""
        return [part.shrinkage(self._on, least) for part in self._factors]
