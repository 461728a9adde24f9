"""How much of each view's variance each factor and each block explains."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from mvlatent.posterior import Latents
from mvlatent.vae.basis import surface_of
from mvlatent.vae.view_part import ViewPart

__all__ = ["sequential_variance", "unique_variance", "variance_explained"]


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
    for name, _ in latents.vae.items:
        blocks[name] = _of_blocks(latents, name)
        factors[name] = _of_factors(latents, name)
    rows = [f"shared_{j}" for j in range(latents.z.mean.shape[1])]
    rows += [r for found in factors.values() for r in found if r not in rows]
    return pd.DataFrame(blocks), pd.DataFrame(factors).reindex(rows)


class _Share:
    """Explained share of one view as a function of what is decoded."""

    def __init__(self, latents: Latents, name: str) -> None:
        view, self.part = latents.cohort.matrices[name], latents.vae.part(name)
        rows = view.present.nonzero().squeeze(1)
        self.view = view.subset(rows)
        self.z = latents.z.mean[rows]
        self.w = latents.private_means[name][rows].clone()
        self.w[:, self.part.design.n_shown :] = 0.0  # columns that nobody is shown
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

    def n_factors(self, block: str) -> int:
        """Factors of a block that are shown."""
        return self.z.shape[1] if block == "shared" else self.part.design.n_shown

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
        for j in range(share.n_factors(block)):
            one = torch.zeros_like(latent)
            one[:, j] = latent[:, j]
            z, w = (one, 0 * share.w) if block == "shared" else (0 * share.z, one)
            out[f"{block}_{j}"] = share(z, w, 0 * share.s)
    return out


def _names(share: _Share, name: str) -> list[tuple[str, str, int]]:
    """Every factor that a view has: its name, its block and its column."""
    return [
        (f"{block}_{j}", block, j)
        for block in ("shared", f"private:{name}")
        for j in range(share.n_factors(block))
    ]


def _tables(
    latents: Latents, blocks: dict[str, dict[str, float]], factors: dict[str, dict[str, float]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = [f"shared_{j}" for j in range(latents.z.mean.shape[1])]
    rows += [r for found in factors.values() for r in found if r not in rows]
    return pd.DataFrame(blocks), pd.DataFrame(factors).reindex(rows)


@torch.no_grad()
def unique_variance(latents: Latents) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a view's explained share loses without a block (or a factor); tables as above.

    At most what the block explains alone where blocks overlap, and more where one hides another.
    """
    blocks: dict[str, dict[str, float]] = {}
    factors: dict[str, dict[str, float]] = {}
    for name, _ in latents.vae.items:
        share = _Share(latents, name)
        z, w, s = share.z, share.w, share.s
        whole = share(z, w, s)
        blocks[name] = {
            "shared": whole - share(0 * z, w, s),
            "private": whole - share(z, 0 * w, s),
            "technical": whole - share(z, w, 0 * s),
            "all": whole,
        }
        factors[name] = {}
        for row, block, j in _names(share, name):
            kept = torch.ones(z.shape[1] if block == "shared" else w.shape[1])
            kept[j] = 0
            rest = share(z * kept, w, s) if block == "shared" else share(z, w * kept, s)
            factors[name][row] = whole - rest
    return _tables(latents, blocks, factors)


@torch.no_grad()
def sequential_variance(latents: Latents) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What each block (or factor) adds to those before it: technical, shared, private.

    Blocks add up to the share of all of them; factors add up to that less the technical share.
    """
    blocks: dict[str, dict[str, float]] = {}
    factors: dict[str, dict[str, float]] = {}
    for name, _ in latents.vae.items:
        share = _Share(latents, name)
        z, w, s = share.z, share.w, share.s
        first, second, whole = share(0 * z, 0 * w, s), share(z, 0 * w, s), share(z, w, s)
        blocks[name] = {
            "shared": second - first,
            "private": whole - second,
            "technical": first,
            "all": whole,
        }
        factors[name] = {}
        before, z_kept, w_kept = first, torch.zeros(z.shape[1]), torch.zeros(w.shape[1])
        for row, block, j in _names(share, name):
            (z_kept if block == "shared" else w_kept)[j] = 1
            now = share(z * z_kept, w * w_kept, s)
            factors[name][row], before = now - before, now
    return _tables(latents, blocks, factors)
