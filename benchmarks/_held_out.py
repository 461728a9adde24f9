"""Held-out patients whose views are to be predicted from one another, and how that is judged."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from _folds import BATCH, fold_numbers
from scipy.stats import rankdata

from mvlatent.data.preparation import Preparation
from mvlatent.data.register import guess_views
from mvlatent.data.tables import Tables
from mvlatent.specs import Roles

if TYPE_CHECKING:
    from mudata import MuData

    from mvlatent.data.cohort import Cohort

__all__ = ["COHORTS", "LEVEL", "HeldOut", "Task", "band_scores", "point_scores", "read_fold"]

COHORTS = {
    "luad": "tcga_luad.h5mu",
    "brca": "tcga_brca.h5mu",
    "blca": "tcga_blca.h5mu",
    "acc": "acc_miniacc.h5mu",
    "cll": "cll.h5mu",
}
FOLDS, N_FOLDS = "mcat_fold", 5
CONTINUOUS = ("normal", "studentt", "beta")
LEVEL = 0.9
N_RESAMPLES = 400
SIZES = {1: "one", 2: "two", 0: "none"}


class Task(NamedTuple):
    """Predict ``view`` from ``given`` in these test rows; ``label`` says how many are given."""

    view: str
    given: tuple[str, ...]
    label: str
    rows: np.ndarray


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One fold: training and test patients.

    Attributes
    ----------
    number
        Which fold is left out.
    train_mdata, test_mdata
        The patients as they were read.
    batch
        Column of the site; ``None`` where the cohort has none.
    continuous
        Views that are predicted.
    train, test
        Views to their values in the scaling that is learnt on the training patients, n × p, NaN
        where nothing was measured: what every arm is judged on, and what all but ours learn from.
    """

    number: int
    train_mdata: MuData
    test_mdata: MuData
    batch: str | None
    continuous: tuple[str, ...]
    train: dict[str, np.ndarray]
    test: dict[str, np.ndarray]

    def tasks(self, view: str, labels: Sequence[str]) -> Iterator[Task]:
        """Yield what can be asked of a view: all others, then the subsets of the sizes wanted."""
        others = tuple(name for name in self.test if name != view)
        ways = [("all", others)]
        for size, label in SIZES.items():
            if size < len(others):
                ways += [(label, given) for given in combinations(others, size)]
        for label, given in ways:
            rows = has(self.test[view])
            if given:
                rows = rows & np.any([has(self.test[name]) for name in given], axis=0)
            if label in labels and rows.sum() > 2:
                yield Task(view, given, label, np.flatnonzero(rows))


def has(x: np.ndarray) -> np.ndarray:
    """Rows with a value."""
    return ~np.isnan(x).all(axis=1)


@cache
def _read(path: Path) -> MuData:
    import mudata

    return mudata.read_h5mu(path)


def read_fold(data: Path, cohort: str, number: int) -> HeldOut:
    """Leave out a published fold of a cohort, or one of five random ones where none is published.

    Patients without a published fold are always trained on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdata = _read(data / COHORTS[cohort])
        if FOLDS in mdata.obs:
            left_out = (fold_numbers(mdata, FOLDS) == number).fillna(False).to_numpy(bool)
        else:
            order = np.random.default_rng(0).permutation(mdata.n_obs)
            left_out = order % N_FOLDS == number
        train, test = mdata[~left_out].copy(), mdata[left_out].copy()
        batch = BATCH if BATCH in mdata.obs else None
        roles = Roles(guess_views(train), batch=batch)
        preparation = Preparation.fit(Tables.from_mudata(train, roles), roles)
        scaled = [_values(preparation.transform(preparation.read(m))) for m in (train, test)]
    continuous = tuple(k for k, view in roles.views.items() if view.likelihood in CONTINUOUS)
    return HeldOut(number, train, test, batch, continuous, *scaled)


def _values(cohort: Cohort) -> dict[str, np.ndarray]:
    out = {}
    for name, view in cohort.views.items():
        seen = view.present[:, None] if view.observed is None else view.observed
        out[name] = np.where(seen.numpy(), view.values.double().numpy(), np.nan)
    return out


def point_scores(
    truth: np.ndarray, guess: np.ndarray, resample_seed: int | None = None
) -> dict[str, Any]:
    """Mean Spearman and R² a feature, and the former on resampled patients if there is a seed.

    R² is against the training mean, which is 0 in the scaled units. A constant prediction has a
    correlation of 0; features that do not vary take no part. Resamples of one seed are the same
    for every arm, so that differences are paired; ranks are those of the whole fold.
    """
    known = ~np.isnan(truth)
    error = np.where(known, truth - guess, 0.0) ** 2
    total = np.where(known, truth, 0.0) ** 2
    r2 = 1 - error.sum(0) / np.maximum(total.sum(0), 1e-12)
    n = len(truth)
    out: dict[str, Any] = {"spearman": float(_spearman(truth, guess, np.ones((1, n)))[0])}
    out["r2"] = float(r2[total.sum(0) > 1e-12].mean())
    if resample_seed is not None:
        draws = np.random.default_rng(resample_seed).multinomial(
            n, np.full(n, 1 / n), size=N_RESAMPLES
        )
        out["resampled"] = [round(float(v), 6) for v in _spearman(truth, guess, draws)]
    return out


def _ranks(x: np.ndarray) -> np.ndarray:
    """Centred ranks of each column among its known values, 0 elsewhere."""
    known = ~np.isnan(x)
    ranks = rankdata(x, axis=0, nan_policy="propagate" if known.all() else "omit")
    return np.where(known, ranks - np.nanmean(ranks, axis=0, where=known), 0.0)


def _spearman(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlation of ranks with patients weighted, mean over features; one value a row of them."""
    known = ~np.isnan(truth)
    a, b = _ranks(truth), _ranks(np.where(known, guess, np.nan))
    count = np.maximum(weights @ known, 1)
    mean_a, mean_b = weights @ a / count, weights @ b / count
    var_a = weights @ a**2 / count - mean_a**2
    var_b = weights @ b**2 / count - mean_b**2
    scale = np.sqrt(np.maximum(var_a * var_b, 0.0))
    # A rank is a multiple of ½, so what varies at all varies by more than this.
    found = np.where(scale > 1e-6, (weights @ (a * b) / count - mean_a * mean_b), 0.0)
    found = np.where(var_a > 1e-6, found / np.maximum(scale, 1e-6), np.nan)
    return np.nanmean(found, axis=1)


def band_scores(truth: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> dict[str, float]:
    """Coverage of the intervals, and their mean interval score (less is better).

    References
    ----------
    Gneiting and Raftery (2007), Strictly proper scoring rules, section 6.2.
    """
    known = ~np.isnan(truth)
    x, low, high = truth[known], lower[known], upper[known]
    outside = np.maximum(low - x, 0.0) + np.maximum(x - high, 0.0)
    score = high - low + 2 / (1 - LEVEL) * outside
    return {"coverage": float((outside == 0).mean()), "score": float(score.mean())}
