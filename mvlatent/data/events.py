"""Columns of events: 0/1, yes or no, and the status words of clinical tables."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mvlatent.data.advice import dated_line, mapping_line
from mvlatent.data.names import quote
from mvlatent.data.obs_columns import as_text, is_numeric, refuse_dates

__all__ = ["as_binary", "turned_round"]

BINARY_TEXT = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
CODED = re.compile(r"([01])\s*[:=]\s*(\S.*)")  # "1:DECEASED", as cBioPortal writes it
SEEN = re.compile(
    r"(dead|death|deceased|died|expired|event|progress|relaps|recur|metasta|uncensor|not alive|"
    r"not censor|with tumou?r|dod\b|yes\b|y\b|true\b)"
)
NOT_SEEN = re.compile(
    r"(alive|living|censor|lost|no\b|none\b|n\b|not\b|non\b|no[- ]|false\b|tumou?r free|free|ned\b|"
    r"stable|disease.?free|without)"
)
CENSORED = re.compile(r"cens", re.IGNORECASE)
UNCENSORED = re.compile(r"(un|not|non|no)[ _.-]?cens", re.IGNORECASE)
ANSWERS = {"yes": True, "y": True, "true": True, "no": False, "n": False, "false": False}
MANY = 4  # words; with more, no line would be short


def _is_seen(word: str) -> bool | None:
    """Whether a status word says that the event was seen; ``None`` where it does not tell."""
    coded = CODED.fullmatch(word)
    lower = (coded[2] if coded else word).lower()
    if "free" not in lower and SEEN.match(lower):
        return True
    return False if NOT_SEEN.match(lower) or "free" in lower else None


def _code(word: str) -> float | None:
    """The event that a word stands for, ``None`` of a word that has to be recoded."""
    coded = CODED.fullmatch(word)
    if coded is None:
        return BINARY_TEXT.get(word.lower())
    seen = _is_seen(word)
    code = float(coded[1])
    return None if seen is not None and seen != bool(code) else code


def as_binary(column: pd.Series, what: str) -> npt.NDArray[np.float64]:
    """Return 1.0, 0.0 or NaN from 0/1, bool, or strings of one.

    ``"True"``, ``"0"`` and ``"1:DECEASED"`` are such strings.

    Raises
    ------
    ValueError
        If a value is anything else; the message names the values and, where it can be told what
        they mean, a line that recodes them.

    Examples
    --------
    >>> as_binary(pd.Series(["1:DECEASED", "0:LIVING", "[Not Available]"]), "event").tolist()
    [1.0, 0.0, nan]
    """
    line = dated_line(column.name)
    refuse_dates(column, what, f"where a date says that the event was seen: {line}")
    text = as_text(column, known=("0",))
    codes = {word: _code(word) for word in {t for t in text if t is not None}}
    if bad := sorted(word for word, code in codes.items() if code is None):
        raise ValueError(
            f"{what} must be 0/1 or True/False, not {quote(bad)}; {_how(column, text)}"
        )
    return np.array([np.nan if t is None else codes[t] for t in text], dtype=np.float64)


def _how(column: pd.Series, text: np.ndarray) -> str:
    """How to recode a column of status words."""
    words = sorted({t for t in text if t is not None})
    if len(words) > 2 and "0" in words and all(word.isdigit() for word in words):
        return "if these are competing causes, take kind='competing'."
    codes = _guessed(words, str(column.name)) if len(words) <= MANY else None
    if codes is None:
        return "recode it: 1 where the event was seen at that time, 0 where it was not."
    return f"recode it, for example {_line(column, text, codes)}"


def _guessed(words: list[str], name: str) -> dict[str, int] | None:
    """Codes of status words, ``None`` where they do not say which is the event."""
    if _marks_censored(name):
        answers = {word: ANSWERS.get(word.lower()) for word in words}
        if None not in answers.values():
            return {word: int(not yes) for word, yes in answers.items()}
        if any(word.isdigit() for word in words):
            return None
    if words == ["1", "2"] or (len(words) == 2 and words[0] == "0" and words[1].isdigit()):
        return {words[0]: 0, words[1]: 1}
    seen = {word: _is_seen(word) for word in words}
    if None in seen.values() or len(set(seen.values())) < 2:
        known = [word for word in words if seen[word] is not None]
        if len(words) != 2 or len(known) != 1 or seen[known[0]] is False:
            return None  # two words of which one is the event, and the other is all else
    return {word: int(seen[word] is True) for word in words}


def _line(column: pd.Series, text: np.ndarray, codes: dict[str, int]) -> str:
    """The line that recodes the values as they stand in the column."""
    numeric = is_numeric(column)
    raw: dict[Any, str] = {}
    for value, word in zip(column.tolist(), text, strict=True):
        if word is not None:
            raw.setdefault(value if numeric else str(value), word)
    ordered = sorted(raw, key=lambda value: (codes[raw[value]], str(value)))
    return mapping_line(column.name, {v: codes[raw[v]] for v in ordered}, numeric=numeric)


def _marks_censored(name: str) -> bool:
    """Whether a column's name says that it marks the censored."""
    return bool(CENSORED.search(name)) and not UNCENSORED.search(name)


def turned_round(column: pd.Series) -> str | None:
    """Return what to say of an event column whose name says that 1 marks the censored.

    Examples
    --------
    >>> turned_round(pd.Series([1, 0], name="event")) is None
    True
    >>> turned_round(pd.Series([1, 0], name="censored"))[-24:]
    'ored"].map({1: 0, 0: 1})'
    """
    name = str(column.name)
    text = as_text(column, known=("0",))
    if not _marks_censored(name) or any(t is not None and CODED.fullmatch(t) for t in text):
        return None
    codes = {t: int(not _code(t)) for t in text if t is not None}
    return (
        f"1 is taken as an event that was seen, but the column is named {name!r}; if 1 marks the "
        f"censored, turn it round: {_line(column, text, codes)}"
    )
