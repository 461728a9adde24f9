"""How far predicted survival curves are from what happened."""

from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned
from mvlatent.tl._outcomes.outcome import (
    Censoring,
    checked_curves,
    checked_outcome,
)

__all__ = ["brier", "integrated_brier"]


def brier(
    time: Any, event: Any, survival: pd.DataFrame, *, train: tuple[Any, Any] | None = None
) -> pd.Series:
    """Brier score at each time of the curves, weighted for censoring.

    A patient who died by t counts S(t)² / G(T−), one still at risk counts (1 − S(t))² / G(t), one
    censored before t counts nothing; G is the Kaplan–Meier curve of censoring.

    Parameters
    ----------
    time, event
        Outcome of the n patients; event 1 = event.
    survival
        Predicted S(t), times × n patients; index = times, columns = patients.
    train
        ``(time, event)`` that G is learnt on; ``None``: these patients.

    Returns
    -------
    Series
        Score a time; NaN where G(t) is 0, since nobody there can speak for the censored.

    Raises
    ------
    ValueError
        If shapes differ, times do not increase, or values lie outside [0, 1].

    References
    ----------
    Graf et al., Statistics in Medicine 1999.

    Examples
    --------
    >>> curves = pd.DataFrame([[0.5, 0.5]], index=[1.5])
    >>> float(brier([1.0, 2.0], [1, 1], curves)[1.5])
    0.25
    """
    import torch
    from torchsurv.metrics.brier_score import BrierScore

    time, event, survival = aligned(columns=["survival"], time=time, event=event, survival=survival)
    times, events = checked_outcome(time, event)
    at, curves = checked_curves(survival, len(times))
    censoring = Censoring(*(train if train is not None else (times, events)))
    usable = censoring.at(at) > 0
    scores = np.full(len(at), np.nan)
    if usable.any():
        uncensored = censoring.before(times)
        weight = np.divide(1, uncensored, out=np.zeros_like(uncensored), where=uncensored > 0)
        scores[usable] = BrierScore()(
            torch.as_tensor(curves[usable].T),
            torch.as_tensor(events),
            torch.as_tensor(times),
            new_time=torch.as_tensor(at[usable]),
            weight=torch.as_tensor(weight),
            weight_new_time=torch.as_tensor(1 / censoring.at(at[usable])),
        ).numpy()
    return pd.Series(scores, index=survival.index, name="brier")


def integrated_brier(
    time: Any, event: Any, survival: pd.DataFrame, *, train: tuple[Any, Any] | None = None
) -> float:
    """Brier score averaged over the times of the curves (trapezoid rule, divided by the range).

    Times at which the censoring distribution has reached 0 are left out. 0.25 is what S = ½
    everywhere scores; compare with a Kaplan–Meier curve of the training patients.

    Parameters
    ----------
    time, event, survival, train
        As in :func:`brier`, with at least two usable times.

    Returns
    -------
    float
        In [0, 1], 0 at best.

    Raises
    ------
    ValueError
        As :func:`brier`, or if fewer than two times are usable.

    Examples
    --------
    >>> curves = pd.DataFrame(0.5, index=[1.0, 2.0, 3.0], columns=["a", "b"])
    >>> integrated_brier([4.0, 5.0], [1, 1], curves)
    0.25
    """
    scores = brier(time, event, survival, train=train).dropna()
    if len(scores) < 2:
        raise ValueError(
            "fewer than two times lie within follow-up; predict S(t) at earlier or more times."
        )
    at = scores.index.to_numpy(float)
    return float(np.trapezoid(scores.to_numpy(), at) / (at[-1] - at[0]))
