"""The likelihood of a view, guessed from its values."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from mvlatent.specs.likelihoods import DEFAULT, LIKELIHOODS
from mvlatent.specs.values import Entries

__all__ = ["guess_likelihood"]


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
    if not sparse.issparse(values):
        values = np.asarray(values[:] if not isinstance(values, np.ndarray) else values)
    entries = values.data if sparse.issparse(values) else values
    try:
        entries = np.asarray(entries, dtype=np.float64 if entries.dtype.kind == "O" else None)
    except (TypeError, ValueError):
        return DEFAULT, "not all values are numbers"
    entries = entries[~np.isnan(entries)] if entries.dtype.kind == "f" else entries.ravel()
    if sparse.issparse(values) and values.nnz < np.prod(values.shape):
        entries = np.append(entries, 0)
    if entries.size == 0:
        return DEFAULT, "no value"
    return _asked(Entries(entries))


def _asked(seen: Entries) -> tuple[str, str]:
    """The likelihood that takes the values for its own; newly registered ones are asked first."""
    against = ""
    for name, said in reversed(LIKELIHOODS.items()):
        if said.guess is None:
            continue
        fits, why = said.guess(seen)
        if fits:
            return name, why
        against = against or why
    return DEFAULT, f"{seen.words}, {against}" if against else seen.words
