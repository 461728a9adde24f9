"""Whether those with the higher risk have the event first."""

from typing import Any

import numpy as np

from mvlatent.tl._align import aligned
from mvlatent.tl._outcomes.outcome import (
    Censoring,
    align_to_outcome,
    checked_groups,
    checked_outcome,
)
from mvlatent.tl._outcomes.resampling import Interval, bootstrap

__all__ = ["bootstrap_interval", "concordance"]

CONCORDANCES = ("harrell", "uno")
NO_PAIRS = "no two patients can be compared: too few events; give more patients."


class NoPairsError(ValueError):
    """No two patients can be compared: the concordance of these is not defined."""


def concordance(
    time: Any,
    event: Any,
    risk: Any,
    *,
    kind: str = "harrell",
    train: tuple[Any, Any] | None = None,
    tau: float | None = None,
    within: Any = None,
    entry: Any = None,
) -> float:
    """Concordance of a risk score with survival: 0.5 is chance, 1 perfect order.

    Parameters
    ----------
    time, event
        Outcome of the n patients; event 1 = event.
    risk
        Score of each patient, (n,); higher means earlier events.
    kind
        ``"harrell"``, or ``"uno"``: pairs are weighted by the inverse probability of being
        uncensored, so the value does not depend on how censoring fell.
    train
        ``(time, event)`` that the censoring distribution is learnt on; ``None``: these patients.
        Uno only.
    tau
        Only events before ``tau`` count. ``None``: no truncation for Harrell's; for Uno's the
        last time at which the censoring distribution is above 0.
    within
        Site (or another stratum) of each patient, (n,): only pairs of one site are compared, so
        that a score which knows no more than the site is at 0.5. Patients without a site take
        part in no pair. Uno's weights come from all patients.
    entry
        When each patient came under observation, (n,): who dies is compared with those at risk
        at that time only. Harrell only.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If ``kind`` is unknown, lengths differ, no two patients can be compared, or entry times
        are given for Uno's.

    References
    ----------
    Harrell et al., JAMA 1982. Uno et al., Statistics in Medicine 2011.

    Examples
    --------
    >>> concordance([1, 2, 3, 4], [1, 1, 1, 0], [4.0, 3.0, 1.0, 2.0])
    0.8333333333333334
    """
    if kind not in CONCORDANCES:
        raise ValueError(
            f"unknown kind of concordance {kind!r}; choose from {', '.join(CONCORDANCES)}."
        )
    time, event, risk, within, entry = aligned(
        time=time, event=event, risk=risk, within=within, entry=entry
    )
    times, events = checked_outcome(time, event)
    risks = align_to_outcome(risk, len(times), "risk")
    strata = _strata(within, len(times))
    if entry is not None and kind == "uno":
        raise ValueError("entry times have no place in Uno's weights; take kind='harrell'.")
    if kind == "uno":
        return _uno(times, events, risks, strata, train, tau)
    if tau is not None:
        events, times = events & (times < tau), np.minimum(times, tau)
    if entry is not None:
        return _at_risk(times, events, risks, align_to_outcome(entry, len(times), "entry"), strata)
    return _harrell(times, events, risks, strata)


def _strata(within: Any, n: int) -> list[np.ndarray]:
    """Rows of each stratum; those without one are in none."""
    if within is None:
        return [np.arange(n)]
    codes = checked_groups(within, n, "within")[0]
    return [np.flatnonzero(codes == code) for code in np.unique(codes[codes >= 0])]


def _harrell(
    times: np.ndarray, events: np.ndarray, risks: np.ndarray, strata: list[np.ndarray]
) -> float:
    from lifelines.utils import concordance_index

    ordered, total = 0.0, 0
    for rows in strata:
        time, event = times[rows], events[rows]
        pairs = _n_pairs(time, event)
        if pairs:
            ordered += pairs * concordance_index(time, -risks[rows], event)
            total += pairs
    if not total:
        raise NoPairsError(NO_PAIRS)
    return float(ordered / total)


