"""What the arguments of `mvlatent.MVLatent` have to be, asked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

import numpy as np
from anndata import AnnData
from mudata import MuData

from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.specs.checks import (
    check_seed,
    check_whole,
    did_you_mean,
    is_number,
    is_whole,
    kind_of,
    listed,
    shown,
)

__all__ = [
    "LOOP",
    "SHAPE",
    "Draws",
    "check_cause",
    "check_horizon",
    "check_level",
    "check_one_of",
    "check_options",
    "check_view",
    "checked_draws",
    "checked_times",
    "given_views",
    "patients_of",
    "row_numbers",
]

SHAPE = frozenset(Options.__dataclass_fields__)
LOOP = frozenset({"validation_size", "progress", "warm_start", *Plan.__dataclass_fields__})
BLOCKS = ("full", "shared")


class Draws(TypedDict):
    """How an outcome is read from a head: draws, their seed, and which of the two heads."""

    n_samples: int
    seed: int
    blocks: str


def check_options(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError for an option that there is not, as Python does, with the choices.

    Examples
    --------
    >>> check_options(["n_share"], ["n_shared", "n_private"])
    Traceback (most recent call last):
    ...
    TypeError: no option 'n_share'; did you mean 'n_shared'? the options are n_private, n_shared.
    """
    choices = sorted(known)
    for name in given:
        if name not in choices:
            hint = did_you_mean(name.removesuffix("_keys").removesuffix("_key"), choices, alike=0.6)
            raise TypeError(f"no option {name!r}; {hint}the options are {', '.join(choices)}.")


def check_level(name: str, value: object) -> None:
    """Raise unless the level of an interval is a number strictly between 0 and 1."""
    if not is_number(value):
        raise TypeError(
            f"{name} must be a number between 0 and 1, such as 0.9, not {shown(value)}."
        )
    if not 0 < value < 1:  # type: ignore[operator]
        raise ValueError(f"{name} must be between 0 and 1, not {shown(value)}.")


def check_one_of(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise ValueError unless an argument is one of the choices.

    Examples
    --------
    >>> check_one_of("per", "year", ("sd", "unit"))
    Traceback (most recent call last):
    ...
    ValueError: per must be 'sd' or 'unit', not 'year'.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, not {shown(value)}.")


def check_view(view: object, views: Iterable[str]) -> None:
    """Raise unless there is a view of that name: TypeError for patients, KeyError for a word."""
    names = tuple(views)
    if isinstance(view, str) and view in names:
        return
    there = f"the views are {', '.join(names)}" if names else "the model has no view"
    if isinstance(view, MuData | AnnData):
        raise TypeError(
            f"a view's name comes first, not {kind_of(view)}; give patients by name, as mdata=new; "
            f"{there}."
        )
    raise KeyError(f"no view {shown(view)}; {did_you_mean(view, names)}{there}.")


def given_views(given: Sequence[str] | str | None, views: Iterable[str]) -> list[str] | None:
    """Names of the views that may be looked at; ``None`` is all of them.

    Raises
    ------
    TypeError
        If ``given`` is not made of names.
    KeyError
        If a name is not a view.
    """
    if given is None:
        return None
    wanted = [given] if isinstance(given, str) else listed(given)
    if wanted is None or not all(isinstance(name, str) for name in wanted):
        raise TypeError(
            f"given must be names of views, not {shown(given)}; the views are {', '.join(views)}."
        )
    for name in wanted:
        check_view(name, views)
    return wanted


def patients_of(
    mdata: MuData | AnnData | None, adata: MuData | AnnData | None
) -> MuData | AnnData | None:
    """Patients under either of their two names.

    Raises
    ------
    TypeError
        If both are given.
    """
    if mdata is not None and adata is not None:
        raise TypeError("mdata and adata are two names of the patients; give one of them.")
    return mdata if adata is None else adata


def row_numbers(indices: object, n: int) -> list[int]:
    """Numbers of the rows that are asked for, of n.

    Raises
    ------
    TypeError
        If they are neither integers nor bools.
    ValueError
        If they are not in one row, none at all, or bools that are not one a patient.
    IndexError
        If there is no such row.

    Examples
    --------
    >>> row_numbers([True, False, True], 3), row_numbers(np.array([-1]), 3)
    ([0, 2], [2])
    """
    rows = np.atleast_1d(np.asarray(indices))
    if rows.ndim != 1 or not rows.size:
        raise ValueError(f"indices must be rows of patients, at least one, not {indices!r}.")
    if rows.dtype == bool:
        if len(rows) != n:
            raise ValueError(f"indices hold {len(rows)} bools for {n} patients; give one each.")
        found = np.flatnonzero(rows)
        if not found.size:
            raise ValueError("indices choose no patient; choose at least one.")
        return [int(row) for row in found]
    if rows.dtype.kind not in "iu":
        raise TypeError(f"indices must be numbers of rows or bools, not {indices!r}.")
    beyond = rows[(rows < -n) | (rows >= n)]
    if beyond.size:
        raise IndexError(f"indices hold row {beyond[0]}, but there are {n} patients.")
    return [int(row) % n for row in rows]


def checked_draws(n_samples: int, seed: int, blocks: str = "full") -> Draws:
    """Options of a reading by draws, once they are sound.

    Raises
    ------
    TypeError
        If a number of draws or a seed is not an integer.
    ValueError
        If there is no draw, the seed is negative, or ``blocks`` is not one of the choices.
    """
    check_whole("n_samples", n_samples, 1)
    check_seed("seed", seed)
    check_one_of("blocks", blocks, BLOCKS)
    return {"n_samples": int(n_samples), "seed": int(seed), "blocks": blocks}


def check_cause(cause: object, n_causes: int) -> None:
    """Raise unless a cause is one of those that compete, counted from 1."""
    if not is_whole(cause):
        raise TypeError(f"cause must be an integer from 1, not {shown(cause)}.")
    if not 1 <= cause <= n_causes:  # type: ignore[operator]
        choices = ", ".join(map(str, range(1, n_causes + 1)))
        raise ValueError(f"cause {shown(cause)} is not one of {choices}.")


def check_horizon(horizon: object, last: float) -> None:
    """Raise unless a horizon is a time after 0 and within the training events."""
    if isinstance(horizon, MuData | AnnData):
        raise TypeError(
            f"a time comes first, not {kind_of(horizon)}; give patients by name, as mdata=new."
        )
    if not is_number(horizon):
        raise TypeError(f"horizon must be a number, a time, not {shown(horizon)}.")
    if not 0 < horizon <= last * (1 + 1e-6):  # type: ignore[operator]
        raise ValueError(
            f"horizon must be positive and at most the last training event ({last:g}), not "
            f"{shown(horizon)}."
        )


def checked_times(times: object) -> np.ndarray:
    """Times as floats, (T,); one number is one time.

    Raises
    ------
    TypeError
        If patients stand where times belong.
    ValueError
        If times are not finite numbers in one row.
    """
    if isinstance(times, MuData | AnnData):
        raise TypeError(
            f"times must be numbers, not {kind_of(times)}; patients come after them or by name, as "
            "in predict_survival([12, 24], mdata=new) or predict_survival(mdata=new)."
        )
    try:
        raw = np.asarray(times)
        grid = np.atleast_1d(raw.astype(float))
    except (TypeError, ValueError):
        raise ValueError(f"times must be numbers, not {shown(times)}.") from None
    if raw.dtype == bool:
        raise ValueError(f"times must be numbers, not {shown(times)}.")
    if grid.ndim != 1 or not np.isfinite(grid).all():
        raise ValueError(f"times must be finite and in one row, not {shown(times)}.")
    return grid
