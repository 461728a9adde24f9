"""Rows of a wide, mostly empty view, kept sparse until a batch of them is made dense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["SparseRows"]


@dataclass(frozen=True, eq=False)
class SparseRows:
    """An (n, p) matrix by its nonzero entries, row after row.

    Attributes
    ----------
    values, columns
        Nonzero entries (float32) and their columns (int64), (nnz,) each.
    starts
        Where each row begins in them, and the end, (n + 1,) int64.
    n_columns
        Number of columns p.

    Examples
    --------
    >>> from scipy import sparse
    >>> rows = SparseRows.from_scipy(sparse.csr_matrix([[0.0, 2.0], [3.0, 0.0]]))
    >>> rows[torch.tensor([1])].dense()
    tensor([[3., 0.]])
    """

    values: Tensor
    columns: Tensor
    starts: Tensor
    n_columns: int

    @classmethod
    def from_scipy(cls, matrix: Any) -> SparseRows:
        """Take over a scipy matrix in compressed row format."""
        return cls(
            torch.from_numpy(np.asarray(matrix.data, dtype=np.float32)),
            torch.from_numpy(np.asarray(matrix.indices, dtype=np.int64)),
            torch.from_numpy(np.asarray(matrix.indptr, dtype=np.int64)),
            int(matrix.shape[1]),
        )

    @classmethod
    def empty(cls, n: int, p: int, device: torch.device | str = "cpu") -> SparseRows:
        """Rows without any entry."""
        nothing = torch.zeros(0, device=device)
        starts = torch.zeros(n + 1, dtype=torch.int64, device=device)
        return cls(nothing, nothing.long(), starts, p)

    @property
    def shape(self) -> torch.Size:
        """Shape of the matrix, (n, p)."""
        return torch.Size((len(self), self.n_columns))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.starts) - 1

    def __getitem__(self, rows: Tensor) -> SparseRows:
        """Return the rows given by integer index (or bool mask)."""
        index = rows.nonzero().squeeze(1) if rows.dtype == torch.bool else rows
        index = torch.where(index < 0, index + len(self), index)
        counts = self.starts[index + 1] - self.starts[index]
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        within = torch.arange(int(starts[-1]), device=index.device)
        entries = within + (self.starts[index] - starts[:-1]).repeat_interleave(counts)
        return SparseRows(self.values[entries], self.columns[entries], starts, self.n_columns)

    def dense(self) -> Tensor:
        """Return the matrix multiplied out, (n, p)."""
        out = self.values.new_zeros(len(self), self.n_columns)
        rows = torch.arange(len(self), device=out.device).repeat_interleave(self.starts.diff())
        out[rows, self.columns] = self.values
        return out

    def to(self, device: torch.device | str) -> SparseRows:
        """Return the matrix on another device."""
        values, columns, starts = (t.to(device) for t in (self.values, self.columns, self.starts))
        return SparseRows(values, columns, starts, self.n_columns)
