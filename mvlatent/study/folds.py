"""Out-of-fold predictions: every patient predicted by a model that never saw that patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["OutOfFold", "out_of_fold"]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions of a cross-validation.

    Attributes
    ----------
    table
        One row a patient, in the order of the cohort: ``fold``, and as far as there are outcomes
        ``risk``, ``risk_shared`` (the head on z and clinical covariates alone), ``time``,
        ``event``, ``label``, ``predicted_label``.
    """

    table: pd.DataFrame

    def concordance(
        self, column: str = "risk", *, level: float = 0.95
    ) -> tuple[float, float, float]:
        """Harrell's C, the mean over folds, with a bootstrap interval over patients.

        Pairs are formed within folds, as risks of different models share no scale.
        """
        from mvlatent.tl import concordance

        seen = self.table.dropna(subset=["time", "event", column])
        folds = [rows for _, rows in seen.groupby("fold") if rows["event"].sum() > 0]

        def mean(tables: list[pd.DataFrame]) -> float:
            values = [concordance(t["time"], t["event"], t[column]) for t in tables]
            return float(np.nanmean(values))

        rng = np.random.default_rng(0)
        draws = [mean([t.iloc[rng.integers(0, len(t), len(t))] for t in folds]) for _ in range(200)]
        lower, upper = np.nanquantile(draws, [0.5 - level / 2, 0.5 + level / 2])
        return mean(folds), float(lower), float(upper)

    def accuracy(self) -> float:
        """Share of the labelled patients whose class is predicted."""
        seen = self.table.dropna(subset=["label"])
        return float((seen["label"] == seen["predicted_label"]).mean())


def out_of_fold(
    mdata: MuData,
    *,
    folds: int | str = 5,
    seed: int = 0,
    n_jobs: int = 1,
    **options: Any,
) -> OutOfFold:
    """Cross-validate `mvlatent.fit`; everything is learnt anew in each fold.

    Parameters
    ----------
    mdata
        Cohort; it is not changed.
    folds
        Number of folds (random, stratified by event), or a column of ``obs`` that holds them;
        patients without a fold only train nothing and are left out.
    seed
        Seed of the split and of the fits.
    n_jobs
        Folds at a time, as in joblib.
    **options
        Options of `mvlatent.fit`.

    Raises
    ------
    KeyError
        If the column of folds is not there.
    ValueError
        If there are fewer than two folds.

    Examples
    --------
    >>> import mvlatent as mv
    >>> found = mv.study.out_of_fold(  # doctest: +SKIP
    ...     mv.datasets.demo(), survival=("survival_months", "event")
    ... )
    >>> found.concordance()  # doctest: +SKIP
    """
    from joblib import Parallel, delayed

    fold = _folds(mdata, folds, seed, options.get("survival"))
    jobs = [
        delayed(_one_fold)(mdata, fold, k, {**options, "seed": seed})
        for k in np.unique(fold[fold >= 0])
    ]
    parts = Parallel(n_jobs=n_jobs)(jobs)
    table = pd.concat(parts).reindex(mdata.obs_names)
    return OutOfFold(table)


def _folds(mdata: MuData, folds: int | str, seed: int, survival: Any) -> np.ndarray:
    """Fold of each patient, -1 for none."""
    if isinstance(folds, str):
        if folds not in mdata.obs:
            raise KeyError(f"no column {folds!r} of folds in mdata.obs.")
        codes, levels = pd.factorize(mdata.obs[folds], sort=True)
        if len(levels) < 2:
            raise ValueError(f"column {folds!r} holds {len(levels)} folds; at least 2 are needed.")
        return codes
    if not 2 <= folds <= mdata.n_obs // 2:
        raise ValueError(f"folds must be between 2 and {mdata.n_obs // 2}, not {folds}.")
    from sklearn.model_selection import KFold, StratifiedKFold

    strata = np.zeros(mdata.n_obs)
    if survival is not None:
        event = survival.event if hasattr(survival, "event") else survival[1]
        if event in mdata.obs:
            strata = pd.factorize(mdata.obs[event].astype(str))[0]
    enough = np.bincount(strata.astype(int)).min() >= folds
    splitter = (StratifiedKFold if enough else KFold)(folds, shuffle=True, random_state=seed)
    out = np.full(mdata.n_obs, -1)
    for k, (_, test) in enumerate(splitter.split(strata, strata)):
        out[test] = k
    return out


def _one_fold(mdata: MuData, fold: np.ndarray, k: int, options: dict[str, Any]) -> pd.DataFrame:
    """Fit without fold ``k`` and predict it."""
    import warnings

    from mvlatent.model import fit

    names = mdata.obs_names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unseen sites of the held-out fold are expected
        training = mdata[names[(fold >= 0) & (fold != k)]].copy()
        held_out = mdata[names[fold == k]].copy()
        model = fit(training, **{"progress": False, **options})
        return _predictions(model, held_out, k)


def _predictions(model: Any, held_out: MuData, k: int) -> pd.DataFrame:
    table = pd.DataFrame({"fold": k}, index=held_out.obs_names)
    cohort = model.cohort(held_out)
    if cohort.survival is not None and bool(cohort.survival.observed.any()):
        seen = cohort.survival.observed.numpy()
        table["time"] = np.where(seen, cohort.survival.time.numpy(), np.nan)
        # of competing causes the first, whose risk it is
        event = cohort.survival.outcome == 1
        table["event"] = np.where(seen, event.float().numpy(), np.nan)
        table["risk"] = model.predict_risk(held_out)
        table["risk_shared"] = model.predict_risk(held_out, blocks="shared")
    if cohort.labels is not None:
        classes = np.array([*cohort.labels.categories, None], dtype=object)
        table["label"] = classes[cohort.labels.codes.numpy()]
        table["predicted_label"] = model.predict_labels(held_out)
    return table
