"""Columns of ``obs``: finding them by name, and reading them as numbers, text or yes/no.

No other file of the data stage asks what a column holds. Each kind of trouble has one place here:
which column is meant (`find_column`), what is missing (`as_text`), what is a number (`is_numeric`,
`are_numbers_in_words`, `as_numbers`), what is an event (`as_binary`), what has an order
(`ordered_levels`).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mvlatent.data.names import quote

if TYPE_CHECKING:
    from mudata import MuData

__all__ = [
    "MOST_UNLIKE",
    "are_numbers_in_words",
    "as_binary",
    "as_numbers",
    "as_text",
    "find_column",
    "is_numeric",
    "ordered_levels",
]

MOST_UNLIKE = 10  # patients; where more have a class each, the column holds names

MISSING_TEXT = frozenset({"", "nan", "na", "n/a", "none", "<na>", "null"})
BINARY_TEXT = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


def _suggestion(key: str, columns: list[str], mdata: MuData) -> str:
    inside = [f"{name}:{key}" for name, mod in mdata.mod.items() if key in mod.obs.columns]
    if inside:
        return f"it is in a modality's obs only, write {' or '.join(map(repr, inside))}"
    close = difflib.get_close_matches(key, columns, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    choices = quote(columns, limit=30) if columns else "none"
    return f"{hint}the columns are {choices}"


def find_column(mdata: MuData, key: str, what: str = "column") -> pd.Series:
    """Return a column of ``mdata.obs``, or of one modality's obs when written ``modality:column``.

    Parameters
    ----------
    mdata
        Patients.
    key
        Name of the column.
    what
        The column's role, for the message.

    Returns
    -------
    Series
        Values in the order of ``mdata.obs_names``; missing for patients the modality lacks.

    Raises
    ------
    KeyError
        If there is no such column; the message names the choices.
    ValueError
        If there are several of that name.
    """
    if key in mdata.obs.columns:
        return _only(mdata.obs[key], f"{what} {key!r}", "mdata.obs")
    modality, _, name = key.partition(":")
    if name and modality in mdata.mod and name in mdata.mod[modality].obs.columns:
        column = _only(mdata.mod[modality].obs[name], f"{what} {key!r}", "the modality's obs")
        return column.reindex(mdata.obs_names).rename(key)
    columns = [str(c) for c in mdata.obs.columns]
    raise KeyError(f"{what} {key!r} is not in mdata.obs; {_suggestion(key, columns, mdata)}.")


def _only(found: pd.Series | pd.DataFrame, what: str, where: str) -> pd.Series:
    """The column of a name, unless several have it."""
    if isinstance(found, pd.DataFrame):
        raise ValueError(f"{what} names {found.shape[1]} columns of {where}; keep one of them.")
    return found


def is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers (bool and strings do not count)."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return False
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def _one_text(value: Any) -> str | None:
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    text = str(value).strip()
    return None if text.lower() in MISSING_TEXT else text


def as_text(column: pd.Series) -> np.ndarray:
    """Return the values as stripped strings, ``None`` where missing.

    Whole numbers lose their decimal point (so 1.0 and 1 are one level); ``"nan"``, ``"NA"``, ``""``
    and their kin are missing.

    Examples
    --------
    >>> as_text(pd.Series([1.0, None, 2.0])).tolist()
    ['1', None, '2']
    """
    return np.array([_one_text(v) for v in column.tolist()], dtype=object)


def as_numbers(column: pd.Series, what: str) -> npt.NDArray[np.float64]:
    """Return the values as float64, NaN where missing; strings that are numbers are accepted.

    Raises
    ------
    ValueError
        If a value is not a number or is infinite; the message starts with ``what``.
    """
    if is_numeric(column) or pd.api.types.is_bool_dtype(column.dtype):
        values = np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        text = as_text(column)
        values = np.full(len(text), np.nan)
        for i, word in enumerate(text):
            try:
                values[i] = np.nan if word is None else float(word)
            except ValueError:
                raise ValueError(f"{what} holds {word!r}, which is not a number.") from None
    if np.isinf(values).any():
        raise ValueError(f"{what} holds an infinite value.")
    return values


def are_numbers_in_words(column: pd.Series) -> bool:
    """Whether all values of a text column are numbers written out.

    Examples
    --------
    >>> are_numbers_in_words(pd.Series(["54", None, "61.5"]))
    True
    """
    if isinstance(column.dtype, pd.CategoricalDtype) or is_numeric(column):
        return False
    words = pd.Series([t for t in as_text(column) if t is not None], dtype=object)
    return not pd.to_numeric(words, errors="coerce").isna().any()


def ordered_levels(column: pd.Series) -> list[str] | None:
    """Return the levels of ordered categories from low to high, ``None`` of any other column.

    Examples
    --------
    >>> ordered_levels(pd.Series(pd.Categorical(["G2"], ["G1", "G2"], ordered=True)))
    ['G1', 'G2']
    """
    if not isinstance(column.dtype, pd.CategoricalDtype) or not column.dtype.ordered:
        return None
    return [t for t in as_text(pd.Series(column.dtype.categories)) if t is not None]


def as_binary(column: pd.Series, what: str) -> npt.NDArray[np.float64]:
    """Return 1.0, 0.0 or NaN from 0/1, bool, or strings of one (``"True"``, ``"0"``, ...).

    Raises
    ------
    ValueError
        If a value is anything else; the message names the values and a line that recodes them.
    """
    text = as_text(column)
    bad = sorted({t for t in text if t is not None and t.lower() not in BINARY_TEXT})
    if bad:
        name = column.name
        words = sorted({t for t in text if t is not None}, key=lambda t: (_is_death(t), t))
        if len(words) > 2 and "0" in words and all(word.isdigit() for word in words):
            raise ValueError(
                f"{what} must be 0/1 or True/False, not {quote(bad)}; if these are competing "
                "causes, take kind='competing'."
            )
        if len(words) > 4:
            raise ValueError(f"{what} must be 0/1 or True/False, not {quote(bad)}; recode it.")
        last = len(words) - 1  # the word of the event, where one looks like it
        codes = ", ".join(f'"{w}": {int(i == last)}' for i, w in enumerate(words))
        raise ValueError(
            f"{what} must be 0/1 or True/False, not {quote(bad)}; recode it, for example "
            f'mdata.obs["{name}"] = mdata.obs["{name}"].astype(str).map({{{codes}}})'
        )
    return np.array([np.nan if t is None else BINARY_TEXT[t.lower()] for t in text])


def _is_death(word: str) -> bool:
    """Whether a word of an event column says that the event was seen, for the example given."""
    seen = ("dead", "death", "deceased", "died", "event", "progress", "relaps", "recur")
    return word.lower().startswith(seen) and "free" not in word.lower()
