"""Which columns of obs the factors go with, and how many of those by chance."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mvlatent.data.obs_columns import are_numbers_in_words, as_numbers, as_text, is_numeric
from mvlatent.tl._model import latent_blocks

__all__ = ["factor_covariates"]

METHODS = ("pearson", "spearman")
FEWEST = 3  # patients of a correlation with a p-value


def factor_covariates(
    latent: Any,
    obs: Any = None,
    columns: str | Sequence[str] | None = None,
    *,
    block: str = "shared",
    method: str = "pearson",
) -> pd.DataFrame:
    """How each factor goes with each column of obs, with false discovery rates.

    Numbers (numbers in words and bools too) have a correlation; categories have eta, the square
    root of the share of the factor's variance that lies between them, with the F test of one-way
    analysis of variance. Patients without a value are left out of its pairs. Latents are taken as
    known, and their columns one at a time: what goes with a factor need not cause it.

    Parameters
    ----------
    latent
        Patients × factors (array, DataFrame, or a Series of one), or a fitted
        :class:`mvlatent.MVLatent`, whose factors are those that are on.
    obs
        Columns, a DataFrame (or a MuData or AnnData that has them) whose rows are matched to those
        of ``latent`` by name; of an array without names they are in its order. ``None``: the
        columns that the model was set up with, of its own patients. Of a MuData or AnnData a model
        reads the patients too.
    columns
        Columns to take; by default all but those that say nothing: constant, dates, categories
        with fewer than two patients each on average, and the times and events of a model's survival
        outcomes, which censoring bends (``attrs["left_out"]`` names them).
    block
        Of a model: ``"shared"``, ``"private:<view>"`` or ``"all"``. Patients without a view are
        left out of its private factors.
    method
        ``"pearson"``, or ``"spearman"``, which takes the ranks of factors and numbers.

    Returns
    -------
    DataFrame
        A row a factor and column: ``factor``, ``column``, ``kind`` (``"correlation"`` or
        ``"eta"``), ``value``, ``n`` (patients), ``p`` and ``q``, the false discovery rate of
        Benjamini and Hochberg over all rows. NaN where there are too few patients or nothing
        varies.

    Raises
    ------
    KeyError
        If ``obs`` lacks a column or a patient, or the model such a block.
    ValueError
        If lengths differ, a name occurs twice, the method is not known, a column asked for says
        nothing, or there is no column or no factor at all.

    References
    ----------
    Benjamini & Hochberg (1995). Controlling the false discovery rate. J. R. Stat. Soc. B 57.

    Examples
    --------
    >>> from mvlatent import tl
    >>> age = np.random.default_rng(0).normal(60, 10, 100)
    >>> obs = pd.DataFrame({"age": age, "sex": ["f", "m"] * 50})
    >>> tl.factor_covariates(age[:, None] / 10, obs)[["column", "kind", "value"]].round(2).iloc[0]
    column            age
    kind      correlation
    value             1.0
    Name: 0, dtype: object
    """
    if method not in METHODS:
        raise ValueError(f"method must be 'pearson' or 'spearman', not {method!r}.")
    z, table = _matched(latent, obs, block)
    if not z.shape[1]:
        raise ValueError("there is no factor: all of them are switched off.")
    taken, left_out = _covariates(table, columns, _of_survival(latent))
    rows = []
    for factor in z:
        for name, values in taken.items():
            kind, found = _association(z[factor].to_numpy(float), values, method)
            rows.append((factor, name, kind, *found))
    result = pd.DataFrame(rows, columns=["factor", "column", "kind", "value", "n", "p"])
    tested = result["p"].notna()
    result["q"] = np.nan
    if tested.any():
        result.loc[tested, "q"] = stats.false_discovery_control(result.loc[tested, "p"])
    result.attrs = {"method": method, "left_out": left_out}
    return result


def _matched(latent: Any, obs: Any, block: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Factors and columns of the same patients, in the same order."""
    cohort = obs if hasattr(obs, "obs") else None
    frame = obs if cohort is None else cohort.obs
    if hasattr(latent, "latents"):
        z = _factors(latent, cohort, block)
        frame = latent.tables().obs if frame is None else frame
    elif isinstance(latent, pd.DataFrame | pd.Series):
        z = latent.to_frame() if isinstance(latent, pd.Series) else latent
    else:
        values = np.asarray(latent, float)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2:
            raise ValueError(f"latent must be patients × factors, got shape {values.shape}.")
        names = frame.index if isinstance(frame, pd.DataFrame) else None
        if names is not None and len(names) != len(values):
            raise ValueError(f"latent has {len(values)} rows but obs {len(names)}; match them.")
        return pd.DataFrame(values, names, [f"latent_{j}" for j in range(values.shape[1])]), frame
    if not isinstance(frame, pd.DataFrame):
        raise ValueError("obs must be a DataFrame of columns, or a MuData or AnnData with them.")
    for what, index in (("latent", z.index), ("obs", frame.index)):
        if not index.is_unique:
            twice = index[index.duplicated()][0]
            raise ValueError(f"{what} names the patient {twice!r} twice; give each one row.")
    absent = z.index.difference(frame.index)
    if len(absent):
        raise KeyError(
            f"obs lacks {len(absent)} of {len(z)} patients of latent, the first is {absent[0]!r}; "
            "give both the same index."
        )
    return z, frame.loc[z.index]


