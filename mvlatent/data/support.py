"""Which values a likelihood takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mvlatent.data.matrix import Matrix, columns_of, entries_of
from mvlatent.data.names import quote
from mvlatent.specs import View

__all__ = ["MAX_LEVELS", "check_support"]

MAX_LEVELS = 30
"""Most levels of an ordinal view, or of a feature of a categorical one."""


def check_support(x: Matrix, features: Sequence[str], spec: View, name: str) -> None:
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
