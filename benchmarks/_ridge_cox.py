"""Ridge Cox in the space of patients, with penalties chosen by cross-validated likelihood.

A ridge on the saturated principal components of a view, each with the same prior sd, is a ridge on
the view's features: both have the kernel ``X X'``. So nothing here needs the components themselves,
and a fit is a few n x n solves whatever the number of features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import SurvivalData
from mvlatent.outcomes import Cox, survival_curves
from mvlatent.outcomes.cox import BoundCox

__all__ = [
    "RidgeCox",
    "Tuner",
    "bound_cox",
    "cox_curves",
    "fit_dual",
    "search_one",
    "search_views",
]

ROUGH, EXACT = 1e-4, 1e-10  # Newton decrement, in nats, before the last step: in search, at the end
FREE_SD = 2.0  # prior sd of a clinical coefficient: as good as free, but finite under separation
VARIANCES = np.logspace(-3.0, 1.5, 28)  # prior variance of the linear predictor, one penalty
VIEW_VARIANCES = (0.0, *np.logspace(-3.0, 1.5, 13))  # the same of one view's part of it
REFINEMENTS = (1.6, 1.25)  # factors by which the variances are moved up and down in the end
MAX_SWEEPS = 5
GAIN = 0.01  # nats of held-out likelihood for which the search goes on


def bound_cox(time: np.ndarray, event: np.ndarray) -> BoundCox:
    """Efron's partial likelihood of outcomes (n,)."""
    outcome = [torch.as_tensor(np.asarray(x, dtype=np.float64)) for x in (time, event)]
    return Cox().bind(SurvivalData(*outcome))


def fit_dual(
    kernel: Tensor, bound: BoundCox, start: Tensor | None = None, *, tolerance: float = EXACT
) -> Tensor:
    """Maximise ``loglik(K a) - a' K a / 2`` by damped Newton; dual coefficients a (n,).

    Parameters
    ----------
    kernel
        Prior covariance of the linear predictor, (n, n) float64.
    bound
        Partial likelihood of the same n patients.
    start
        Coefficients to start from.
    tolerance
        Newton decrement, in nats, below which one step more is the last.
    """
    a = kernel.new_zeros(len(kernel)) if start is None else start
    for attempt in (a, torch.zeros_like(a)):
        a, f = attempt, kernel @ attempt
        value = float(bound.loglik(f[:, None]) - 0.5 * a @ f)
        if np.isfinite(value):
            break
    for _ in range(100):
        _, grad, diag, low_rank = bound.curvature(f[:, None])
        grad, low = grad[:, 0], low_rank[0]
        system = diag * kernel - low @ (low.T @ kernel)
        system.diagonal().add_(1.0)
        right = diag[:, 0] * f - low @ (low.T @ f) + grad
        move = torch.linalg.solve(system, right) - a
        moved = kernel @ move
        decrement = float(moved @ grad - a @ moved)
        if decrement < tolerance:
            return a + move  # squares the error that is left
        for size in 0.5 ** np.arange(30):
            b, g = a + size * move, f + size * moved
            new = float(bound.loglik(g[:, None]) - 0.5 * b @ g)
            if new >= value - 1e-12 * abs(value):
                break
        else:
            break
        a, f, value = b, g, new
    return a


def cox_curves(bound: BoundCox, eta: Tensor, new: Tensor, times: np.ndarray) -> np.ndarray:
    """Breslow survival curves (T, n) of new linear predictors, given those of training (m,)."""
    baseline = bound.profiled(eta[:, None]).baseline
    return survival_curves(torch.as_tensor(times, dtype=torch.float64), new, baseline).numpy()


