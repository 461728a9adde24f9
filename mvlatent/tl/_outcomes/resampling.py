"""Intervals and paired comparisons of any metric, by resampling patients."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from mvlatent.tl._outcomes.outcome import checked_groups

__all__ = ["Difference", "Interval", "bootstrap", "bootstrap_difference"]

Metric = Callable[[np.ndarray], float]


class Interval(NamedTuple):
    """An estimate with its bounds.

    Attributes
    ----------
    estimate
        The metric on the patients themselves.
    lower, upper
        Bounds.

    Examples
    --------
    >>> estimate, lower, upper = Interval(0.7, 0.6, 0.8)
    >>> lower < estimate < upper
    True
    """

    estimate: float
    lower: float
    upper: float


class Difference(NamedTuple):
    """A difference a − b with its bounds and a two-sided bootstrap p value.

    Attributes
    ----------
    estimate
        a − b on the patients themselves.
    lower, upper
        Bounds.
    p_value
        Of no difference.

    Examples
    --------
    >>> found = Difference(0.04, -0.01, 0.09, 0.12)
    >>> found.lower < 0 < found.upper  # no difference is not ruled out
    True
    """

    estimate: float
    lower: float
    upper: float
    p_value: float


def bootstrap(
    metric: Metric,
    n: int,
    *,
    strata: Any = None,
    level: float = 0.95,
    n_bootstrap: int = 500,
    seed: int = 0,
) -> Interval:
    """Any metric with a percentile bootstrap interval over patients.

    It says how certain the number is for these fitted predictions; it does not know that another
    training set would have given others.

    Parameters
    ----------
    metric
        Takes positions of patients, (n,) integers, some more than once, and returns the metric on
        them.
    n
        Number of patients.
    strata
        Site or fold of each patient, (n,): patients are drawn within their stratum.
    level
        Coverage of the interval.
    n_bootstrap
        Number of resamples; those on which the metric raises a ValueError or is not finite (no
        event drawn, say) are drawn again.
    seed
        Seed of the resampling.

    Returns
    -------
    Interval
        ``estimate`` on the patients themselves, ``lower`` and ``upper``.

    Raises
    ------
    ValueError
        If the metric fails on the patients themselves or on nearly all resamples, or ``level``
        is not within (0, 1).

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993.

    Examples
    --------
    >>> x = np.arange(9.0)
    >>> bootstrap(lambda rows: x[rows].mean(), 9, n_bootstrap=100).estimate
    4.0
    """
    draws = _draws(lambda rows: (metric(rows),), n, strata, level, n_bootstrap, seed)
    estimate = float(metric(np.arange(n)))
    lower, upper = np.quantile(draws[:, 0], [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(lower), float(upper))


def bootstrap_difference(
    a: Metric,
    b: Metric,
    n: int,
    *,
    strata: Any = None,
    level: float = 0.95,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> Difference:
    """Difference of a metric between two sets of predictions of the same patients.

    Both are computed on the same resamples, so what the patients share cancels.

    Parameters
    ----------
    a, b
        Metrics as in :func:`bootstrap`, one for each set of predictions.
    n, strata, level, n_bootstrap, seed
        As in :func:`bootstrap`.

    Returns
    -------
    Difference
        ``a − b``. The p value is twice the smaller share of resamples on one side of 0, at
        least 2 / (``n_bootstrap`` + 1).

    Raises
    ------
    ValueError
        As :func:`bootstrap`.

    Examples
    --------
    >>> from mvlatent import tl
    >>> t, e = np.arange(40.0), np.ones(40)
    >>> good, none = -t, np.tile([0.0, 1.0], 20)
    >>> bootstrap_difference(
    ...     lambda rows: tl.concordance(t[rows], e[rows], good[rows]),
    ...     lambda rows: tl.concordance(t[rows], e[rows], none[rows]),
    ...     40,
    ...     n_bootstrap=100,
    ... ).lower > 0
    True
    """
    draws = _draws(lambda rows: (a(rows), b(rows)), n, strata, level, n_bootstrap, seed)
    rows = np.arange(n)
    difference = draws[:, 0] - draws[:, 1]
    lower, upper = np.quantile(difference, [(1 - level) / 2, (1 + level) / 2])
    side = min((difference <= 0).sum(), (difference >= 0).sum())
    p_value = min(1.0, 2 * (side + 1) / (len(difference) + 1))
    return Difference(float(a(rows)) - float(b(rows)), float(lower), float(upper), p_value)


def _draws(
    metrics: Callable[[np.ndarray], tuple[float, ...]],
    n: int,
    strata: Any,
    level: float,
    n_bootstrap: int,
    seed: int,
) -> np.ndarray:
    """Metrics of the resamples, n_bootstrap × metrics."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie within (0, 1), got {level}.")
    metrics(np.arange(n))  # what is wrong with the patients themselves is said here
    drawn: list[tuple[float, ...]] = []
    resamples = _resamples(n, strata, np.random.default_rng(seed))
    for _ in range(20 * n_bootstrap):
        try:
            values = metrics(next(resamples))
        except ValueError:
            continue
        if np.isfinite(values).all():
            drawn.append(values)
        if len(drawn) == n_bootstrap:
            return np.asarray(drawn, float)
    raise ValueError(
        f"the metric exists on only {len(drawn)} of {20 * n_bootstrap} resamples: too few "
        "events; give more patients or fewer strata."
    )


def _resamples(n: int, strata: Any, rng: np.random.Generator) -> Iterator[np.ndarray]:
    if strata is None:
        while True:
            yield rng.integers(n, size=n)
    codes = checked_groups(strata, n, "strata")[0]
    members = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    while True:
        yield np.concatenate([rows[rng.integers(len(rows), size=len(rows))] for rows in members])
