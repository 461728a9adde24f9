"""Names of patients, features and columns: quoted in messages, and unique."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

__all__ = ["by_name", "check_names", "quote", "rows_by_name"]

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


def by_name(name: str) -> tuple[tuple[str | tuple[int, str], ...], str]:
    """Key that sorts names as people do, numbers in them by size: the one order of the package.

    What a fit is given in another order it puts into this one, so that order is no input.

    Examples
    --------
    >>> sorted(["g10", "g9", "a"], key=by_name)
    ['a', 'g9', 'g10']
    """
    pieces = re.split(r"(\d+)", name)
    parts: list[str | tuple[int, str]] = list(pieces)
    for i in range(1, len(pieces), 2):
        number = pieces[i].lstrip("0")
        parts[i] = (len(number), number)
    return tuple(parts), name


def rows_by_name(names: Iterable[object]) -> np.ndarray:
    """Rows in the order of their names, (N,) int.

    Examples
    --------
    >>> rows_by_name(["P2", "P10", "P1"]).tolist()
    [2, 0, 1]
    """
    keys = [by_name(str(name)) for name in names]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
