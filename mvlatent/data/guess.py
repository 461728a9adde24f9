"""The likelihood of a view, guessed from its values."""

from __future__ import annotations

from typing import Any

import numpy as np

from mvlatent.data.matrix import entries_of, is_sparse, normalise
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
    try:
        matrix = normalise(values, view="")
    except ValueError:
        return DEFAULT, "not all values are numbers"
    entries = entries_of(matrix)
    entries = entries[~np.isnan(entries)]
    if is_sparse(matrix) and matrix.nnz < np.prod(matrix.shape):
        entries = np.append(entries, np.float32(0))
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
