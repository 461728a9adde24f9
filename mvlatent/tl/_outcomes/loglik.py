"""The log-likelihood of predicted survival curves."""

from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned
from mvlatent.tl._outcomes.outcome import (
    checked_curves,
    checked_outcome,
)

__all__ = ["log_likelihood"]


def log_likelihood(
    time: Any, event: Any, survival: pd.DataFrame, *, floor: float | None = None
) -> pd.Series:
    """Censored log-likelihood of each patient under predicted curves; higher is better.

    Between two times of the curves the hazard is taken to be constant, h = (log S(a) − log S(b)) /
    (b − a), S(0) = 1. A death at T counts log h(T) + log S(T), a censored patient log S(T). Time
    after the last one of the curves is not scored: who is followed beyond it counts as censored
    there. The unit of a death is log(1 / time).

    Parameters
    ----------
    time, event
        Outcome of the n patients; event 1 = event. A death at time 0 is put into the first
        interval.
    survival
        Predicted S(t), times × n patients; index = times, columns = patients. Compare models
        on the same times only.
    floor
        Least S, and least fall of log S over an interval, such as 1e-4, for curves that are flat
        where someone dies or 0 where someone lives (Breslow's curves are steps). ``None``: such a
        patient is an error.

    Returns
    -------
    Series
        One value a patient, index = columns of ``survival``; take its mean.

    Raises
    ------
    ValueError
        If shapes differ, curves rise or are no probabilities, no patient dies within the times, or
        a patient has a likelihood of 0 and there is no ``floor``, or it is not within (0, 1).

    Examples
    --------
    >>> curves = pd.DataFrame(np.exp(-0.5 * np.array([[1.0], [4.0]])), index=[1.0, 4.0])
    >>> round(float(log_likelihood([2.0], [1], curves).iloc[0]), 6)  # log 0.5 − 0.5 · 2
    -1.693147
    """
    if floor is not None and not 0 < floor < 1:
        raise ValueError(f"floor must lie within (0, 1), got {floor}.")
    time, event, survival = aligned(columns=["survival"], time=time, event=event, survival=survival)
    times, events = checked_outcome(time, event)
    at, curves = checked_curves(survival, len(times))
    edges, log_survival = _log_curves(at, curves)
    if floor is not None:
        log_survival = np.maximum(log_survival, np.log(floor))
    last = edges[-1]
    if not (events & (times <= last)).any():
        raise ValueError(
            f"no patient dies within the times of the curves, which end at {last:g}; predict "
            "S(t) further."
        )
    with np.errstate(invalid="ignore"):
        fall = -np.diff(log_survival, axis=0)
    if (fall < -1e-9).any():
        raise ValueError("survival rises with time; give S(t), not 1 − S(t).")
    if floor is not None:
        fall = np.maximum(fall, floor)
    log_survival = -np.vstack([np.zeros(len(times)), np.nancumsum(fall, axis=0)])
    died = events & (times <= last)
    followed = np.minimum(times, last)
    interval = np.clip(np.searchsorted(edges, followed, side="left") - 1, 0, len(edges) - 2)
    patient = np.arange(len(times))
    hazard = fall[interval, patient] / np.diff(edges)[interval]
    impossible = (died & ~((hazard > 0) & np.isfinite(hazard))) | ~np.isfinite(hazard)
    if impossible.any():
        raise ValueError(
            f"{int(impossible.sum())} patients have a likelihood of 0: their curves are flat where "
            "they die, or 0 where they live. Predict S(t) at fewer times, or give a floor."
        )
    into = followed - edges[interval]
    values = log_survival[interval, patient] - hazard * into
    values[died] += np.log(hazard[died])
    return pd.Series(values, index=survival.columns, name="log_likelihood")


def _log_curves(at: np.ndarray, curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the intervals from 0 on, and log S there, edges × n."""
    if at[0] < 0:
        raise ValueError("the times of survival (its index) must not be negative; drop those rows.")
    if at[0] == 0:
        at, curves = at[1:], curves[1:]
    if not len(at):
        raise ValueError("survival has no time after 0; predict S(t) at later times.")
    with np.errstate(divide="ignore"):
        log_survival = np.log(curves)
    return np.concatenate([[0.0], at]), np.vstack([np.zeros(curves.shape[1]), log_survival])
