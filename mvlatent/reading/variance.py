"""How much of each view's variance each factor and each block explains."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from mvlatent.posterior import Latents
from mvlatent.vae.structured import ViewPart

__all__ = ["variance_explained"]


@torch.no_grad()
def variance_explained(latents: Latents) -> tuple[pd.DataFrame, pd.DataFrame]:
    r"""Share of a view's variance that is explained, in scaled units.

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
        self.view, self.part = latents.cohort.views[name], latents.vae.part(name)
        present = self.view.present
        self.x = self.view.x[present]
        self.seen = None if self.view.observed is None else self.view.observed[present]
        self.z = latents.z.mean[present]
        self.w = latents.private_means[name][present]
        self.s = latents.cohort.technical[present]
        outside = self.view.residual
        self.outside = 0.0 if outside is None else float(outside[present].sum())
        self.none = self.residual(0 * self.z, 0 * self.w, 0 * self.s)

    def residual(self, z: Tensor, w: Tensor, s: Tensor) -> float:
        part: ViewPart = self.part
        error = self.x - part.likelihood.mean(part.decoder(z, w, s, part.expected_effect()))
        if self.seen is not None:
            error = error * self.seen
        return float(error.square().sum()) + self.outside

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
