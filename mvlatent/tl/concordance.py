"""Whether those with the higher risk have the event first."""

from typing import Any, NamedTuple

import numpy as np

from mvlatent.tl._outcome import Censoring, align_to_outcome, checked_outcome

__all__ = ["Interval", "bootstrap_interval", "concordance"]

KINDS = ("harrell", "uno")


class Interval(NamedTuple):
    """An estimate with its bounds."""

    estimate: float
    lower: float
    upper: float


def concordance(
    time: Any,
    event: Any,
    risk: Any,
    *,
    kind: str = "harrell",
    train: tuple[Any, Any] | None = None,
    tau: float | None = None,
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

    Raises
    ------
    ValueError
        If ``kind`` is unknown, lengths differ, or no two patients can be compared.

    References
    ----------
    Harrell et al., JAMA 1982. Uno et al., Statistics in Medicine 2011.

    Examples
    --------
    >>> concordance([1, 2, 3, 4], [1, 1, 1, 0], [4.0, 3.0, 1.0, 2.0])
    0.8333333333333334
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of concordance {kind!r}; choose from {', '.join(KINDS)}")
    times, events = checked_outcome(time, event)
    risks = align_to_outcome(risk, len(times), "risk")
    if kind == "uno":
        return _uno(times, events, risks, train, tau)
    if tau is not None:
        events, times = events & (times < tau), np.minimum(times, tau)
    return _harrell(times, events, risks)


def _harrell(times: np.ndarray, events: np.ndarray, risks: np.ndarray) -> float:
    from lifelines.utils import concordance_index

    try:
        return float(concordance_index(times, -risks, events))
    except ZeroDivisionError as error:
        raise ValueError("no two patients can be compared: too few events") from error


def _uno(
    times: np.ndarray,
    events: np.ndarray,
    risks: np.ndarray,
    train: tuple[Any, Any] | None,
    tau: float | None,
) -> float:
    censoring = Censoring(*(train if train is not None else (times, events)))
    uncensored = censoring.before(times)
    weight = np.divide(1, uncensored, out=np.zeros_like(uncensored), where=uncensored > 0)
    counts = events & (weight > 0) & (times < (np.inf if tau is None else tau))
    # Counted events × patients: who is known to outlive whom. torchsurv has the same sum, but as
    # a loop over events and with ties judged in single precision.
    first, own = times[counts, None], risks[counts, None]
    outlives = (times > first) | ((times == first) & ~events)
    if not outlives.any():
        raise ValueError("no two patients can be compared: too few events, or tau too small")
    ordered = outlives * ((own > risks) + 0.5 * (own == risks))
    squared = weight[counts] ** 2
    return float(squared @ ordered.sum(axis=1) / (squared @ outlives.sum(axis=1)))


def bootstrap_interval(
    time: Any,
    event: Any,
    risk: Any,
    *,
    kind: str = "harrell",
    train: tuple[Any, Any] | None = None,
    tau: float | None = None,
    level: float = 0.95,
    n_bootstrap: int = 500,
    seed: int = 0,
) -> Interval:
    """Concordance with a percentile bootstrap interval over patients.

    It says how certain the number is for this one fitted score; it does not know that another
    training set would have given another score.

    Parameters
    ----------
    time, event, risk, kind, train, tau
        As in :func:`concordance`.
    level
        Coverage of the interval.
    n_bootstrap
        Number of resamples; those without a comparable pair are drawn again.
    seed
        Seed of the resampling.

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
    if not 0 < level < 1:
        raise ValueError(f"level must lie within (0, 1), got {level}")
    times, events = checked_outcome(time, event)
    risks = align_to_outcome(risk, len(times), "risk")
    estimate = concordance(times, events, risks, kind=kind, train=train, tau=tau)
    rng = np.random.default_rng(seed)
    draws: list[float] = []
    for _ in range(20 * n_bootstrap):
        rows = rng.integers(len(times), size=len(times))
        try:
            drawn = concordance(
                times[rows], events[rows], risks[rows], kind=kind, train=train, tau=tau
            )
        except ValueError:
            continue
        draws.append(drawn)
        if len(draws) == n_bootstrap:
            break
    lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(lower), float(upper))
