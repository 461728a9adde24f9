"""Uncertainty of the block sds: points of their posterior under half-normal priors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvlatent.heads.evidence import MODE_TOLERANCE, fit_block_sds, log_marginal
from mvlatent.heads.laplace import HeadMode, find_mode
from mvlatent.heads.spaces import Space
from mvlatent.outcomes.bound import BoundLikelihood

__all__ = ["PRIOR_SD", "SdPoint", "sd_points", "sd_scales"]

PRIOR_SD = 1.0  # half-normal scale of the sd that a block gives to the linear predictor
STEP = 0.3  # of log sd, in differences of the slope
MIN_CURVATURE = 0.5  # of log sd: the half-normal alone has 2 at its mode and a longer left tail
POINT_TOLERANCE = 1e-9  # in nats before the last step at a point that is kept
CERTAIN = 0.97  # most that a proposal may trust that a block is on, or off
INFLATION = 1.2  # of the proposal's sd: its tails should not be lighter than the posterior's


@dataclass
class SdPoint:
    """A point of the sds' posterior, its weight, and the mode it leads to."""

    tau: Tensor
    weight: float
    mode: HeadMode


def sd_scales(sizes: Sequence[int]) -> Tensor:
    """Half-normal scales (B,) of the sds of blocks of so many columns."""
    return PRIOR_SD / torch.tensor(sizes, dtype=torch.float64).clamp(min=1).sqrt()


class _Density:
    """Log posterior density of the log sds of the blocks that are on, and its slope.

    Every mode is looked for from the one at the centre, which is nearer than the last one.
    """

    def __init__(
        self, space: Space, bound: BoundLikelihood, offset: Tensor, scales: Tensor, start: HeadMode
    ) -> None:
        self.space, self.bound, self.offset, self.scales = space, bound, offset, scales
        self.start = self.mode = start

    def __call__(self, tau: Tensor, on: Tensor) -> float:
        """Density, up to a constant of the data.

        Sds (B,) of free blocks that are off are 0; ``on`` are the free blocks with an sd.
        """
        self.space.set_tau(tau)
        self.mode = find_mode(
            self.space, self.bound, self.offset, self.start.coord, tolerance=MODE_TOLERANCE
        )
        ratio = (tau / self.scales)[on]
        prior = 0.5 * math.log(2 / math.pi) + ratio.log() - 0.5 * ratio.square()
        return log_marginal(self.mode, self.space.log_det(), self.bound) + float(prior.sum())

    def slope(self, tau: Tensor, on: Tensor) -> Tensor:
        """Slope of the density, where it was last taken, by the log sds of blocks that are on."""
        traces = self.bound.effective_share * self.space.traces()
        norms = self.space.norms(self.mode.coord)
        return (tau.square() * (norms - traces) + 1.0 - (tau / self.scales).square())[on]


def sd_points(
    space: Space,
    bound: BoundLikelihood,
    offset: Tensor,
    start: Tensor,
    fixed: Tensor,
    scales: Tensor,
    n_points: int,
    *,
    off: float = 0.0,
    coord: Tensor | None = None,
) -> Iterator[SdPoint]:
    """Weighted points of the posterior of the block sds, ``tau_b ~ half-normal(scales_b)``.

    A Gaussian at the mode of the log sds, with the evidence's curvature there, proposes
    quasi-random points; each is weighed by its Laplace evidence. ``space`` holds the factorisation
    of a point while that point is out.

    Parameters
    ----------
    space, bound, offset
        As in `fit_block_sds`.
    start
        Sds to start from, (B,); those that are ``fixed`` (bool, (B,)) are held.
    scales
        Half-normal scales, (B,).
    n_points
        Number of points.
    off
        Prior probability that a block has no effect at all.
    coord
        Dual coordinates to start from.

    References
    ----------
    Rue, Martino & Chopin (2009). Approximate Bayesian inference for latent Gaussian models by using
    integrated nested Laplace approximations. JRSS B 71, 319-392.
    """
    free = ~fixed
    begin = torch.where(free, start.clamp(min=0.3 * scales), start)
    found = fit_block_sds(space, bound, offset, begin, fixed, prior_sd=scales, coord=coord)
    density = _Density(space, bound, offset, scales, found.mode)
    proposal = _Proposal.at_mode(density, found.tau, free, off)
    log_weight, points = [], []
    for z, u in zip(*_quasi_random(n_points, int(free.sum())), strict=True):
        tau, on, log_proposal = proposal.point(z, u)
        value = density(tau, on)
        if off:
            n_on = int(on.sum())
            value += n_on * math.log(1 - off) + (int(free.sum()) - n_on) * math.log(off)
        log_weight.append(value - log_proposal)
        points.append((tau, density.mode))
    weights = _tempered(torch.tensor(log_weight))
    for (tau, mode), weight in zip(points, weights, strict=True):
        if weight > 0.02 / n_points:
            space.set_tau(tau)
            best = find_mode(space, bound, offset, mode.coord, tolerance=POINT_TOLERANCE)
            yield SdPoint(tau, float(weight), best)


