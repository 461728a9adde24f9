"""Columns of ``obs``: finding them by name, and reading them as numbers, text or yes/no.

No other file of the data stage asks what a column holds. Each kind of trouble has one place here:
which column is meant (`find_column`), what is missing (`as_text`, by the words of `words`), what is
a number (`is_numeric`, `are_numbers_in_words`, `as_numbers`), what is a date (`refuse_dates`), what
has an order (`ordered_levels`), in which type a level came (`typed_levels`). What is an event is in
`events`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mvlatent.data.advice import comma_line, days_line, number_line, span_line, without_line
from mvlatent.data.names import quote
from mvlatent.data.words import (
    MISSING_INTEGERS,
    are_numbers,
    bound_of,
    has_comma,
    is_date,
    is_iso_date,
    is_missing,
    is_missing_number,
    is_number,
)

if TYPE_CHECKING:
    from mudata import MuData

__all__ = [
    "MOST_UNLIKE",
    "are_numbers_in_words",
    "as_numbers",
    "as_text",
    "find_column",
    "is_numeric",
    "ordered_levels",
    "refuse_dates",
    "typed_levels",
]

MOST_UNLIKE = 10  # patients; where more have a class each, the column holds names

WHOLE = re.compile(r"[+-]?\d+\.0+")
DATES = ("date", "datetime", "datetime64", "period")


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
    if isinstance(kind, pd.CategoricalDtype) or kind.kind == "c":
        return False
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def _one_text(value: Any) -> str | None:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    text = (value.decode(errors="replace") if isinstance(value, bytes) else str(value)).strip()
    if text.endswith("0") and WHOLE.fullmatch(text):
        text = text.partition(".")[0]
    elif text.lower() in ("true", "false"):
        text = text.capitalize()
    return None if is_missing(text) else text


def as_text(column: pd.Series, known: Iterable[str] | None = None) -> np.ndarray:
    """Return the values as stripped strings, ``None`` where missing.

    Whole numbers lose their decimal point (so 1.0, ``"1.0"`` and 1 are one level); ``"nan"``,
    ``"[Not Available]"``, ``"--"`` and their kin are missing, and among numbers ``"None"`` and
    ``"unknown"`` as well: of classes they are one.

    Parameters
    ----------
    column
        Values.
    known
        Levels that a model was fitted on; where they are numbers, so is the column.

    Examples
    --------
    >>> as_text(pd.Series([1.0, None, 2.0])).tolist()
    ['1', None, '2']
    >>> as_text(pd.Series(["54", "None"])).tolist(), as_text(pd.Series(["Chemo", "None"])).tolist()
    (['54', None], ['Chemo', 'None'])
    """
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        levels = [_one_text(v) for v in kind.categories.tolist()]
        words = [None if code < 0 else levels[code] for code in column.cat.codes.tolist()]
    else:
        words = [_one_text(v) for v in column.tolist()]
    numbers = are_numbers({w for w in words if w is not None} if known is None else set(known))
    if numbers:
        words = [None if w is None or is_missing_number(w) else w for w in words]
    return np.array(words, dtype=object)


def as_numbers(
    column: pd.Series, what: str, *, bounds: bool = False, how: str = ""
) -> npt.NDArray[np.float64]:
    """Return the values as float64, NaN where missing; strings that are numbers are accepted.

    Parameters
    ----------
    column
        Values.
    what
        What to call the column in a message.
    bounds
        Whether ``">89"`` counts as 89.
    how
        What to do about a word that is no number; by default the line that makes it missing.

    Raises
    ------
    ValueError
        If a value is not a number or is infinite, or the column holds dates; the message starts
        with ``what`` and says how to mend it.
    """
    refuse_dates(column, what)
    if is_numeric(column) or pd.api.types.is_bool_dtype(column.dtype):
        values = np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        values = np.full(len(column), np.nan)
        for i, word in enumerate(as_text(column, known=("0",))):
            if word is not None:
                values[i] = _one_number(word, bounds)
                if np.isnan(values[i]):
                    line = (comma_line if has_comma(word) else number_line)(column.name)
                    said = how or f"make it one, or missing: {line}"
                    raise ValueError(f"{what} holds {word!r}, which is not a number; {said}")
    if np.isinf(values).any():
        raise ValueError(f"{what} holds an infinite value.")
    for value in MISSING_INTEGERS:
        if (values == value).any():
            raise ValueError(
                f"{what} holds {value}, which is a missing value written as an integer; make it "
                f"missing: {without_line(column.name, str(value))}"
            )
    return values


def _one_number(word: str, bounds: bool) -> float:
    """The number that a word is, NaN where it is none."""
    bound = bound_of(word) if bounds else None
    return float(word) if is_number(word) else np.nan if bound is None else bound


def refuse_dates(column: pd.Series, what: str, how: str = "") -> None:
    """Raise ValueError where a column holds dates, spans of time or complex numbers.

    ``how`` says what to do about dates; by default they are made days since the first one.

    Examples
    --------
    >>> refuse_dates(pd.Series(["2019-03-04", None], name="seen"), "covariate 'seen'")
    Traceback (most recent call last):
    ValueError: covariate 'seen' holds dates; make them days since the first one: import pandas ...
    """
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        kind = kind.categories.dtype
    if kind.kind == "c":
        raise ValueError(f"{what} holds complex numbers; take their real part or their modulus.")
    found = pd.api.types.infer_dtype(column.dropna(), skipna=True) if kind.kind == "O" else ""
    if kind.kind == "m" or found.startswith("timedelta"):
        raise ValueError(f"{what} holds spans of time; make them days: {span_line(column.name)}")
    is_time = kind.kind == "M" or isinstance(kind, pd.PeriodDtype) or found in DATES
    words = set() if is_time or is_numeric(column) else {w for w in as_text(column) if w}
    if is_time or (words and all(map(is_iso_date, words))):
        how = how or f"make them days since the first one: {days_line(column.name)}"
        raise ValueError(f"{what} holds dates; {how}")
    if words and all(map(is_date, words)):
        raise ValueError(
            f"{what} holds dates such as {min(words)!r}; make numbers of them: days since a first "
            "day, or since each patient's own."
        )


def are_numbers_in_words(column: pd.Series) -> bool:
    """Whether a column of text, or of categories, is of numbers written out.

    Words for missing and bounds (``">89"``) do not count against it, codes such as ``"01"`` do.

    Examples
    --------
    >>> are_numbers_in_words(pd.Series(["54", None, "61.5", "[Not Available]", "unknown", ">89"]))
    True
    """
    if is_numeric(column) or pd.api.types.is_bool_dtype(column.dtype):
        return False
    return are_numbers({t for t in as_text(column) if t is not None})


def ordered_levels(column: pd.Series) -> list[str] | None:
    """Return the levels of ordered categories from low to high, ``None`` of any other column.

    Examples
    --------
    >>> ordered_levels(pd.Series(pd.Categorical(["G2"], ["G1", "G2"], ordered=True)))
    ['G1', 'G2']
    """
    if not isinstance(column.dtype, pd.CategoricalDtype) or not column.dtype.ordered:
        return None
    words = as_text(pd.Series(column.dtype.categories))
    return list(dict.fromkeys(t for t in words if t is not None))


def typed_levels(column: pd.Series) -> dict[str, Any]:
    """Return what a column holds by its text: the first value of each, in types of Python.

    Examples
    --------
    >>> typed_levels(pd.Series([2, 1, 2])), typed_levels(pd.Series([True, None]))
    ({'2': 2, '1': 1}, {'True': True})
    """
    text = as_text(column)
    found: dict[str, Any] = {}
    for word, value in zip(text, column.tolist(), strict=True):
        if word is not None and word not in found:
            value = value.item() if isinstance(value, np.generic) else value
            found[word] = value if isinstance(value, (bool, int, float)) else str(value).strip()
    return found
