"""Survival times with a known hazard, and censoring with a known rate."""

from dataclasses import dataclass

import numpy as np

from mvlatent.sim._cohort.spec import CohortSpec

__all__ = ["Hazard", "censor", "draw_hazard", "event_times", "survival_curves"]


@dataclass(frozen=True)
class Hazard:
    """Which patients die soon: log hazard = direction of the factors + age.

    Attributes
    ----------
    shared
        Unit direction of the shared factors, (k,).
    private
        Unit direction of the first view's private factors, (k_m,).
    spec
        The cohort's specification.
    """

    shared: np.ndarray
    private: np.ndarray
    spec: CohortSpec

    def log_hazard(self, shared: np.ndarray, private: np.ndarray, age: np.ndarray) -> np.ndarray:
        """Log hazard ratio of each patient, (n,), from factors n × k and n × k_m, age in years."""
        spec, share = self.spec, self.spec.private_prognosis
        from_shared, from_private = shared @ self.shared, private @ self.private
        latent = np.sqrt(1 - share) * from_shared + np.sqrt(share) * from_private
        return spec.hazard_sd * latent + spec.age_effect * (age - 60) / 10


def draw_hazard(spec: CohortSpec, n_private: int, rng: np.random.Generator) -> Hazard:
    """Draw random directions of the shared and of the first view's private factors."""
    directions = []
    for size in (spec.n_shared, n_private):
        direction = rng.standard_normal(size)
        directions.append(direction / max(float(np.linalg.norm(direction)), 1e-12))
    return Hazard(directions[0], directions[1], spec)


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
    times: np.ndarray, rate: float, rng: np.random.Generator, *, closing: float | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
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
    closing
        c where it is known from earlier patients; the rate is then met in expectation.

    Returns
    -------
    tuple
        Observed time (n,), event (n,) as 0/1 integers, and c (infinite without censoring).
    """
    u = rng.uniform(0.1, 1, size=len(times))
    if closing is None:
        closing = _closing_time(np.sort(times / u), rate)
    follow_up = closing * u
    return np.minimum(times, follow_up), (times <= follow_up).astype(int), closing


def _closing_time(ordered: np.ndarray, rate: float) -> float:
    n_events = len(ordered) - round(rate * len(ordered))
    if n_events == len(ordered):
        return np.inf
    return float((ordered[n_events - 1] + ordered[n_events]) / 2 if n_events else ordered[0] / 2)
