"""Names of patients, features and columns: quoted in messages, and unique."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

__all__ = ["check_names", "quote"]

NO_NAME = ("nan", "NaN", "<NA>", "None", "")  # what a missing name becomes when it is made text


def quote(names: Iterable[object], limit: int = 5) -> str:
    """Return the first few names in quotes, and how many there are if more.

    Examples
    --------
    >>> quote(["a", "b", "c"], limit=2)
    "'a', 'b', ... (3 in all)"
    """
    items = [str(n) for n in names]
    text = ", ".join(repr(n) for n in items[:limit])
    return text if len(items) <= limit else f"{text}, ... ({len(items)} in all)"


def check_names(names: pd.Index, what: str) -> None:
    """Raise ValueError if a name is missing or occurs twice, as text too.

    Examples
    --------
    >>> check_names(pd.Index(["a", "b", "a"]), "patients of mdata")
    Traceback (most recent call last):
    ValueError: patients of mdata occur more than once: 'a'; make them unique first.
    """
    missing = np.flatnonzero(names.isna() | names.isin(NO_NAME))
    if len(missing):
        word = "nan" if pd.isna(names[missing[0]]) else str(names[missing[0]])
        raise ValueError(
            f"{what} lack a name: {word!r} in place {missing[0]} ({len(missing)} in all); name "
            "them, or leave them out first."
        )
    if not all(isinstance(name, str) for name in names):
        names = names.map(str)
    if not names.is_unique:
        twice = names[names.duplicated()].unique()
        raise ValueError(f"{what} occur more than once: {quote(twice)}; make them unique first.")
