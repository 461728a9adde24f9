"""Whether predicted survival probabilities are what they say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned
from mvlatent.tl._outcomes.outcome import (
    as_floats,
    checked_curves,
    checked_outcome,
    curves_at_own,
)

__all__ = ["DCalibration", "d_calibration"]


@dataclass(frozen=True)
class DCalibration:
    """Result of :func:`d_calibration`.

    Attributes
    ----------
    statistic, p_value
        Pearson's statistic against uniformity and its χ² p value (bins − 1 degrees of freedom).
        A small p value says that the curves are not calibrated.
    share
        Share of patients in each bin of S(T), from the bin at 0 (died last) to the one at 1; 1 /
        bins each is right. A censored patient is spread over the bins it can still reach.

    Examples
    --------
    >>> from mvlatent import tl
    >>> found = tl.d_calibration([1.0, 2.0], [1, 1], [0.9, 0.3], bins=2)
    >>> found.share.tolist()
    [0.5, 0.5]
    """

    statistic: float
    p_value: float
    share: np.ndarray

    def __iter__(self) -> Iterator[float]:
        """Unpack as ``statistic, p_value``."""
        return iter((self.statistic, self.p_value))


def d_calibration(
    time: Any, event: Any, survival: pd.DataFrame | np.ndarray | pd.Series, *, bins: int = 10
) -> DCalibration:
    """Distributional calibration: S_i(T_i) must be uniform.

    Parameters
    ----------
    time, event
        Outcome of the n patients; event 1 = event.
    survival
        Either S_i at each patient's own time, (n,), or curves, times × n patients with the times
        as index; those are interpolated linearly from S(0) = 1, and held after their last time
        (so predict up to the last follow-up).
    bins
        Number of equal bins of [0, 1].

    Returns
    -------
    DCalibration
        Unpacks as ``statistic, p_value``.

    Raises
    ------
    ValueError
        If shapes differ, there are fewer than 2 bins, or values are not probabilities.

    Notes
    -----
    The spreading of censored patients makes the counts less variable than multinomial ones, so
    with much censoring the p value is too large: the test is conservative.

    References
    ----------
    Haider et al., Journal of Machine Learning Research 2020.

    Examples
    --------
    >>> u = (np.arange(100) + 0.5) / 100
    >>> statistic, p = d_calibration(-np.log(u), np.ones(100), u)
    >>> round(float(statistic), 6), round(float(p), 6)
    (0.0, 1.0)
    """
    from scipy.stats import chi2

    if bins < 2:
        raise ValueError(f"at least 2 bins are needed, got {bins}.")
    time, event, survival = aligned(columns=["survival"], time=time, event=event, survival=survival)
    times, events = checked_outcome(time, event)
    own = _own_survival(times, survival)
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.clip(np.ceil(own * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(bin_of[events], minlength=bins).astype(float)
    # A censored patient's S(T) is uniform below its S(c).
    for s, top in zip(own[~events], bin_of[~events], strict=True):
        if s <= 0:
            counts[0] += 1
            continue
        counts[:top] += 1 / (bins * s)
        counts[top] += (s - edges[top]) / s
    expected = len(times) / bins
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return DCalibration(statistic, float(chi2.sf(statistic, bins - 1)), counts / len(times))


def _own_survival(times: np.ndarray, survival: pd.DataFrame | np.ndarray | pd.Series) -> np.ndarray:
    if isinstance(survival, pd.DataFrame):
        at, curves = checked_curves(survival, len(times))
        own = curves_at_own(at, curves, times)
    else:
        own = as_floats(survival, "survival")
    if own.shape != times.shape:
        raise ValueError(f"survival must have one value a patient, got shape {own.shape}.")
    if not ((own >= 0) & (own <= 1)).all():
        raise ValueError(
            "survival holds values that are not probabilities; give S(T), within [0, 1]."
        )
    return own
