"""Out-of-fold predictions: every patient predicted by a model that never saw that patient."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.data.written import FOLD, OUT_OF_FOLD, write_columns
from mvlatent.process import quiet
from mvlatent.specs.checks import check_jobs
from mvlatent.study._folds import names_of_folds, read_folds
from mvlatent.study._jobs import Folded, typed_roles
from mvlatent.study._patients import PlainCohort

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

__all__ = ["OutOfFold", "out_of_fold"]

Parts = tuple[pd.DataFrame, pd.DataFrame]  # of a fold: the table, and what is written


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
    names
        What the folds of the table were called in the column or Series they came from.
    columns
        What `annotate` writes, without ``_oof`` at the end, one row a patient as in ``table``.

    Examples
    --------
    >>> columns = {"label": ["a", "b", "b"], "predicted_label": ["a", "b", "a"]}
    >>> round(OutOfFold(pd.DataFrame(columns)).accuracy(), 2)
    0.67
    """

    table: pd.DataFrame
    first: dict[str, str] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    columns: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    def annotate(self, mdata: MuData | AnnData) -> None:
        """Write folds and out-of-fold predictions into ``obs``.

        ``mvlatent_fold``, and as far as there are outcomes ``mvlatent_risk_oof``,
        ``mvlatent_label_oof``, ``mvlatent_probability_<class>_oof``,
        ``mvlatent_target_<name>_oof``: what ``model.annotate`` writes, with another end. Missing
        for patients without a fold. Risks of two folds are of two models: compare within folds.

        Parameters
        ----------
        mdata
            The cohort that was cut into folds, or some of its patients, found by name.

        Raises
        ------
        ValueError
            If it holds patients that were not in the cohort.

        Examples
        --------
        >>> import anndata
        >>> columns = pd.DataFrame({"mvlatent_risk": [0.1, -0.3]}, index=["P1", "P2"])
        >>> found = OutOfFold(pd.DataFrame({"fold": [0, 1]}, index=["P1", "P2"]), columns=columns)
        >>> cohort = anndata.AnnData(obs=pd.DataFrame(index=["P2", "P1"]))
        >>> found.annotate(cohort)
        >>> cohort.obs["mvlatent_risk_oof"].tolist(), cohort.obs["mvlatent_fold"].tolist()
        ([-0.3, 0.1], [1, 0])
        """
        names = pd.Index(mdata.obs_names)
        strangers = names.difference(self.table.index)
        if len(strangers):
            raise ValueError(
                f"{len(strangers)} of {len(names)} patients of mdata have no place in the folds, "
                f"such as {strangers[0]!r}; annotate the cohort that was cut into folds."
            )
        if "fold" in self.table:
            mdata.obs[FOLD] = self.table["fold"].reindex(names).array
        if len(self.columns):
            write_columns(mdata, self.columns.reindex(names), OUT_OF_FOLD)

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

        Returns
        -------
        tuple of float
            C and the bounds of its interval. Folds (and resamples) in which no two patients can be
            compared are left out; all are NaN where there is no other fold.

        Raises
        ------
        KeyError
            If there is no such outcome.

        Warns
        -----
        UserWarning
            If a fold is left out; it is named.
        """
        end = self._end("survival", "risk", outcome)
        score = column if column not in ("risk", "risk_shared") else f"{column}{end}"
        used = {"time": f"time{end}", "event": f"event{end}", "risk": score}
        more = {"entry": f"entry{end}", "within": f"stratum{end}"}
        used |= {what: name for what, name in more.items() if name in self.table}
        seen = self.table[["fold", *used.values()]].set_axis(["fold", *used], axis=1)
        seen = seen.dropna(subset=["time", "event", "risk"])
        every = sorted(self.table["fold"].dropna().unique())
        folds = {k: seen[seen["fold"] == k] for k in every}
        found = {k: _concordance(rows) for k, rows in folds.items()}
        left_out = [self.names.get(int(k), f"{k:g}") for k, c in found.items() if np.isnan(c)]
        if left_out:
            warnings.warn(
                f"fold {', '.join(left_out)}: no two patients can be compared, as there are too "
                f"few events; the concordance is that of the other {len(folds) - len(left_out)}.",
                stacklevel=2,
            )
        kept = [folds[k] for k, c in found.items() if not np.isnan(c)]
        if not kept:
            return np.nan, np.nan, np.nan
        rng = np.random.default_rng(0)
        draws = [
            _mean([_concordance(t.iloc[rng.integers(0, len(t), len(t))]) for t in kept])
            for _ in range(200)
        ]
        lower, upper = np.nanquantile(draws, [0.5 - level / 2, 0.5 + level / 2])
        return _mean(list(found.values())), float(lower), float(upper)

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


def _concordance(rows: pd.DataFrame) -> float:
    """Harrell's C of one fold, NaN where no two of its patients can be compared."""
    from mvlatent.tl import concordance
    from mvlatent.tl._outcomes.concordance import NoPairsError

    options = {k: rows[k] for k in ("entry", "within") if k in rows}
    try:
        return concordance(rows["time"], rows["event"], rows["risk"], **options)
    except NoPairsError:
        return np.nan


