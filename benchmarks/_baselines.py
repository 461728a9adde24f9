"""The opponents: each takes a fold and returns risks and survival curves of its test patients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from _folds import Fold
from _ridge_cox import RidgeCox, Tuner, bound_cox, cox_curves, search_one, search_views
from torch import Tensor

from mvlatent.data.cohort import Cohort

__all__ = [
    "OPPONENTS",
    "NotInstalled",
    "Prediction",
    "clinical_cox",
    "kaplan_meier",
    "random_survival_forest",
    "ridge_cox",
    "ridge_cox_by_view",
]

PENALIZER = 0.01  # of lifelines, where the likelihood alone has no maximum


class Prediction(NamedTuple):
    """What an arm says of the n test patients.

    Attributes
    ----------
    risk
        Higher means earlier, (n,).
    survival
        Survival curves, (T, n).
    seconds
        CPU time, where several arms share a fit; else the runner's clock counts.
    """

    risk: np.ndarray
    survival: np.ndarray
    seconds: float | None = None


class NotInstalled(Exception):
    """An arm needs a package that this environment lacks."""


class Outcome(NamedTuple):
    """Times and events of the training patients, and which rows they are."""

    time: np.ndarray
    event: np.ndarray
    rows: Tensor


def outcome(cohort: Cohort) -> Outcome:
    """Observed outcomes of a cohort; ValueError where it has none."""
    data = cohort.survival
    if data is None:
        raise ValueError("the training patients have no survival outcome")
    rows = data.observed.nonzero()[:, 0]
    time, event = data.time[rows].double().numpy(), data.event[rows].double().numpy()
    return Outcome(time, event, rows)


class Features(NamedTuple):
    """Views with missing values at the training mean, and clinical columns; float64."""

    views: dict[str, Tensor]
    clinical: Tensor


def features(fold: Fold) -> tuple[Features, Features]:
    """Training and test features, centred on the training patients that have them."""
    train, test = {}, {}
    for name, view in fold.train.views.items():
        seen = view.present[:, None].expand_as(view.x) if view.observed is None else view.observed
        centre = (view.x.double() * seen).sum(0) / seen.sum(0).clamp_min(1)
        train[name] = torch.where(seen, view.x.double() - centre, 0.0)
        other = fold.test.views[name]
        mask = other.present[:, None] if other.observed is None else other.observed
        test[name] = torch.where(mask, other.x.double() - centre, 0.0)
    mean = fold.train.clinical.double().mean(0)
    clinical = [part.clinical.double() - mean for part in (fold.train, fold.test)]
    rows = outcome(fold.train).rows
    kept = {name: x[rows] for name, x in train.items()}
    return Features(kept, clinical[0][rows]), Features(test, clinical[1])


def kaplan_meier(fold: Fold, times: np.ndarray) -> Prediction:
    """Everyone has the training patients' survival curve: what the Brier score starts from."""
    from lifelines import KaplanMeierFitter

    known = outcome(fold.train)
    fitted = KaplanMeierFitter().fit(known.time, known.event)
    curve = fitted.survival_function_at_times(times).to_numpy()
    n = len(fold.test)
    return Prediction(np.zeros(n), np.repeat(curve[:, None], n, axis=1))


def clinical_cox(fold: Fold, times: np.ndarray) -> Prediction:
    """Cox regression on the clinical columns by lifelines, penalised only where it has to be."""
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning

    known = outcome(fold.train)
    names = list(fold.train.clinical_names)
    train, test = (
        pd.DataFrame(part.clinical.double().numpy(), columns=names)
        for part in (fold.train, fold.test)
    )
    train = train.iloc[known.rows.numpy()].reset_index(drop=True)
    data = train.assign(_time=known.time, _event=known.event)
    for penalizer in (0.0, PENALIZER):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if not penalizer:
                    warnings.simplefilter("error", ConvergenceWarning)
                fitted = CoxPHFitter(penalizer=penalizer).fit(data, "_time", "_event")
            break
        except (ConvergenceError, ConvergenceWarning):
            if penalizer:
                raise
    eta, new = (
        torch.as_tensor(fitted.predict_log_partial_hazard(part).to_numpy())
        for part in (train, test)
    )
    bound = bound_cox(known.time, known.event)
    return Prediction(new.numpy(), cox_curves(bound, eta, new, times))


def _ridge(
    fold: Fold, times: np.ndarray, choose: Callable[[Tuner], Mapping[str, float]]
) -> Prediction:
    train, test = features(fold)
    known = outcome(fold.train)
    tuner = Tuner(train.views, train.clinical, known.time, known.event, seed=fold.number)
    bound = bound_cox(known.time, known.event)
    fitted = RidgeCox.fit(train.views, train.clinical, bound, choose(tuner))
    risk = fitted.risk(test.views, test.clinical)
    return Prediction(risk.numpy(), fitted.survival(risk, times))


def ridge_cox(fold: Fold, times: np.ndarray) -> Prediction:
    """Ridge Cox on the saturated components of all views, one penalty by inner folds."""
    return _ridge(fold, times, search_one)


def ridge_cox_by_view(fold: Fold, times: np.ndarray) -> Prediction:
    """Ridge Cox with a penalty a view, by coordinate search from the best common one."""
    return _ridge(fold, times, lambda tuner: search_views(tuner, search_one(tuner)))


def random_survival_forest(fold: Fold, times: np.ndarray) -> Prediction:
    """Random survival forest of scikit-survival on all columns, its leaf size by out-of-bag C."""
    try:
        from sksurv.ensemble import RandomSurvivalForest
        from sksurv.util import Surv
    except ImportError as error:
        raise NotInstalled("scikit-survival") from error
    train, test = (
        torch.cat([*part.views.values(), part.clinical], 1).float().numpy()
        for part in features(fold)
    )
    known = outcome(fold.train)
    y = Surv.from_arrays(known.event > 0, known.time)
    forests = [
        RandomSurvivalForest(
            n_estimators=300, min_samples_leaf=leaf, oob_score=True, n_jobs=1, random_state=0
        ).fit(train, y)
        for leaf in (5, 15, 30)
    ]
    best = max(forests, key=lambda forest: forest.oob_score_)
    curves = best.predict_survival_function(test, return_array=True)
    steps = np.concatenate([np.ones((len(test), 1)), curves], axis=1)
    at = np.searchsorted(best.unique_times_, times, side="right")
    return Prediction(best.predict(test), np.clip(steps[:, at].T, 0.0, 1.0))


OPPONENTS: dict[str, Callable[[Fold, np.ndarray], Prediction]] = {
    "km": kaplan_meier,
    "clinical": clinical_cox,
    "ridge": ridge_cox,
    "ridge_views": ridge_cox_by_view,
    "forest": random_survival_forest,
}
"""Opponents by the name of their arm."""
