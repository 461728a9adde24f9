"""Matrices as people keep them, made one thing: float32, dense or in compressed rows.

Nothing behind it knows what held the values. Each kind of trouble has one place here: where the
values live and what hides them (`in_memory`), what is sparse (`_compressed`), what is a number
(`_numbers`) and what is too large for one (`_refuse_infinite`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from mvlatent.data.names import quote

__all__ = [
    "Matrix",
    "columns_of",
    "dense",
    "entries_of",
    "has_value",
    "in_memory",
    "is_sparse",
    "normalise",
    "place_rows",
]

Dense: TypeAlias = npt.NDArray[np.float32]
Matrix: TypeAlias = Dense | sparse.csr_matrix
"""Values (n, p) float32: dense, NaN where missing, or in compressed rows that have no gap."""

LARGEST = 1e15  # sums of squares of larger numbers leave float32
WORDS = "OUS"  # kinds of numpy's dtypes that may hold numbers written out, or words
NUMBERS = "biuf"


def normalise(
    values: Any,
    *,
    view: str,
    features: Sequence[str] | None = None,
    patients: Sequence[str] | None = None,
    columns: Sequence[int] | None = None,
) -> Matrix:
    """Return a matrix of any container as float32.

    Parameters
    ----------
    values
        Matrix (n, p): a numpy array (masked, of objects), a DataFrame (of nullable numbers), any
        sparse matrix, or a matrix of a file or of dask. It is not changed.
    view, features, patients
        Names for the messages; numbers stand for features and patients without any.
    columns
        Which of the p columns to take, in that order; all by default.

    Returns
    -------
    ndarray or csr_matrix
        Sparse values without gaps stay in compressed rows, sorted and each entry once; all others
        are dense with NaN where missing. It may share memory with ``values``: never write into it.

    Raises
    ------
    ValueError
        If a value is not a number, infinite or too large to compute with; the message names view,
        feature, patient and value.

    Examples
    --------
    >>> normalise(pd.DataFrame({"a": pd.array([1, None], "Int64")}), view="rna").tolist()
    [[1.0], [nan]]
    """
    where = _Where(view, features, patients, columns)
    held = in_memory(values)
    matrix: Matrix
    if sparse.issparse(held):
        matrix = _compressed(held, where)
        if np.isnan(matrix.data).any():  # a gap has no place among rows whose other entries are 0
            matrix = np.asarray(matrix.toarray(), dtype=np.float32)
    else:
        matrix = _numbers(held if columns is None else held[:, columns], where)
    _refuse_infinite(matrix, where)
    return matrix


def in_memory(values: Any) -> Any:
    """Return an array or a sparse matrix, as it was typed: read, and with gaps where it has some.

    Matrices of a file (backed, zarr) and of dask are read once. What a mask or a nullable column
    hides is missing; what the values are is not judged.
    """
    if isinstance(values, np.ma.MaskedArray):
        kind = object if values.dtype.kind in WORDS else np.float32
        return np.ma.filled(values.astype(kind), np.nan)
    if isinstance(values, np.ndarray) or sparse.issparse(values):
        return np.asarray(values) if isinstance(values, np.ndarray) else values
    if isinstance(values, pd.DataFrame):
        plain = all(isinstance(kind, np.dtype) for kind in values.dtypes)
        return values.to_numpy() if plain else values.to_numpy(dtype=object)
    for read in ("compute", "to_memory"):  # dask; sparse matrices of a backed file
        if hasattr(values, read):
            return in_memory(getattr(values, read)())
    return np.asarray(values[:])


def has_value(values: Any) -> npt.NDArray[np.bool_]:
    """Whether each row of a matrix in memory has a value; all of a sparse one have."""
    if is_sparse(values) or values.dtype.kind not in "fO":
        return np.ones(values.shape[0], dtype=bool)
    return np.asarray(~np.asarray(pd.isna(values)).all(axis=1))


def is_sparse(matrix: object) -> TypeGuard[sparse.csr_matrix]:
    """Whether a normalised matrix is in compressed rows."""
    return bool(sparse.issparse(matrix))


def dense(matrix: Matrix) -> Dense:
    """Return a normalised matrix with every entry written out."""
    return np.asarray(matrix.toarray() if is_sparse(matrix) else matrix, dtype=np.float32)


def entries_of(matrix: Matrix) -> Dense:
    """Stored entries of a matrix: all of a dense one, the nonzero ones of a sparse one."""
    return np.asarray(matrix.data if is_sparse(matrix) else matrix)


def columns_of(matrix: Matrix, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Columns of a matrix that hold a chosen one of its stored entries."""
    return np.unique(matrix.indices[chosen] if is_sparse(matrix) else chosen.nonzero()[1])


