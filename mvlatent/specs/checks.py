"""What numbers and words typed by the user have to be; asked before anything is computed.

Numbers of numpy are numbers, truth values are not. A thing of another kind is a TypeError, one of
the right kind that is out of range a ValueError; either names the option and what was given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

__all__ = [
    "as_names",
    "as_python",
    "check_choice",
    "check_flag",
    "check_jobs",
    "check_name",
    "check_number",
    "check_seed",
    "check_size",
    "check_whole",
    "did_you_mean",
    "is_flag",
    "is_number",
    "is_whole",
    "kind_of",
    "listed",
    "shown",
]

MOST_SHOWN = 60  # characters of a value in an error
MOST_SEED = 2**32 - 1
ALIKE = 0.76  # of difflib's ratio, from which on a word is taken for another one misspelt


def shown(value: object) -> str:
    """A value as an error quotes it: as typed where that is short, else its kind.

    Examples
    --------
    >>> shown("rna"), shown(list(range(100)))
    ("'rna'", 'a list')
    """
    try:
        text = repr(value)
    except Exception:
        text = "\n"
    if len(text) <= MOST_SHOWN and "\n" not in text:
        return text
    return kind_of(value)


def kind_of(value: object) -> str:
    """The kind of a thing, with its article.

    Examples
    --------
    >>> kind_of(3), kind_of("x")
    ('an int', 'a str')
    """
    name = type(value).__name__
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def did_you_mean(value: object, choices: Iterable[str], *, alike: float = ALIKE) -> str:
    """A question with the choice that is spelt most like a value, and a space; else nothing.

    Examples
    --------
    >>> did_you_mean("nromal", ["normal", "nb"])
    "did you mean 'normal'? "
    """
    close = (
        get_close_matches(value, [*choices], n=1, cutoff=alike) if isinstance(value, str) else []
    )
    return f"did you mean {close[0]!r}? " if close else ""


def as_python(value: Any) -> Any:
    """Python's own number, truth value or word in place of numpy's; other things as they are.

    Examples
    --------
    >>> import numpy as np
    >>> as_python(np.int64(3)), as_python({"rna": np.float32(0.5)})
    (3, {'rna': 0.5})
    """
    if isinstance(value, Mapping):
        return {as_python(key): as_python(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(as_python(each) for each in value)
    if is_flag(value):
        return bool(value)
    if is_whole(value):
        return int(value)
    if is_number(value):
        return float(value)
    return str(value) if isinstance(value, str) else value


def listed(value: object) -> list[Any] | None:
    """What a list, tuple, index, array or generator holds; ``None`` of what is no list.

    Text, mappings, columns and tables are no lists.

    Examples
    --------
    >>> listed(("age", "sex")), listed("age"), listed(3)
    (['age', 'sex'], None, None)
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return None
    if getattr(value, "ndim", 1) != 1 or hasattr(value, "iloc") or hasattr(value, "obs_names"):
        return None
    return list(value)


def as_names(what: str, value: object, *, of: str = "columns") -> tuple[str, ...]:
    """Names that were typed: one, or several in anything that holds them in an order.

    Raises
    ------
    TypeError
        If it holds none, or something else than names.

    Examples
    --------
    >>> as_names("clinical", "age"), as_names("clinical", ["age", "sex"])
    (('age',), ('age', 'sex'))
    """
    if value is None:
        return ()
    names = [value] if isinstance(value, str) else listed(value)
    if names is None or isinstance(value, set | frozenset):
        raise TypeError(f"{what} must be names of {of}, such as ['a', 'b'], not {shown(value)}.")
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"{what} must be names of {of}, and {shown(name)} is none.")
    return tuple(str(name) for name in names)


def is_whole(value: object) -> bool:
    """Whether a value is an integer, also numpy's, and no truth value.

    Examples
    --------
    >>> is_whole(3), is_whole(True), is_whole(3.0)
    (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_flag(value: object) -> bool:
    """Whether a value is True or False, also numpy's."""
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


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
        raise TypeError(f"{name} must be an integer, not {shown(value)}.")
    if value < least:  # type: ignore[operator]
        raise ValueError(f"{name} must be {least} or more, not {shown(value)}.")


def check_seed(name: str, value: object) -> None:
    """Raise unless a seed is an integer that numpy and torch both take."""
    check_whole(name, value, 0)
    if value > MOST_SEED:  # type: ignore[operator]
        raise ValueError(f"{name} must be from 0 to {MOST_SEED}, not {shown(value)}.")


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
        raise TypeError(f"{name} must be an integer, such as 2, not {shown(n_jobs)}.")
    if n_jobs == 0:
        raise ValueError(f"{name} must be 1 or more (or -1 for as many as there are cores), not 0.")


def check_size(name: str, value: object) -> None:
    """Raise unless a number of dimensions is an integer from 1 on."""
    if not is_whole(value):
        raise TypeError(f"{name} must be a positive integer, not {shown(value)}.")
    if value < 1:  # type: ignore[operator]
        raise ValueError(f"{name} must be a positive integer, not {shown(value)}.")


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
        raise TypeError(f"{name} must be {text}, not {shown(value)}.")
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number) or not low <= number < high or (above and number == low):
        raise ValueError(f"{name} must be {text}, not {shown(value)}.")


def check_flag(name: str, value: object) -> None:
    """Raise TypeError unless a switch is True or False."""
    if not is_flag(value):
        raise TypeError(f"{name} must be True or False, not {shown(value)}.")


def check_choice(what: str, value: object, choices: Sequence[str]) -> None:
    """Raise ValueError if a value is not one of the choices."""
    if not isinstance(value, str) or value not in choices:
        hint = did_you_mean(value, choices).strip()
        raise ValueError(
            f"{what} {shown(value)} is not one of {', '.join(map(repr, choices))}"
            f"{f' ({hint})' * bool(hint)}."
        )


def check_name(what: str, value: object) -> None:
    """Raise ValueError if a value cannot be the name of a column."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} must be the name of a column, not {shown(value)}.")
