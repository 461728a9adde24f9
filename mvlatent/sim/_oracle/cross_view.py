"""How well a view can be predicted from others: the Bayes prediction, and probes of the factors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.sim._cohort.patients import standardised_purity
from mvlatent.sim._cohort.spec import pairwise_blocks
from mvlatent.sim._cohort.truth import Truth
from mvlatent.sim._oracle.oracle import (
    block_loadings,
    check_views,
    oracle_posterior,
    technical_shift,
)

__all__ = ["cross_view_r2", "oracle_prediction", "probe_prediction"]

CROSS_VIEW_PROBES = ("ridge", "kernel")


def _given(truth: Truth, view: str, given: Sequence[str] | None) -> list[str]:
    views = [*truth.spec.views]
    if view not in views:
        raise ValueError(f"unknown view {view!r}; choose from {', '.join(views)}.")
    chosen = [name for name in views if name != view] if given is None else list(given)
    unknown = sorted(set(chosen) - set(views))
    if unknown or not chosen:
        raise ValueError(f"cannot look at views {unknown or 'none'}; choose from {views}.")
    if view in chosen:
        raise ValueError(f"{view!r} cannot be predicted from itself; leave it out of given.")
    return chosen


def oracle_prediction(
    truth: Truth, view: str, *, given: Sequence[str] | None = None, prior: str = "normal"
) -> pd.DataFrame:
    """E[x_view | the given views, site] when every parameter is known, in measured units.

    x = offset + scale (L E[f | x_given] + B[site]): the shared and pairwise-shared factors at their
    posterior means, the view's private ones at 0. No prediction from these views has a smaller
    expected squared error (with the prior ``"normal"``: no linear one).

    Parameters
    ----------
    truth
        The truth of a cohort with linear mixing, or of further patients.
    view
        The normal view to predict.
    given
        Normal views to look at; ``None``: all other normal ones. A patient who has none of them
        gets the mean of the site.
    prior
        As in :func:`oracle_posterior`.

    Returns
    -------
    DataFrame
        N × p, index = ``truth.obs_names``, columns as the features of the view.

    Raises
    ------
    ValueError
        If the mixing is not linear, a view is unknown or not normal, or ``view`` is in ``given``.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, truth = sim.cohort("easy", n=400, seed=1)
    >>> prediction = sim.oracle_prediction(truth, "img", given=["rna"])
    >>> 0.2 < sim.cross_view_r2(truth, "img", prediction) < 0.5
    True
    """
    check_views(truth, [view])
    if given is None:
        given = [name for name in check_views(truth, None) if name != view]
    posterior = oracle_posterior(truth, given=_given(truth, view, given), prior=prior)
    factors = np.column_stack([posterior.mean(block) for block in posterior.columns])
    signal = factors @ block_loadings(truth, view).T + technical_shift(truth, view)
    values = truth.parameters[view]
    return _table(truth, view, values.offset + values.scale * signal)


def _table(truth: Truth, view: str, predicted: np.ndarray) -> pd.DataFrame:
    features = truth.features(view)
    return pd.DataFrame(predicted, index=truth.obs_names, columns=features)


def cross_view_r2(
    truth: Truth, view: str, prediction: Any, *, rows: np.ndarray | None = None
) -> float:
    """R² of a predicted view against its true measurements, mean over features.

    The same ruler for the oracle, a probe and a model, so that their ratio means something.

    Parameters
    ----------
    truth
        The truth of the predicted patients.
    view
        The view.
    prediction
        N × p in measured units (N × p × levels is not a mean: predict categories elsewhere).
    rows
        Bool, (N,): the patients who count, such as those who have a view that was looked at;
        ``None``: all. Whether they have ``view`` itself does not matter: the truth knows it.

    Returns
    -------
    float
        1 − Σ(x − prediction)² / Σ(x − mean)² a feature, over these patients, and its mean over
        features that vary.

    Raises
    ------
    ValueError
        If the shape differs from that of the view.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, truth = sim.cohort("easy", n=100)
    >>> sim.cross_view_r2(truth, "img", truth.complete["img"])
    1.0
    """
    x, predicted = truth.complete[view].astype(float), np.asarray(prediction, float)
    if x.shape != predicted.shape:
        raise ValueError(
            f"shapes differ: {view} {x.shape}, prediction {predicted.shape}; predict every "
            "patient and feature."
        )
    if rows is not None:
        x, predicted = x[rows], predicted[rows]
    total = ((x - x.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 1e-12
    error = ((x - predicted) ** 2).sum(axis=0)
    return float(np.mean(1 - error[varies] / total[varies]))


def probe_prediction(
    train: Truth,
    test: Truth,
    view: str,
    *,
    given: Sequence[str] | None = None,
    probe: str = "ridge",
) -> pd.DataFrame:
    """Predict a view from the true factors that other views share with it.

    The stand-in for :func:`oracle_prediction` where the mixing bends or the view is not normal:
    a regression fitted on the training patients who have the view, with the true shared factors
    and the pairwise-shared ones that a given view knows, and with site and purity.

    Parameters
    ----------
    train, test
        Truths of the training and of the test patients, of one world
        (:meth:`Truth.new_patients <mvlatent.sim.Truth.new_patients>`).
    view
        The view to predict; of categorical views, the codes.
    given
        Views whose factors may be used; ``None``: all others.
    probe
        ``"ridge"``, or ``"kernel"``: Gaussian-kernel ridge, which follows a bent mixing.

    Returns
    -------
    DataFrame
        Test patients × p.

    Raises
    ------
    ValueError
        If a view or the probe is unknown, ``view`` is in ``given``, or the truths are of different
        worlds.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, train = sim.cohort("nonlinear", n=300)
    >>> _, test = train.new_patients(300)
    >>> prediction = sim.probe_prediction(train, test, "img", probe="kernel")
    >>> 0.1 < sim.cross_view_r2(test, "img", prediction) < 0.6
    True
    """
    same = train.seed == test.seed and train.spec == test.spec
    if not same or not np.array_equal(train.population.centres, test.population.centres):
        raise ValueError("train and test are of different worlds; draw test by train.new_patients.")
    chosen = _given(train, view, given)
    rows = train.present[:, [*train.spec.views].index(view)]
    inputs = [_inputs(truth, view, chosen) for truth in (train, test)]
    # Site effects are additive in these kinds, and the oracle knows them.
    known = train.spec.views[view].kind in ("normal", "studentt")
    scale = train.parameters[view].scale
    shifts = [technical_shift(t, view) * scale if known else 0.0 for t in (train, test)]
    target = (train.complete[view] - shifts[0])[rows]
    if not known:
        inputs = [
            np.column_stack([x, _technical(truth)])
            for x, truth in zip(inputs, (train, test), strict=True)
        ]
    fitted = _regression(probe).fit(inputs[0][rows], target)
    predicted = fitted.predict(inputs[1]).reshape(len(inputs[1]), -1)
    return _table(test, view, predicted + shifts[1])


def _inputs(truth: Truth, view: str, given: Sequence[str]) -> np.ndarray:
    usable = [
        truth.pairwise[name]
        for name, (members, _) in pairwise_blocks(truth.spec).items()
        if view in members and set(members) & set(given)
    ]
    return np.column_stack([truth.shared, *usable])


def _technical(truth: Truth) -> np.ndarray:
    sites = np.eye(len(truth.spec.sites))[truth.site_codes]
    if truth.purity is None:
        return sites
    return np.column_stack([sites, standardised_purity(truth.purity)])


def _regression(probe: str) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import StandardScaler

    if probe == "ridge":
        return RidgeCV(np.logspace(-3, 4, 15), alpha_per_target=True)
    if probe == "kernel":
        grid = {"alpha": [0.1, 1.0, 10.0], "gamma": [0.003, 0.01, 0.03, 0.1]}
        search = GridSearchCV(KernelRidge(kernel="rbf"), grid, cv=3)
        # Kernel ridge has no intercept, and one penalty fits features of one scale only.
        return TransformedTargetRegressor(search, transformer=StandardScaler())
    raise ValueError(f"unknown probe {probe!r}; choose from {', '.join(CROSS_VIEW_PROBES)}.")
