"""Which values a likelihood takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from mvlatent.data.columns import quote
from mvlatent.specs import View

__all__ = ["MAX_LEVELS", "check_support", "columns_of", "entries_of"]

MAX_LEVELS = 30
"""Most levels of an ordinal view, or of a feature of a categorical one."""


def entries_of(x: np.ndarray | sparse.spmatrix) -> np.ndarray:
    """Stored entries of a matrix: all of a dense one, the nonzero ones of a sparse one."""
    return np.asarray(x.data if sparse.issparse(x) else x)


def columns_of(x: Any, chosen: np.ndarray) -> np.ndarray:
    """Columns of a matrix that hold a chosen one of its stored entries."""
    return np.unique(x.indices[chosen] if sparse.issparse(x) else chosen.nonzero()[1])


def check_support(
    x: np.ndarray | sparse.csr_matrix, features: Sequence[str], spec: View, name: str
) -> None:
    """Raise ValueError, naming view and columns, where values do not suit the likelihood."""
    support = spec.declaration.support
    if support is None:
        return
    entries = entries_of(x)
    refused = ~(support.takes(entries) | np.isnan(entries))
    if not refused.any():
        return
    bad = [features[j] for j in columns_of(x, refused)]
    example = entries[refused].flat[0]
    raise ValueError(
        f"view {name!r} is {spec.likelihood} but {support.refusal} in {quote(bad)} (for example "
        f"{example:g}); use raw values, name their layer, or choose another likelihood."
    )
