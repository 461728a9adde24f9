"""What numbers and words typed by the user have to be; asked before anything is computed.

Numbers of numpy are numbers, truth values are not. A thing of another kind is a TypeError, one of
the right kind that is out of range a ValueError; either names the option and what was given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

__all__ = [
    "check_choice",
    "check_flag",
    "check_jobs",
    "check_name",
    "check_number",
    "check_size",
    "check_whole",
    "is_number",
    "is_whole",
]


def is_whole(value: object) -> bool:
    """Whether a value is an integer, also numpy's, and no truth value.

    Examples
    --------
    >>> is_whole(3), is_whole(True), is_whole(3.0)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a real number, also numpy's, and no truth value."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_whole(name: str, value: object, least: int) -> None:
    """Raise unless an argument is an integer, and not below the least.

    Examples
    --------
    >>> check_whole("n_samples", 0, 1)
    Traceback (most recent call last):
    ...
    ValueError: n_samples must be 1 or more, not 0.
    """
    if not is_whole(value):
        raise TypeError(f"{name} must be an integer, not {value!r}.")
    if value < least:  # type: ignore[operator]
        raise ValueError(f"{name} must be {least} or more, not {value!r}.")


def check_size(name: str, value: object) -> None:
    """Raise unless a number of dimensions is an integer from 1 on."""
    if not is_whole(value):
        raise TypeError(f"{name} must be a positive integer, not {value!r}.")
    if value < 1:  # type: ignore[operator]
        raise ValueError(f"{name} must be a positive integer, not {value!r}.")


def check_number(
    name: str, value: object, low: float, high: float = math.inf, *, above: bool = False
) -> None:
    """Raise unless an option is a finite number from ``low`` (or above it) to below ``high``.

    Examples
    --------
    >>> check_number("lr", float("nan"), 0, above=True)
    Traceback (most recent call last):
    ...
    ValueError: lr must be positive and finite, not nan.
    """
    text = "positive and finite" if above and not low else f"a finite number from {low:g} on"
    if math.isfinite(high):
        text = f"in {'(' if above else '['}{low:g}, {high:g})"
    if not is_number(value):
        raise TypeError(f"{name} must be {text}, not {value!r}.")
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number) or not low <= number < high or (above and number == low):
        raise ValueError(f"{name} must be {text}, not {value!r}.")


def check_flag(name: str, value: object) -> None:
    """Raise TypeError unless a switch is True or False."""
    if not isinstance(value, bool) and type(value).__name__ not in ("bool_", "bool"):
        raise TypeError(f"{name} must be True or False, not {value!r}.")


def check_choice(what: str, value: object, choices: Sequence[str]) -> None:
    """Raise ValueError if a value is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{what} {value!r} is not one of {', '.join(map(repr, choices))}.")


def check_name(what: str, value: object) -> None:
    """Raise ValueError if a value cannot be the name of a column."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} must be the name of a column, not {value!r}.")


def check_jobs(name: str, n_jobs: object) -> None:
    """Raise unless a number of folds at a time is one that joblib takes.

    Examples
    --------
    >>> check_jobs("n_jobs", 0)
    Traceback (most recent call last):
    ...
    ValueError: n_jobs must be 1 or more (or -1 for as many as there are cores), not 0.
    """
    if not is_whole(n_jobs):
        raise TypeError(f"{name} must be an integer, such as 2, not {n_jobs!r}.")
    if n_jobs == 0:
        raise ValueError(f"{name} must be 1 or more (or -1 for as many as there are cores), not 0.")