def _at_risk(
    times: np.ndarray,
    events: np.ndarray,
    risks: np.ndarray,
    entry: np.ndarray,
    strata: list[np.ndarray],
) -> float:
    """Harrell's over the pairs that were under observation together when one of them died."""
    ordered, total = 0.0, 0
    for rows in strata:
        died = rows[events[rows]]
        time, risk = times[died, None], risks[died, None]
        outlived = (times[rows] > time) | ((times[rows] == time) & ~events[rows])
        pairs = outlived & (entry[rows] < time)
        right = (risk > risks[rows]) + 0.5 * (risk == risks[rows])
        ordered, total = ordered + float((right * pairs).sum()), total + int(pairs.sum())
    if not total:
        raise NoPairsError(NO_PAIRS)
    return ordered / total


def _n_pairs(times: np.ndarray, events: np.ndarray) -> int:
    """Pairs of which one is known to outlive the other."""
    died, censored = times[events], np.sort(times[~events])
    later = len(times) - np.searchsorted(np.sort(times), died, side="right")
    left, right = (np.searchsorted(censored, died, side=side) for side in ("left", "right"))
    return int((later + right - left).sum())


def _uno(
    times: np.ndarray,
    events: np.ndarray,
    risks: np.ndarray,
    strata: list[np.ndarray],
    train: tuple[Any, Any] | None,
    tau: float | None,
) -> float:
    censoring = Censoring(*(train if train is not None else (times, events)))
    uncensored = censoring.before(times)
    weight = np.divide(1, uncensored, out=np.zeros_like(uncensored), where=uncensored > 0)
    counted = events & (weight > 0) & (times < (np.inf if tau is None else tau))
    # torchsurv has the same sum, but as a loop over events and with ties judged in single
    # precision.
    ordered = total = 0.0
    for rows in strata:
        time, event, risk, counts = times[rows], events[rows], risks[rows], counted[rows]
        # Counted events × patients: who is known to outlive whom.
        first, own = time[counts, None], risk[counts, None]
        outlives = (time > first) | ((time == first) & ~event)
        squared = weight[rows][counts] ** 2
        agree = outlives * ((own > risk) + 0.5 * (own == risk))
        ordered += squared @ agree.sum(axis=1)
        total += squared @ outlives.sum(axis=1)
    if total == 0:
        raise ValueError(
            "no two patients can be compared: too few events, or tau too small; take a later tau."
        )
    return float(ordered / total)


def bootstrap_interval(
    time: Any,
    event: Any,
    risk: Any,
    *,
    kind: str = "harrell",
    train: tuple[Any, Any] | None = None,
    tau: float | None = None,
    within: Any = None,
    level: float = 0.95,
    n_bootstrap: int = 500,
    seed: int = 0,
) -> Interval:
    """Concordance with a percentile bootstrap interval over patients.

    It says how certain the number is for this one fitted score; it does not know that another
    training set would have given another score. :func:`bootstrap` does the same for any metric.

    Parameters
    ----------
    time, event, risk, kind, train, tau, within
        As in :func:`concordance`.
    level
        Coverage of the interval.
    n_bootstrap
        Number of resamples; those without a comparable pair are drawn again.
    seed
        Seed of the resampling.

    Returns
    -------
    tuple
        Lower and upper bound.

    Raises
    ------
    ValueError
        As :func:`concordance`, or if ``level`` is not within (0, 1).

    Examples
    --------
    >>> t, e = np.arange(1, 31), np.ones(30)
    >>> c, lower, upper = bootstrap_interval(t, e, -t, n_bootstrap=50)
    >>> c, upper
    (1.0, 1.0)
    """
    time, event, risk, within = aligned(time=time, event=event, risk=risk, within=within)
    times, events = checked_outcome(time, event)
    risks = align_to_outcome(risk, len(times), "risk")
    strata = None if within is None else np.asarray(within, dtype=object)

    def of(rows: np.ndarray) -> float:
        return concordance(
            times[rows],
            events[rows],
            risks[rows],
            kind=kind,
            train=train,
            tau=tau,
            within=None if strata is None else strata[rows],
        )

    return bootstrap(of, len(times), level=level, n_bootstrap=n_bootstrap, seed=seed)
