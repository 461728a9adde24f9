"""How much of each view's variance each factor and each block explains."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from mvlatent.posterior import Latents
from mvlatent.vae.basis import surface_of
from mvlatent.vae.structured import ViewPart

__all__ = ["variance_explained"]


@torch.no_grad()
def variance_explained(latents: Latents) -> tuple[pd.DataFrame, pd.DataFrame]:
    r"""Share of a view's variance that is explained, on its surface.

    That is in scaled units of continuous views, on log-normalised counts, on logits of shares and
    in the levels' own numbers; the mean error of a feature is left out where the surface bends.

    :math:`1 - \lVert x - \hat x_b\rVert^2 / \lVert x - \hat x_0\rVert^2` over the entries observed,
    where :math:`\hat x_b` is decoded from one block (or factor) at its posterior mean with all
    others at 0, and :math:`\hat x_0` from none. Blocks are not orthogonal: shares need not add up
    to the share of all of them.

    Returns
    -------
    tuple of DataFrame
        Blocks (shared, private, technical, all) × views, and factors × views.

    References
    ----------
    Argelaguet et al. (2018), Multi-omics factor analysis.
    """
    blocks: dict[str, dict[str, float]] = {}
    factors: dict[str, dict[str, float]] = {}
    for name in latents.vae.names:
        blocks[name] = _of_blocks(latents, name)
        factors[name] = _of_factors(latents, name)
    rows = [f"shared_{j}" for j in range(latents.z.mean.shape[1])]
    rows += [r for name in latents.vae.names for r in factors[name] if r not in rows]
    return pd.DataFrame(blocks), pd.DataFrame(factors).reindex(rows)


class _Share:
    """Explained share of one view as a function of what is decoded."""

    def __init__(self, latents: Latents, name: str) -> None:
        view, self.part = latents.cohort.views[name], latents.vae.part(name)
        rows = view.present.nonzero().squeeze(1)
        self.view = view.subset(rows)
        self.z = latents.z.mean[rows]
        self.w = latents.private_means[name][rows]
        self.s = latents.cohort.technical[rows]
        outside = self.view.residual
        self.outside = 0.0 if outside is None else float(outside.sum())
        self.none = self.residual(0 * self.z, 0 * self.w, 0 * self.s)

    def residual(self, z: Tensor, w: Tensor, s: Tensor) -> float:
        """Squared error of the surface, summed; of a large sparse view, some rows at a time."""
        part: ViewPart = self.part
        squares, sums, counts = (torch.zeros(part.design.n_features) for _ in range(3))
        for rows in self.view.chunks():
            view = self.view.subset(rows)
            eta = part.decoder(z[rows], w[rows], s[rows], part.expected_effect())
            error = surface_of(view) - part.likelihood.expected_surface(eta)
            seen = torch.ones_like(error) if view.observed is None else view.observed
            error = error * seen
            squares += error.square().sum(0)
            sums += error.sum(0)
            counts += seen.sum(0)
        if part.likelihood.bends:
            squares = squares - sums.square() / counts.clamp_min(1)
        return float(squares.sum()) + self.outside

    def __call__(self, z: Tensor, w: Tensor, s: Tensor) -> float:
        return 1.0 - self.residual(z, w, s) / max(self.none, 1e-12)


def _of_blocks(latents: Latents, name: str) -> dict[str, float]:
    share = _Share(latents, name)
    z, w, s = share.z, share.w, share.s
    return {
        "shared": share(z, 0 * w, 0 * s),
        "private": share(0 * z, w, 0 * s),
        "technical": share(0 * z, 0 * w, s),
        "all": share(z, w, s),
    }


def _of_factors(latents: Latents, name: str) -> dict[str, float]:
    share = _Share(latents, name)
    out = {}
    for block, latent in (("shared", share.z), (f"private:{name}", share.w)):
        for j in range(latent.shape[1]):
            one = torch.zeros_like(latent)
            one[:, j] = latent[:, j]
            z, w = (one, 0 * share.w) if block == "shared" else (0 * share.z, one)
            out[f"{block}_{j}"] = share(z, w, 0 * share.s)
    return out
