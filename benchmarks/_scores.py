"""Scores of out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from _results import Results, time_grid

from mvlatent.tl import concordance, d_calibration, integrated_brier, log_likelihood

__all__ = ["SCORES", "calibration", "fold_scores", "likelihood_times"]

SCORES = ("c", "uno", "ibs", "loglik", "seconds")
N_INTERVALS = 10  # of constant hazard, in which curves are compared by their likelihood
FLOOR = 1e-4  # least S, and least fall of log S over an interval, that a curve is taken to mean


def likelihood_times(time: np.ndarray, event: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Times of the grid between which the training events are spread evenly, its end the last.

    Breslow's curves are steps: between times so far apart each of them falls somewhere.
    """
    dead = time[(event > 0) & (time <= grid[-1])]
    wanted = np.quantile(dead, np.linspace(0, 1, N_INTERVALS + 1)[1:-1])
    places = np.searchsorted(grid, wanted).clip(max=len(grid) - 1)
    return grid[np.unique([*places, len(grid) - 1])]


def fold_scores(results: Results, cohorts: Iterable[str]) -> pd.DataFrame:
    """Scores by cohort, fold and arm: `SCORES`."""
    rows = []
    for cohort in cohorts:
        table = results.outcomes(cohort)
        for fold in sorted(table["fold"].unique()):
            test, train = table[table["fold"] == fold], table[table["fold"] != fold]
            known = (train["time"].to_numpy(), train["event"].to_numpy())
            grid = time_grid(known[0])
            tau, coarse = float(grid[-1]), np.searchsorted(grid, likelihood_times(*known, grid))
            time, event = test["time"].to_numpy(), test["event"].to_numpy()
            for arm in results.arms(cohort, fold):
                found = results.load(cohort, fold, arm)
                risk = found.risk.loc[test.index].to_numpy()
                curves = found.curves[test.index]
                rows.append(
                    {
                        "cohort": cohort,
                        "fold": fold,
                        "arm": arm,
                        "c": concordance(time, event, risk),
                        "uno": concordance(time, event, risk, kind="uno", train=known, tau=tau),
                        "ibs": integrated_brier(time, event, curves, train=known),
                        "loglik": log_likelihood(
                            time, event, curves.iloc[coarse], floor=FLOOR
                        ).mean(),
                        "seconds": found.seconds,
                    }
                )
    return pd.DataFrame(rows)


def calibration(results: Results, cohort: str, arm: str) -> float:
    """P value of D-calibration of an arm's pooled out-of-fold predictions."""
    table = results.outcomes(cohort)
    own = pd.concat([results.load(cohort, fold, arm).own for fold in table["fold"].unique()])
    return d_calibration(table["time"], table["event"], own.loc[table.index]).p_value
