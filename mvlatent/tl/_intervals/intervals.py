"""Calibration of credible and predictive intervals at several levels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.methods.arguments import check_view
from mvlatent.tl._align import align, align_entries
from mvlatent.tl._intervals.coverage import coverage
from mvlatent.tl._latent.probes import make_folds
from mvlatent.tl._model import as_block, check_model, scaled_views

__all__ = ["imputation_calibration", "interval_calibration", "latent_calibration"]

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
RIDGE = 1.0  # keeps axes without signal, whose posterior is the prior, out of the map to the truth


def interval_calibration(
    intervals: Any, truth: Any, *, levels: Sequence[float] = LEVELS
) -> pd.DataFrame:
    """How often intervals of several levels hold the truth.

    Parameters
    ----------
    intervals
        One of: an object with ``interval(level)`` that returns lower and upper ends (a
        :class:`mvlatent.posterior.Posterior`); a function that does; a mapping of levels to
        ``(lower, upper)`` or to an :class:`mvlatent.Imputation`; draws, S × the shape of
        ``truth``, whose central quantiles are taken.
    truth
        True values, (n,) or n × d; NaN entries are left out.
    levels
        Levels between 0 and 1; those of a mapping are its own.

    Returns
    -------
    DataFrame
        Index ``level``; ``coverage``, ``lower`` and ``upper`` (its 95 % interval; entries of one
        patient count as dependent), ``width`` (mean width of the intervals) and ``n`` (entries).

    Raises
    ------
    ValueError
        If a level is not strictly between 0 and 1, or as :func:`coverage`.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(2000)
    >>> table = interval_calibration(lambda level: (x - 1, x + 1), x, levels=[0.9])
    >>> float(table.loc[0.9, "coverage"])
    1.0
    """
    at, ends = _ends(intervals, np.shape(truth), levels)
    rows = {}
    for level in at:
        low, high = ends(level)
        named = [("truth", truth), ("lower", low), ("upper", high)]
        true, lower, upper = (np.asarray(values, float) for values in align_entries(named))
        share = coverage(lower, upper, true)
        low, high, n = _uncertainty(lower, upper, true, share)
        width = float((upper - lower)[~np.isnan(true)].mean())
        rows[level] = {"coverage": share, "lower": low, "upper": high, "width": width, "n": n}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.astype({"n": int}).rename_axis("level")


Ends = Callable[[float], tuple[Any, Any]]


def _ends(
    intervals: Any, shape: tuple[int, ...], levels: Sequence[float]
) -> tuple[list[float], Ends]:
    """The levels asked for, and a function from a level to its interval."""
    ends: Ends
    if isinstance(intervals, Mapping):
        levels = list(intervals)

        def ends(level: float) -> tuple[Any, Any]:
            found = intervals[level]
            return (found.lower, found.upper) if hasattr(found, "lower") else found

    elif hasattr(intervals, "interval"):
        ends = intervals.interval
    elif callable(intervals):
        ends = intervals
    else:
        draws = np.asarray(intervals, float)
        if draws.shape[1:] != shape:
            raise ValueError(f"draws {draws.shape} are not S × the truth's shape {shape}.")

        def ends(level: float) -> tuple[Any, Any]:
            lower, upper = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2], axis=0)
            return lower, upper

    at = [float(level) for level in levels]
    if not at or not all(0 < level < 1 for level in at):
        raise ValueError(f"levels must lie strictly between 0 and 1, got {at}.")
    return at, ends


def _uncertainty(
    lower: np.ndarray, upper: np.ndarray, truth: np.ndarray, share: float
) -> tuple[float, float, int]:
    """Wilson interval of a coverage with the number of patients that its spread stands for."""
    known = ~np.isnan(truth)
    hit = known & (lower <= truth) & (truth <= upper)
    hits, counts = (x.reshape(len(truth), -1).sum(1) for x in (hit, known))
    total, patients = int(counts.sum()), int((counts > 0).sum())
    variance = np.square(hits - share * counts).sum() / total**2
    effective = share * (1 - share) / variance if variance > 0 else float(patients)
    effective = min(max(effective, 1.0), float(total))
    z = 1.959964
    centre = (share + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = np.sqrt(share * (1 - share) / effective + z**2 / (4 * effective**2))
    half *= z / (1 + z**2 / effective)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half)), total


def latent_calibration(
    posterior: Any,
    truth: Any,
    *,
    levels: Sequence[float] = LEVELS,
    n_samples: int = 400,
    n_splits: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Coverage of the true factors by credible intervals of latents.

    Latents are found up to a rotation, so draws of the posterior are first mapped onto the true
    factors: by least squares of the truth on posterior *means* (which is not attenuated, as a
    calibrated posterior has E[truth | mean] linear in the mean), learnt on other folds.

    Parameters
    ----------
    posterior
        With ``mean`` (n × d) and ``sample(n, seed=)`` (S × n × d), such as
        ``model.posterior(block="shared")``.
    truth
        True factors, n × k; rows with a NaN take no part.
    levels
        As in :func:`interval_calibration`.
    n_samples, n_splits, seed
        Draws, and folds of the map.

    Returns
    -------
    DataFrame
        As :func:`interval_calibration`.

    Raises
    ------
    ValueError
        If the numbers of rows differ.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, truth = mv.sim.cohort("easy", n=100)
    >>> model = mv.fit(mdata, n_shared=5, n_private=3, max_epochs=2, progress=False)
    >>> table = mv.tl.latent_calibration(model.posterior(), truth.shared)
    >>> bool(0.8 < table.loc[0.9, "coverage"] < 1)
    True
    """
    truth = align([("posterior", posterior), ("truth", truth)])[1]
    mean, true = np.asarray(posterior.mean, float), as_block(truth)
    if len(mean) != len(true):
        raise ValueError(
            f"rows differ: posterior {mean.shape}, truth {true.shape}; give the same patients."
        )
    known = np.flatnonzero(~np.isnan(true).any(1))
    draws = np.asarray(posterior.sample(n_samples, seed=seed), float)[:, known]
    mean, true = mean[known], true[known]
    mapped = np.empty((n_samples, *true.shape))
    for test in make_folds(len(known), n_splits, seed):
        train = np.setdiff1d(np.arange(len(known)), test)
        centre, offset = mean[train].mean(0), true[train].mean(0)
        x = mean[train] - centre
        slope = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (true[train] - offset))
        mapped[:, test] = (draws[:, test] - centre) @ slope + offset
    return interval_calibration(mapped, true, levels=levels)


