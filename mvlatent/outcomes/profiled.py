"""Likelihoods bound to outcomes whose own parameters are profiled out by one damped Newton search.

A kind that has parameters beside the coefficients (log hazards, cut points, intercepts) says how
its log-likelihood depends on them; finding them and the second order of what is left is here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from mvlatent.outcomes.bound import BaselineShape, Curvature, ProfiledBaseline

__all__ = ["Profile", "ProfileSearch", "Profiled", "Response", "Slopes", "damped_newton"]

MAX_STEPS = 100
SETTLED = 1e-13  # of the objective, gained by a last Newton step: rounding hides what is left
SHORTEST = 1e-8  # share of a Newton step that is still tried

Seen = TypeVar("Seen")


class Slopes(NamedTuple):
    """Derivatives of an objective by its K parameters.

    Attributes
    ----------
    grad
        Gradient, (K,).
    information
        Minus the second derivative, or what is positive definite in its place, (K, K).
    """

    grad: Tensor
    information: Tensor


class Profile(NamedTuple):
    """Where an objective is largest.

    Attributes
    ----------
    parameters
        The parameters there, (K,).
    value
        The objective there, scalar.
    """

    parameters: Tensor
    value: Tensor


class Response(NamedTuple):
    """Second order of the objective at its profile, by one linear predictor of n patients.

    Attributes
    ----------
    grad
        Gradient by the predictor, (n,).
    diag
        Minus the second derivative by each patient's predictor, the parameters held, (n,).
    cross
        Minus the mixed derivative by predictor and parameters, (n, K).
    information
        Minus the second derivative by the parameters, (K, K).
    bend
        Derivative of ``cross`` by the patient's own predictor, (n, K); None where it is ``cross``.
    centre
        Weights (K, n) of the mean that deviations of the predictor are taken from in that second
        order; None where they are those with which the parameters follow it.
    """

    grad: Tensor
    diag: Tensor
    cross: Tensor
    information: Tensor
    bend: Tensor | None = None
    centre: Tensor | None = None


def damped_newton(
    start: Tensor,
    objective: Callable[[Tensor], Tensor],
    slopes: Callable[[Tensor], Slopes],
    *,
    longest: float = math.inf,
) -> Profile:
    """Climb to the top of an objective, halving steps that overshoot.

    Parameters
    ----------
    start
        Parameters to start from, (K,).
    objective
        Scalar to make large, from parameters (K,); minus infinity where they are not allowed.
    slopes
        Its derivatives there.
    longest
        Most that a step may move a parameter.

    Returns
    -------
    Profile
        The top, to rounding.

    Examples
    --------
    >>> import torch
    >>> events, exposure = torch.tensor([3.0]), torch.tensor([12.0])
    >>> def slopes(log_rate):
    ...     expected = exposure * log_rate.exp()
    ...     return Slopes(events - expected, expected.diag())
    >>> def objective(log_rate):
    ...     return (events * log_rate - exposure * log_rate.exp()).sum()
    >>> round(damped_newton(torch.zeros(1), objective, slopes).parameters.exp().item(), 4)
    0.25
    """
    parameters, value = start, objective(start)
    for _ in range(MAX_STEPS):
        grad, information = slopes(parameters)
        step = torch.linalg.solve(information, grad).clamp(-longest, longest)
        moved, size = parameters + step, 1.0
        new = objective(moved)
        if grad @ step < SETTLED * (1 + value.abs()):
            return Profile(moved, new)
        while new < value and size > SHORTEST:
            size /= 2
            moved = parameters + size * step
            new = objective(moved)
        if new < value:
            break
        parameters, value = moved, new
    return Profile(parameters, value)


class ProfileSearch(ABC, Generic[Seen]):
    """Finds the parameters that suit a linear predictor, from those that suited the last one.

    ``Seen`` is what the objective reads of a predictor: sums over patients that no step of the
    search changes are taken once, in `seen`.

    Parameters
    ----------
    observed
        Whether each patient's outcome is known, (N,) bool.
    warm
        Parameters that the first search starts from, (K,).
    """

    n_outputs: int = 1
    effective_share: float = 1.0
    has_baseline: bool = True
    longest: ClassVar[float] = math.inf  # step of the search

    def __init__(self, observed: Tensor, warm: Tensor) -> None:
        self.rows = observed.nonzero()[:, 0]
        self.warm = warm
        self._last: tuple[Tensor, Profile, Seen] | None = None

    @abstractmethod
    def seen(self, eta: Tensor) -> Seen:
        """What the objective reads of a linear predictor (n, C)."""

    @abstractmethod
    def objective(self, parameters: Tensor, seen: Seen) -> Tensor:
        """Log-likelihood and log prior of the parameters (K,), scalar and differentiable."""

    @abstractmethod
    def slopes(self, parameters: Tensor, seen: Seen) -> Slopes:
        """Derivatives of the objective by the parameters (K,)."""

    def start(self, seen: Seen) -> Tensor:
        """Parameters (K,) to start a search from."""
        return self.warm

    def profile(self, eta: Tensor) -> Profile:
        """Parameters that suit a linear predictor (n, C)."""
        return self._search(eta)[0]

    def _search(self, eta: Tensor) -> tuple[Profile, Seen]:
        """Profile at a linear predictor, and what was read of it; those of the last are known."""
        if self._last is not None and torch.equal(self._last[0], eta):
            return self._last[1:]
        eta = eta.clone()  # the caller may write into his
        seen = self.seen(eta)
        found = damped_newton(
            self.start(seen),
            lambda parameters: self.objective(parameters, seen),
            lambda parameters: self.slopes(parameters, seen),
            longest=self.longest,
        )
        if bool(found.value.isfinite()):  # else the next search would start from nowhere
            self.warm = found.parameters.detach()
        self._last = None if found.value.requires_grad else (eta, found, seen)
        return found, seen

    def joint(self, eta: Tensor, coordinates: Tensor) -> Tensor:
        """Log-likelihood of a predictor (n, C) and the parameters (K,), with their log prior."""
        return self.objective(coordinates, self.seen(eta))

    def loglik(self, eta: Tensor) -> Tensor:
        """Profile log-likelihood of a linear predictor (n, C)."""
        return self.profile(eta).value


class Profiled(ProfileSearch[Seen]):
    """One linear predictor, with the exact second order of its profile log-likelihood."""

    @abstractmethod
    def response(self, parameters: Tensor, seen: Seen) -> Response:
        """Second order of the objective at the parameters (K,) that suit a predictor."""

    @abstractmethod
    def baseline(self, parameters: Tensor, factor: Tensor) -> BaselineShape:
        """Baseline at parameters (K,) whose covariance has the lower Cholesky factor (K, K)."""

    def _respond(self, eta: Tensor) -> tuple[Profile, Response]:
        found = self.profile(eta)
        return found, self.response(found.parameters, self._search(eta)[1])

    def curvature(self, eta: Tensor) -> Curvature:
        """Profile log-likelihood, gradient and curvature at a linear predictor (n, 1)."""
        found, second = self._respond(eta)
        root = torch.linalg.cholesky(second.information)
        low_rank = torch.linalg.solve_triangular(root, second.cross.T, upper=False).T
        return Curvature(found.value, second.grad[:, None], second.diag[:, None], low_rank[None])

    def log_volume(self, eta: Tensor) -> Tensor:
        """Log determinant of the precision of the parameters."""
        return torch.logdet(self._respond(eta)[1].information)

    def profiled(self, eta: Tensor) -> ProfiledBaseline:
        """Posterior of the parameters at a linear predictor (n, 1)."""
        found, (_, _, cross, information, bend, centre) = self._respond(eta)
        covariance = torch.linalg.inv(information)
        factor = torch.linalg.cholesky((covariance + covariance.T) / 2)
        return ProfiledBaseline(
            self.baseline(found.parameters, factor),
            torch.linalg.solve(information, cross.T)[None],
            None if bend is None else torch.linalg.solve(information, bend.T)[None],
            None if centre is None else centre[None],
        )
