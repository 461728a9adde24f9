"""Empirical Bayes: the sd of each block by MacKay's fixed point on the Laplace evidence."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mvlatent.heads.laplace import HeadMode, find_mode
from mvlatent.heads.spaces import Space
from mvlatent.outcomes.bound import BoundLikelihood, NoisyLikelihood

__all__ = ["SLOPE_TOLERANCE", "EmpiricalBayes", "fit_block_sds"]

FADING = 0.5  # effective parameters below which a shrinking block is tried without
GONE = 0.01  # the same, once the trial has brought it back
SLOPE_TOLERANCE = 0.01  # nats of log evidence that a block gains as its variance grows e-fold
MODE_TOLERANCE = 1e-3  # in nats before the last step, while the sds still move


@dataclass
class EmpiricalBayes:
    """Block sds and the mode they lead to.

    Attributes
    ----------
    tau
        Block sds, (B,); 0 where a block is switched off.
    mode
        Mode of the penalised likelihood at ``tau``.
    log_marginal
        Laplace log evidence, up to a constant of the data.
    converged
        Whether every sd settled: a relative change would no longer move the evidence.
    path
        Log evidence by iteration.
    """

    tau: Tensor
    mode: HeadMode
    log_marginal: float
    converged: bool
    path: list[float] = field(default_factory=list)


def log_marginal(mode: HeadMode, logdet: Tensor, bound: BoundLikelihood) -> float:
    """Laplace log evidence with coefficients and baseline integrated out."""
    volume = bound.effective_share * logdet + bound.log_volume(mode.eta)
    return mode.objective - 0.5 * float(volume)


def fit_block_sds(
    space: Space,
    bound: BoundLikelihood,
    offset: Tensor,
    tau: Tensor,
    fixed: Tensor,
    *,
    max_iter: int = 50,
    prior_sd: Tensor | None = None,
    coord: Tensor | None = None,
    settled: float = SLOPE_TOLERANCE,
) -> EmpiricalBayes:
    """Learn the block sds from starts ``tau``, holding those that are ``fixed`` (bool, (B,)).

    ``log tau_b^2`` moves by ``log(a' K_b a / tr(K_b S))`` (MacKay 1992, in dual form), sped up by a
    safeguarded secant. A block that has faded is switched off if the same ratio, taken without
    the block, is at most one: more variance would not help there either. A likelihood's
    noise is learnt beside them.

    With ``prior_sd`` (B,) the sds are half-normal of these scales, and what is found is the mode of
    their logarithms, where no block is ever off. ``coord`` are dual coordinates to start from. The
    sds have settled where no block would gain ``settled`` nats of log evidence as its variance
    grows e-fold.
    """
    coord = space.zeros(bound.n_outputs) if coord is None else coord
    walk = _Walk(tau, fixed, keeps=prior_sd is not None)
    path: list[float] = []
    noisy = bound if isinstance(bound, NoisyLikelihood) else None
    converged = bool(fixed.all()) and noisy is None
    for _ in range(0 if converged else max_iter):
        space.set_tau(walk.tau)
        mode = find_mode(space, bound, offset, coord, tolerance=MODE_TOLERANCE)
        coord = mode.coord
        traces = space.traces()
        path.append(log_marginal(mode, space.log_det(), bound))
        n_effective = float((walk.tau.square() * traces).sum())
        norms, traces = space.norms(coord), bound.effective_share * traces
        if prior_sd is not None:  # as if the block held one coefficient more, and more information
            norms, traces = norms + walk.tau.pow(-2), traces + prior_sd.pow(-2)
        slope = walk.advance(norms, traces)
        if noisy is not None:
            slope = max(slope, noisy.learn_noise(mode.eta, n_effective))
        if slope < settled:
            converged = True
            break
    space.set_tau(walk.tau)
    mode = find_mode(space, bound, offset, coord)
    path.append(log_marginal(mode, space.log_det(), bound))
    return EmpiricalBayes(walk.tau, mode, path[-1], converged, path)


class _Walk:
    """The way of the block sds to the fixed point."""

    def __init__(self, tau: Tensor, fixed: Tensor, *, keeps: bool = False) -> None:
        self.tau = tau.clone()
        self._keeps = keeps
        self._free = ~fixed
        self._last: tuple[Tensor, Tensor] | None = None
        self._tried = torch.zeros_like(fixed)

    def advance(self, norms: Tensor, traces: Tensor) -> float:
        """Update the sds; the evidence's steepest slope, infinite where a block came or went."""
        on = (self.tau > 0) & self._free
        x = 2 * self.tau.clamp(min=1e-150).log()
        g = torch.log(norms.clamp(min=1e-300) / traces.clamp(min=1e-300))
        step = self._secant(x, g)
        self._last = (x, g)
        effective = self.tau.square() * traces
        slope = float((effective * torch.expm1(g)).abs()[on].max()) / 2 if on.any() else 0.0
        fading = on & (g < 0) & (effective < torch.where(self._tried, GONE, FADING))
        fading = fading & (not self._keeps)
        revived = (self.tau == 0) & self._free & (norms > traces) & ~self._tried
        tau = torch.where(on, self.tau * (step / 2).exp(), self.tau)
        # a revived block comes back small; it is tried once, not sent away and revived for ever
        start = (4 * GONE / traces.clamp(min=1e-300)).sqrt()
        tau = torch.where(revived, start, torch.where(fading, 0.0, tau))
        self._tried = self._tried | revived
        self.tau = tau
        return float("inf") if bool((fading | revived).any()) else slope

    def _secant(self, x: Tensor, g: Tensor) -> Tensor:
        """Return steps of log variance: the fixed point's, up to six times that by a secant."""
        if self._last is None:
            return g.clamp(-3.0, 3.0)
        slope = (g - self._last[1]) / torch.where(x == self._last[0], torch.inf, x - self._last[0])
        stretch = (-1.0 / slope.clamp(max=-1e-3)).clamp(0.5, 6.0)
        return (g * stretch).clamp(-3.0, 3.0)