def imputation_calibration(
    model: Any,
    view: str,
    mdata: Any = None,
    *,
    given: Sequence[str] | str | None = None,
    levels: Sequence[float] = LEVELS,
    n_samples: int = 400,
    seed: int = 0,
) -> pd.DataFrame:
    """Coverage of a view's measured entries by predictive intervals from the other views.

    Parameters
    ----------
    model
        A fitted :class:`mvlatent.MVLatent`.
    view
        View to predict, of a likelihood whose interval holds a measurement (not Bernoulli or
        categorical). Intervals of counts and levels end on counts and levels: they may cover more
        than their level.
    mdata
        Patients, best ones that the model was not fitted to; the fitted ones by default.
    given
        Views to look at; every other one by default. Patients with none of them take no part.
    levels
        As in :func:`interval_calibration`.
    n_samples, seed
        Draws, where the prediction has no closed form.

    Returns
    -------
    DataFrame
        As :func:`interval_calibration`.

    Raises
    ------
    KeyError
        If there is no such view.
    ValueError
        If the view is Bernoulli or categorical.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, truth = mv.sim.cohort("easy", n=100)
    >>> model = mv.fit(mdata, n_shared=5, n_private=3, max_epochs=2, progress=False)
    >>> test, _ = truth.new_patients(60)
    >>> table = mv.tl.imputation_calibration(model, "rna", test)
    >>> bool(0.85 < table.loc[0.9, "coverage"] < 0.95)
    True
    """
    check_model(model)
    check_view(view, model.roles.views)
    spec = model.roles.views[view]
    if spec.declaration.categories:
        raise ValueError(
            f"view {view!r} is {spec.likelihood}: an interval of categories has no level."
        )
    views = scaled_views(model, mdata)
    given = [name for name in views if name != view] if given is None else given
    looked_at = [given] if isinstance(given, str) else list(given)
    informed = np.any([views[name].notna().any(axis=1) for name in looked_at], axis=0)
    truth = views[view].to_numpy()[informed]

    def ends(level: float) -> tuple[np.ndarray, np.ndarray]:
        found = model.impute(
            view,
            mdata,
            given=given,
            interval=level,
            n_samples=n_samples,
            seed=seed,
            units="scaled",
        )
        return found.lower.to_numpy()[informed], found.upper.to_numpy()[informed]

    return interval_calibration(ends, truth, levels=levels)
