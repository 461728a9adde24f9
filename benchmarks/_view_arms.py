"""Who predicts a view of held-out patients from their other views: ours and its opponents."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from _baselines import NotInstalled
from _held_out import LEVEL, HeldOut, Task, has
from _peers import mofa_run

__all__ = ["ARMS", "NAMES", "Guess"]

POINT = ("all", "one")  # where only means are asked for
BANDS = ("all", "two", "one", "none")
ALPHAS = np.logspace(-1, 4, 11)
MOST = 150  # singular vectors of a view
RANK, PLS_FOLDS, PLS_MOST, MOFA_FACTORS = 16, 3, 16, 15
CALIBRATION = 0.2  # of the training patients, for the conformal band


class Guess(NamedTuple):
    """What an arm says of the rows of a task, n × p in scaled units."""

    arm: str
    task: Task
    mean: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None


def _fit(fold: HeldOut, **options: Any) -> Any:
    from mvlatent import _fit as api

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return api.fit(fold.train_mdata, batch=fold.batch, seed=0, progress=False, **options)


def _imputed(model: Any, fold: HeldOut, task: Task, **options: Any) -> Any:
    """Imputed values of the rows of a task in scaled units: a table, or tables with bounds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sites that training lacks
        return model.impute(
            task.view, fold.test_mdata, given=list(task.given), units="scaled", **options
        )


def ours(fold: HeldOut) -> Iterator[Guess]:
    """Ours in default settings, with intervals; and what of it goes through z alone."""
    model, names = _fit(fold), fold.test_mdata.obs_names
    for view in fold.continuous:
        for task in fold.tasks(view, BANDS):
            rows = names[task.rows]
            found = _imputed(model, fold, task, interval=LEVEL)
            tables = (found.mean, found.lower, found.upper)
            yield Guess("ours", task, *(table.loc[rows].to_numpy() for table in tables))
            if task.label in POINT:
                latent = _imputed(model, fold, task, through="latent")
                yield Guess("latent", task, latent.loc[rows].to_numpy())


def start(fold: HeldOut) -> Iterator[Guess]:
    """Ours before its first epoch."""
    model, names = _fit(fold, max_epochs=0), fold.test_mdata.obs_names
    for view in fold.continuous:
        for task in fold.tasks(view, POINT):
            found = _imputed(model, fold, task)
            yield Guess("start", task, found.loc[names[task.rows]].to_numpy())


class _Scores:
    """Scores of every view on its leading singular vectors, learnt on the training patients."""

    def __init__(self, fold: HeldOut) -> None:
        self.train: dict[str, np.ndarray] = {}
        self.test: dict[str, np.ndarray] = {}
        for name, x in fold.train.items():
            mean, sd = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
            a, b = (
                np.nan_to_num((v - mean) / np.where(sd > 0, sd, 1.0)) for v in (x, fold.test[name])
            )
            _, lengths, right = np.linalg.svd(a, full_matrices=False)
            right = right[: min(MOST, int((lengths > 1e-3 * lengths[0]).sum()))].T
            scale = (a @ right[:, 0]).std()
            self.train[name], self.test[name] = a @ right / scale, b @ right / scale

    def of(self, task: Task) -> tuple[np.ndarray, np.ndarray]:
        """Inputs of a task, of all training patients and of its rows."""
        train = np.hstack([self.train[name] for name in task.given])
        return train, np.hstack([self.test[name] for name in task.given])[task.rows]


def _targets(fold: HeldOut, view: str) -> tuple[np.ndarray, np.ndarray]:
    """Training patients who have a view, and their values, single gaps at the mean."""
    rows = has(fold.train[view])
    y = fold.train[view][rows]
    return np.flatnonzero(rows), np.where(np.isnan(y), np.nanmean(y, axis=0), y)


def _ridge(x: np.ndarray, y: np.ndarray) -> Any:
    """Multi-output ridge, one penalty for all features, by leaving one patient out."""
    from sklearn.linear_model import RidgeCV

    return RidgeCV(ALPHAS).fit(x, y)


