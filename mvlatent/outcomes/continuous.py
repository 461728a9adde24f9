"""Continuous targets: normal noise of a learnt scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from mvlatent.data.outcome_data import TargetData
from mvlatent.outcomes.bound import Curvature, PlacedBaseline, ProfiledBaseline
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.specs import Target

__all__ = ["BoundContinuous", "Continuous", "NormalNoise"]

LOG_2PI = math.log(2 * math.pi)
START = 0.5  # share of the variance that is noise before anything is learnt
FLOOR = 1e-6  # of the variance: noise below is taken as rounding


class Continuous(OutcomeLikelihood[TargetData]):
    """Normal likelihood with an intercept and one noise scale.

    Parameters
    ----------
    intercept, log_noise
        Initial intercept and log sd of the noise, scalars.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import TargetData
    >>> data = TargetData(torch.tensor([1.0, 3.0, 0.0]), torch.tensor([True, True, False]))
    >>> normal = Continuous.from_data(data)
    >>> normal.intercept.item()
    2.0
    >>> normal.log_prob(torch.zeros(3), data)[2].item()
    0.0
    """

    def __init__(self, intercept: Tensor, log_noise: Tensor) -> None:
        super().__init__()
        self.intercept = nn.Parameter(intercept)
        self.log_noise = nn.Parameter(log_noise)

    @classmethod
    def from_data(cls, data: TargetData, spec: Target | None = None) -> Self:
        """Start at the mean and sd of the values; ValueError if none is observed."""
        seen = _seen_values(data)
        sd = seen.std(correction=0).clamp(min=1e-6)
        return cls(seen.mean(), sd.log())

    def log_prob(self, eta: Tensor, data: TargetData) -> Tensor:
        """Log density of each patient's value, (..., n)."""
        scaled = (data.value - self.intercept - eta) * (-self.log_noise).exp()
        out = -0.5 * (scaled.square() + LOG_2PI) - self.log_noise
        return torch.where(data.observed, out, 0.0)

    def log_prior(self) -> Tensor:
        """Zero: intercept and log noise have a flat prior."""
        return torch.zeros_like(self.intercept)

    def bind(self, data: TargetData) -> BoundContinuous:
        """Bind the likelihood to values, for the reported head."""
        return BoundContinuous(data)


def _seen_values(data: TargetData) -> Tensor:
    """Values of the patients who have one; ValueError where nobody has."""
    seen = data.value[data.observed]
    if not len(seen):
        raise ValueError("no value is observed: nothing to learn a target from. Leave it out.")
    return seen


class BoundContinuous:
    """Normal likelihood of known values with the intercept profiled out.

    The noise is a hyperparameter: with the block sds it is found where the evidence is largest
    (MacKay 1992). Given both, the head is Bayesian linear regression, exactly.

    Parameters
    ----------
    data
        Values of all patients; only observed ones count.
    noise
        Sd of the noise, held; None: it is learnt.
    """

    n_outputs = 1
    effective_share = 1.0
    has_baseline = True

    def __init__(self, data: TargetData, *, noise: float | None = None) -> None:
        self.rows = data.observed.nonzero()[:, 0]
        self._value = _seen_values(data).double()
        self._held = noise is not None
        self._free = float(len(self.rows))  # residuals that the coefficients do not take up
        self._floor = FLOOR * float(self._value.var(correction=0)) + 1e-30
        self.variance = self._floor * START / FLOOR if noise is None else noise**2

    def _residual(self, eta: Tensor) -> Tensor:
        residual = self._value - eta[:, 0]
        return residual - residual.mean()

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        """Log-likelihood of a predictor (n, 1), an intercept and a log sd of the noise (2,)."""
        intercept, log_noise = coordinates
        scaled = (self._value - eta[:, 0] - intercept) * (-log_noise).exp()
        value: Tensor = -(0.5 * (scaled.square() + LOG_2PI) + log_noise).sum()
        return value

    def loglik(self, eta: Tensor) -> Tensor:
        """Profile log-likelihood of a linear predictor (n, 1)."""
        spread = self._residual(eta).square().sum() / self.variance
        value: Tensor = -0.5 * (spread + len(self.rows) * (math.log(self.variance) + LOG_2PI))
        return value

    def curvature(self, eta: Tensor) -> Curvature:
        """Profile log-likelihood, gradient and curvature at a linear predictor (n, 1)."""
        n = len(self.rows)
        diag = torch.full_like(eta, 1 / self.variance)
        low_rank = eta.new_full((1, n, 1), (n * self.variance) ** -0.5)
        grad = self._residual(eta)[:, None] / self.variance
        return Curvature(self.loglik(eta), grad, diag, low_rank)

    def log_volume(self, eta: Tensor) -> Tensor:
        """Log determinant of the precision of the intercept."""
        return eta.new_tensor(math.log(len(self.rows) / self.variance))

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Posterior of intercept and log noise at a linear predictor (n, 1)."""
        n = len(self.rows)
        intercept = (self._value - eta[:, 0]).mean()
        place = torch.stack([intercept, intercept.new_tensor(0.5 * math.log(self.variance))])
        spread = 0.0 if self._held else (2 * self._free) ** -0.5  # of the log sd
        factor = torch.tensor([(self.variance / n) ** 0.5, spread])
        weights = eta.new_zeros(1, 2, n)
        weights[0, 0] = 1 / n
        return ProfiledBaseline(NormalNoise(factor.double().diag(), place), weights)

    def learn_noise(self, eta: Tensor, n_effective: float) -> float:
        """Take the next variance, residual energy over free patients; slope of the evidence."""
        if self._held:
            return 0.0
        energy = float(self._residual(eta).square().sum())
        self._free = max(len(self.rows) - 1.0 - n_effective, 1.0)
        slope = abs(energy / self.variance - self._free) / 2
        at_floor = energy / self._free <= self._floor
        self.variance = max(energy / self._free, self._floor)
        return 0.0 if at_floor else slope


@dataclass(frozen=True)
class NormalNoise(PlacedBaseline):
    """Intercept and log sd of the noise; coordinates are their deviations.

    Attributes
    ----------
    place
        Intercept and log sd at the posterior mode, (2,).
    """

    kind: ClassVar[str] = "normal"
    hazard: ClassVar[bool] = False

    def level(self, draw: Tensor | None = None) -> Tensor:
        """Intercept, (..., 1)."""
        return self.at(draw)[..., :1]

    def noise(self, draw: Tensor | None = None) -> Tensor:
        """Sd of the noise, (..., 1)."""
        return self.at(draw)[..., 1:].exp()
