"""The head's posterior by the No-U-Turn sampler: the reference for its Laplace approximation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.mixture import SampledPosterior
from mvlatent.heads.sds import sd_scales
from mvlatent.outcomes.bound import BoundLikelihood
from mvlatent.process import quiet, seeded

__all__ = ["sample_head"]

MAX_TREE_DEPTH = 8
SD_OF_LOG_SD = 0.7  # of a block's sd: only the sampler's first scale
CHANGED = 1e-9  # of the largest singular value: directions that no patient speaks of


@dataclass
class _Reduced:
    """Blocks in their own row spaces: ``X_b u_b = scores_b v_b``, v standard normal as u is.

    Attributes
    ----------
    scores
        ``U_b S_b`` of all blocks side by side, (n, r).
    directions
        Block diagonal ``V``, (P, r).
    block
        Block of each of the r directions, (r,).
    """

    scores: Tensor
    directions: Tensor
    block: Tensor

    @classmethod
    def of(cls, parts: list[Tensor]) -> _Reduced:
        scores, directions, sizes = [], [], []
        for x in parts:
            u, s, vt = torch.linalg.svd(x, full_matrices=False)
            keep = s > CHANGED * s.max().clamp(min=1e-300) if len(s) else s > 0
            scores.append(u[:, keep] * s[keep])
            directions.append(vt[keep].T)
            sizes.append(int(keep.sum()))
        block = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor(sizes))
        return cls(torch.cat(scores, 1), torch.block_diag(*directions), block)


class _Model:
    """Log posterior of v, log sds and baseline in coordinates that are nearly standard normal."""

    def __init__(
        self, head: BlockHead, parts: list[Tensor], bound: BoundLikelihood, fixed: Tensor
    ) -> None:
        self.bound, self.free = bound, ~fixed
        self.space = _Reduced.of(parts)
        self.scales = sd_scales([x.shape[1] for x in parts])
        top = head.heaviest()
        sizes = torch.tensor([x.shape[1] for x in parts])
        first = (sizes.cumsum(0) - sizes).clamp(max=len(top.sd) - 1)
        self.sd = torch.where(sizes > 0, top.sd[first], 0.0)
        self.centre = top.mode @ self.space.directions
        eta = self.space.scores @ (self.sd[self.space.block] * self.centre).T
        self.profile = bound.profiled(eta).baseline
        self.factor = [self._whitening(eta, c) for c in range(bound.n_outputs)]

    def _whitening(self, eta: Tensor, c: int) -> Tensor:
        """Square root of the Laplace covariance of v, (r, r)."""
        curvature = self.bound.curvature(eta)
        x = self.space.scores * self.sd[self.space.block]
        low = x.T @ curvature.low_rank[c]
        precision = x.T @ (curvature.diag[:, c, None] * x) - low @ low.T
        precision = (precision + precision.T) / 2 + torch.eye(x.shape[1], dtype=x.dtype)
        eye = torch.eye(x.shape[1], dtype=x.dtype)
        factor = torch.linalg.cholesky(precision)
        root: Tensor = torch.linalg.solve_triangular(factor, eye, upper=False)
        return root.T

    def start(self) -> dict[str, Tensor]:
        """Initial values: the Laplace mode."""
        out = {
            "v": torch.zeros_like(self.centre),
            "log_sd": torch.zeros(int(self.free.sum()), dtype=torch.float64),
            "baseline": torch.zeros(len(self.profile.factor), dtype=torch.float64),
        }
        if not self.bound.has_baseline:
            del out["baseline"]
        return {name: x for name, x in out.items() if x.numel()}

    def read(self, at: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Coefficients v (C, r), sds (B,) and the baseline's coordinates (K,)."""
        v = self.centre + torch.stack([f @ at["v"][c] for c, f in enumerate(self.factor)])
        sd = self.sd
        if "log_sd" in at:
            moved = torch.zeros_like(sd).masked_scatter(self.free, SD_OF_LOG_SD * at["log_sd"])
            sd = sd * moved.exp()
        place = self.profile.coordinates
        if "baseline" in at:
            place = place + self.profile.factor @ at["baseline"]
        return v, sd, place

    def eta(self, v: Tensor, sd: Tensor) -> Tensor:
        """Linear predictor of the training rows, (n, C)."""
        return self.space.scores @ (sd[self.space.block] * v).T

    def potential(self, at: Mapping[str, Tensor]) -> Tensor:
        """Minus log posterior density."""
        v, sd, place = self.read(at)
        value = self.bound.joint(self.eta(v, sd), place) - 0.5 * v.square().sum()
        free, ratio = sd[self.free], sd[self.free] / self.scales[self.free]
        return -(value + (free.log() - 0.5 * ratio.square()).sum())


def sample_head(
    head: BlockHead,
    blocks: Mapping[str, Tensor],
    bound: BoundLikelihood,
    *,
    fixed: tuple[str, ...] = (),
    num_samples: int = 500,
    warmup: int = 300,
    seed: int = 0,
) -> BlockHead:
    """Sample coefficients, sds of the blocks and baseline together, from a head's Laplace mode.

    Same likelihood, same priors as `BlockHead.fit`. Directions of the columns that no training
    patient speaks of are drawn from their prior, so that what is sampled has at most the blocks'
    ranks. A partial likelihood has no baseline: Breslow's is drawn given each draw.

    Parameters
    ----------
    head
        The head fitted to the same blocks and outcomes.
    blocks
        Features of all patients by block, (N, p_b).
    bound
        Likelihood bound to outcomes.
    fixed
        Blocks whose sds are held.
    num_samples, warmup
        Draws kept, and steps of adaptation before them.
    seed
        Seed of the sampler.

    Returns
    -------
    BlockHead
        The head with draws for a posterior; its mode and sds are still those of Laplace.

    References
    ----------
    Hoffman & Gelman (2014). The No-U-Turn sampler. JMLR 15, 1593-1623.
    """
    parts = head.scaled({k: blocks[k][bound.rows] for k in head.tau})
    held = torch.tensor(
        [n in fixed or x.shape[1] == 0 for n, x in zip(head.tau, parts, strict=True)]
    )
    model = _Model(head, parts, bound, held)
    with seeded(seed):
        drawn = _run(model, num_samples, warmup, seed)
        beta, moved = [], []
        for s in range(num_samples):
            v, sd, place = model.read({name: x[s] for name, x in drawn.items()})
            if not bound.has_baseline:
                profile = bound.profiled(model.eta(v, sd)).baseline
                noise = torch.randn(len(profile.factor), dtype=torch.float64)
                place = profile.coordinates + profile.factor @ noise
            prior = torch.randn(len(v), len(model.space.directions), dtype=torch.float64)
            across = prior - prior @ model.space.directions @ model.space.directions.T
            u = v @ model.space.directions.T + across
            beta.append(u * head.by_column(sd))
            moved.append(place - head.baseline.coordinates)
    posterior = SampledPosterior(torch.stack(beta), torch.stack(moved))
    return BlockHead.from_state(*replace(head, _posterior=posterior).state())


def _run(model: _Model, num_samples: int, warmup: int, seed: int) -> dict[str, Tensor]:
    from pyro.infer import MCMC, NUTS

    with quiet():
        kernel = NUTS(
            potential_fn=model.potential, max_tree_depth=MAX_TREE_DEPTH, target_accept_prob=0.8
        )
        chain = MCMC(
            kernel,
            num_samples=num_samples,
            warmup_steps=warmup,
            initial_params=model.start(),
            disable_progbar=True,
        )
        torch.manual_seed(seed)
        chain.run()
    return {name: x.detach() for name, x in chain.get_samples().items()}
