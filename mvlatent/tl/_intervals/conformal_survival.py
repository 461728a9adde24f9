"""Lower bounds of survival times that hold as often as they say."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned
from mvlatent.tl._intervals.mondrian import Mondrian
from mvlatent.tl._outcomes.outcome import (
    Censoring,
    checked_curves,
    checked_outcome,
    curves_at,
    curves_at_own,
)

__all__ = ["ConformalSurvival", "conformal_survival"]

LEAST_UNCENSORED = 0.1  # of G at the default cutoff: no weight is above ten


@dataclass(frozen=True, eq=False)
class _Scores:
    """Scores F(T), ∞ from the cutoff on, of those where it is known; falling, summed weights."""

    score: np.ndarray
    summed: np.ndarray
    cutoff: float
    censoring: Censoring

    def thresholds(self, times: np.ndarray, level: float) -> np.ndarray:
        """Least F at which a death at each time is not too early; −∞ where none is too early.

        The new patient's own weight is 1 / G(t−), so the threshold falls with t.
        """
        if not len(self.score):
            return np.full(len(times), -np.inf)
        own = 1 / self.censoring.before(np.minimum(times, self.cutoff))
        wanted = level * (self.summed[-1] + own) * (1 - 1e-12)
        position = np.searchsorted(self.summed, wanted)
        return np.append(self.score, -np.inf)[position]


@dataclass(frozen=True, eq=False)
class ConformalSurvival:
    """Result of :func:`conformal_survival`.

    Attributes
    ----------
    level
        Probability with which the bounds are to hold.
    scores
        What was calibrated, on all patients and on each group.

    Examples
    --------
    >>> from mvlatent import tl
    >>> time, at = np.random.default_rng(0).exponential(10, 100), np.arange(0.0, 40.0)
    >>> curves = pd.DataFrame({i: np.exp(-at / 10) for i in range(100)}, index=at)
    >>> found = tl.conformal_survival(time, np.ones(100), curves)
    >>> found.lower(curves[[0]]).round(1).tolist()  # nine in ten live longer
    [1.0]
    """

    level: float
    scores: Mondrian[_Scores] = field(repr=False)

    @property
    def cutoff(self) -> float:
        """Largest bound that can be given, calibrated on all patients."""
        return self.scores.pooled.cutoff

    def lower(self, survival: pd.DataFrame, *, group: Any = None) -> pd.Series:
        """Lower bound of the event time of each new patient.

        Parameters
        ----------
        survival
            Predicted S(t) of the model that was calibrated, times × patients; index = times.
        group
            Group of each patient, where the calibration was by group. A group without
            calibration patients gets the pooled correction, with a warning.

        Returns
        -------
        Series
            Bounds in the unit of the times, index = columns of ``survival``. 0 where nothing
            better can be promised; at most the cutoff and the last time of the curves.

        Raises
        ------
        ValueError
            If curves are not valid or groups are missing or not expected.
        """
        survival, group = aligned(columns=["survival"], survival=survival, group=group)
        n = survival.shape[1] if isinstance(survival, pd.DataFrame) else 0
        at, curves = checked_curves(survival, n)
        bounds = np.zeros(curves.shape[1])
        for rows, scores in self.scores.split(curves.shape[1], group):
            bounds[rows] = _bounds(at, curves[:, rows], scores, self.level)
        return pd.Series(bounds, index=survival.columns, name="lower")


def conformal_survival(
    time: Any,
    event: Any,
    survival: pd.DataFrame,
    *,
    level: float = 0.9,
    group: Any = None,
    cutoff: float | None = None,
    train: tuple[Any, Any] | None = None,
) -> ConformalSurvival:
    """Calibrate lower bounds L of event times T so that P(T ≥ L) is at least the level.

    The score of a calibration patient who dies before the cutoff is F(T) = 1 − S(T) under the
    patient's own curve: the share of like patients who should have died by then. Who is still
    followed at the cutoff scores ∞, since no bound lies beyond it. Both are weighted by
    1 / G(min(T, cutoff)−), G being the Kaplan–Meier curve of censoring: so they stand in for those
    censored before. The bound is where F first reaches the weighted quantile of the scores, the
    new patient's own weight counted as if it spoke against the bound (split conformal under a
    change of measure). Good curves give long bounds, bad ones short ones; the level holds for both.

    Parameters
    ----------
    time, event
        Outcome of the n calibration patients, who played no part in fitting; event 1 = event.
    survival
        Their predicted S(t), times × n patients; index = times, columns = patients.
        Interpolated linearly from S(0) = 1 and held after the last time.
    level
        Probability that a bound holds.
    group
        Site (or another group) of each patient, (n,): calibrated within each, so that the level
        holds within each ("Mondrian"). A group with fewer than about level / (1 − level) patients
        gets the bound 0. Patients without a group count only for groups that are not here.
    cutoff
        Largest bound to be given, with censoring below certainty there. ``None``: the last time
        with G ≥ 0.1 (in each group; also where the given one lies beyond a group's follow-up).
        Never beyond the last time of the curves.
    train
        ``(time, event)`` that G is learnt on; ``None``: the calibration patients (of the group).

    Returns
    -------
    ConformalSurvival
        Its ``lower(survival)`` are the bounds of new patients.

    Raises
    ------
    ValueError
        If shapes or options are wrong, no patient dies before the cutoff, or all are censored
        before it.

    Notes
    -----
    The level is exact at any n where G is known, and otherwise missed by at most half the mean
    relative error of the weights. What it rests on:

    - calibration and new patients are exchangeable (within a group). That fails for another
      hospital, another decade, another selection of patients, and for patients that the model or
      its settings were chosen on; and the level is an average over patients, not for each.
    - censoring tells nothing of the event time or the patient, T, x ⟂ C (within a group, where G
      is of the group). If sicker patients, or some sites, are lost earlier, G must be learnt by
      those groups.
    - Upper bounds are not given: where follow-up ends before most have died, no data speak for
      them.

    References
    ----------
    Tibshirani et al., NeurIPS 2019 (weights). Candès, Lei and Ren, Journal of the Royal
    Statistical Society B 2023 (bounds and cutoff, with all censoring times observed, which here
    they need not be).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> t, at = rng.exponential(size=1000), np.linspace(0, 4, 200)
    >>> curves = pd.DataFrame(np.tile(np.exp(-2 * at)[:, None], (1, 1000)), index=at)
    >>> bound = conformal_survival(t, np.ones(1000), curves).lower(curves).iloc[0]
    >>> bool(abs(bound - -np.log(0.9)) < 0.03)  # though the curves are wrong
    True
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie within (0, 1), got {level}.")
    time, event, survival, group = aligned(
        columns=["survival"], time=time, event=event, survival=survival, group=group
    )
    times, events = checked_outcome(time, event)
    at, curves = checked_curves(survival, len(times))
    if cutoff is not None and not cutoff > 0:
        raise ValueError(f"the cutoff must be positive, got {cutoff}.")
    cutoff = None if cutoff is None else min(cutoff, float(at[-1]))

    def calibrate(rows: np.ndarray) -> _Scores:
        outcome = (times[rows], events[rows])
        censoring = Censoring(*(train if train is not None else outcome))
        return _calibrate(*outcome, at, curves[:, rows], censoring, cutoff)

    scores = Mondrian(calibrate, len(times), group)
    if cutoff is not None and scores.pooled.cutoff != cutoff:
        raise ValueError(
            f"everybody is censored before the cutoff {cutoff:g}; take an earlier one."
        )
    if not (events & (times < scores.pooled.cutoff)).any():
        raise ValueError(
            f"no patient dies before the cutoff {scores.pooled.cutoff:g}: nothing to "
            "calibrate on; take a later one."
        )
    return ConformalSurvival(level, scores)


def _calibrate(
    times: np.ndarray,
    events: np.ndarray,
    at: np.ndarray,
    curves: np.ndarray,
    censoring: Censoring,
    cutoff: float | None,
) -> _Scores:
    if cutoff is None or censoring.before(np.array([cutoff]))[0] <= 0:
        reached = times[censoring.before(times) >= LEAST_UNCENSORED]
        cutoff = min(float(reached.max()), float(at[-1])) if len(reached) else 0.0
    known = events | (times >= cutoff)
    capped = np.minimum(times, cutoff)[known]
    # No bound lies beyond the cutoff, so who is still followed there cannot die too early.
    score = np.where(capped < cutoff, 1 - curves_at_own(at, curves[:, known], capped), np.inf)
    weight = 1 / censoring.before(capped)
    order = np.argsort(-score)
    return _Scores(score[order], weight[order].cumsum(), cutoff, censoring)


def _bounds(at: np.ndarray, curves: np.ndarray, scores: _Scores, level: float) -> np.ndarray:
    """Where F first reaches its threshold, (n,)."""
    last = min(scores.cutoff, at[-1])
    jumps = scores.censoring.times
    grid = np.unique(np.concatenate([[0.0], at[at <= last], jumps[jumps <= last], [last]]))
    # Left of a grid time and after the one before it, G(t−) and so the threshold are constant.
    threshold = scores.thresholds(grid, level)
    f = 1 - curves_at(at, curves, grid)
    met = f >= threshold[:, None]
    first = np.where(met.any(axis=0), met.argmax(axis=0), len(grid))
    bounds = np.full(f.shape[1], last)
    bounds[first == 0] = 0.0
    inside = np.flatnonzero((first > 0) & (first < len(grid)))
    k = first[inside]
    low, high = f[k - 1, inside], f[k, inside]
    share = np.clip((threshold[k] - low) / np.maximum(high - low, 1e-300), 0, 1)
    bounds[inside] = grid[k - 1] + share * (grid[k] - grid[k - 1])
    return bounds
