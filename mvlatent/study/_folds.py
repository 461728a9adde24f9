"""Folds of a cohort: made here, and read here wherever ``folds=`` is asked for."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from mvlatent.data.assemble import check_cohort
from mvlatent.data.names import quote
from mvlatent.data.obs_columns import as_text, find_column
from mvlatent.process import quiet
from mvlatent.specs.checks import check_seed

if TYPE_CHECKING:
    from mudata import MuData

    from mvlatent.specs.outcomes import OutcomeSpec

__all__ = ["folds", "names_of_folds", "read_folds"]

Column: TypeAlias = str | pd.Series  # of obs, or by patient

UNEVEN = 1.5  # a group this many times the size of an even fold is worth a warning


def folds(
    mdata: MuData,
    n: int = 5,
    *,
    groups: str | pd.Series | None = "site",
    stratify: str | pd.Series | None = "event",
    seed: int = 0,
) -> pd.Series:
    """Cut a cohort into folds that keep sites whole and have about as many events each.

    The same patients, groups and seed give the same folds, in whatever order the rows are.

    Parameters
    ----------
    mdata
        Cohort; it is not changed.
    n
        Number of folds.
    groups
        Column of ``obs``, or a Series indexed by patient, whose values stay together: the site, or
        the patient where there are several samples of one. A patient without a value is a group
        alone. ``None``: no groups.
    stratify
        Column of ``obs``, or a Series indexed by patient, of few values, whose shares are to be
        about the same in every fold; missing is a value too. ``None``: only sizes are balanced.
    seed
        Seed of the split.

    Returns
    -------
    pandas.Series
        Folds 0 to n - 1 as integers, named ``fold``, indexed by ``mdata.obs_names``: what
        ``folds=`` of `out_of_fold` and `path` takes.

    Raises
    ------
    KeyError
        If a column is not there.
    ValueError
        If there are fewer groups (or patients) than folds, a Series lacks patients, or the values
        to stratify by are too many.

    Warns
    -----
    UserWarning
        If a group is so large that its fold is at least one and a half times an even one.

    Examples
    --------
    >>> import mvlatent as mv
    >>> cohort = mv.datasets.demo(120)
    >>> fold = mv.study.folds(cohort, 3)
    >>> cohort.obs.groupby(fold)["event"].mean().round(2).tolist()
    [0.42, 0.38, 0.38]
    >>> int(fold.groupby(cohort.obs["site"].to_numpy()).nunique().max())  # of a site
    1
    """
    check_cohort(mdata)
    names = pd.Index(mdata.obs_names)
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise ValueError(f"patient {twice!r} occurs twice in mdata; make the names unique.")
    _check_number(n, len(names), "n")
    check_seed("seed", seed)
    order = np.argsort(names.astype(str), kind="stable")  # the split must not see the rows' order
    group = stratum = None
    if groups is not None:
        group = _groups(_column(mdata, groups, "groups").iloc[order], n, groups)
    if stratify is not None:
        stratum = _strata(_column(mdata, stratify, "stratify").iloc[order], n, stratify)
    fold = pd.Series(_cut(len(names), n, stratum, group, seed), index=names[order], name="fold")
    return fold.reindex(names)


def read_folds(
    mdata: MuData, folds: int | Column, seed: int = 0, balanced: OutcomeSpec | None = None
) -> np.ndarray:
    """Fold of each patient, -1 for none.

    Parameters
    ----------
    mdata
        Cohort of n patients.
    folds
        Number of random folds, a column of ``obs`` or a Series indexed by patient that holds them.
    seed
        Seed of random folds.
    balanced
        Outcome whose `balanced_part` random folds are stratified by, where each of its values has a
        patient a fold.

    Raises
    ------
    KeyError
        If the column is not there.
    ValueError
        If there are fewer than two folds, too many, or a Series lacks patients.
    """
    check_cohort(mdata)
    if isinstance(folds, str | pd.Series):
        codes, levels = pd.factorize(_column(mdata, folds, "folds"), sort=True)
        if len(levels) < 2:
            what = _said(folds, "folds")
            raise ValueError(f"{what} holds {len(levels)} folds; at least 2 are needed.")
        return codes
    _check_number(folds, mdata.n_obs, "folds")
    check_seed("seed", seed)
    stratum = None
    column = None if balanced is None else balanced.parts.get(balanced.balanced_part or "")
    if column is not None and column in mdata.obs:
        said = ["" if t is None else t for t in as_text(find_column(mdata, column))]
        found = pd.factorize(np.asarray(said, dtype=object))[0]
        stratum = found if np.bincount(found).min() >= folds else None
    return _cut(mdata.n_obs, folds, stratum, None, seed)


def names_of_folds(mdata: MuData, folds: int | Column) -> list[str]:
    """What the folds that `read_folds` numbers are called: by their number, or as they stand."""
    if not isinstance(folds, str | pd.Series):
        return list(map(str, range(int(folds))))
    return list(map(repr, pd.factorize(_column(mdata, folds, "folds"), sort=True)[1].tolist()))


def _cut(
    n_obs: int, n: int, stratum: np.ndarray | None, group: np.ndarray | None, seed: int
) -> np.ndarray:
    """Fold of each row."""
    from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

    plain = KFold if stratum is None else StratifiedKFold
    splitter = (plain if group is None else StratifiedGroupKFold)(
        n, shuffle=True, random_state=seed
    )
    codes = np.zeros(n_obs, dtype=int) if stratum is None else stratum
    fold = np.full(n_obs, -1)
    with quiet("The least populated class"):  # rare values are no fault
        for k, (_, held_out) in enumerate(splitter.split(codes, codes, group)):
            fold[held_out] = k
    return fold


def _check_number(n: Any, n_obs: int, name: str) -> None:
    if not isinstance(n, int | np.integer):
        column = " (an int), a column of obs or a Series indexed by patient" * (name == "folds")
        raise ValueError(f"{name} must be a number{column or ' of folds'}, not {n!r}.")
    if not 2 <= n <= n_obs // 2:
        raise ValueError(f"{name} must be between 2 and {n_obs // 2} folds, not {n}.")


def _column(mdata: MuData, column: Column, option: str) -> pd.Series:
    """A column of obs, or a Series in the order of the patients."""
    if isinstance(column, pd.Series):
        names = mdata.obs_names
        if not column.index.is_unique:
            twice = column.index[column.index.duplicated()][0]
            raise ValueError(f"{option}: patient {twice!r} has two values; give one a patient.")
        lacking = names.difference(column.index)
        if len(lacking):
            raise ValueError(
                f"{option}: the Series has no value for {len(lacking)} of {len(names)} patients, "
                f"such as {lacking[0]!r}; index it by mdata.obs_names, NaN where there is none."
            )
        return column.reindex(names)
    if column not in mdata.obs and not hasattr(mdata, "mod"):
        have = quote(mdata.obs)
        raise KeyError(f"no column {column!r} of {option} in obs; the columns are {have}.")
    try:
        return find_column(mdata, column, option)
    except KeyError as error:
        choices = error.args[0].partition("; ")[2].removesuffix(".")
        choices += "" if option == "folds" else f", or pass {option}=None"
        raise KeyError(f"no column {column!r} of {option} in mdata.obs; {choices}.") from None


def _said(column: Column, option: str) -> str:
    return f"column {column!r}" if isinstance(column, str) else f"the Series of {option}"


def _groups(values: pd.Series, n: int, given: Column) -> np.ndarray:
    """Group of each row; a row without a value is one alone."""
    codes, levels = pd.factorize(as_text(values), sort=True)
    alone = codes < 0
    if len(levels) + alone.sum() < n:
        fewer = f"n={len(levels)}, " if len(levels) > 1 else ""
        raise ValueError(
            f"{_said(given, 'groups')} holds {len(levels)} groups, too few for {n} folds that keep "
            f"them whole; take {fewer}other groups or groups=None."
        )
    sizes = np.bincount(codes[~alone], minlength=1)
    even = len(values) / n
    if sizes.max() >= UNEVEN * even:
        warnings.warn(
            f"{levels[sizes.argmax()]!r} holds {sizes.max() / len(values):.0%} of the patients "
            f"and an even fold of {n} {1 / n:.0%}: the folds are uneven; take fewer of them, or "
            "other groups.",
            stacklevel=3,
        )
    codes[alone] = len(levels) + np.arange(alone.sum())
    return codes


def _strata(values: pd.Series, n: int, given: Column) -> np.ndarray:
    """Stratum of each row; missing is one."""
    codes, levels = pd.factorize(as_text(values), sort=True)
    codes = np.where(codes < 0, len(levels), codes)
    if np.bincount(codes).max() < n:
        raise ValueError(
            f"{_said(given, 'stratify')} has {len(levels)} values and none in {n} patients; cut "
            "it into a few ranges, or take stratify=None."
        )
    return codes
