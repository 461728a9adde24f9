"""The strength of one objective swept with warm starts, and the strength that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.process import quiet
from mvlatent.specs.checks import check_jobs, is_number, shown
from mvlatent.specs.typed import as_outcomes
from mvlatent.study._folds import names_of_folds, read_folds
from mvlatent.study._jobs import Folded, typed_roles
from mvlatent.study._patients import PlainCohort
from mvlatent.study._scores import HELD_OUT_SCORES, held_out_scores

if TYPE_CHECKING:
    from mudata import MuData

    from mvlatent.objectives import Term
    from mvlatent.specs.outcomes import OutcomeSpec

__all__ = ["Path", "path"]

PREFERENCES = ("strongest", "weakest")


@dataclass(frozen=True, eq=False)
class Path:
    """Scores along the strengths of an objective.

    Attributes
    ----------
    objective
        Name of the objective that was swept.
    table
        One row a weight: the mean over folds of each score (``cross_view``, ``private``,
        ``c_index``, ``site_accuracy``, ``site_excess``) and its standard error (``<score>_se``; NaN
        with one fold). Scores that could not be asked for are left out.
    scores
        One row a fold and weight, of which the table is made, with ``cross_view:<view>`` beside.
    prefer
        ``"strongest"`` or ``"weakest"``: which of the weights that do as well is `best`.

    Examples
    --------
    >>> columns = {"cross_view": [0.2, 0.3, 0.29], "cross_view_se": 3 * [0.02]}
    >>> table = pd.DataFrame(columns, index=[0.0, 0.1, 1.0])
    >>> Path("alignment", table, table).best, Path("alignment", table, table, "weakest").best
    (1.0, 0.1)
    """

    objective: str
    table: pd.DataFrame
    scores: pd.DataFrame
    prefer: str = "strongest"

    @property
    def best(self) -> float:
        """The weight chosen by `choose` on ``cross_view``."""
        return self.choose()

    def choose(self, metric: str = "cross_view", *, prefer: str | None = None) -> float:
        """Choose a weight by the one-standard-error rule.

        The strongest (or weakest) weight whose mean ``metric`` is at least the best mean minus the
        standard error of that best mean. Higher counts as better, so ``site_accuracy`` and
        ``site_excess`` are no metrics to choose by. With one fold there is no standard error and
        the best mean is taken.

        Parameters
        ----------
        metric
            A score of the table.
        prefer
            ``"strongest"`` or ``"weakest"``; as the path was made by default.

        Raises
        ------
        KeyError
            If the table has no such score.
        ValueError
            If ``prefer`` is neither, or the score falls where it gets better.

        References
        ----------
        Breiman et al. (1984), Classification and regression trees.

        Examples
        --------
        >>> columns = {"cross_view": [0.2, 0.3, 0.29, 0.1], "cross_view_se": 4 * [0.02]}
        >>> table = pd.DataFrame(columns, index=[0.0, 0.1, 1.0, 10.0])
        >>> Path("alignment", table, table).choose()
        1.0
        """
        prefer = self.prefer if prefer is None else prefer
        _check_preference(prefer)
        known = [name for name in HELD_OUT_SCORES if name in self.table]
        if metric not in known:
            raise KeyError(f"no score {metric!r}; the scores are {', '.join(known)}.")
        if metric.startswith("site"):
            raise ValueError(f"{metric} is better where it is lower; choose by another score.")
        mean = self.table[metric]
        at = mean.idxmax()
        error = self.table.loc[at, f"{metric}_se"]
        good = mean.index[mean >= mean[at] - (error if np.isfinite(error) else 0.0)]
        return float(good.max() if prefer == "strongest" else good.min())


def path(
    mdata: MuData,
    objective: str | Term,
    weights: Sequence[float],
    *,
    folds: int | str | pd.Series = 3,
    holdout: float | None = None,
    seed: int = 0,
    n_jobs: int = 1,
    prefer: str = "strongest",
    outcome: str | None = None,
    **options: Any,
) -> Path:
    """Sweep the weight of an objective and score each weight on held-out patients.

    Too strong an objective smooths real differences away, too weak a one leaves noise in z: where
    it tips depends on the cohort. In each fold the weights are fitted from the smallest to the
    largest on the training rows, each from the weights of the one before; everything (scaling too)
    is learnt on those rows. ``best`` is the strongest weight whose cross-view R² is within one
    standard error of the best, see `Path.choose`.

    Parameters
    ----------
    mdata
        Cohort; it is not changed.
    objective
        Name of an objective, or one of `mvlatent.objectives`' terms whose weight is to be swept
        (its other options stay).
    weights
        Weights to try, 0 or more.
    folds
        Number of folds (random, stratified by event), or a column of ``obs`` or a Series indexed by
        patient that holds them.
    holdout
        A share of the patients to hold out once, in place of folds.
    seed
        Seed of the split and of the fits.
    n_jobs
        Folds at a time, as in `out_of_fold`.
    prefer
        ``"strongest"`` or ``"weakest"`` of the weights that do as well.
    outcome
        Which of several survival outcomes ``c_index`` is of, and whose events the folds are
        stratified by; by default the first.
    **options
        Options of `mvlatent.fit`; ``objectives`` are the other ones, which stay as they are.
        ``head_blocks`` is the shared block and the clinical covariates unless given.

    Returns
    -------
    Path
        Table of scores, the scores of each fold, and the weight chosen.

    Raises
    ------
    KeyError
        If there is no such objective, survival outcome or column of folds.
    ValueError
        If a weight is negative or not finite or given twice, ``holdout`` is not between 0 and 1,
        the objective is also among the others, or the patients outside a fold cannot be fitted to;
        all before the first fit.
    ChildProcessError
        As in `out_of_fold`.

    Notes
    -----
    Later weights have had more epochs, those of the weights before them; a sweep over equal
    weights would show what that alone does.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, _ = mv.sim.cohort("easy", n=80)
    >>> found = mv.study.path(mdata, "alignment", [0, 1], folds=2, n_shared=5, max_epochs=2)
    >>> found.table.index.tolist(), found.best in (0.0, 1.0)
    ([0.0, 1.0], True)
    >>> ax = mv.pl.path(found)
    """
    check_jobs("n_jobs", n_jobs)
    term, others = _swept(objective, options.pop("objectives", None))
    ordered = _checked_weights(weights, term)
    _check_preference(prefer)
    fold = _split(mdata, folds, holdout, seed, _survival(options, outcome))
    options = {"head_blocks": ("shared", "clinical"), "progress": False, **options, "seed": seed}
    names = ["held out", "trained on"] if holdout is not None else names_of_folds(mdata, folds)
    plain = PlainCohort.of(mdata, typed_roles(options))
    folded = Folded(plain, fold, names, {**options, "objectives": (*others, term)})
    held_out = np.unique(fold[fold >= 0]).tolist() if holdout is None else [0]
    folded.check(held_out)
    found = folded.run(_one_fold, held_out, n_jobs, term, others, ordered, outcome)
    scores = pd.DataFrame([row for rows in found for row in rows])
    return Path(term.name, _summary(scores), scores, prefer)


def _survival(options: dict[str, Any], name: str | None) -> OutcomeSpec | None:
    """The survival outcome of a name, or the first; ``None`` if none is typed or asked for."""
    typed = as_outcomes(options.get("survival"), outcomes=options.get("outcomes", ()))
    found = {outcome.name: outcome for outcome in typed if outcome.role == "survival"}
    if name is None:
        return next(iter(found.values()), None)
    if name not in found:
        choices = ", ".join(map(repr, found)) or "none"
        raise KeyError(f"no survival outcome {name!r}; there are {choices}.")
    return found[name]


def _swept(objective: Any, others: Any) -> tuple[Term, tuple[Term, ...]]:
    """The term to sweep, and those that stay."""
    from mvlatent.objectives.terms import as_terms

    (term,) = as_terms(objective)
    rest = as_terms(others)
    if term.name in [other.name for other in rest]:
        raise ValueError(f"objective {term.name!r} is swept; leave it out of objectives.")
    return term, rest


def _checked_weights(weights: Sequence[float], term: Term) -> list[float]:
    ordered = sorted(float(weight) for weight in weights)
    if not ordered:
        raise ValueError("give at least one weight.")
    for weight, following in zip(ordered, [*ordered[1:], None], strict=True):
        replace(term, weight=weight)  # a weight that cannot be fails here, by name
        if weight == following:
            raise ValueError(f"weight {weight:g} is given twice; give it once.")
    return ordered


def _check_preference(prefer: str) -> None:
    if prefer not in PREFERENCES:
        raise ValueError(f"prefer must be 'strongest' or 'weakest', not {prefer!r}.")


def _split(
    mdata: MuData,
    folds: int | str | pd.Series,
    holdout: float | None,
    seed: int,
    survival: OutcomeSpec | None,
) -> np.ndarray:
    """Fold of each patient, -1 for none; with ``holdout`` those held out are fold 0."""
    if holdout is None:
        return read_folds(mdata, folds, seed, survival)
    count = round(mdata.n_obs * holdout) if is_number(holdout) and 0 < holdout < 1 else 0
    if not 0 < count < mdata.n_obs:
        raise ValueError(f"holdout must be a share between 0 and 1, not {shown(holdout)}.")
    fold = np.ones(mdata.n_obs, dtype=int)
    fold[np.random.default_rng(seed).permutation(mdata.n_obs)[:count]] = 0
    return fold


def _one_fold(
    folded: Folded,
    k: int,
    term: Term,
    others: tuple[Term, ...],
    weights: list[float],
    outcome: str | None,
) -> list[dict[str, float]]:
    """Fit every weight without fold ``k``, each from the one before, and score it on the fold."""
    from mvlatent._fit import fit

    rows, model, options = [], None, folded.options
    with quiet():
        training, rest = folded.training(k), folded.held_out(k)
        for weight in weights:
            terms = (*others, replace(term, weight=weight))
            model = fit(training, **{**options, "objectives": terms, "warm_start": model})
            scores = held_out_scores(model, rest, seed=options["seed"], outcome=outcome)
            rows.append({"fold": k, "weight": weight, **scores})
    return rows


def _summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over folds and their standard errors, one row a weight."""
    grouped = scores.groupby("weight")
    columns = {}
    for name in HELD_OUT_SCORES:
        if scores[name].notna().any():
            columns[name] = grouped[name].mean()
            columns[f"{name}_se"] = grouped[name].sem()
    return pd.DataFrame(columns)
