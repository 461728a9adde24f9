"""The likelihood of a view, guessed from its values."""

from __future__ import annotations

from typing import Any

import numpy as np

from mvlatent.data.matrix import entries_of, is_sparse, normalise

__all__ = ["guess_likelihood"]

ORDINAL_RANGE = 6  # most steps from the lowest to the highest level where some are negative
SMALL_RANGE = 4  # the same where none is: more of them are counts
RATING_RANGE = 9  # the same where none is 0: scales from 1 to 10
FEW = 20  # fewer distinct values are not continuous
MAX_ENTRIES = 2_000_000
AT_THE_ENDS = 0.05  # share of exact zeros and ones that shares may hold


def guess_likelihood(values: Any) -> tuple[str, str]:
    """Guess a likelihood and say why.

    Parameters
    ----------
    values
        Matrix (n, p), dense or sparse, NaN where missing.

    Returns
    -------
    tuple of str
        A likelihood and what was seen in the values.

    Examples
    --------
    >>> guess_likelihood(np.array([[0, 1], [1, 1]]))
    ('bernoulli', 'zeros and ones')
    >>> guess_likelihood(np.array([[-2, 1], [0, -1], [2, 0]]))
    ('ordinal', 'whole numbers from -2 to 2')
    """
    try:
        matrix = normalise(values, view="")
    except ValueError:
        return "normal", "not all values are numbers"
    entries = entries_of(matrix)
    entries = entries[~np.isnan(entries)]
    if is_sparse(matrix) and matrix.nnz < np.prod(matrix.shape):
        entries = np.append(entries, np.float32(0))
    if entries.size == 0:
        return "normal", "no value"
    low, high = entries.min(), entries.max()
    if not (entries == np.rint(entries)).all():
        return _of_broken(entries, float(low), float(high))
    return _of_whole(entries, int(low), int(high))


def _of_whole(entries: np.ndarray, low: int, high: int) -> tuple[str, str]:
    seen = f"whole numbers from {low} to {high}"
    if low >= 0 and high <= 1:
        return "bernoulli", "zeros and ones"
    most = ORDINAL_RANGE if low < 0 else SMALL_RANGE if low == 0 else RATING_RANGE
    if high - low <= most:
        used = _distinct(entries)
        if used == high - low + 1:
            return "ordinal", seen
        return "normal", f"{seen}, of which only {used} occur"
    if low < 0:
        return "normal", seen
    distinct = _distinct(entries)
    if distinct < min(high - low, FEW) // 2:
        return "normal", f"{seen}, of which only {distinct} occur"
    return "nb", seen


def _of_broken(entries: np.ndarray, low: float, high: float) -> tuple[str, str]:
    seen = f"values from {low:.4g} to {high:.4g}"
    if low < 0 or high > 1:
        return "normal", seen
    if _distinct(entries) < FEW:
        return "normal", f"{seen}, few of them distinct"
    if ((entries == 0) | (entries == 1)).mean() > AT_THE_ENDS:
        return "normal", f"{seen}, many at the ends"
    return "beta", seen


def _distinct(entries: np.ndarray) -> int:
    """Number of distinct values, of a large matrix among evenly spaced entries."""
    return len(np.unique(entries[:: 1 + len(entries) // MAX_ENTRIES]))
