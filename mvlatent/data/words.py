"""Words people write in columns: for a missing value, a number, a bound, a date.

The words for missing are those of pandas and R, and of the clinical tables of TCGA, cBioPortal and
the GDC. A word that may be a class as well (``None`` is a treatment, ``unknown`` an answer) is
missing only where all else is numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

__all__ = [
    "MISSING_INTEGERS",
    "are_numbers",
    "bound_of",
    "has_comma",
    "is_date",
    "is_iso_date",
    "is_missing",
    "is_missing_number",
    "is_number",
    "is_unassessed",
    "sentinels",
    "unit_of",
]

MISSING = frozenset(
    {"", "nan", "na", "n/a", "#n/a", "<na>", "null", "nat", "-", "--", "'--", "\u2013", ".", "?"}
    | {"not available", "not reported", "not evaluated", "not recorded", "missing"}
    | {f"[{word}]" for word in ("not available", "not reported", "not evaluated", "unknown")}
    | {f"[{word}]" for word in ("not applicable", "discrepancy", "completed", "pending")}
    | {f"[{word}]" for word in ("not recorded", "redacted", "not known")}
)
MISSING_NUMBER = frozenset(
    {"none", "unknown", "unk", "not known", "not applicable", "[none]", "withheld"}
)
MISSING_INTEGERS = (
    -(2**31),
    -(2**63),
)  # what a missing number became where integers were asked for
LIKELY_MISSING = frozenset(
    {
        -1.0,
        -9.0,
        *(sign * float(digit * n) for digit in "89" for n in range(2, 6) for sign in (1, -1)),
    }
)

UNASSESSED = re.compile(
    r"(stage|grade)?[ _]?[gtnmr]?x|unknown|unk|not (known|assessed|applicable|determined)|none",
    re.IGNORECASE,
)
FEW = 10  # values from 0 on, beside which a negative one is likely no value

_DIGITS = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
NUMBER = re.compile(rf"{_DIGITS}|[+-]?inf(?:inity)?", re.IGNORECASE)
BOUND = re.compile(rf"(?:[<>]=?|[\u2264\u2265])\s*({_DIGITS})|({_DIGITS})\s*\+")
COMMA = re.compile(r"[+-]?\d+,\d+")
WITH_UNIT = re.compile(rf"{_DIGITS}\s*([^\W\d_]{{2,}}\.?|%)")
CODE = re.compile(r"0\d+")  # a number has no leading zeros, a code has
ISO_DATE = re.compile(r"[12]\d{3}[-/]\d{1,2}[-/]\d{1,2}([T ].*)?")
DATE = re.compile(rf"{ISO_DATE.pattern}|\d{{1,2}}[./-]\d{{1,2}}[./-](\d{{2}}|\d{{4}})")


def is_missing(word: str) -> bool:
    """Whether a word says in any column that the value is missing.

    Examples
    --------
    >>> is_missing("[Not Available]"), is_missing("None")
    (True, False)
    """
    return word.strip().lower() in MISSING


def is_missing_number(word: str) -> bool:
    """Whether a word says so among numbers.

    Examples
    --------
    >>> is_missing_number("Unknown")
    True
    """
    return is_missing(word) or word.strip().lower() in MISSING_NUMBER


def is_number(word: str) -> bool:
    """Whether a word is a number written out.

    Examples
    --------
    >>> is_number("61.5"), is_number("61,5"), is_number("1_000")
    (True, False, False)
    """
    return NUMBER.fullmatch(word) is not None


def bound_of(word: str) -> float | None:
    """Return the number of a bound such as ``">89"`` or ``"90+"``, ``None`` of any other word.

    Examples
    --------
    >>> bound_of(">89"), bound_of("89")
    (89.0, None)
    """
    found = BOUND.fullmatch(word)
    return None if found is None else float(found[1] or found[2])


def has_comma(word: str) -> bool:
    """Whether a word is a number with a decimal comma.

    Examples
    --------
    >>> has_comma("61,5"), has_comma("a,5")
    (True, False)
    """
    return COMMA.fullmatch(word) is not None


def unit_of(word: str) -> str | None:
    """Return the unit behind a number, ``None`` where there is none.

    Examples
    --------
    >>> unit_of("61 years"), unit_of("45%"), unit_of("2F")
    ('years', '%', None)
    """
    found = WITH_UNIT.fullmatch(word)
    return None if found is None else found[1]


def is_date(word: str) -> bool:
    """Whether a word is a date."""
    return DATE.fullmatch(word) is not None


def is_iso_date(word: str) -> bool:
    """Whether a word is a date with the year first."""
    return ISO_DATE.fullmatch(word) is not None


def are_numbers(words: Iterable[str]) -> bool:
    """Whether words are numbers or bounds, but for those that are missing among numbers.

    Examples
    --------
    >>> are_numbers(["54", ">89", "unknown"]), are_numbers(["01", "02"]), are_numbers(["unknown"])
    (True, False, False)
    """
    known = {word for word in words if not is_missing_number(word)}
    if not known or any(CODE.fullmatch(word) for word in known):
        return False
    return all(is_number(word) or bound_of(word) is not None for word in known)


def is_unassessed(word: str) -> bool:
    """Whether a word is a stage or grade that was not assessed, as ``"GX"`` or ``"Stage X"``.

    Examples
    --------
    >>> is_unassessed("Stage X"), is_unassessed("unknown"), is_unassessed("Stage IX")
    (True, True, False)
    """
    return UNASSESSED.fullmatch(word) is not None


def sentinels(values: np.ndarray) -> list[float]:
    """Return the values, (n,), that look like a number written for a missing one.

    They are such as -9999 or 999, far outside of what the others are.

    Examples
    --------
    >>> sentinels(np.array([61.0, 54.0, -9999.0, 47.0]))
    [-9999.0]
    """
    known = np.unique(values[np.isfinite(values)])
    suspects = [v for v in known.tolist() if v in LIKELY_MISSING]
    others = known[~np.isin(known, suspects)]
    if len(others) < 2:
        return []
    low, high = float(others[0]), float(others[-1])
    span, positive = high - low, low >= 0 and len(others) > FEW
    return [v for v in suspects if v < low - span or v > high + span or (v < 0 and positive)]
