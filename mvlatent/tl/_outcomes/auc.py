"""Whether those who die by a time had the higher risk."""

from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned
from mvlatent.tl._outcomes.outcome import (
    Censoring,
    align_to_outcome,
    checked_outcome,
)

__all__ = ["integrated_auc", "time_dependent_auc"]


def time_dependent_auc(
    time: Any,
    event: Any,
    risk: Any,
    times: Any = None,
    *,
    train: tuple[Any, Any] | None = None,
) -> pd.Series:
    """Cumulative/dynamic AUC: P(risk of who died by t > risk of who lives beyond t).

    A patient who died by t counts 1 / G(T−), G being the Kaplan–Meier curve of censoring; who is
    still at risk after t is a control; who was censored before t counts nothing. Tied risks count
    one half.

    Parameters
    ----------
    time, event
        Outcome of the n patients; event 1 = event.
    risk
        Score of each patient, (n,), higher means earlier events; or a DataFrame times × patients
        of scores that change with time, such as ``1 − S``.
    times
        When to evaluate, (T,). Needed with scores (n,); with a DataFrame its index is taken.
    train
        ``(time, event)`` that G is learnt on; ``None``: these patients.

    Returns
    -------
    Series
        AUC a time; NaN before the first event, after the last follow-up, and where G has reached
        0 before an event by then.

    Raises
    ------
    ValueError
        If shapes differ, times are missing or do not increase, or there is no time with both an
        event before and a patient at risk after it.

    References
    ----------
    Uno et al., Journal of the American Statistical Association 2007.

    Examples
    --------
    >>> float(time_dependent_auc([1, 2, 3, 4], [1, 1, 1, 0], [4.0, 3.0, 1.0, 2.0], [2.5])[2.5])
    1.0
    """
    time, event, risk = aligned(columns=["risk"], time=time, event=event, risk=risk)
    observed, events = checked_outcome(time, event)
    at, scores = _scores_at(risk, times, len(observed))
    uncensored = Censoring(*(train if train is not None else (observed, events))).before(observed)
    weight = np.divide(1, uncensored, out=np.full_like(uncensored, np.nan), where=uncensored > 0)
    values = np.full(len(at), np.nan)
    for k, (t, score) in enumerate(zip(at, scores, strict=True)):
        cases, controls = events & (observed <= t), observed > t
        if cases.any() and controls.any():
            values[k] = _weighted_auc(score[cases], weight[cases], score[controls])
    if np.isnan(values).all():
        raise ValueError(
            "no time has an event before it and a patient at risk after it: "
            f"events from {_first(observed[events])}, follow-up to {_first(-observed)}."
        )
    return pd.Series(values, index=pd.Index(at, name="time"), name="auc")


def integrated_auc(
    time: Any,
    event: Any,
    risk: Any,
    times: Any = None,
    *,
    train: tuple[Any, Any] | None = None,
) -> float:
    """Time-dependent AUC averaged over time, weighted by how many events fall between the times.

    The weights are the drops of the patients' Kaplan–Meier curve from one time to the next, the
    first from S = 1 (as scikit-survival does).

    Parameters
    ----------
    time, event, risk, times, train
        As in :func:`time_dependent_auc`; times at which the AUC does not exist are left out.

    Returns
    -------
    float
        In [0, 1]; 0.5 is chance.

    Raises
    ------
    ValueError
        As :func:`time_dependent_auc`, or if no event falls between the times.

    Examples
    --------
    >>> integrated_auc([1, 2, 3, 4], [1, 1, 1, 0], [4.0, 3.0, 1.0, 2.0], [1.5, 2.5])
    1.0
    """
    values = time_dependent_auc(time, event, risk, times, train=train).dropna()
    observed, events = checked_outcome(time, event)
    survival = _kaplan_meier(observed, events, values.index.to_numpy(float))
    drops = -np.diff(np.concatenate([[1.0], survival]))
    if drops.sum() <= 0:
        raise ValueError("no event falls between the times; give times further apart.")
    return float(drops @ values.to_numpy() / drops.sum())


def _first(values: np.ndarray) -> str:
    return f"{abs(values.min()):g}" if len(values) else "never"


def _scores_at(risk: Any, times: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Times (T,) and scores, T × n."""
    if isinstance(risk, pd.DataFrame):
        if times is not None:
            raise ValueError("risk is a DataFrame: its index holds the times, so leave times out.")
        at, scores = risk.index.to_numpy(float), risk.to_numpy(float)
        if scores.shape[1] != n:
            raise ValueError(
                f"risk must be times × patients: {scores.shape[1]} columns, {n} patients."
            )
        if not np.isfinite(scores).all():
            raise ValueError("risk holds values that are not finite; drop those patients.")
    else:
        if times is None:
            raise ValueError(
                "times are needed, since risk is one score a patient; give times=[...]."
            )
        at = np.atleast_1d(np.asarray(times, float))
        scores = np.broadcast_to(align_to_outcome(risk, n, "risk"), (len(at), n))
    if at.ndim != 1 or not len(at) or not np.isfinite(at).all() or not (np.diff(at) > 0).all():
        raise ValueError("the times must be finite and increase.")
    return at, scores


def _weighted_auc(cases: np.ndarray, weight: np.ndarray, controls: np.ndarray) -> float:
    ordered = np.sort(controls)
    below = np.searchsorted(ordered, cases, side="left")
    tied = np.searchsorted(ordered, cases, side="right") - below
    return float(weight @ (below + 0.5 * tied) / (weight.sum() * len(controls)))


def _kaplan_meier(times: np.ndarray, events: np.ndarray, at: np.ndarray) -> np.ndarray:
    from lifelines import KaplanMeierFitter

    return KaplanMeierFitter().fit(times, events).survival_function_at_times(at).to_numpy()
