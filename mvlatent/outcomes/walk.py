"""Hazards with a parameter an interval and stratum, which walks at random over the intervals."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from mvlatent.data.outcome_data import SurvivalData
from mvlatent.outcomes.intervals import by_stratum
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.outcomes.profiled import Profiled, Slopes

__all__ = ["ProfiledWalk", "WalkingHazard", "random_walk_precision", "walk_log_prior"]

SMOOTHNESS = 0.5  # sd of one step of the walk, of log hazards or logits
STRATUM_SD = 3.0  # of the levels of strata around their mean: a stratum without events stays finite

Seen = TypeVar("Seen")


def random_walk_precision(size: int, sd: float, n_strata: int = 1) -> Tensor:
    """Precision of a first-order random walk a stratum, (n_strata size, n_strata size).

    The level they share is free; the strata's own levels scatter around it.
    """
    steps = torch.diff(torch.eye(size, dtype=torch.float64), dim=0)
    one = torch.eye(n_strata, dtype=torch.float64)
    scatter = (one - 1.0 / n_strata) / (size * STRATUM_SD) ** 2
    level = torch.ones(size, size, dtype=torch.float64)
    return torch.kron(one, steps.T @ steps / sd**2) + torch.kron(scatter, level)


def walk_log_prior(alpha: Tensor, n_strata: int, sd: float) -> Tensor:
    """Log density of log hazards (n_strata K,) under `random_walk_precision`, up to a constant."""
    walks = alpha.view(n_strata, -1)
    level = walks.mean(1)
    rough = (torch.diff(walks, dim=1) / sd).square().sum()
    return -0.5 * (rough + ((level - level.mean()) / STRATUM_SD).square().sum())


class WalkingHazard(OutcomeLikelihood[SurvivalData]):
    """A hazard of log hazards or logits ``alpha``, stratum by stratum, under the walk.

    Parameters
    ----------
    alpha
        Initial parameters, (n_strata K,).
    n_intervals
        Intervals K.
    """

    def __init__(self, alpha: Tensor, n_intervals: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(alpha)
        self.n_strata = len(alpha) // n_intervals

    def log_prior(self) -> Tensor:
        """Log density of the random walk, up to a constant."""
        return walk_log_prior(self.alpha, self.n_strata, SMOOTHNESS)


class ProfiledWalk(Profiled[Seen]):
    """Such a hazard bound to outcomes, with its parameters profiled out.

    Parameters
    ----------
    data, known
        Outcomes of all patients, and those that are observed.
    died
        Events of the observed patients in each interval, (n, K).
    level
        What all parameters are before the first search, a scalar.
    """

    def __init__(
        self, data: SurvivalData, known: SurvivalData, died: Tensor, level: Tensor
    ) -> None:
        self.event = known.event
        self.counts = by_stratum(died, known).sum(0)
        self.precision = random_walk_precision(died.shape[1], SMOOTHNESS, known.n_strata)
        super().__init__(data.observed, level.expand(len(self.counts)).clone())

    def log_walk(self, parameters: Tensor) -> Tensor:
        """Log density of the walk at the parameters (n_strata K,), up to a constant."""
        return -0.5 * parameters @ self.precision @ parameters

    def balance(self, parameters: Tensor, expected: Tensor, variance: Tensor) -> Slopes:
        """Slopes where so many events (n_strata K,) are expected, with such a variance."""
        grad = self.counts - expected - self.precision @ parameters
        return Slopes(grad, variance.diag() + self.precision)
