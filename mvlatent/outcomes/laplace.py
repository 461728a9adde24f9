"""Laplace approximation: the mode of a penalised likelihood by damped Newton."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .spaces import Space
from .target import Curvature, Target

__all__ = ["Mode", "find_mode"]

MAX_NEWTON = 200
MAX_HALVINGS = 40
ROUNDING = 1e-15  # of the objective: a step that loses no more has not failed


@dataclass
class Mode:
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
    target: Target,
    offset: Tensor,
    coord: Tensor,
    *,
    tolerance: float = 1e-13,
    max_steps: int = MAX_NEWTON,
) -> Mode:
    """Damped Newton on the penalised likelihood from dual coordinates ``coord``.

    Stops after a step whose Newton decrement is below ``tolerance`` (in nats). With a
    block-diagonal curvature the steps are conjugate directions preconditioned by it.
    """
    f = space.eta(coord)
    curvature = target.curvature(f + offset)
    value = float(curvature.loglik - 0.5 * space.inner(coord, coord))
    if not torch.isfinite(torch.tensor(value)):
        coord, f = torch.zeros_like(coord), torch.zeros_like(f)
        curvature = target.curvature(offset)
        value = float(curvature.loglik)
    decrement, exact = float("inf"), target.n_outputs == 1
    old: tuple[Tensor, float] | None = None
    for _ in range(max_steps):
        move = space.newton(curvature, f) - coord
        decrement = float((space.eta(move) * curvature.grad).sum() - space.inner(coord, move))
        if decrement < tolerance:
            coord, f, value = coord + move, f + space.eta(move), value + decrement / 2
            break
        if old is not None and not exact:
            along = move + decrement / old[1] * old[0]
            slope = float((space.eta(along) * curvature.grad).sum() - space.inner(coord, along))
            move = along if slope > 0.5 * decrement else move
        old = (move, decrement)
        moved = space.eta(move)
        size, gain = _line_search(space, target, coord, move, f + offset, moved, value)
        if size == 0.0:
            break
        coord, f, value = coord + size * move, f + size * moved, value + gain
        curvature = target.curvature(f + offset)
    return Mode(coord, f + offset, curvature, value, decrement)


def _line_search(
    space: Space,
    target: Target,
    coord: Tensor,
    move: Tensor,
    eta: Tensor,
    moved: Tensor,
    value: float,
) -> tuple[float, float]:
    """Halve the step until the penalised likelihood does not fall; step size and gain."""
    linear, square = float(space.inner(coord, move)), float(space.inner(move, move))
    start = float(space.inner(coord, coord))
    size = 1.0
    for _ in range(MAX_HALVINGS):
        penalty = 0.5 * (start + 2 * size * linear + size**2 * square)
        new = float(target.loglik(eta + size * moved)) - penalty
        if new >= value - ROUNDING * abs(value):
            return size, new - value
        size /= 2
    return 0.0, 0.0
