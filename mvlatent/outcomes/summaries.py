"""Survival curves in one number: median, restricted mean and risk at a horizon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from mvlatent.outcomes.bound import BaselineShape

__all__ = [
    "SUMMARIES",
    "CurveSummary",
    "Summary",
    "median_time",
    "restricted_mean",
    "risk_at_the_end",
    "time_grid",
]

N_TIMES = 200

Summary = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From times (T,) and curves (..., T, n) to one number a patient, (..., n)."""


class _Part(Protocol):
    """A head of one cause."""

    @property
    def baseline(self) -> BaselineShape: ...


class _Head(Protocol):
    """A head of any number of causes."""

    @property
    def parts(self) -> Sequence[_Part]: ...


def time_grid(head: _Head, horizon: float) -> np.ndarray:
    """Times from 0 to a horizon on which curves are summarised, with the jumps of the hazard."""
    times = np.linspace(0.0, horizon, N_TIMES + 1)
    for part in head.parts:
        jumps = part.baseline.jump_times().numpy()
        times = np.union1d(times, jumps[(jumps > 0) & (jumps < horizon)])
    return times


def median_time(times: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Time at which each curve reaches one half; infinite where it does not.

    Between two times of the grid a curve is taken as a straight line.

    Examples
    --------
    >>> import numpy as np
    >>> median_time(np.array([0.0, 1.0, 2.0]), np.array([[1.0, 1.0], [0.8, 0.9], [0.4, 0.8]]))
    array([1.75,  inf])
    """
    reached = curves <= 0.5
    later = np.maximum(reached.argmax(-2), 1)[..., None, :]
    before, after = (np.take_along_axis(curves, later - k, -2)[..., 0, :] for k in (1, 0))
    step = np.maximum(before - after, 1e-300)
    start, end = times[later - 1][..., 0, :], times[later][..., 0, :]
    at = start + (end - start) * np.clip((before - 0.5) / step, 0.0, 1.0)
    return np.where(reached.any(-2), at, np.inf)


def restricted_mean(times: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Area under each curve up to the last time.

    Examples
    --------
    >>> import numpy as np
    >>> restricted_mean(np.array([0.0, 1.0, 2.0]), np.array([[1.0], [0.5], [0.0]]))
    array([1.])
    """
    middle = (curves[..., 1:, :] + curves[..., :-1, :]) / 2
    return (middle * np.diff(times)[:, None]).sum(-2)


def risk_at_the_end(times: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Probability of the event by the last time.

    Examples
    --------
    >>> import numpy as np
    >>> risk_at_the_end(np.array([0.0, 1.0]), np.array([[1.0, 1.0], [0.75, 0.5]]))
    array([0.25, 0.5 ])
    """
    return 1.0 - curves[..., -1, :]


class CurveSummary(NamedTuple):
    """A number that a survival curve comes to, and the times at which it is looked at for it."""

    value: Summary
    times: Callable[[_Head, float], np.ndarray]


SUMMARIES: dict[str, CurveSummary] = {
    "median": CurveSummary(median_time, time_grid),
    "rmst": CurveSummary(restricted_mean, time_grid),
    "risk": CurveSummary(risk_at_the_end, lambda head, horizon: np.array([horizon])),
}
