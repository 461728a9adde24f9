"""Whether the predicted risk at one time is what happens."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned
from mvlatent.tl._outcomes.outcome import (
    as_floats,
    checked_curves,
    checked_outcome,
    curves_at,
)

__all__ = ["HorizonCalibration", "horizon_calibration"]

QUANTILES = {3: (0.1, 0.5, 0.9), 4: (0.05, 0.35, 0.65, 0.95), 5: (0.05, 0.275, 0.5, 0.725, 0.95)}
LIMIT = 1e-6  # predicted probabilities are kept this far from 0 and 1


@dataclass(frozen=True, eq=False)
class HorizonCalibration:
    """Result of :func:`horizon_calibration`; every probability is of the event by the horizon.

    Attributes
    ----------
    horizon
        The time.
    predicted, observed
        Predicted probability of each patient, (n,), and what the smooth curve says happens to
        patients with that prediction, (n,).
    ici, e50, e90, emax
        Mean, median, 90 % quantile and maximum of ``|observed − predicted|``.
    groups
        Patients cut into equal groups by prediction, one row each: mean ``predicted``,
        Kaplan–Meier ``observed`` with its 95 % ``lower`` and ``upper`` (without an event: the exact
        bound of those still at risk), and ``n``.

    Examples
    --------
    >>> from mvlatent import tl
    >>> rng = np.random.default_rng(0)
    >>> t, survival = rng.exponential(size=200), rng.uniform(0.3, 0.45, size=200)
    >>> found = tl.horizon_calibration(t, np.ones(200), survival, 1.0, groups=2)
    >>> found.groups["n"].tolist()
    [100, 100]
    """

    horizon: float
    predicted: np.ndarray = field(repr=False)
    observed: np.ndarray = field(repr=False)
    ici: float
    e50: float
    e90: float
    emax: float
    groups: pd.DataFrame = field(repr=False)


def horizon_calibration(
    time: Any,
    event: Any,
    survival: pd.DataFrame | pd.Series | np.ndarray,
    horizon: float,
    *,
    knots: int = 3,
    groups: int = 5,
) -> HorizonCalibration:
    """Calibration of the predicted probability of an event by a horizon.

    The outcome is regressed on log(−log S) of the prediction by a Cox model with restricted cubic
    splines; the predictions of that model at the horizon are what is observed. So it is a smooth
    curve over single patients, with censoring taken care of where it is independent given the
    prediction; its hazards are taken to be proportional.

    Parameters
    ----------
    time, event
        Outcome of the n patients; event 1 = event.
    survival
        Predicted S(horizon), (n,), or curves, times × n patients, interpolated at the horizon.
    horizon
        Time, in the unit of ``time``.
    knots
        Knots of the splines, 3 to 5, at quantiles of the predictions.
    groups
        Number of groups for the Kaplan–Meier points of the plot.

    Returns
    -------
    HorizonCalibration
        The curve, its distances from the diagonal (``ici``, ...) and the ``groups``.

    Raises
    ------
    ValueError
        If shapes differ, values are not probabilities, the horizon is not positive, lies beyond
        the last follow-up or the curves, or if fewer than ``knots`` patients have the event by
        then.

    References
    ----------
    Austin, Harrell and van Klaveren, Statistics in Medicine 2020.

    Examples
    --------
    >>> t = np.random.default_rng(4).exponential(size=400)
    >>> horizon_calibration(t, np.ones(400), np.full(400, np.exp(-1.0)), 1.0).ici < 0.05
    True
    """
    time, event, survival = aligned(columns=["survival"], time=time, event=event, survival=survival)
    times, events = checked_outcome(time, event)
    if knots not in QUANTILES:
        raise ValueError(f"knots must be 3, 4 or 5, got {knots}.")
    _check_horizon(times, events, horizon, knots)
    predicted = 1 - _at_horizon(survival, horizon, len(times))
    splines = _splines(predicted, knots)
    observed = _regress(times, events, splines, horizon)
    gap = np.abs(observed - predicted)
    return HorizonCalibration(
        horizon=float(horizon),
        predicted=predicted,
        observed=observed,
        ici=float(gap.mean()),
        e50=float(np.median(gap)),
        e90=float(np.quantile(gap, 0.9)),
        emax=float(gap.max()),
        groups=_groups(times, events, predicted, horizon, groups),
    )


def _check_horizon(times: np.ndarray, events: np.ndarray, horizon: float, knots: int) -> None:
    if not (np.isfinite(horizon) and horizon > 0):
        raise ValueError(f"the horizon must be positive, got {horizon}.")
    if horizon > times.max():
        raise ValueError(
            f"the horizon {horizon:g} lies beyond the last follow-up, {times.max():g}; take one "
            "that many patients reach."
        )
    n_events = int((events & (times <= horizon)).sum())
    if n_events < knots:
        raise ValueError(
            f"only {n_events} events by {horizon:g}: too few for {knots} knots; take a later "
            "horizon or fewer knots."
        )


def _at_horizon(survival: Any, horizon: float, n: int) -> np.ndarray:
    if isinstance(survival, pd.DataFrame):
        at, curves = checked_curves(survival, n)
        if horizon > at[-1]:
            raise ValueError(
                f"the curves end at {at[-1]:g}, before the horizon {horizon:g}; predict S(t) "
                "further."
            )
        return curves_at(at, curves, np.array([horizon]))[0]
    values = as_floats(survival, "survival")
    if values.shape != (n,):
        raise ValueError(f"survival must have one value a patient ({n}), got shape {values.shape}.")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("survival holds values that are not probabilities; give S, within [0, 1].")
    return values


def _splines(predicted: np.ndarray, knots: int) -> np.ndarray:
    """Columns linear in log(−log S), then restricted cubic in it; none if it is constant."""
    x = np.log(-np.log1p(-np.clip(predicted, LIMIT, 1 - LIMIT)))
    if np.ptp(x) < 1e-9:
        return np.empty((len(x), 0))
    x = (x - x.mean()) / x.std()
    at = np.unique(np.quantile(x, QUANTILES[knots]))
    columns = [x]
    if len(at) >= 3:
        first, before, last = at[0], at[-2], at[-1]
        for knot in at[:-2]:
            cubic = np.maximum(x - knot, 0) ** 3
            cubic -= np.maximum(x - before, 0) ** 3 * (last - knot) / (last - before)
            cubic += np.maximum(x - last, 0) ** 3 * (before - knot) / (last - before)
            columns.append(cubic / (last - first) ** 2)
    n_levels = len(np.unique(x))  # so many levels bear one column less
    return np.column_stack(columns[: n_levels - 1])


def _regress(
    times: np.ndarray, events: np.ndarray, splines: np.ndarray, horizon: float
) -> np.ndarray:
    """P(event by the horizon) of each patient under a Cox model on the splines."""
    from lifelines import CoxPHFitter, KaplanMeierFitter
    from lifelines.exceptions import ConvergenceError

    if splines.shape[1] == 0:
        marginal = KaplanMeierFitter().fit(times, events).predict(horizon)
        return np.full(len(times), 1 - float(marginal))
    table = pd.DataFrame(splines).add_prefix("x").assign(time=times, event=events)
    try:
        fitted = CoxPHFitter().fit(table, "time", "event")
    except ConvergenceError as error:
        raise ValueError(
            "the calibration curve cannot be fitted: too few events, or predictions too "
            "extreme; take a later horizon."
        ) from error
    return 1 - fitted.predict_survival_function(table, times=[horizon]).to_numpy()[0]


def _groups(
    times: np.ndarray, events: np.ndarray, predicted: np.ndarray, horizon: float, n_groups: int
) -> pd.DataFrame:
    from lifelines import KaplanMeierFitter

    cuts = np.unique(np.quantile(predicted, np.arange(1, n_groups) / n_groups))
    code = np.searchsorted(cuts, predicted, side="left")
    rows = []
    for group in np.unique(code):
        members = code == group
        fitted = KaplanMeierFitter().fit(times[members], events[members])
        bounds = fitted.confidence_interval_.ffill()
        lower, upper = bounds[bounds.index <= horizon].iloc[-1].fillna(1.0)
        if not (events[members] & (times[members] <= horizon)).any():
            lower = 0.025 ** (1 / max((times[members] > horizon).sum(), 1))  # exact: none of n died
        rows.append(
            {
                "predicted": predicted[members].mean(),
                "observed": 1 - float(fitted.predict(horizon)),
                "lower": 1 - upper,
                "upper": 1 - lower,
                "n": int(members.sum()),
            }
        )
    return pd.DataFrame(rows)
