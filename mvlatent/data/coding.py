"""Coding of outcomes: times and events, and class labels, with errors a person can act on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mvlatent.data.columns import as_binary, as_numbers, as_text, quote
from mvlatent.specs import Labels, Survival, join_times_line

__all__ = ["SurvivalValues", "code_labels", "code_survival", "label_categories", "time_floor"]

FOLLOW_UP_WORDS = ("follow", "last", "contact", "censor")


@dataclass(frozen=True, eq=False)
class SurvivalValues:
    """Times and events as numbers.

    Attributes
    ----------
    time
        Follow-up in the user's unit, (N,) float64; 0 allowed, NaN where unobserved.
    event
        1.0 or 0.0, (N,) float64; NaN where unobserved.
    observed
        Whether both are known, (N,) bool.
    """

    time: np.ndarray
    event: np.ndarray
    observed: np.ndarray


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
    obs: pd.DataFrame, spec: Survival, *, others: pd.DataFrame | None = None
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

    Raises
    ------
    ValueError
        If an event is not 0/1/bool or a string of one, a time is not a number or negative, exactly
        one of the two is missing, or the time is spread over two columns.

    Examples
    --------
    >>> obs = pd.DataFrame({"t": ["3", None], "e": ["True", None]})
    >>> code_survival(obs, Survival("t", "e")).observed.tolist()
    [True, False]
    """
    time = as_numbers(obs[spec.time], f"survival time {spec.time!r}")
    event = as_binary(obs[spec.event], f"survival event {spec.event!r}")
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
        if half.any():
            raise ValueError(
                f"{what!r} is missing but {other!r} is not for {quote(names[half])}; give both, or "
                f"leave both missing for an unobserved outcome."
            )
    return SurvivalValues(time, event, ~np.isnan(time))


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


def positive_times(values: SurvivalValues, floor: float, names: np.ndarray) -> np.ndarray:
    """Return the times with 0 moved to ``floor`` (with a warning that names the patients)."""
    zero = values.observed & (values.time == 0)
    if zero.any():
        warnings.warn(
            f"survival time is 0 for {quote(names[zero])}; taken as {floor:g}, half the smallest "
            f"positive time.",
            UserWarning,
            stacklevel=4,
        )
    return np.where(zero, floor, values.time)


def label_categories(column: pd.Series, spec: Labels) -> tuple[str, ...]:
    """Return the sorted classes among the training rows.

    Raises
    ------
    ValueError
        If no row has a label, or all have the same.
    """
    found = sorted({t for t in as_text(column) if t is not None})
    if not found:
        raise ValueError(f"labels {spec.column!r} have no value in any row.")
    if len(found) == 1:
        raise ValueError(f"labels {spec.column!r} have one class only ({found[0]!r}).")
    return tuple(found)


def code_labels(column: pd.Series, categories: Sequence[str], what: str) -> np.ndarray:
    """Return codes into ``categories``, -1 where missing or (with a warning) unknown.

    Examples
    --------
    >>> code_labels(pd.Series(["b", None, "a"]), ["a", "b"], "labels 'y'").tolist()
    [1, -1, 0]
    """
    place = {c: i for i, c in enumerate(categories)}
    text = as_text(column)
    unseen = sorted({t for t in text if t is not None and t not in place})
    if unseen:
        warnings.warn(
            f"{what} hold classes that the training rows do not: {quote(unseen)}; "
            f"taken as missing.",
            UserWarning,
            stacklevel=4,
        )
    return np.array([place.get(t, -1) for t in text], dtype=np.int64)
