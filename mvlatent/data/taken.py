"""What a column was taken as, in words: for the summary and its notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.data.advice import without_line
from mvlatent.data.obs_columns import as_text, is_numeric
from mvlatent.data.words import sentinels

__all__ = ["level_name", "none_notes", "sentinel_notes", "taken_as"]

SHOWN = 6  # classes, the largest ones


def taken_as(
    kind: str, levels: Iterable[Any], counts: Sequence[int], missing: int, *, ordered: bool = False
) -> str:
    """Return what a column of classes was taken as: how many, how often, and how many lack one.

    Examples
    --------
    >>> taken_as("2 classes", ["a", "b"], [3, 5], 1)
    '2 classes (b 5, a 3), 1 missing'
    """
    pairs = [f"{level_name(level)} {count}" for level, count in zip(levels, counts, strict=False)]
    order = range(len(pairs)) if ordered else sorted(range(len(pairs)), key=lambda i: -counts[i])
    shown = (" < " if ordered else ", ").join(pairs[i] for i in [*order][:SHOWN])
    shown += ", ..." if len(pairs) > SHOWN else ""
    return f"{kind} ({shown}), {missing or 'none'} missing" if pairs else kind


def level_name(level: Any) -> str:
    """Return a level as text, whole numbers without a decimal point.

    Examples
    --------
    >>> level_name(1.0), level_name("1.0"), level_name(True)
    ('1', '1.0', 'True')
    """
    whole = isinstance(level, float) and level.is_integer()
    return str(int(level)) if whole else str(level)


def none_notes(column: pd.Series, what: str) -> list[str]:
    """Note that ``None`` was written as a word and taken as a class.

    Examples
    --------
    >>> none_notes(pd.Series(["None", "Chemo"], name="treatment"), "covariate 'treatment'")[0][:58]
    "covariate 'treatment': the word 'None' is taken as a class"
    """
    words = [t for t in as_text(column) if t is not None and t.lower() == "none"]
    if not words:
        return []
    line = without_line(column.name, f'"{words[0]}"')
    return [
        f"{what}: the word {words[0]!r} is taken as a class ({len(words)} patients); if it says "
        f"that the value is missing: {line}"
    ]


def sentinel_notes(column: pd.Series, values: np.ndarray, what: str) -> list[str]:
    """Note numbers that look like a missing value, such as -9999.

    Examples
    --------
    >>> ages = pd.Series([61.0, 54.0, -9999.0], name="age")
    >>> sentinel_notes(ages, ages.to_numpy(), "covariate 'age'")[0][:63]
    "covariate 'age': -9999 in 1 of 3 patients looks like a missing "
    """
    notes = []
    for value in sentinels(values):
        n = int((values == value).sum())
        note = f"{what}: {value:g} in {n} of {len(values)} patients looks like a missing value"
        line = without_line(column.name, f"{value:g}") if is_numeric(column) else "leave it empty"
        notes.append(f"{note}; taken as a number, if it is none: {line}")
    return notes
