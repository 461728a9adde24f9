"""Uncertainty of the block sds: points of their posterior under half-normal priors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .evidence import MODE_TOLERANCE, fit_block_sds, log_marginal
from .laplace import Mode, find_mode
from .spaces import Space
from .target import Target

__all__ = ["PRIOR_SD", "SdPoint", "sd_points", "sd_scales"]

PRIOR_SD = 1.5  # half-normal scale of the sd that a block gives to the linear predictor
STEP = 0.3  # of log sd, in differences of the slope
MIN_CURVATURE = 0.5  # of log sd: the half-normal alone has 2 at its mode and a longer left tail
INFLATION = 1.2  # of the proposal's sd: its tails should not be lighter than the posterior's


@dataclass
class SdPoint:
    """A point of the sds' posterior, its weight, and the mode it leads to."""

    tau: Tensor
    weight: float
    mode: Mode


def sd_scales(sizes: Tensor) -> Tensor:
    """Half-normal scales of the sds of blocks of so many columns (B,)."""
    return PRIOR_SD / sizes.clamp(min=1).double().sqrt()


class _Density:
    """Log posterior density of the log sds of the free blocks, and its slope."""

    def __init__(
        self, space: Space, target: Target, offset: Tensor, scales: Tensor, start: Mode
    ) -> None:
        self.space, self.target, self.offset, self.scales = space, target, offset, scales
        self.mode = start

    def __call__(self, tau: Tensor, free: Tensor) -> tuple[float, Tensor]:
        """Density and slope by the free log sds at sds (B,)."""
        self.space.set_tau(tau)
        self.mode = find_mode(
            self.space, self.target, self.offset, self.mode.coord, tolerance=MODE_TOLERANCE
        )
        traces, logdet = self.space.evidence()
        traces = self.target.effective_share * traces
        norms = self.space.norms(self.mode.coord)
        ratio = (tau / self.scales).square()
        value = log_marginal(self.mode, logdet, self.target)
        prior = (tau[free].log() - 0.5 * ratio[free]).sum()
        slope = tau.square() * (norms - traces) + 1.0 - ratio
        return value + float(prior), slope[free]


def sd_points(
    space: Space,
    target: Target,
    offset: Tensor,
    start: Tensor,
    fixed: Tensor,
    scales: Tensor,
    n_points: int,
) -> Iterator[SdPoint]:
    """Weighted points of the posterior of the block sds, ``tau_b ~ half-normal(scales_b)``.

    A Gaussian at the mode of the log sds, with the evidence's curvature there, proposes
    quasi-random points; each is weighed by its Laplace evidence. ``space`` holds the factorisation
    of a point while that point is out.

    Parameters
    ----------
    space, target, offset
        As in `fit_block_sds`.
    start
        Sds to start from, (B,); those that are ``fixed`` (bool, (B,)) are held.
    scales
        Half-normal scales, (B,).
    n_points
        Number of points.

    References
    ----------
    Rue, Martino & Chopin (2009). Approximate Bayesian inference for latent Gaussian models by using
    integrated nested Laplace approximations. JRSS B 71, 319-392.
    """
    free = ~fixed
    begin = torch.where(free, start.clamp(min=0.3 * scales), start)
    found = fit_block_sds(space, target, offset, begin, fixed, prior_sd=scales)
    density = _Density(space, target, offset, scales, found.mode)
    spread = INFLATION * _spread(density, found.tau, free)
    normal = _normal_points(n_points, int(free.sum()))
    log_weight, taus, modes = [], [], []
    for z in normal:
        tau = found.tau.clone()
        tau[free] = (tau[free].log() + spread @ z).exp()
        value, _ = density(tau, free)
        log_weight.append(value + 0.5 * float(z.square().sum()))
        taus.append(tau)
        modes.append(density.mode)
    for tau, weight, mode in zip(taus, _tempered(torch.tensor(log_weight)), modes, strict=True):
        if weight > 0.02 / n_points:
            space.set_tau(tau)
            best = find_mode(space, target, offset, mode.coord)
            yield SdPoint(tau, float(weight), best)


def _spread(density: _Density, tau: Tensor, free: Tensor) -> Tensor:
    """Symmetric root of the covariance of the free log sds, by differences of the slope."""
    _, at = density(tau, free)
    columns = []
    for b in free.nonzero()[:, 0]:
        moved = tau.clone()
        moved[b] *= torch.tensor(STEP).exp()
        columns.append((at - density(moved, free)[1]) / STEP)
    curvature = torch.stack(columns)
    values, vectors = torch.linalg.eigh((curvature + curvature.T) / 2)
    return (vectors * values.clamp(min=MIN_CURVATURE).rsqrt()) @ vectors.T


def _normal_points(n: int, dimension: int) -> Tensor:
    """Quasi-random standard normal points, (n, dimension), always the same."""
    engine = torch.quasirandom.SobolEngine(dimension, scramble=True, seed=0)
    uniform = engine.draw(n, dtype=torch.float64).clamp(1e-6, 1 - 1e-6)
    return torch.distributions.Normal(0.0, 1.0).icdf(uniform)


def _tempered(log_weight: Tensor) -> Tensor:
    """Importance weights that sum to one, cut at a multiple of their mean (Ionides 2008)."""
    weight = torch.softmax(log_weight.double(), 0)
    weight = weight.clamp(max=len(weight) ** -0.5)
    return weight / weight.sum()
