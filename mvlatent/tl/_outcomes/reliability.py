"""Whether predicted classes are as certain as they say."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._outcomes.labels import checked_labels

__all__ = ["RiskCoverage", "expected_calibration_error", "reliability", "risk_coverage"]

STRATEGIES = ("uniform", "quantile")


def reliability(
    labels: Any,
    probabilities: pd.DataFrame,
    *,
    of: Any = None,
    bins: int = 10,
    strategy: str = "uniform",
) -> pd.DataFrame:
    """Predicted against observed frequencies, one row a bin of the predicted probability.

    Parameters
    ----------
    labels
        True class of each of the n patients; patients without one are left out.
    probabilities
        Predicted probabilities, patients × classes; columns = classes.
    of
        A class: its probability, and how often it is the true one. ``None``: the probability of
        the most probable class, and how often that is right.
    bins
        Number of bins.
    strategy
        ``"uniform"``: bins of one width over [0, 1]; ``"quantile"``: of one size.

    Returns
    -------
    DataFrame
        ``lower`` and ``upper`` end of the bin, ``n`` patients, their mean ``predicted`` and the
        ``observed`` share, with its 95 % Wilson interval ``observed_lower``, ``observed_upper``.
        Empty bins are left out.

    Raises
    ------
    KeyError
        If ``of`` is no class.
    ValueError
        If lengths differ, rows are no probabilities, a label is no class, no label is known, or an
        option is unknown.

    References
    ----------
    Guo et al., ICML 2017.

    Examples
    --------
    >>> p = pd.DataFrame({"a": [0.9, 0.9, 0.2], "b": [0.1, 0.1, 0.8]})
    >>> reliability(["a", "b", "b"], p, bins=5)[["predicted", "observed", "n"]].values.tolist()
    [[0.8, 1.0, 1.0], [0.9, 0.5, 2.0]]
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"unknown strategy {strategy!r}; choose from {', '.join(STRATEGIES)}.")
    if bins < 1:
        raise ValueError(f"at least 1 bin is needed, got {bins}.")
    codes, p, _ = checked_labels(labels, probabilities)
    if of is None:
        confidence, right = p.max(axis=1), p.argmax(axis=1) == codes
    else:
        classes = [*probabilities.columns]
        if of not in classes:
            raise KeyError(f"no class {of!r}; the classes are {classes}.")
        confidence, right = p[:, classes.index(of)], codes == classes.index(of)
    edges = np.linspace(0, 1, bins + 1)
    if strategy == "quantile":
        edges = np.unique(np.quantile(confidence, edges))
        edges = np.repeat(edges, 2) if len(edges) == 1 else edges
    bin_of = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, len(edges) - 2)
    rows = []
    for b in np.unique(bin_of):
        members = bin_of == b
        rows.append(_bin(edges[b : b + 2], confidence[members], right[members]))
    return pd.DataFrame(rows)


def _bin(edges: np.ndarray, confidence: np.ndarray, right: np.ndarray) -> dict[str, float]:
    n, share, z = len(right), right.mean(), 1.959964
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return {
        "lower": float(edges[0]),
        "upper": float(edges[1]),
        "predicted": float(confidence.mean()),
        "observed": float(share),
        "observed_lower": float(max(centre - half, 0)),
        "observed_upper": float(min(centre + half, 1)),
        "n": n,
    }


def expected_calibration_error(
    labels: Any,
    probabilities: pd.DataFrame,
    *,
    of: Any = None,
    bins: int = 10,
    strategy: str = "uniform",
) -> float:
    """Mean ``|observed − predicted|`` over the bins of :func:`reliability`, by their patients.

    With few patients a bin it is above 0 even for a perfect model: compare models, or bootstrap.

    Parameters
    ----------
    labels, probabilities, of, bins, strategy
        As in :func:`reliability`.

    Returns
    -------
    float
        In [0, 1], 0 at best.

    Raises
    ------
    KeyError, ValueError
        As :func:`reliability`.

    Examples
    --------
    >>> p = pd.DataFrame({"a": [0.75] * 4, "b": [0.25] * 4})
    >>> expected_calibration_error(["a", "a", "a", "b"], p)
    0.0
    """
    table = reliability(labels, probabilities, of=of, bins=bins, strategy=strategy)
    gap = (table["observed"] - table["predicted"]).abs()
    return float((gap * table["n"]).sum() / table["n"].sum())


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Result of :func:`risk_coverage`.

    Attributes
    ----------
    coverage
        Share of patients that are answered, the most certain first, 1/n to 1.
    risk
        Share of wrong answers among them.
    threshold
        Least certainty among them.
    area
        Mean of ``risk`` over the coverages: lower is better.
    best
        The area of the same answers were every right one more certain than every wrong one.

    Examples
    --------
    >>> from mvlatent import tl
    >>> p = pd.DataFrame({"a": [0.9, 0.8, 0.6], "b": [0.1, 0.2, 0.4]})
    >>> found = tl.risk_coverage(["a", "a", "b"], p)
    >>> found.at(0.5), round(found.at(1.0), 2)
    (0.0, 0.33)
    """

    coverage: np.ndarray = field(repr=False)
    risk: np.ndarray = field(repr=False)
    threshold: np.ndarray = field(repr=False)
    area: float
    best: float

    def at(self, coverage: float) -> float:
        """Risk where at least this share of patients is answered."""
        if not 0 < coverage <= 1:
            raise ValueError(f"coverage must lie within (0, 1], got {coverage}.")
        return float(self.risk[np.searchsorted(self.coverage, coverage - 1e-12)])


def risk_coverage(labels: Any, probabilities: pd.DataFrame) -> RiskCoverage:
    """Selective prediction: how often a class is wrong where only the certain are answered.

    Certainty is the probability of the most probable class. Of patients with the same certainty
    none comes first: they share their mean error.

    Parameters
    ----------
    labels, probabilities
        As in :func:`reliability`.

    Returns
    -------
    RiskCoverage
        The curve, and its ``area``: lower is better.

    Raises
    ------
    ValueError
        As :func:`reliability`.

    References
    ----------
    Geifman and El-Yaniv, NeurIPS 2017.

    Examples
    --------
    >>> p = pd.DataFrame({"a": [0.9, 0.8, 0.6, 0.5], "b": [0.1, 0.2, 0.4, 0.5]})
    >>> risk_coverage(["a", "a", "b", "a"], p).risk.round(3).tolist()
    [0.0, 0.0, 0.333, 0.25]
    """
    codes, p, _ = checked_labels(labels, probabilities)
    certainty, wrong = p.max(axis=1), (p.argmax(axis=1) != codes).astype(float)
    order = np.argsort(-certainty, kind="stable")
    shared = pd.Series(wrong).groupby(certainty).transform("mean").to_numpy()[order]
    answered = np.arange(1, len(codes) + 1)
    risk = shared.cumsum() / answered
    ideal = np.sort(wrong).cumsum() / answered
    return RiskCoverage(
        coverage=answered / len(codes),
        risk=risk,
        threshold=certainty[order],
        area=float(risk.mean()),
        best=float(ideal.mean()),
    )