def ridge(fold: HeldOut) -> Iterator[Guess]:
    """Ridge on the scores of the views that are given, whole and of rank 16.

    Its band is split-conformal, a width a feature: a ridge on four fifths of the training
    patients, and the residuals of the others. With none given the mean stands for the ridge.
    """
    scores = _Scores(fold)
    for view in fold.continuous:
        have, y = _targets(fold, view)
        order = np.random.default_rng(fold.number).permutation(len(have))
        kept, aside = np.split(order, [round(len(order) * (1 - CALIBRATION))])
        for task in fold.tasks(view, BANDS):
            if not task.given:
                mean = np.tile(y.mean(axis=0), (len(task.rows), 1))
                centre, residual = mean, y[aside] - y[kept].mean(axis=0)
            else:
                train, new = scores.of(task)
                x = train[have]
                whole, part = _ridge(x, y), _ridge(x[kept], y[kept])
                mean, centre = whole.predict(new), part.predict(new)
                residual = y[aside] - part.predict(x[aside])
            # With fewer than nine patients aside no finite band holds; theirs is the widest seen.
            level = min(1.0, np.ceil(LEVEL * (len(aside) + 1)) / len(aside))
            width = np.quantile(np.abs(residual), level, axis=0, method="higher")
            yield Guess("ridge", task, mean, centre - width, centre + width)
            if task.label in POINT:
                _, _, right = np.linalg.svd(whole.predict(x) - y.mean(0), full_matrices=False)
                leading = right[:RANK].T
                low = y.mean(0) + (mean - y.mean(0)) @ leading @ leading.T
                yield Guess("ridge16", task, low)


def pls(fold: HeldOut) -> Iterator[Guess]:
    """PLS on the same scores; the number of components (at most 16) by three inner folds."""
    scores = _Scores(fold)
    for view in fold.continuous:
        have, y = _targets(fold, view)
        inner = np.random.default_rng(fold.number).permutation(len(have)) % PLS_FOLDS
        for task in fold.tasks(view, POINT):
            train, new = scores.of(task)
            x = train[have]
            most = min(PLS_MOST, x.shape[1], int(len(have) * (1 - 1 / PLS_FOLDS)) - 1)
            error = np.zeros(most)
            for k in range(PLS_FOLDS):
                guesses = _pls_path(x[inner != k], y[inner != k], x[inner == k], most)
                error += [((y[inner == k] - guess) ** 2).sum() for guess in guesses]
            best = int(error.argmin())
            *_, mean = _pls_path(x, y, new, best + 1)
            yield Guess("pls", task, mean)


def _pls_path(x: np.ndarray, y: np.ndarray, new: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Predictions with the first component, the first two, and so on."""
    from sklearn.cross_decomposition import PLSRegression

    fitted = PLSRegression(most, scale=False).fit(x, y)
    scores = (new - x.mean(0)) @ fitted.x_rotations_
    for k in range(1, most + 1):
        yield y.mean(0) + scores[:, :k] @ fitted.y_loadings_[:, :k].T


def mofa(fold: HeldOut) -> Iterator[Guess]:
    """MOFA with 15 factors; factors of new patients are their posterior means given its weights."""
    if importlib.util.find_spec("mofapy2") is None:
        raise NotInstalled("mofapy2")
    moments = {k: (np.nanmean(x, axis=0), np.nanstd(x, axis=0)) for k, x in fold.train.items()}
    moments = {k: (mean, np.where(sd > 0, sd, 1.0)) for k, (mean, sd) in moments.items()}
    train, test = (
        {k: (x - moments[k][0]) / moments[k][1] for k, x in part.items()}
        for part in (fold.train, fold.test)
    )
    nodes = mofa_run(train, MOFA_FACTORS, seed=0)
    weights = dict(zip(train, map(np.asarray, nodes["W"].getExpectation()), strict=True))
    taus = [np.nanmax(np.asarray(tau), axis=0) for tau in nodes["Tau"].getExpectation()]
    precisions = dict(zip(train, taus, strict=True))
    for view in fold.continuous:
        mean, sd = moments[view]
        for task in fold.tasks(view, POINT):
            z = np.stack([_mofa_factors(test, i, task, weights, precisions) for i in task.rows])
            yield Guess("mofa", task, mean + sd * (z @ weights[view].T))


def _mofa_factors(
    test: dict[str, np.ndarray],
    row: int,
    task: Task,
    weights: dict[str, np.ndarray],
    precisions: dict[str, np.ndarray],
) -> np.ndarray:
    k = weights[task.view].shape[1]
    gram, pull = np.eye(k), np.zeros(k)
    for name in task.given:
        x = test[name][row]
        seen = ~np.isnan(x)
        weighted = weights[name][seen] * precisions[name][seen, None]
        gram, pull = gram + weights[name][seen].T @ weighted, pull + x[seen] @ weighted
    return np.linalg.solve(gram, pull)


ARMS: dict[str, Callable[[HeldOut], Iterator[Guess]]] = {
    "ours": ours,
    "start": start,
    "ridge": ridge,
    "pls": pls,
    "mofa": mofa,
}
"""What is run, by name; an arm may answer in two ways."""

NAMES = {
    "ours": "ours",
    "latent": "ours, z alone",
    "start": "ours, start",
    "ridge": "ridge",
    "ridge16": "ridge of rank 16",
    "pls": "PLS",
    "mofa": "MOFA",
}
"""Answers in the order of the tables."""
