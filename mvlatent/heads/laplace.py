"""Laplace approximation: the mode of a penalised likelihood by damped Newton."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mvlatent.heads.spaces import Space
from mvlatent.outcomes.bound import BoundLikelihood, CoupledLikelihood, Curvature

__all__ = ["HeadMode", "find_mode"]

MAX_NEWTON = 200
MAX_HALVINGS = 40
NEAR = 20.0  # nats of decrement: nearer to the mode a factorisation is kept
SAME = 1e-3  # nats of objective: the curvature is as good as that of the mode
ROUNDING = 1e-15  # of the objective: a step that loses no more has not failed


@dataclass
class HeadMode:
    """A mode of the penalised likelihood.

    Attributes
    ----------
    coord
        Dual coordinates, (m, C).
    eta
        Linear predictor with the offset, (n, C).
    curvature
        Curvature at ``eta``.
    objective
        Penalised log-likelihood, a float.
    decrement
        Newton decrement left: twice the objective still to gain, to second order.
    """

    coord: Tensor
    eta: Tensor
    curvature: Curvature
    objective: float
    decrement: float


def find_mode(
    space: Space,
    bound: BoundLikelihood,
    offset: Tensor,
    coord: Tensor,
    *,
    tolerance: float = 1e-13,
    max_steps: int = MAX_NEWTON,
) -> HeadMode:
    """Damped Newton on the penalised likelihood from dual coordinates ``coord``.

    Stops after a step whose Newton decrement is below ``tolerance`` (in nats). With a
    block-diagonal curvature the steps are conjugate directions preconditioned by it, and one
    factorisation serves all steps near the mode. ``space`` is left with a factorisation at the
    mode, to that tolerance.

    References
    ----------
    Nocedal & Wright (2006). Numerical Optimization, section 5.2 (Polak-Ribiere).
    """
    coupled = bound if isinstance(bound, CoupledLikelihood) else None
    eta = space.eta(coord) + offset
    curvature = bound.curvature(eta)
    value = float(curvature.loglik - 0.5 * space.inner(coord, coord))
    if not math.isfinite(value):
        coord, eta = torch.zeros_like(coord), offset
        curvature = bound.curvature(eta)
        value = float(curvature.loglik)
    decrement, factorised_at = math.inf, -math.inf
    old: tuple[Tensor, Tensor, float] | None = None
    for _ in range(max_steps):
        if coupled is None or decrement > NEAR:
            space.factorise(curvature)
            factorised_at = value
        residual = space.lift(curvature.grad) - coord
        move = space.solve(residual)
        if coupled is not None:  # no softmax sees the level, and the mode has none
            move = move - move.mean(1, keepdim=True)
        decrement = float(space.inner(residual, move))
        if decrement < tolerance:
            coord, eta, value = coord + move, eta + space.eta(move), value + decrement / 2
            break
        size = 1.0
        if coupled is None:
            moved = space.eta(move)
        else:
            move, slope = _conjugate(space, move, residual, decrement, old)
            old = (move, residual, decrement)
            moved = space.eta(move)
            size = slope / float(coupled.bend(eta, moved) + space.inner(move, move))
        found = _line_search(space, bound, coord, move, eta, moved, value, size)
        if found is None:
            break
        size, gain, eta, curvature = found
        coord, value = coord + size * move, value + gain
    if value - factorised_at > max(tolerance, SAME):
        space.factorise(curvature)
    return HeadMode(coord, eta, curvature, value, decrement)


def _conjugate(
    space: Space,
    move: Tensor,
    residual: Tensor,
    decrement: float,
    old: tuple[Tensor, Tensor, float] | None,
) -> tuple[Tensor, float]:
    """Direction conjugate to the old one where it climbs as well, and the slope along it."""
    if old is None:
        return move, decrement
    turn = max(0.0, (decrement - float(space.inner(old[1], move))) / old[2])
    along = move + turn * old[0]
    slope = float(space.inner(residual, along))
    return (along, slope) if slope > 0.5 * decrement else (move, decrement)


def _line_search(
    space: Space,
    bound: BoundLikelihood,
    coord: Tensor,
    move: Tensor,
    eta: Tensor,
    moved: Tensor,
    value: float,
    size: float,
) -> tuple[float, float, Tensor, Curvature] | None:
    """Halve the step until the penalised likelihood does not fall: size, gain, eta, curvature."""
    linear, square = float(space.inner(coord, move)), float(space.inner(move, move))
    start = float(space.inner(coord, coord))
    for _ in range(MAX_HALVINGS):
        penalty = 0.5 * (start + 2 * size * linear + size**2 * square)
        there = eta + size * moved
        curvature = bound.curvature(there)  # the first size is nearly always right
        new = float(curvature.loglik) - penalty
        if new >= value - ROUNDING * abs(value):
            return size, new - value, there, curvature
        size /= 2
    return None