def _mean(values: list[float]) -> float:
    """Mean of those that there are, NaN where there are none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


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
        Folds at a time, as in joblib: processes, or what ``joblib.parallel_config`` names, each on
        one thread. It changes no result.
    **options
        Options of `mvlatent.fit`; there is at least one outcome among them.

    Returns
    -------
    OutOfFold
        The ``table`` of predictions, and what they are worth.

    Raises
    ------
    TypeError, KeyError, ValueError
        Before the first fit: if there is no outcome, fewer than two folds, a Series of them lacks
        patients, ``n_jobs`` is 0, or `mvlatent.fit` would refuse the cohort or the patients outside
        one of the folds, which is named.
    ChildProcessError
        If a process ended before its fold did.

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
    return predict_folds(folded_for(mdata, folds, seed, n_jobs, options), mdata.obs_names, n_jobs)


def predict_folds(folded: Folded, patients: pd.Index, n_jobs: int) -> OutOfFold:
    """Fit and predict folds that `folded_for` has checked; rows in the order of ``patients``."""
    held_out = np.unique(folded.fold[folded.fold >= 0]).tolist()
    parts = folded.run(_one_fold, held_out, n_jobs)
    table, columns = (pd.concat(p).reindex(patients) for p in zip(*parts, strict=True))
    typed = typed_roles(folded.options).outcome_specs
    first = {o.role: o.name for o in reversed(typed) if not o.always_named}
    return OutOfFold(table, first, dict(zip(held_out, folded.names, strict=True)), columns)


def folded_for(
    mdata: MuData, folds: int | str | pd.Series, seed: int, n_jobs: int, options: dict[str, Any]
) -> Folded:
    """The folds of a cohort, once everything has been asked that can be before the first fit.

    Raises
    ------
    TypeError, KeyError, ValueError
        As `out_of_fold`.
    """
    check_jobs("n_jobs", n_jobs)
    roles = typed_roles(options)
    balanced = next((o for o in roles.outcome_specs if o.balanced_part), None)
    fold = read_folds(mdata, folds, seed, balanced)
    if not roles.outcome_specs:
        raise ValueError(
            "there is no outcome to predict out of the folds; name one with survival=, labels=, "
            "targets= or outcomes=."
        )
    plain, names = PlainCohort.of(mdata, roles), names_of_folds(mdata, folds)
    folded = Folded(plain, fold, names, {"progress": False, **options, "seed": seed})
    folded.check(np.unique(fold[fold >= 0]).tolist())
    return folded


def _one_fold(folded: Folded, k: int) -> Parts:
    """Fit without fold ``k`` and predict it."""
    from mvlatent._fit import fit

    with quiet():  # unseen sites of the held-out fold are expected
        model = fit(folded.training(k), **folded.options)
        return _predictions(model, folded.held_out(k), k)


def _predictions(model: Any, held_out: MuData, k: int) -> Parts:
    from mvlatent.outcomes.role import role_of
    from mvlatent.reading.annotate import outcome_columns
    from mvlatent.reading.outcomes import reading_of

    table = pd.DataFrame({"fold": k}, index=held_out.obs_names)
    trained = model.trained
    latents = trained.latents(model.cohort(held_out))
    for name in latents.cohort.outcomes:
        spec = trained.roles.outcome(trained.roles.named[name], name)
        found = role_of(spec).table(reading_of(trained, latents, name))
        table = table.assign(**found)
    return table, outcome_columns(trained, latents)
