"""Out-of-fold predictions: every patient predicted by a model that never saw that patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.data.assemble import check_cohort
from mvlatent.specs.checks import check_jobs
from mvlatent.specs.typed import as_outcomes
from mvlatent.study._folds import read_folds, training_and_held_out

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
        ``risk``, ``risk_shared`` (the head on z, clinical covariates and site), ``time``,
        ``event`` (``entry``, ``stratum``), ``label``, ``predicted_label``. Columns of further
        outcomes of a kind end in their names, ``risk_PFI``; those of targets always do,
        ``target_purity`` and ``predicted_target_purity``.
    first
        Name of the first outcome of each kind, whose columns have no name at the end.

    Examples
    --------
    >>> columns = {"label": ["a", "b", "b"], "predicted_label": ["a", "b", "a"]}
    >>> round(OutOfFold(pd.DataFrame(columns)).accuracy(), 2)
    0.67
    """

    table: pd.DataFrame
    first: dict[str, str] = field(default_factory=dict)

    def _end(self, role: str, column: str, outcome: str | None) -> str:
        """What the columns of an outcome, one of which is ``column``, end in."""
        if outcome is None or outcome == self.first.get(role):
            return ""
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
        end = self._end("survival", "risk", outcome)
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
            column = f"label{self._end('labels', 'label', outcome)}"
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
    folds: int | str | pd.Series = 5,
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
        Number of folds (random, stratified by the first event), or a column of ``obs`` or a Series
        indexed by patient that holds them, as `folds` makes it; patients without a fold train
        nothing and are left out.
    seed
        Seed of the split and of the fits.
    n_jobs
        Folds at a time, as in joblib.
    **options
        Options of `mvlatent.fit`.

    Returns
    -------
    OutOfFold
        The ``table`` of predictions, and what they are worth.

    Raises
    ------
    KeyError
        If the column of folds is not there.
    ValueError
        If there are fewer than two folds, or a Series of them lacks patients.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, truth = mv.sim.cohort("easy", n=100)
    >>> outcome = ("survival_months", "event")
    >>> quick = {"n_shared": 5, "max_epochs": 2, "head_blocks": ("shared",)}
    >>> found = mv.study.out_of_fold(mdata, survival=outcome, folds=2, **quick)
    >>> c, lower, upper = found.concordance()
    >>> bool(0.5 < c < 1), found.table["fold"].nunique()
    (True, 2)
    """
    from joblib import Parallel, delayed

    check_cohort(mdata)
    check_jobs(n_jobs)
    typed = as_outcomes(
        options.get("survival"),
        options.get("labels"),
        options.get("targets"),
        options.get("outcomes", ()),
    )
    fold = read_folds(mdata, folds, seed, next((o for o in typed if o.balanced_part), None))
    jobs = [
        delayed(_one_fold)(mdata, fold, k, {**options, "seed": seed})
        for k in np.unique(fold[fold >= 0])
    ]
    parts = Parallel(n_jobs=n_jobs)(jobs)
    table = pd.concat(parts).reindex(mdata.obs_names)
    first = {o.role: o.name for o in reversed(typed) if not o.always_named}
    return OutOfFold(table, first)


def _one_fold(mdata: MuData, fold: np.ndarray, k: int, options: dict[str, Any]) -> pd.DataFrame:
    """Fit without fold ``k`` and predict it."""
    import warnings

    from mvlatent._fit import fit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unseen sites of the held-out fold are expected
        training, rest = training_and_held_out(mdata, fold, k)
        model = fit(training, **{"progress": False, **options})
        return _predictions(model, rest, k)


def _predictions(model: Any, held_out: MuData, k: int) -> pd.DataFrame:
    from mvlatent.outcomes.role import role_of
    from mvlatent.reading.outcomes import reading_of

    table = pd.DataFrame({"fold": k}, index=held_out.obs_names)
    trained, latents = model.trained, model.latents(held_out)
    for name in latents.cohort.outcomes:
        spec = trained.roles.outcome(trained.roles.named[name], name)
        found = role_of(spec).table(reading_of(trained, latents, name))
        table = table.assign(**found)
    return table