def place_rows(matrix: Matrix, where: npt.NDArray[np.intp]) -> Matrix:
    """Return a copy whose row i is row ``where[i]``; NaN, or no entry, where that is -1."""
    present = where >= 0
    if not is_sparse(matrix):
        x = np.full((len(where), matrix.shape[1]), np.nan, dtype=np.float32)
        x[present] = matrix[where[present]]
        return x
    rows = matrix[where[present]]
    counts = np.zeros(len(where), dtype=np.int64)
    counts[present] = np.diff(rows.indptr)
    starts = np.concatenate([[0], counts.cumsum()])
    return sparse.csr_matrix((rows.data, rows.indices, starts), (len(where), matrix.shape[1]))


class _Where:
    """What messages call a column and a row of the columns that are taken."""

    def __init__(
        self,
        view: str,
        features: Sequence[str] | None,
        patients: Sequence[str] | None,
        columns: Sequence[int] | None,
    ) -> None:
        self.view, self.columns = view, columns
        self._features, self._patients = features, patients

    def feature(self, column: int) -> str:
        column = int(column if self.columns is None else self.columns[column])
        return str(column if self._features is None else self._features[column])

    def patient(self, row: int) -> str:
        return str(int(row) if self._patients is None else self._patients[row])


def _compressed(values: Any, where: _Where) -> sparse.csr_matrix:
    """Compressed rows of float32, each entry once; the user's matrix keeps its own entries."""
    if values.dtype.kind not in NUMBERS:
        raise ValueError(f"{_not_numbers(where)} ({values.dtype}).")
    if values.shape[1] and values.format == "coo":
        values = values.astype(np.float32)  # entries that occur twice are added up in their type
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        rows = sparse.csr_matrix(values, dtype=np.float32)
    rows = rows if where.columns is None else rows[:, where.columns]
    if not rows.has_canonical_format:
        rows = rows.copy()  # duplicates are summed in place
        rows.sum_duplicates()
    return rows


def _numbers(values: npt.NDArray[Any], where: _Where) -> Dense:
    """Values as float32; what pandas calls missing is NaN, numbers written out are read."""
    kind = values.dtype.kind
    if values.ndim != 2:
        raise ValueError(
            f"view {where.view!r} has {values.ndim} dimensions, not patients × features; make it a "
            "table."
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        if kind in NUMBERS:
            return np.asarray(values, dtype=np.float32)
        if kind not in WORDS:
            raise ValueError(f"{_not_numbers(where)} ({values.dtype}).")
        filled = np.where(pd.isna(values), np.nan, values) if kind == "O" else values
        try:
            if kind == "O" and any(isinstance(v, TIMES) for v in filled.flat):
                raise TypeError
            return np.asarray(filled, dtype=np.float32)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(_not_a_number(filled, where)) from None


TIMES = (np.datetime64, np.timedelta64)  # numpy takes them for numbers of days


def _not_numbers(where: _Where) -> str:
    return f"view {where.view!r} holds values that are not numbers"


def _not_a_number(values: npt.NDArray[Any], where: _Where) -> str:
    """Say which is the first value that is not a number."""
    for row, column in np.ndindex(values.shape):
        try:
            if isinstance(values[row, column], TIMES):
                raise TypeError
            float(values[row, column])
        except (TypeError, ValueError, OverflowError):
            place = f"patient {where.patient(row)!r}, feature {where.feature(column)!r}"
            found = f"{values[row, column]!s:.40}"
            return (
                f"{_not_numbers(where)}: {found!r} ({place}); make it a number, NaN where it is "
                "missing."
            )
    return f"{_not_numbers(where)}."


def _refuse_infinite(matrix: Matrix, where: _Where) -> None:
    """Raise ValueError where a value is infinite, or too large to compute with in float32."""
    entries = entries_of(matrix)
    large = np.abs(entries) > LARGEST
    if not large.any():
        return
    bad = [where.feature(j) for j in columns_of(matrix, large)]
    at = int(large.argmax())  # the first
    row = (
        int(np.searchsorted(matrix.indptr, at, side="right")) - 1
        if is_sparse(matrix)
        else at // matrix.shape[1]
    )
    value = entries.flat[at]
    what = "infinite values" if np.isinf(value) else f"values beyond {LARGEST:g}"
    raise ValueError(
        f"view {where.view!r} holds {what} in {quote(bad)} (first {value:g} of patient "
        f"{where.patient(row)!r}); set them to NaN if they are missing."
    )
