"""Columns of ``obs``: finding them by name, and reading them as numbers, text or yes/no."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.data.names import quote

if TYPE_CHECKING:
    from mudata import MuData

__all__ = [
    "MOST_UNLIKE",
    "as_binary",
    "as_numbers",
    "as_text",
    "find_column",
    "is_numeric",
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
    """
    if key in mdata.obs.columns:
        return mdata.obs[key]
    modality, _, column = key.partition(":")
    if column and modality in mdata.mod and column in mdata.mod[modality].obs.columns:
        return mdata.mod[modality].obs[column].reindex(mdata.obs_names).rename(key)
    columns = [str(c) for c in mdata.obs.columns]
    raise KeyError(f"{what} {key!r} is not in mdata.obs; {_suggestion(key, columns, mdata)}.")


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


def as_numbers(column: pd.Series, what: str) -> np.ndarray:
    """Return the values as float64, NaN where missing; strings that are numbers are accepted.

    Raises
    ------
    ValueError
        If a value is not a number or is infinite; the message starts with ``what``.
    """
    if is_numeric(column) or pd.api.types.is_bool_dtype(column.dtype):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
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


def as_binary(column: pd.Series, what: str) -> np.ndarray:
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