@dataclass(frozen=True, eq=False)
class RidgeCox:
    """Ridge Cox regression with one prior variance a view, and clinical columns nearly free.

    Attributes
    ----------
    variances
        Prior variance of each view's part of the linear predictor, averaged over training rows.
    """

    variances: dict[str, float]
    _scales: dict[str, float]
    _x: dict[str, Tensor]
    _bound: BoundCox
    _dual: Tensor
    _eta: Tensor

    @classmethod
    def fit(
        cls,
        views: Mapping[str, Tensor],
        clinical: Tensor,
        bound: BoundCox,
        variances: Mapping[str, float],
    ) -> RidgeCox:
        """Fit at given variances to views (n, p) and clinical columns (n, c)."""
        x = {**views, "clinical": clinical}
        scales = {
            name: variances[name] * len(v) / max(float(v.square().sum()), 1e-300)
            for name, v in views.items()
        }
        scales["clinical"] = FREE_SD**2
        kernel = sum((scales[k] * (v @ v.T) for k, v in x.items()), torch.zeros(()))
        dual = fit_dual(kernel, bound)
        return cls(dict(variances), scales, x, bound, dual, kernel @ dual)

    def risk(self, views: Mapping[str, Tensor], clinical: Tensor) -> Tensor:
        """Log relative hazard (n,) of patients."""
        new = {**views, "clinical": clinical}
        parts = [s * (new[k] @ (self._x[k].T @ self._dual)) for k, s in self._scales.items()]
        return torch.stack(parts).sum(0)

    def survival(self, risk: Tensor, times: np.ndarray) -> np.ndarray:
        """Survival curves (T, n) of risks (n,)."""
        return cox_curves(self._bound, self._eta, risk, times)


class Tuner:
    """Held-out partial likelihood of ridge Cox over inner folds, as a function of the variances.

    Parameters
    ----------
    views, clinical
        Training features, (n, p) and (n, c).
    time, event
        Training outcomes, (n,).
    seed
        Of the inner folds, which are stratified by event.
    n_folds
        Number of inner folds.

    References
    ----------
    Verweij & van Houwelingen (1993), Cross-validation in survival analysis.
    van de Wiel, van Nee & Rauschenberger (2021), Fast cross-validation for multi-penalty ridge
    regression.
    """

    def __init__(
        self,
        views: Mapping[str, Tensor],
        clinical: Tensor,
        time: np.ndarray,
        event: np.ndarray,
        *,
        seed: int = 0,
        n_folds: int = 5,
    ) -> None:
        from sklearn.model_selection import StratifiedKFold

        self._kernels = {k: (v @ v.T) * (len(v) / v.square().sum()) for k, v in views.items()}
        self._free = FREE_SD**2 * (clinical @ clinical.T)
        self.share = {k: float(v.square().sum()) for k, v in views.items()}
        self._all = bound_cox(time, event)
        splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
        self._parts = []
        for rows, _ in splitter.split(np.zeros(len(time)), event > 0):
            self._parts.append((torch.as_tensor(rows), bound_cox(time[rows], event[rows])))
        self._starts: list[Tensor | None] = [None] * n_folds
        self.n_fits = 0

    def __call__(self, variances: Mapping[str, float]) -> float:
        """Sum over inner folds of what the left-out patients add to the log partial likelihood."""
        kernel = self._free.clone()
        for name, variance in variances.items():
            if variance > 0:
                kernel += variance * self._kernels[name]
        total = 0.0
        for i, (rows, bound) in enumerate(self._parts):
            columns = kernel[:, rows]
            dual = fit_dual(columns[rows], bound, self._starts[i], tolerance=ROUGH)
            self._starts[i] = dual
            eta = columns @ dual
            total += float(self._all.loglik(eta[:, None]) - bound.loglik(eta[rows][:, None]))
            self.n_fits += 1
        return total


def search_one(tuner: Tuner, grid: Sequence[float] | np.ndarray = VARIANCES) -> dict[str, float]:
    """Variances of the views under the best common penalty.

    A common prior sd for every feature gives each view a variance in proportion to its share of the
    total sum of squares.
    """
    total = sum(tuner.share.values())
    candidates = [{k: g * s / total for k, s in tuner.share.items()} for g in map(float, grid)]
    return max(candidates, key=tuner)


def search_views(tuner: Tuner, start: Mapping[str, float]) -> dict[str, float]:
    """Variances of the views by coordinate search: whole grid for a view at a time, then finer.

    Never worse than ``start`` in held-out likelihood.
    """
    best, score = dict(start), tuner(start)
    for _ in range(MAX_SWEEPS):
        before = score
        for name in best:
            best, score = _improve(tuner, best, score, name, VIEW_VARIANCES)
        if score < before + GAIN:
            break
    for factor in REFINEMENTS:
        for name in best:
            moves = (best[name] * factor, best[name] / factor)
            best, score = _improve(tuner, best, score, name, moves)
    return best


def _improve(
    tuner: Tuner, best: dict[str, float], score: float, name: str, values: Sequence[float]
) -> tuple[dict[str, float], float]:
    for value in sorted({float(v) for v in values} - {best[name]}):
        candidate = {**best, name: value}
        new = tuner(candidate)
        if new > score:
            best, score = candidate, new
    return best, score
