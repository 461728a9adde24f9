"""Coding of outcomes: times and events, and class labels, with errors a person can act on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.data.advice import classes_line
from mvlatent.data.events import as_binary
from mvlatent.data.names import quote
from mvlatent.data.obs_columns import (
    MOST_UNLIKE,
    as_numbers,
    as_text,
    refuse_dates,
    typed_levels,
)
from mvlatent.data.words import are_numbers
from mvlatent.specs import Labels, Survival, join_times_line

__all__ = [
    "SurvivalValues",
    "code_labels",
    "code_survival",
    "count_causes",
    "label_categories",
    "positive_times",
    "time_floor",
    "warn_of_zero_times",
]

MOST_CAUSES = 50  # that compete; a larger code is a date, an identifier or a slip
MOST_NUMBERS = 20  # that classes are; more of them are measured
FOLLOW_UP_WORDS = ("follow", "last", "contact", "censor")


@dataclass(frozen=True, eq=False)
class SurvivalValues:
    """Times and events as numbers.

    Attributes
    ----------
    time
        Follow-up in the user's unit, (N,) float64; 0 allowed, NaN where unobserved.
    event
        1.0 or 0.0, (N,) float64; NaN where unobserved. Of any cause, where causes compete.
    observed
        Whether both are known, (N,) bool.
    cause
        0.0 where censored, 1.0..K for the competing causes, (N,) float64; NaN where unobserved.
        ``None`` without competing causes.
    entry
        When the patient came under observation, (N,) float64, before the time; 0 where
        unobserved. ``None`` if all were seen from the start.
    """

    time: np.ndarray
    event: np.ndarray
    observed: np.ndarray
    cause: np.ndarray | None = None
    entry: np.ndarray | None = None


def _follow_up_column(others: pd.DataFrame | None, gap: np.ndarray, skip: Sequence[str]) -> str:
    """Return the column that best fills the rows of ``gap``, or a placeholder."""
    best, best_score = "<the other time column>", 0.0
    others = pd.DataFrame() if others is None else others
    for name in others.columns:
        if name in skip:
            continue
        try:
            values = as_numbers(others[name], str(name))
        except ValueError:
            continue
        filled = np.isfinite(values[gap]).mean()
        if filled < 0.8 or np.nanmin(values) < 0:
            continue
        empty_elsewhere = np.isnan(values[~gap]).mean() if (~gap).any() else 0.0
        named = any(word in str(name).lower() for word in FOLLOW_UP_WORDS)
        score = filled * (empty_elsewhere + named)
        if score > max(best_score, 0.5):
            best, best_score = str(name), score
    return best


def _check_two_columns(
    time: np.ndarray, event: np.ndarray, spec: Survival, others: pd.DataFrame | None
) -> None:
    """Raise if the time is missing mostly in one class of the event: two columns hold it."""
    for value in (0.0, 1.0):
        inside, outside = event == value, event == 1.0 - value
        if not inside.any() or not outside.any():
            continue
        gap = inside & np.isnan(time)
        if gap.sum() >= 0.5 * inside.sum() and np.isnan(time[outside]).mean() <= 0.2:
            other = _follow_up_column(others, gap, (spec.time, spec.event))
            raise ValueError(
                f"survival time {spec.time!r} is missing for {gap.sum()} of the {inside.sum()} "
                f"patients whose {spec.event!r} is {value:.0f}: the time seems spread over two "
                f"columns; make one first: {join_times_line([spec.time, other])}"
            )


def code_survival(
    obs: pd.DataFrame,
    spec: Survival,
    *,
    others: pd.DataFrame | None = None,
    shared_time: bool = False,
) -> SurvivalValues:
    """Read times and events.

    Parameters
    ----------
    obs
        Table with the two columns, index the patients' names.
    spec
        Names of the columns.
    others
        All columns, only to suggest where the other half of the times may be.
    shared_time
        Whether the time is another outcome's as well: a missing event alone is then an unobserved
        outcome, as where the cause of a death is not known.

    Raises
    ------
    ValueError
        If an event is not 0/1/bool or a string of one (for competing causes: not 0, 1, 2, ...), a
        time is not a number or negative, exactly one of the two is missing, the time is spread over
        two columns, or an entry is missing, negative or not before the time.

    Examples
    --------
    >>> obs = pd.DataFrame({"t": ["3", None], "e": ["True", None]})
    >>> code_survival(obs, Survival("t", "e")).observed.tolist()
    [True, False]
    """
    what = f"survival time {spec.time!r}"
    refuse_dates(obs[spec.time], what, "take the days from each patient's own start to it.")
    time = as_numbers(obs[spec.time], what)
    cause = _causes(obs[spec.event], spec) if spec.competing else None
    event = (
        as_binary(obs[spec.event], f"survival event {spec.event!r}")
        if cause is None
        else np.where(np.isnan(cause), np.nan, cause > 0)
    )
    names = np.asarray(obs.index)
    if (time < 0).any():
        bad = names[time < 0]
        raise ValueError(f"survival time {spec.time!r} is negative for {quote(bad)}.")
    _check_two_columns(time, event, spec, others)
    for lacking, known, what, other in (
        (time, event, spec.time, spec.event),
        (event, time, spec.event, spec.time),
    ):
        half = np.isnan(lacking) & ~np.isnan(known)
        if half.any() and not (shared_time and lacking is event):
            raise ValueError(
                f"{what!r} is missing but {other!r} is not for {quote(names[half])}; give both, or "
                f"leave both missing for an unobserved outcome."
            )
    observed = ~np.isnan(time) & ~np.isnan(event)
    entry = None if spec.entry is None else _entries(obs, spec, np.where(observed, time, np.inf))
    return SurvivalValues(time, event, observed, cause, entry)


def _causes(column: pd.Series, spec: Survival) -> np.ndarray:
    """Return 0.0 (censored), 1.0..K or NaN; ValueError for anything else."""
    what = f"competing event {spec.event!r}"
    how = "code it 0 where censored and 1, 2, ... for the causes"
    cause = as_numbers(column, what, how=f"{how}.")
    known = cause[~np.isnan(cause)]
    if len(large := np.unique(known[known > MOST_CAUSES])):
        raise ValueError(
            f"{what} holds {quote(f'{b:.15g}' for b in large)}, which is no code of a cause; {how}."
        )
    bad = np.unique(known[(known < 0) | (known != np.round(known))])
    if len(bad):
        raise ValueError(f"{what} holds {quote(f'{b:g}' for b in bad)}; {how}.")
    return cause


def count_causes(values: SurvivalValues, spec: Survival) -> int:
    """Return the number of competing causes, 1 where the outcome has none.

    Raises
    ------
    ValueError
        If a code below the highest one never occurs, or there is one cause only.
    """
    if values.cause is None:
        return 1
    seen = {int(c) for c in values.cause[values.observed]} - {0}
    highest = max(seen, default=0)
    gap = sorted(set(range(1, highest + 1)) - seen)
    if gap:
        raise ValueError(
            f"competing event {spec.event!r} has no event of cause {quote(gap)} among the training "
            f"rows, but of cause {highest}: number the causes without a gap, or pool the rare ones."
        )
    if highest == 1:
        raise ValueError(
            f"competing event {spec.event!r} has one cause only; take kind='piecewise' or another."
        )
    return highest


def _entries(obs: pd.DataFrame, spec: Survival, time: np.ndarray) -> np.ndarray:
    """Return the entry times, 0 where the outcome is unobserved; ``time`` is infinite there."""
    what = f"survival entry {spec.entry!r}"
    if spec.entry not in obs:
        raise KeyError(f"{what} is not in mdata.obs, but {spec.time!r} is; give both or neither.")
    entry, names = as_numbers(obs[spec.entry], what), np.asarray(obs.index)
    observed = np.isfinite(time)
    lacking = observed & np.isnan(entry)
    if lacking.any():
        raise ValueError(
            f"{what} is missing for {quote(names[lacking])}; give 0 to who was seen from the start."
        )
    if (entry < 0).any():
        raise ValueError(f"{what} is negative for {quote(names[entry < 0])}.")
    late = observed & (entry >= time) & ~((entry == 0) & (time == 0))
    if late.any():
        raise ValueError(
            f"{what} is not before {spec.time!r} for {quote(names[late])}: they were never under "
            f"observation; leave them out or correct the entry."
        )
    return np.where(observed, entry, 0.0)


def time_floor(values: SurvivalValues, spec: Survival) -> float:
    """Return half the smallest positive time, which stands in for a time of 0.

    Raises
    ------
    ValueError
        If no patient has an outcome, none has an event, or no time is positive.
    """
    time, event = values.time[values.observed], values.event[values.observed]
    if not len(time):
        raise ValueError(f"survival time {spec.time!r} has no value in any training row.")
    if not event.any():
        raise ValueError(
            f"survival event {spec.event!r} has no event among the {len(event)} training rows that "
            f"have an outcome: nothing can be learnt from censored times alone."
        )
    if not (time > 0).any():
        raise ValueError(f"survival time {spec.time!r} has no positive value.")
    return float(time[time > 0].min()) / 2


def positive_times(values: SurvivalValues, floor: float) -> np.ndarray:
    """Return the times with 0 moved to ``floor``."""
    return np.where(values.observed & (values.time == 0), floor, values.time)


def warn_of_zero_times(values: SurvivalValues, floor: float, names: np.ndarray) -> int:
    """Name the patients whose time is 0 in a warning, where there are any; return their number.

    It is for the fit: whoever only reads a model has heard of it.
    """
    zero = values.observed & (values.time == 0)
    if zero.any():
        warnings.warn(
            f"survival time is 0 for {quote(names[zero])}; taken as {floor:g}, half the smallest "
            f"positive time.",
            UserWarning,
            stacklevel=7,
        )
    return int(zero.sum())


def label_categories(column: pd.Series, spec: Labels) -> tuple[Any, ...]:
    """Return the classes among the training rows, sorted by their text, in the type they came in.

    Raises
    ------
    ValueError
        If no row has a label, or all have the same, or each its own; or the column holds dates, or
        numbers that were measured.

    Examples
    --------
    >>> label_categories(pd.Series([2, 1, 2]), Labels("grade"))
    (1, 2)
    """
    what = f"labels {spec.column!r}"
    refuse_dates(column, what)
    text = [t for t in as_text(column) if t is not None]
    found = sorted(set(text))
    if not found:
        raise ValueError(f"{what} have no value in any row.")
    if len(found) == len(text) > MOST_UNLIKE:
        raise ValueError(
            f"{what} have a class for each patient: these are names, or numbers for mv.Target."
        )
    fractions = any("." in t for t in found) and len(found) > MOST_UNLIKE
    if (len(found) > MOST_NUMBERS or fractions) and are_numbers(found):
        raise ValueError(
            f"{what} hold {len(found)} different numbers, which are no classes: take "
            f"mv.Target({spec.column!r}); if they are classes: {classes_line(spec.column)}"
        )
    if len(found) == 1:
        raise ValueError(f"{what} have one class only ({found[0]!r}).")
    typed = typed_levels(column)
    return tuple(typed[t] for t in found)


def code_labels(column: pd.Series, categories: Sequence[Any], what: str) -> np.ndarray:
    """Return codes into ``categories``, -1 where missing or (with a warning) unknown.

    Examples
    --------
    >>> code_labels(pd.Series(["b", None, "a"]), ["a", "b"], "labels 'y'").tolist()
    [1, -1, 0]
    """
    names = as_text(pd.Series([*categories], dtype=object), known=())
    place = {c: i for i, c in enumerate(names)}
    text = as_text(column, known=names)
    unseen = sorted({t for t in text if t is not None and t not in place})
    if unseen:
        warnings.warn(
            f"{what} hold classes that the training rows do not: {quote(unseen)}; "
            f"taken as missing.",
            UserWarning,
            stacklevel=4,
        )
    return np.array([place.get(t, -1) for t in text], dtype=np.int64)