@dataclass
class _Proposal:
    """Where points are looked for: each block on with a probability, log sds Gaussian."""

    tau: Tensor
    free: Tensor
    covariance: Tensor
    probability: Tensor  # that a free block is on

    @classmethod
    def at_mode(cls, density: _Density, tau: Tensor, free: Tensor, off: float) -> _Proposal:
        """Gaussian at the mode ``tau``; each block's odds by what the evidence loses without it."""
        value, at = density(tau, free), density.slope(tau, free)
        curvature = torch.stack([(at - slope) / STEP for slope in _slopes(density, tau, free)])
        values, vectors = torch.linalg.eigh((curvature + curvature.T) / 2)
        precision = values.clamp(min=MIN_CURVATURE)
        covariance = INFLATION**2 * (vectors / precision) @ vectors.T
        probability = torch.ones(len(at), dtype=torch.float64)
        if off:
            width = (2 * math.pi / curvature.diagonal().clamp(min=MIN_CURVATURE)).log() / 2
            for j, b in enumerate(free.nonzero()[:, 0]):
                without, on = tau.clone(), free.clone()
                without[b], on[b] = 0.0, False
                odds = value + float(width[j]) - density(without, on)
                probability[j] = odds + math.log((1 - off) / off)
            probability = probability.sigmoid().clamp(1 - CERTAIN, CERTAIN)
        return cls(tau, free, covariance, probability)

    def point(self, z: Tensor, u: Tensor) -> tuple[Tensor, Tensor, float]:
        """Sds (B,), who is on (B,), and the log density, from normal z and uniform u (F,)."""
        kept = u < self.probability
        chance = torch.where(kept, self.probability, 1 - self.probability).log().sum()
        moved = torch.linalg.cholesky(self.covariance) @ z
        on = torch.zeros_like(self.free).masked_scatter(self.free, kept)
        tau = torch.where(on | ~self.free, self.tau, 0.0)
        tau[on] = (tau[on].log() + moved[kept]).exp()
        if bool(kept.any()):
            own = self.covariance[kept][:, kept]
            factor = torch.linalg.cholesky(own)
            white = torch.linalg.solve_triangular(factor, moved[kept][:, None], upper=False)
            chance = chance - 0.5 * white.square().sum() - factor.diagonal().log().sum()
            chance = chance - 0.5 * len(own) * math.log(2 * math.pi)
        return tau, on, float(chance)


def _slopes(density: _Density, tau: Tensor, free: Tensor) -> Iterator[Tensor]:
    """Slopes (F,) after a step of each free log sd."""
    for b in free.nonzero()[:, 0]:
        moved = tau.clone()
        moved[b] *= math.exp(STEP)
        density(moved, free)
        yield density.slope(moved, free)


def _quasi_random(n: int, dimension: int) -> tuple[Tensor, Tensor]:
    """Quasi-random normal and uniform points, (n, dimension) each, always the same."""
    engine = torch.quasirandom.SobolEngine(2 * dimension, scramble=True, seed=0)
    uniform = engine.draw(n, dtype=torch.float64).clamp(1e-6, 1 - 1e-6)
    return torch.distributions.Normal(0.0, 1.0).icdf(uniform[:, :dimension]), uniform[:, dimension:]


def _tempered(log_weight: Tensor) -> Tensor:
    """Importance weights that sum to one, cut at a multiple of their mean (Ionides 2008)."""
    weight = torch.softmax(log_weight.double(), 0)
    weight = weight.clamp(max=len(weight) ** -0.5)
    return weight / weight.sum()
