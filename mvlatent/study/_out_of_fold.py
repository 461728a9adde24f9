"""Out-of-fold predictions: every patient predicted by a model that never saw that patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.specs.typed import as_outcomes

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["OutOfFold", "check_folds", "out_of_fold"]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions of a cross-validation.

    Attributes
    ----------
    table
        One row a patient, in the order of the cohort: ``fold``, and as far as there are outcomes
        ``risk``, ``risk_shared`` (the head on z, clinical covariates and site), ``time``,
        ``event`` (``entry``, ``stratum``), ``label``, ``predicted_label``. Columns of further
        outcomes of a kind end in their names, ``risk_PFI``; those of targets always do,
        ``target_purity`` and ``predicted_target_purity``.
    first
        Name of the first outcome of each kind, whose columns have no name at the end.
    """

    table: pd.DataFrame
    first: dict[str, str] = field(default_factory=dict)

    def _end(self, role: str, outcome: str | None) -> str:
        """What the columns of an outcome end in."""
        if outcome is None or outcome == self.first.get(role):
            return ""
        column = {"survival": "risk", "labels": "label"}[role]
        if f"{column}_{outcome}" not in self.table or outcome == "shared":
            raise KeyError(f"no {role} outcome {outcome!r} in the table: {[*self.table]}.")
        return f"_{outcome}"

    def concordance(
        self, column: str = "risk", *, outcome: str | None = None, level: float = 0.95
    ) -> tuple[float, float, float]:
        """Harrell's C, the mean over folds, with a bootstrap interval over patients.

        Pairs are formed within folds, as risks of different models share no scale; within strata
        where the outcome has them, and of patients at risk together where it has entry times.

        Parameters
        ----------
        column
            ``"risk"`` or ``"risk_shared"``, or any column of scores.
        outcome
            Which of several survival outcomes; by default the first.
        level
            Level of the interval.

        Raises
        ------
        KeyError
            If there is no such outcome.
        """
        end = self._end("survival", outcome)
        score = column if column not in ("risk", "risk_shared") else f"{column}{end}"
        used = {"time": f"time{end}", "event": f"event{end}", "risk": score}
        more = {"entry": f"entry{end}", "within": f"stratum{end}"}
        used |= {what: name for what, name in more.items() if name in self.table}
        seen = self.table[["fold", *used.values()]].set_axis(["fold", *used], axis=1)
        seen = seen.dropna(subset=["time", "event", "risk"])
        folds = [rows for _, rows in seen.groupby("fold") if rows["event"].sum() > 0]
        rng = np.random.default_rng(0)
        draws = [
            _mean_concordance([t.iloc[rng.integers(0, len(t), len(t))] for t in folds])
            for _ in range(200)
        ]
        lower, upper = np.nanquantile(draws, [0.5 - level / 2, 0.5 + level / 2])
        return _mean_concordance(folds), float(lower), float(upper)

    def accuracy(self, outcome: str | None = None) -> float:
        """Share of the patients with a class (or level of an ordinal target) that is predicted."""
        column = f"target_{outcome}"
        if column not in self.table:
            column = f"label{self._end('labels', outcome)}"
        seen = self.table.dropna(subset=[column])
        return float((seen[column] == seen[f"predicted_{column}"]).mean())

    def r2(self, outcome: str) -> float:
        """Share of a continuous target's variance that is predicted; below 0 is worse than a mean.

        Raises
        ------
        KeyError
            If there is no such target.
        ValueError
            If it is ordinal.
        """
        column = f"target_{outcome}"
        if column not in self.table:
            raise KeyError(f"no target {outcome!r} in the table: {[*self.table]}.")
        if not pd.api.types.is_numeric_dtype(self.table[column]):
            raise ValueError(f"target {outcome!r} is ordinal; take accuracy({outcome!r}).")
        seen = self.table.dropna(subset=[column])
        error = seen[column] - seen[f"predicted_{column}"]
        spread = seen[column] - seen[column].mean()
        return float(1 - error.pow(2).sum() / spread.pow(2).sum())


