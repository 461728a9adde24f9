"""Comparing two models on the same folds."""

from typing import Any, NamedTuple

import numpy as np

from mvlatent.tl._align import aligned

__all__ = ["PairedDifference", "paired_difference"]


class PairedDifference(NamedTuple):
    """Mean difference a − b, its standard error, a t interval, and the number of pairs.

    Attributes
    ----------
    mean, se
        Mean difference a − b and its standard error.
    lower, upper
        Bounds of its t interval.
    n
        Number of pairs.

    Examples
    --------
    >>> from mvlatent import tl
    >>> found = tl.paired_difference([0.7, 0.6, 0.8], [0.6, 0.6, 0.6])
    >>> found.n, round(found.statistic, 2)
    (3, 1.73)
    """

    mean: float
    se: float
    lower: float
    upper: float
    n: int

    @property
    def statistic(self) -> float:
        """Student's t of no difference: mean over standard error; NaN where both are 0."""
        if self.se > 0:
            return self.mean / self.se
        return float(np.copysign(np.inf, self.mean)) if self.mean else float("nan")

    @property
    def p_value(self) -> float:
        """Two-sided p value of no difference, n − 1 degrees of freedom; 1 where all are equal."""
        from scipy.stats import t as student

        if np.isnan(self.statistic):
            return 1.0
        return float(2 * student.sf(abs(self.statistic), self.n - 1))


def paired_difference(
    a: Any, b: Any, *, level: float = 0.95, test_train_ratio: float = 0.0
) -> PairedDifference:
    """Difference of two models' scores over the same folds: the corrected resampled t test.

    Parameters
    ----------
    a, b
        Score of each model in each fold (or cohort), in the same order or indexed by fold;
        pairs with a NaN are left out.
    level
        Coverage of the interval.
    test_train_ratio
        Patients in the test fold over patients in training; 0 treats the folds as independent,
        which repeated cross-validation on one cohort is not. With 5 folds give 1/4: the variance
        is then (1/n + ratio) s² (Nadeau and Bengio), which holds the level roughly and not
        exactly. Give the scores of all folds of all repeats.

    Returns
    -------
    PairedDifference
        Its ``statistic`` and ``p_value`` are those of the test of no difference.

    Raises
    ------
    ValueError
        If the lengths differ or fewer than two pairs are complete.

    References
    ----------
    Nadeau and Bengio, Machine Learning 2003.

    Examples
    --------
    >>> result = paired_difference([0.7, 0.6, 0.8], [0.6, 0.6, 0.6])
    >>> round(result.mean, 3), round(result.se, 4)
    (0.1, 0.0577)
    >>> round(result.p_value, 3)
    0.225
    """
    from scipy.stats import t as student

    a, b = aligned(what="folds", a=a, b=b)
    first, second = np.asarray(a, float), np.asarray(b, float)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"a and b must be of one length, got {first.shape}, {second.shape}; give a score "
            "a fold of each."
        )
    difference = first - second
    difference = difference[~np.isnan(difference)]
    n = len(difference)
    if n < 2:
        raise ValueError("at least two complete pairs are needed; give more folds.")
    mean = float(difference.mean())
    se = float(np.sqrt((1 / n + test_train_ratio) * difference.var(ddof=1)))
    half = float(student.ppf((1 + level) / 2, n - 1)) * se
    return PairedDifference(mean, se, mean - half, mean + half, n)
