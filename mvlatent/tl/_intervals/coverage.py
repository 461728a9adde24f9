"""Whether intervals hold the truth as often as they say."""

from typing import Any

import numpy as np

from mvlatent.tl._align import align_entries

__all__ = ["coverage"]


def coverage(lower: Any, upper: Any, truth: Any) -> float:
    """Share of true values within their intervals; entries whose truth is NaN are left out.

    Parameters
    ----------
    lower, upper, truth
        Arrays or DataFrames of one shape; DataFrames and Series are aligned by their labels.

    Returns
    -------
    float
        Share of the known true values that lie within, in [0, 1].

    Raises
    ------
    ValueError
        If shapes differ, a bound is missing or crossed, or no true value is known.

    Examples
    --------
    >>> coverage([0, 0, 0, 0], [1, 1, 1, 1], [0.5, 1.0, 2.0, float("nan")])
    0.6666666666666666
    """
    named = [("lower", lower), ("upper", upper), ("truth", truth)]
    low, high, true = (np.asarray(values, float) for values in align_entries(named))
    if not low.shape == high.shape == true.shape:
        raise ValueError(
            f"shapes differ: {low.shape}, {high.shape}, {true.shape}; give bounds of each value."
        )
    known = ~np.isnan(true)
    if not known.any():
        raise ValueError("no true value is known; give at least one.")
    low, high, true = low[known], high[known], true[known]
    if not (low <= high).all():
        raise ValueError(
            "a lower bound is missing or above its upper bound; drop or mend those rows."
        )
    return float(((low <= true) & (true <= high)).mean())
