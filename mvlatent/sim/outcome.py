"""Survival times with a known hazard, and censoring with a known rate."""

import numpy as np

__all__ = ["censor", "event_times", "log_hazard", "survival_curves"]


def log_hazard(
    shared: np.ndarray,
    private: np.ndarray,
    age: np.ndarray,
    rng: np.random.Generator,
    *,
    hazard_sd: float,
    private_prognosis: float,
    age_effect: float,
) -> np.ndarray:
    """Log hazard ratio of each patient, (n,): a random direction of the factors, plus age.

    ``hazard_sd`` is the sd of the factors' part, ``private_prognosis`` the share of its variance
    that comes from the private factors, ``age_effect`` the log hazard ratio of ten years.
    """
    directions = []
    for factors in (shared, private):
        direction = rng.standard_normal(factors.shape[1])
        directions.append(direction / max(float(np.linalg.norm(direction)), 1e-12))
    from_shared, from_private = shared @ directions[0], private @ directions[1]
    latent = (
        np.sqrt(1 - private_prognosis) * from_shared + np.sqrt(private_prognosis) * from_private
    )
    return hazard_sd * latent + age_effect * (age - 60) / 10


def _weibull_scale(shape: float, median: float) -> float:
    return median / np.log(2) ** (1 / shape)


def event_times(
    log_hazard: np.ndarray, rng: np.random.Generator, *, shape: float, median: float
) -> np.ndarray:
    """Weibull times, (n,), with proportional hazards; ``median`` is that of log hazard 0."""
    exposure = rng.standard_exponential(len(log_hazard))
    return _weibull_scale(shape, median) * (exposure * np.exp(-log_hazard)) ** (1 / shape)


def survival_curves(
    times: np.ndarray, log_hazard: np.ndarray, *, shape: float, median: float
) -> np.ndarray:
    """S(t) of each patient: times × n."""
    cumulative = (np.asarray(times)[:, None] / _weibull_scale(shape, median)) ** shape
    return np.exp(-cumulative * np.exp(log_hazard))


def censor(
    times: np.ndarray, rate: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Censor a given share of the patients.

    Follow-up of a patient is c·u with u uniform on (0.1, 1), as with steady accrual until one
    closing date. The event is seen if T/u ≤ c, so the c that gives the wanted rate is a quantile
    of T/u: no search, and the rate is met to one patient.

    Parameters
    ----------
    times
        True event times, (n,).
    rate
        Share of patients to be censored, in [0, 1).
    rng
        Source of randomness.

    Returns
    -------
    tuple
        Observed time (n,) and event (n,) as 0/1 integers.
    """
    u = rng.uniform(0.1, 1, size=len(times))
    ratio = times / u
    n_events = len(times) - round(rate * len(times))
    if n_events == len(times):
        return times.copy(), np.ones(len(times), int)
    ordered = np.sort(ratio)
    closing = (ordered[n_events - 1] + ordered[n_events]) / 2 if n_events else ordered[0] / 2
    follow_up = closing * u
    return np.minimum(times, follow_up), (times <= follow_up).astype(int)
