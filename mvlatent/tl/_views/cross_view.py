"""How well one view is predicted from others, beside plain methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._model import scaled_views
from mvlatent.tl._views.imputers import IMPUTERS

__all__ = ["ALL_OTHERS", "cross_view"]

ALL_OTHERS = "all others"
PLAIN_METHODS = tuple(IMPUTERS)


def cross_view(
    model: Any,
    test: Any,
    *,
    train: Any = None,
    baselines: Sequence[str] = PLAIN_METHODS,
    each: bool = True,
    through: str = "all",
    seed: int = 0,
) -> pd.DataFrame:
    """R² of imputing each view of held-out patients from the others, with baselines.

    Parameters
    ----------
    model
        A fitted :class:`mvlatent.MVLatent`.
    test
        Patients that the model was not fitted to, as MuData.
    train
        Patients to fit baselines to; ``None``: those of the model. Baselines see the same scaled
        features; absent inputs are filled with training means, and numbers of components and
        neighbours and penalties are chosen within the training patients.
    baselines
        Of ``"mean"``, ``"ridge"``, ``"pls"`` and ``"knn"``.
    each
        Predict from every single other view as well as from all of them.
    through
        ``"latent"``: what the model says through z alone, as in `mvlatent.MVLatent.impute`.
    seed
        Seed of the inner folds.

    Returns
    -------
    DataFrame
        One row a ``view``, ``given`` (a view, or ``"all others"``) and ``method`` (``"model"`` and
        the baselines): ``r2`` (pooled: squared errors summed over features), ``r2_median`` (median
        over features), ``n`` (test patients, who have the view and one of those given). Units are
        the model's scaled ones. R² is against the training mean, which scores 0.

    Raises
    ------
    ValueError
        If a baseline is unknown, or the model was loaded without data and ``train`` is not given.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, truth = mv.sim.cohort("easy", n=100)
    >>> model = mv.fit(mdata, n_shared=5, n_private=3, max_epochs=2, progress=False)
    >>> test, _ = truth.new_patients(60)
    >>> table = mv.tl.cross_view(model, test, baselines=["mean", "ridge"], each=False)
    >>> table.groupby("method")["r2"].mean().sort_values().index.tolist()
    ['mean', 'ridge', 'model']
    """
    unknown = sorted(set(baselines) - set(IMPUTERS))
    if unknown:
        raise ValueError(f"unknown baselines {unknown}; choose from {', '.join(IMPUTERS)}.")
    seen, held_out = scaled_views(model, train), scaled_views(model, test)
    rows = []
    for view in seen:
        others = [name for name in seen if name != view]
        ways = {ALL_OTHERS: others} if others else {}
        if each and len(others) > 1:
            ways |= {name: [name] for name in others}
        for label, given in ways.items():
            task = _Task.of(view, given, seen, held_out)
            if task is None:
                continue
            guess = model.impute(view, test, given=given, through=through, units="scaled")
            found = {"model": guess.to_numpy()[task.rows]}
            for name in baselines:
                found[name] = IMPUTERS[name]().fit(task.x, task.y, seed).predict(task.x_test)
            for method, predicted in found.items():
                pooled, median = task.score(predicted)
                scores = {"r2": pooled, "r2_median": median, "n": len(task.rows)}
                rows.append({"view": view, "given": label, "method": method, **scores})
    return pd.DataFrame(rows, columns=["view", "given", "method", "r2", "r2_median", "n"])


@dataclass(frozen=True, eq=False)
class _Task:
    """One view from some others: complete training arrays, test inputs, test truth with gaps."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(
        cls,
        view: str,
        given: list[str],
        seen: dict[str, pd.DataFrame],
        held_out: dict[str, pd.DataFrame],
    ) -> "_Task | None":
        """None where too few patients have the view and one of those given."""
        train, test = _both(seen, view, given), _both(held_out, view, given)
        if len(train) < 6 or not len(test):
            return None
        x, y = np.hstack([seen[name] for name in given])[train], seen[view].to_numpy()[train]
        x_test = np.hstack([held_out[name] for name in given])[test]
        fill_x, fill_y = _means(x), _means(y)
        return cls(
            np.where(np.isnan(x), fill_x, x).astype(float),
            np.where(np.isnan(y), fill_y, y).astype(float),
            np.where(np.isnan(x_test), fill_x, x_test).astype(float),
            held_out[view].to_numpy(float)[test],
            test,
        )

    def score(self, predicted: np.ndarray) -> tuple[float, float]:
        """R² against the training mean: pooled, and median over features."""
        known = ~np.isnan(self.y_test)
        error = np.where(known, self.y_test - predicted, 0.0)
        plain = np.where(known, self.y_test - self.y.mean(0), 0.0)
        left, total = np.square(error).sum(0), np.square(plain).sum(0)
        varies = total > 1e-12
        if not varies.any():
            return float("nan"), float("nan")
        return (
            float(1 - left[varies].sum() / total[varies].sum()),
            float(np.median(1 - left[varies] / total[varies])),
        )


def _both(views: dict[str, pd.DataFrame], view: str, given: list[str]) -> np.ndarray:
    """Rows of the patients who have the view and at least one of those given."""
    informed = np.any([views[name].notna().any(axis=1) for name in given], axis=0)
    return np.flatnonzero(informed & views[view].notna().any(axis=1).to_numpy())


def _means(x: np.ndarray) -> np.ndarray:
    known = ~np.isnan(x)
    count = known.sum(0)
    return np.divide(x.sum(0, where=known), count, out=np.zeros(x.shape[1]), where=count > 0)
