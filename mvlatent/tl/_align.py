"""Patients of one call brought into one order: by their names where there are names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

__all__ = ["align", "align_entries", "aligned"]

Named = tuple[str, Any]
BY_POSITION = "or give arrays, which go by position"


def aligned(
    *, columns: Collection[str] = (), what: str = "patients", **arguments: Any
) -> tuple[Any, ...]:
    """The arguments in the order of the first that carries an index, as `align` gives them.

    Parameters
    ----------
    columns
        Names of the arguments that are times × patients where they are DataFrames.
    what
        What the labels of the index name.
    **arguments
        By name: Series and DataFrames are aligned, all else goes by position.

    Raises
    ------
    ValueError
        As `align`.

    Examples
    --------
    >>> time = pd.Series([1.0, 2.0], index=["a", "b"])
    >>> aligned(time=time, risk=time[::-1], site=["x", "y"])[1].tolist()
    [1.0, 2.0]
    """
    return tuple(align(arguments.items(), columns=columns, what=what))


def align(
    arguments: Iterable[Named], *, columns: Collection[str] = (), what: str = "patients"
) -> list[Any]:
    """Values of named arguments in the order of the first one that carries an index.

    Parameters
    ----------
    arguments
        Pairs of a name, for the message, and a value. Of an AnnData, a MuData or a posterior the
        index is its ``obs_names``; it can only be the first.
    columns, what
        As in `aligned`.

    Raises
    ------
    ValueError
        If an index does not hold the labels of the first one: the argument is named, and how many
        are missing.
    """
    first: tuple[str, pd.Index] | None = None
    out = []
    for name, value in arguments:
        axis = int(name in columns and isinstance(value, pd.DataFrame))
        labels = _labels(value, axis)
        if labels is not None and first is None:
            first = name, labels
        elif labels is not None and first is not None and not labels.equals(first[1]):
            value = _in_order(value, axis, name, labels, *first, what)
        out.append(value)
    return out


def align_entries(arguments: Iterable[Named]) -> list[Any]:
    """Values of one shape, entry by entry: DataFrames are aligned along their columns as well.

    Parameters
    ----------
    arguments
        As in `align`.

    Raises
    ------
    ValueError
        As `align`.
    """
    pairs = [*arguments]
    names = [name for name, _ in pairs]
    rows = align(pairs, what="rows")
    framed = align(
        ((n, v if isinstance(v, pd.DataFrame) else None) for n, v in zip(names, rows, strict=True)),
        columns=names,
        what="columns",
    )
    return [row if frame is None else frame for row, frame in zip(rows, framed, strict=True)]


def _labels(value: Any, axis: int) -> pd.Index | None:
    """Names of the patients of a value; None where it goes by position."""
    if isinstance(value, pd.Series | pd.DataFrame):
        return value.axes[axis]
    names = getattr(value, "obs_names", None)
    return None if names is None else pd.Index(names)


def _in_order(
    value: Any,
    axis: int,
    name: str,
    labels: pd.Index,
    first: str,
    wanted: pd.Index,
    what: str,
) -> Any:
    """A Series or DataFrame in the order of the labels that are wanted."""
    for whose, index in ((name, labels), (first, wanted)):
        if not index.is_unique:
            twice = index[index.duplicated()].tolist()[0]
            raise ValueError(
                f"{name} and {first} are not in one order, and {twice!r} occurs twice among the "
                f"{what} of {whose}; make the index unique, {BY_POSITION}."
            )
    other = value.axes[1 - axis] if isinstance(value, pd.DataFrame) else None
    missing = wanted.difference(labels, sort=False)
    if len(missing):
        if axis and other is not None and wanted.isin(other).all():
            raise ValueError(f"{name} must be times × {what}; transpose it: {name}.T.")
        raise ValueError(
            f"{name} has no value for {len(missing)} of the {len(wanted)} {what} of {first}, such "
            f"as {missing.tolist()[0]!r}; index both by the same {what}, {BY_POSITION}."
        )
    spare = labels.difference(wanted, sort=False)
    if len(spare):
        raise ValueError(
            f"{name} has {len(spare)} {what} that {first} has not, such as {spare.tolist()[0]!r}; "
            f"index both by the same {what}, {BY_POSITION}."
        )
    return value.take(labels.get_indexer(wanted), axis=axis)