def _mean_concordance(tables: list[pd.DataFrame]) -> float:
    from mvlatent.tl import concordance

    values = []
    for table in tables:
        options = {k: table[k] for k in ("entry", "within") if k in table}
        values.append(concordance(table["time"], table["event"], table["risk"], **options))
    return float(np.nanmean(values))


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
        Number of folds (random, stratified by the first event), or a column of ``obs`` that holds
        them; patients without a fold only train nothing and are left out.
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

    typed = as_outcomes(
        options.get("survival"),
        options.get("labels"),
        options.get("targets"),
        options.get("outcomes", ()),
    )
    first = {outcome.role: outcome for outcome in reversed(typed)}
    fold = _folds(mdata, folds, seed, first.get("survival"))
    jobs = [
        delayed(_one_fold)(mdata, fold, k, {**options, "seed": seed})
        for k in np.unique(fold[fold >= 0])
    ]
    parts = Parallel(n_jobs=n_jobs)(jobs)
    table = pd.concat(parts).reindex(mdata.obs_names)
    names = {role: outcome.name for role, outcome in first.items() if role != "target"}
    return OutOfFold(table, names)


def check_folds(mdata: MuData, folds: int | str) -> None:
    """Raise KeyError or ValueError if a cohort cannot be cut so, as `out_of_fold` does."""
    _folds(mdata, folds, 0, None)


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
    for first in as_outcomes(survival)[:1]:
        event = first.parts["event"]
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

    from mvlatent._fit import fit

    names = mdata.obs_names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unseen sites of the held-out fold are expected
        training = mdata[names[(fold >= 0) & (fold != k)]].copy()
        held_out = mdata[names[fold == k]].copy()
        model = fit(training, **{"progress": False, **options})
        return _predictions(model, held_out, k)


def _predictions(model: Any, held_out: MuData, k: int) -> pd.DataFrame:
    table = pd.DataFrame({"fold": k}, index=held_out.obs_names)
    cohort, roles = model.cohort(held_out), model.trained.roles
    for name, data in cohort.outcomes.items():
        role, end = roles.named[name], roles.suffix(name)
        prepared = model.trained.preparation.outcomes[name]
        if role == "survival":
            if bool(data.observed.any()):
                _add_survival(table, model, held_out, name, data, prepared.strata)
        elif role == "labels":
            classes = np.array([*data.categories, None], dtype=object)
            table[f"label{end}"] = classes[data.codes.numpy()]
            table[f"predicted_label{end}"] = model.predict_labels(held_out, outcome=name)
        else:
            table[f"target_{name}"] = _known(data, prepared)
            table[f"predicted_target_{name}"] = model.predict_target(held_out, outcome=name)
    return table


def _add_survival(
    table: pd.DataFrame, model: Any, held_out: MuData, name: str, data: Any, strata: Any
) -> None:
    """Columns of a survival outcome."""
    seen, end = data.observed.numpy(), model.trained.roles.suffix(name)
    table[f"time{end}"] = np.where(seen, data.time.numpy(), np.nan)
    # of competing causes the first, whose risk it is
    event = (data.outcome == 1).float().numpy()
    table[f"event{end}"] = np.where(seen, event, np.nan)
    if data.entry is not None:
        table[f"entry{end}"] = data.entry.numpy()
    if data.stratum is not None:
        table[f"stratum{end}"] = np.asarray(strata.names, dtype=object)[data.stratum.numpy()]
    table[f"risk{end}"] = model.predict_risk(held_out, outcome=name)
    table[f"risk_shared{end}"] = model.predict_risk(held_out, outcome=name, blocks="shared")


def _known(data: Any, prepared: Any) -> np.ndarray:
    """Values of a target in the user's units, or its levels; missing where unknown."""
    value, seen = data.value.numpy(), data.observed.numpy()
    if prepared.levels:
        levels = np.array([*prepared.levels, None], dtype=object)
        return levels[np.where(seen, value, -1).astype(int)]
    return np.where(seen, prepared.inverse(value), np.nan)
