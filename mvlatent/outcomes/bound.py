"""What the reported head needs from a likelihood: to be bound to outcomes, and a baseline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "Baseline",
    "BaselineShape",
    "BoundCauses",
    "BoundLikelihood",
    "CoupledLikelihood",
    "Curvature",
    "LinearBaseline",
    "NoisyLikelihood",
    "PlacedBaseline",
    "ProfiledBaseline",
    "bound_parts",
    "relative_hazard",
]

MAX_LOG_HAZARD = 300.0  # relative; nobody is known to live or die by more


def relative_hazard(eta: Tensor) -> Tensor:
    """``exp(eta)`` in float64, within what a product with a hazard of 0 can bear.

    Examples
    --------
    >>> bool((0 * relative_hazard(torch.tensor([1e20])) == 0).all())
    True
    """
    return eta.double().clamp(-MAX_LOG_HAZARD, MAX_LOG_HAZARD).exp()


class Curvature(NamedTuple):
    """Log-likelihood of the linear predictor with its baseline profiled out, to second order.

    The negative Hessian of class ``c`` is ``W_c = diag(diag[:, c]) - low_rank[c] low_rank[c]'``,
    positive semi-definite.

    Attributes
    ----------
    loglik
        Profile log-likelihood (plus the baseline's log prior), scalar.
    grad
        Gradient with respect to the linear predictor, (n, C).
    diag
        Diagonal part of the negative Hessian, (n, C).
    low_rank
        Low-rank part subtracted from it, (C, n, r).
    """

    loglik: Tensor
    grad: Tensor
    diag: Tensor
    low_rank: Tensor


class ProfiledBaseline(NamedTuple):
    """A baseline and how it answers to the linear predictor of the training rows.

    Attributes
    ----------
    baseline
        The baseline, not yet aware of the coefficients.
    weights
        Minus the derivative of the baseline's K coordinates with respect to the linear predictor,
        (C, K, n); rows of log hazards sum to about one.
    bend
        Weights (C, K, n) of the patients in the second derivative; None where ``weights`` are.
    centre
        Weights (C, K, n) of the mean that deviations in the second derivative are taken from; None
        where ``weights`` are.
    """

    baseline: BaselineShape
    weights: Tensor
    bend: Tensor | None = None
    centre: Tensor | None = None


class BoundLikelihood(Protocol):
    """A likelihood bound to outcomes, as a function of the linear predictor alone.

    ``rows`` are the positions of the patients with an observed outcome: every tensor has
    their order and their length n. ``n_outputs`` is C. ``effective_share`` is the fraction of
    the C coefficient vectors that the likelihood can see: (C - 1) / C for a softmax, else 1.
    ``has_baseline`` is false for a partial likelihood.
    """

    rows: Tensor
    n_outputs: int
    effective_share: float
    has_baseline: bool

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        """Log-likelihood of a predictor (n, C) and baseline (K,), with its log prior.

        Differentiable; a constant is left out. A partial likelihood ignores the coordinates.
        """
        ...

    def loglik(self, eta: Tensor) -> Tensor:
        """Profile log-likelihood of a linear predictor (n, C)."""
        ...

    def curvature(self, eta: Tensor) -> Curvature:
        """Profile log-likelihood, gradient and curvature at a linear predictor (n, C)."""
        ...

    def log_volume(self, eta: Tensor) -> Tensor:
        """Log determinant of the precision of the profiled baseline."""
        ...

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Baseline at a linear predictor (n, C)."""
        ...


@runtime_checkable
class CoupledLikelihood(Protocol):
    """A likelihood of several outputs, whose block-diagonal curvature is not quite its Hessian.

    The level that all outputs share is invisible to it.
    """

    def bend(self, eta: Tensor, move: Tensor) -> Tensor:
        """Minus the second derivative of the profile log-likelihood at eta along move, (n, C)."""
        ...


@runtime_checkable
class NoisyLikelihood(Protocol):
    """A likelihood whose noise is a hyperparameter, learnt with the sds of the blocks."""

    def learn_noise(self, eta: Tensor, n_effective: float) -> float:
        """Take the next noise at a linear predictor (n, C); slope of the evidence in nats."""
        ...


@runtime_checkable
class BoundCauses(Protocol):
    """A likelihood that is a product, each part with a head of its own: one a competing cause."""

    causes: tuple[BoundLikelihood, ...]


def bound_parts(bound: BoundLikelihood | BoundCauses) -> tuple[BoundLikelihood, ...]:
    """Return the bound likelihoods that a head each is fitted to."""
    return bound.causes if isinstance(bound, BoundCauses) else (bound,)


@dataclass(frozen=True)
class Baseline:
    """Gaussian posterior of the baseline's log-scale coordinates, given the coefficients.

    For standardised coefficients ``u`` with posterior mean ``m`` the coordinates are
    ``shift + gain (u - m) + noise``, noise ~ N(0, cov): the baseline moves against the linear
    predictor, which is why both have to be drawn together.

    Attributes
    ----------
    shift
        Mean, (K,).
    gain
        Dependence on the coefficients, (C, K, P).
    factor
        Lower Cholesky factor of the conditional covariance, (K, K).
    """

    shift: Tensor
    gain: Tensor
    factor: Tensor

    def draw(self, deviation: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw coordinates (S, K) jointly with coefficient deviations (S, C, P)."""
        noise = torch.randn(
            deviation.shape[0], len(self.shift), dtype=self.shift.dtype, generator=generator
        )
        moved = torch.einsum("scp,ckp->sk", deviation, self.gain)
        return self.shift + moved + noise @ self.factor.T


@dataclass(frozen=True)
class BaselineShape(ABC):
    """A baseline that is a known function of K Gaussian coordinates and of the predictor.

    Attributes
    ----------
    factor
        Lower Cholesky factor of the coordinates' covariance given the coefficients, (K, K).
    """

    kind: ClassVar[str]
    hazard: ClassVar[bool] = True  # a hazard's average grows with the spread of the predictors
    factor: Tensor

    @property
    @abstractmethod
    def coordinates(self) -> Tensor:
        """Where the K coordinates lie at the mode, (K,); differences of baselines compare."""

    def at(self, draw: Tensor | None = None) -> Tensor:
        """Coordinates (..., K) that deviate from the mode by a draw; None is the mode."""
        return self.coordinates if draw is None else self.coordinates + draw

    def level(self, draw: Tensor | None = None) -> Tensor | None:
        """What the baseline adds to the linear predictor, (..., C); ``None`` is nothing.

        ``draw`` holds deviations of the coordinates from the mode, (..., K); None is the mode.
        """
        return None

    def jump_times(self) -> Tensor:
        """Times at which the hazard is a point, (J,); a hazard with a density has none."""
        return torch.zeros(0, dtype=torch.float64)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays that rebuild the baseline."""
        return {k: v.numpy() for k, v in vars(self).items() if v is not None}

    @classmethod
    def from_state(cls, arrays: Mapping[str, Any]) -> Self:
        """Rebuild a baseline from its arrays."""
        return cls(**{k: torch.as_tensor(np.asarray(v)) for k, v in arrays.items()})

    def cumulative_hazard(
        self, times: Tensor, eta: Tensor, draw: Tensor | None = None, stratum: int = 0
    ) -> Tensor:
        """Cumulative hazard of patients of one stratum, (..., T, n).

        Parameters
        ----------
        times
            Times (T,), in the unit of the training times.
        eta
            Linear predictors, (..., n).
        draw
            Deviations of the coordinates from the mode, (..., K); None is the mode.
        stratum
            Whose baseline; 0 where there are no strata.

        Raises
        ------
        NotImplementedError
            If the outcome is no survival; the kinds of survival all have one.
        """
        raise NotImplementedError(f"A baseline of {self.kind} has no hazard: ask one of survival.")


@dataclass(frozen=True)
class PlacedBaseline(BaselineShape):
    """A baseline whose coordinates are what it keeps of itself.

    Attributes
    ----------
    place
        The coordinates at the posterior mode, (K,).
    """

    place: Tensor

    @property
    def coordinates(self) -> Tensor:
        return self.place


@dataclass(frozen=True)
class LinearBaseline(BaselineShape):
    """A proportional baseline hazard that is linear in the exponentials of its coordinates."""

    jumps: ClassVar[bool] = False  # whether the hazard is a sum of points, or a density

    @abstractmethod
    def exposure(self, times: Tensor, stratum: int = 0) -> Tensor:
        """Cumulative baseline hazard by coordinate, (T, K); sums to the baseline at the mode."""

    @abstractmethod
    def knots(self, stratum: int = 0) -> Tensor:
        """Times at which the hazard jumps, or changes its level, (J,)."""

    def jump_times(self) -> Tensor:
        return self.knots() if self.jumps else super().jump_times()

    def cumulative_hazard(
        self, times: Tensor, eta: Tensor, draw: Tensor | None = None, stratum: int = 0
    ) -> Tensor:
        exposure = self.exposure(times, stratum)
        scale = exposure.new_ones(exposure.shape[1]) if draw is None else draw.exp()
        hazard = scale @ exposure.T
        return hazard[..., :, None] * relative_hazard(eta)[..., None, :]