def _factors(model: Any, cohort: Any, block: str) -> pd.DataFrame:
    """Factors of a model that are on, patients × factors; NaN where a patient lacks the view."""
    latents = model.latents(cohort)
    wanted, vae = latents.blocks(block), model.trained.vae
    on = {"shared": vae.active} | {f"private:{name}": part.shown for name, part in vae.members}
    columns = {
        f"{name}_{j}": values[:, j]
        for name, values in latent_blocks(model, cohort).items()
        if name in wanted
        for j in np.flatnonzero(on[name].numpy())
    }
    return pd.DataFrame(columns, list(latents.cohort.obs_names))


def _of_survival(model: Any) -> set[str]:
    """Columns of a model's survival outcomes; none of bare latents."""
    specs = model.roles.outcome_specs if hasattr(model, "latents") else ()
    return {name for spec in specs if spec.role == "survival" for name in spec.outcome_columns}


def _covariates(
    obs: pd.DataFrame, columns: str | Sequence[str] | None, survival: set[str]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Values of the columns by name, numbers or words with ``None``; and why others are not."""
    asked = [columns] if isinstance(columns, str) else columns
    lacking = [name for name in asked or () if name not in obs]
    if lacking:
        have = ", ".join(map(str, obs)) or "none"
        raise KeyError(
            f"obs has no column {lacking[0]!r}; it has {have}. Give obs=, the columns to take."
        )
    taken: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    for name in obs if asked is None else asked:
        column = obs[name]
        if isinstance(column, pd.DataFrame):
            raise ValueError(f"obs has {column.shape[1]} columns {name!r}; keep one of them.")
        values, why = _values(column, f"column {name!r}")
        if asked is None and name in survival:
            why = "is a time or an event, see MVLatent.hazard_ratios"
        if why and asked is not None:
            raise ValueError(f"column {name!r} says nothing of factors: it {why}; leave it out.")
        if why:
            left_out[str(name)] = why
        else:
            taken[str(name)] = values
    if not taken:
        why = "; ".join(f"{name!r} {reason}" for name, reason in left_out.items()) or "it has none"
        raise ValueError(f"obs has no column to compare ({why}); give obs=, the columns to take.")
    return taken, left_out


def _values(column: pd.Series, what: str) -> tuple[np.ndarray, str | None]:
    """The column as floats or as words, and what makes it useless."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return np.zeros(0), "holds dates"
    bools = pd.api.types.is_bool_dtype(column.dtype)
    if bools or is_numeric(column) or are_numbers_in_words(column):
        numbers = as_numbers(column, what)
        levels = np.unique(numbers[~np.isnan(numbers)])
        return numbers, None if len(levels) > 1 else "does not vary"
    words = as_text(column)
    known = [word for word in words if word is not None]
    if len({*known}) < 2:
        return words, "does not vary"
    if len(known) < 2 * len({*known}):
        return words, f"has {len({*known})} categories for {len(known)} patients"
    return words, None


def _association(
    z: np.ndarray, values: np.ndarray, method: str
) -> tuple[str, tuple[float, int, float]]:
    """Kind, and strength, patients and p-value of a factor with a column."""
    if values.dtype == object:
        known = np.array([word is not None for word in values]) & ~np.isnan(z)
        return "eta", _eta(z[known], pd.factorize(values[known])[0], method)
    known = ~np.isnan(values) & ~np.isnan(z)
    x, y = z[known], values[known]
    n = len(x)
    if n < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return "correlation", (np.nan, n, np.nan)
    found = stats.spearmanr(x, y) if method == "spearman" else stats.pearsonr(x, y)
    return "correlation", (float(found[0]), n, float(found[1]))


def _eta(z: np.ndarray, codes: np.ndarray, method: str) -> tuple[float, int, float]:
    """Eta of a factor (n,) in groups (n,), n, and the p-value of its F test."""
    n, k = len(z), len(np.unique(codes))
    if k < 2 or n <= k or np.ptp(z) == 0:
        return np.nan, n, np.nan
    x = stats.rankdata(z) if method == "spearman" else z
    centred = x - x.mean()
    sizes, sums = np.bincount(codes), np.bincount(codes, centred)
    between, total = float((sums**2 / sizes).sum()), float((centred**2).sum())
    within = max(total - between, 0.0)
    f = np.inf if within == 0 else (between / (k - 1)) / (within / (n - k))
    return float(np.sqrt(min(between / total, 1.0))), n, float(stats.f.sf(f, k - 1, n - k))
