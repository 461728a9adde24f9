"""Checked survival outcomes, and the censoring distribution that weighs them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned

__all__ = [
    "Censoring",
    "align_to_outcome",
    "as_floats",
    "checked_curves",
    "checked_groups",
    "checked_outcome",
    "curves_at",
    "curves_at_own",
]


def checked_outcome(time: Any, event: Any) -> tuple[np.ndarray, np.ndarray]:
    """Time as float (n,), event as bool (n,), aligned; ValueError if they cannot be that."""
    time, event = aligned(time=time, event=event)
    times, events = as_floats(time, "time"), as_floats(event, "event")
    if times.ndim != 1 or times.shape != events.shape:
        raise ValueError(
            f"time and event must be of one length, got {times.shape}, {events.shape}; give "
            "one value a patient in each."
        )
    if not np.isfinite(times).all() or (times < 0).any():
        raise ValueError("times must be finite and not negative; drop unobserved patients first.")
    if not np.isin(events, (0, 1)).all():
        raise ValueError("event must be 0/1 or bool; recode it.")
    return times, events.astype(bool)


def as_floats(values: Any, name: str) -> np.ndarray:
    """Floats of any shape; ValueError naming the argument where they are not numbers."""
    banded = all(hasattr(values, part) for part in ("mean", "lower", "upper"))
    if banded and not isinstance(values, pd.DataFrame | pd.Series):
        raise ValueError(f"{name} has a band; pass its mean: {name}.mean.")
    try:
        if isinstance(values, pd.DataFrame | pd.Series):
            return values.to_numpy(float, na_value=np.nan)
        return np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers: {error}.") from None


def align_to_outcome(values: Any, n: int, name: str) -> np.ndarray:
    """Finite floats of shape (n,); ValueError naming the argument otherwise."""
    array = as_floats(values, name)
    if array.shape != (n,):
        raise ValueError(f"{name} must have one value a patient ({n}), got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite; drop those patients.")
    return array


def checked_curves(survival: pd.DataFrame, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Split curves into times (T,) and S(t), T × n; ValueError unless of n patients."""
    if not isinstance(survival, pd.DataFrame):
        values = as_floats(survival, "survival")
        raise ValueError(f"survival must be a DataFrame times × patients, not of {values.shape}.")
    try:
        at = survival.index.to_numpy(float)
    except (TypeError, ValueError):
        raise ValueError(
            "survival must be times × patients with the times as index, not "
            f"{survival.index[0]!r}, ...; transpose it if patients are its rows."
        ) from None
    curves = as_floats(survival, "survival")
    if curves.shape[1] != n:
        raise ValueError(
            f"survival must be times × patients: {curves.shape[1]} columns, {n} patients."
        )
    if not (np.diff(at) > 0).all():
        raise ValueError("the times of survival (its index) must increase.")
    if not ((curves >= 0) & (curves <= 1)).all():
        raise ValueError(
            "survival holds values that are not probabilities; give S(t), within [0, 1]."
        )
    return at, curves


def curves_at(at: np.ndarray, curves: np.ndarray, times: np.ndarray) -> np.ndarray:
    """S_i(t), times × n, interpolated linearly from S(0) = 1 and held after the last time."""
    at, curves = _from_zero(at, curves)
    return np.column_stack([np.interp(times, at, curve) for curve in curves.T])


def curves_at_own(at: np.ndarray, curves: np.ndarray, times: np.ndarray) -> np.ndarray:
    """S_i(T_i) at each patient's own time, (n,), interpolated as in `curves_at`."""
    at, curves = _from_zero(at, curves)
    return np.array([np.interp(t, at, curve) for t, curve in zip(times, curves.T, strict=True)])


def _from_zero(at: np.ndarray, curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if at[0] <= 0:
        return at, curves
    return np.concatenate([[0.0], at]), np.vstack([np.ones(curves.shape[1]), curves])


def checked_groups(values: Any, n: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n,), -1 for a missing value, and the groups; ValueError naming the argument."""
    column = pd.Series(np.asarray(values, dtype=object))
    if len(column) != n:
        raise ValueError(f"{name} must have one value a patient ({n}), got {len(column)}.")
    codes, groups = pd.factorize(column)
    return codes, np.asarray(groups, dtype=object)


class Censoring:
    """Kaplan–Meier estimate of G(t) = P(censored after t), for inverse-probability weights.

    Where a death and a censoring share a time, the death is taken to come first, so the censored
    are at risk of censoring without the dead of that time.

    Parameters
    ----------
    time, event
        Outcome of the patients the weights are learnt on, (n,) each.
    """

    def __init__(self, time: Sequence[float] | np.ndarray, event: Any) -> None:
        times, events = checked_outcome(time, event)
        self.times, inverse = np.unique(times, return_inverse=True)
        deaths = np.bincount(inverse, weights=events)
        censored = np.bincount(inverse, weights=~events)
        at_risk = (deaths + censored)[::-1].cumsum()[::-1] - deaths
        with np.errstate(invalid="ignore", divide="ignore"):
            kept = np.where(at_risk > 0, 1 - censored / at_risk, 1.0)
        self._survival = np.concatenate([[1.0], kept.cumprod()])

    def at(self, t: np.ndarray) -> np.ndarray:
        """G(t), right-continuous."""
        return self._survival[np.searchsorted(self.times, t, side="right")]

    def before(self, t: np.ndarray) -> np.ndarray:
        """G(t−), the left limit: being uncensored just before t."""
        return self._survival[np.searchsorted(self.times, t, side="left")]
