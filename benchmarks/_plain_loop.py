"""The same model as a hand-written loop in plain torch: what our loop is timed against.

Linear decoders, exact experts tied to them, random site effects, normal noise a feature and KLs
written out; complete views and full batches, so that nothing is spent on masks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["PlainLoop"]

FLOOR = 0.02


class _View(nn.Module):
    """Parameters of a view: A and V, b, the location of B, log σ; held: ω and site counts."""

    def __init__(self, sizes: dict[str, int], n_features: int) -> None:
        super().__init__()
        k, d, q = sizes["shared"], sizes["private"], sizes["technical"]
        self.loadings = nn.Parameter(0.1 * torch.randn(k + d, n_features))
        self.intercept = nn.Parameter(torch.zeros(n_features))
        self.effects = nn.Parameter(torch.zeros(q, n_features))
        self.log_scale = nn.Parameter(torch.zeros(n_features))
        self.register_buffer("prior_precision", torch.ones(q, 1))
        self.register_buffer("energy", torch.ones(q, 1))
        self.register_buffer("eye", torch.eye(d))


class PlainLoop(nn.Module):
    """Negative ELBO of complete views under the exact posterior, one draw.

    Parameters
    ----------
    n_shared, n_private, n_technical
        Sizes of z, of each w and of s.
    n_features
        Features of each view.
    """

    def __init__(
        self, n_shared: int, n_private: int, n_technical: int, n_features: list[int]
    ) -> None:
        super().__init__()
        sizes = {"shared": n_shared, "private": n_private, "technical": n_technical}
        self.views = nn.ModuleList(_View(sizes, p) for p in n_features)
        self.register_buffer("eye", torch.eye(n_shared))

    def forward(self, xs: list[Tensor], s: Tensor) -> Tensor:
        """Loss, nats a patient, for views (n, p) and the technical design (n, q)."""
        n, k = len(s), self.eye.shape[0]
        precision, potential, read = self.eye, 0.0, []
        for view, x in zip(self.views, xs, strict=True):
            scale = FLOOR + view.log_scale.exp()
            weight = scale.square().reciprocal()
            weighted = view.loadings * weight
            gram = weighted @ view.loadings.T
            centred = x - torch.addmm(view.intercept, s, view.effects)
            projection = centred @ weighted.T
            own = gram[k:, k:] + view.eye
            factor = torch.linalg.cholesky(own)
            gain = torch.cholesky_solve(gram[k:, :k], factor).T
            precision = precision + gram[:k, :k] - gain @ gram[k:, :k]
            potential = potential + projection[:, :k] - projection[:, k:] @ gain.T
            read.append((scale, weight, gram, projection, factor))
        z, loss = self._gaussian(potential, torch.linalg.cholesky(precision))
        for view, x, (scale, weight, gram, projection, factor) in zip(
            self.views, xs, read, strict=True
        ):
            w, kl = self._gaussian(projection[:, k:] - z @ gram[:k, k:], factor)
            variance = (view.energy * weight + view.prior_precision).reciprocal()
            effects = view.effects + variance.sqrt() * torch.randn_like(variance)
            ratio = variance * view.prior_precision
            shift = view.effects.square() * view.prior_precision
            factors = torch.cat([z, w, s], 1)
            eta = torch.addmm(view.intercept, factors, torch.cat([view.loadings, effects]))
            misfit = 0.5 * ((x - eta).square() @ weight).sum()
            constant = n * (scale.log().sum() + 0.5 * len(scale) * math.log(2 * math.pi))
            kl_effects = 0.5 * (ratio - ratio.log() + shift - 1.0).sum()
            loss = loss + kl + misfit + constant + kl_effects
        return loss / n

    @staticmethod
    def _gaussian(potential: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
        """Draw from N(Λ⁻¹h, Λ⁻¹) with Λ = LL', and its summed KL from N(0, I)."""
        n, k = potential.shape
        inverse = torch.linalg.solve_triangular(factor, torch.eye(k), upper=False)
        mean = potential @ (inverse.T @ inverse)
        draw = mean + torch.randn_like(mean) @ inverse
        trace = n * inverse.square().sum()
        log_det = 2 * n * factor.diagonal().log().sum()
        return draw, 0.5 * (trace + mean.square().sum() - n * k + log_det)
