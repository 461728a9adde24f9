"""Survival curves in one number: median, restricted mean and risk at a horizon, with intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from mvlatent.data.cohort import SurvivalData
from mvlatent.outcomes.causes import CauseHeads, Head
from mvlatent.outcomes.target import LinearBaseline
from mvlatent.posterior import Latents
from mvlatent.reading.outcome import Reported
from mvlatent.vae.basis import Basis

__all__ = ["median_time", "restricted_mean", "survival_summary", "time_grid"]

N_TIMES = 200

Summary = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From times (T,) and curves (..., T, n) to one number a patient, (..., n)."""


def time_grid(head: Head, horizon: float) -> np.ndarray:
    """Times from 0 to a horizon on which curves are summarised, with the jumps of the hazard."""
    times = np.linspace(0.0, horizon, N_TIMES + 1)
    heads = head.heads if isinstance(head, CauseHeads) else [head]
    for part in heads:
        if isinstance(part.baseline, LinearBaseline) and part.baseline.jumps:
            knots = part.baseline.knots().numpy()
            times = np.union1d(times, knots[(knots > 0) & (knots < horizon)])
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


def survival_summary(
    reported: Reported,
    latents: Latents,
    bases: dict[str, Basis],
    times: np.ndarray,
    summary: Summary,
    *,
    level: float | None,
    n_samples: int,
    seed: int,
    blocks: str,
) -> list[np.ndarray]:
    """Summary of the posterior mean curve (n,) and, with a level, the ends of its band.

    Draws are those of `Reported.curves`; the band holds the summaries of the drawn curves.
    """
    grid = torch.as_tensor(times, dtype=torch.float64)
    data = latents.cohort.outcome(SurvivalData, reported.name)
    strata = None if data is None else data.stratum
    ends = [] if level is None else [0.5 - level / 2, 0.5 + level / 2]
    out = [np.empty(len(latents.cohort)) for _ in range(1 + len(ends))]
    drawn = reported.draws(
        latents, bases, n_samples=n_samples, seed=seed, blocks=blocks, n_times=len(times)
    )
    for rows, head, features, generator in drawn:
        stratum = None if strata is None else strata[rows]
        curves = head.survival_draws(grid, features, n_samples, generator, stratum=stratum)
        found = curves.numpy()
        out[0][rows] = summary(times, found.mean(0))
        if ends:
            # an infinite median is an order statistic like any other: no interpolation
            bounds = np.quantile(summary(times, found), ends, axis=0, method="inverted_cdf")
            out[1][rows], out[2][rows] = bounds
    return out
