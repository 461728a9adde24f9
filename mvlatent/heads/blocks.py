"""Blocks of the reported head: shared, private, saturated scores, clinical, technical."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from mvlatent.posterior import Latents
from mvlatent.process import seeded
from mvlatent.vae.basis import Basis
from mvlatent.vae.exposure import exposed

__all__ = ["BLOCK_KINDS", "block_kind", "head_blocks", "head_draws", "pick", "trim"]

BLOCK_KINDS = ("shared", "private", "scores", "clinical", "technical")


def block_kind(block: str) -> str:
    """Kind of a block: what stands before its view."""
    return block.partition(":")[0]


def pick(blocks: Mapping[str, Tensor], kinds: Iterable[str]) -> dict[str, Tensor]:
    """Blocks of the kinds (or of the very names) given, in their order.

    Raises
    ------
    KeyError
        If a name is neither a kind nor a block.
    """
    wanted = list(kinds)
    for name in wanted:
        if name not in BLOCK_KINDS and name not in blocks:
            choices = ", ".join([*BLOCK_KINDS, *blocks])
            raise KeyError(f"no head block {name!r}; the blocks are {choices}.")
    return {name: x for name, x in blocks.items() if block_kind(name) in wanted or name in wanted}


def trim(blocks: Mapping[str, Tensor], coef: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Blocks of a head with coefficients (p_b, C), cut to the leading columns that it knows."""
    return {name: blocks[name][..., : len(c)] for name, c in coef.items()}


def head_blocks(
    latents: Latents, bases: Mapping[str, Basis], names: Iterable[str] | None = None
) -> dict[str, Tensor]:
    """Blocks at the posterior mean, (n, p_b) each; blocks without a column are left out.

    Scores of an absent view are those of the view that the decoder expects.

    Parameters
    ----------
    latents, bases
        Latents of the patients, and the bases of the views.
    names
        Blocks to return; all by default.

    Raises
    ------
    KeyError
        If the clinical block is asked for and the patients lack a column of it.
    """
    cohort, z = latents.cohort, latents.z.mean
    wanted = None if names is None else set(names)
    if cohort.lacking and (wanted is None or "clinical" in wanted):
        columns = ", ".join(map(repr, cohort.lacking))
        raise KeyError(
            f"the patients lack clinical covariates that the head takes: {columns}; give these "
            "columns of mdata.obs, empty where they are not known."
        )
    blocks = {"shared": z}
    blocks |= {f"private:{k}": latents.shown(k, w) for k, w in latents.private_means.items()}
    for name, basis in bases.items():
        if wanted is None or f"scores:{name}" in wanted:
            blocks[f"scores:{name}"] = _scores(latents, name, basis, z, noise=False)
    blocks |= {"clinical": cohort.clinical, "technical": cohort.technical}
    return {
        name: x for name, x in blocks.items() if x.shape[1] and (wanted is None or name in wanted)
    }


@torch.no_grad()
def head_draws(
    latents: Latents, bases: Mapping[str, Basis], names: Iterable[str], n_draws: int, seed: int
) -> dict[str, Tensor]:
    """Draws of the blocks, (S, n, p_b) each: latents from their posterior, absent views decoded.

    A factor that is switched off is held at its mean: no patient ever had another value, so the
    head knows nothing of it, and it would only add the prior of its coefficient to every band.
    """
    names = list(names)
    z, private = latents.draw(n_draws, seed)
    fixed = head_blocks(latents, bases, names)
    drawn: dict[str, Tensor] = {}
    with seeded(seed + 1):
        for name in names:
            kind, _, view = name.partition(":")
            if kind == "shared":
                drawn[name] = torch.where(latents.vae.active, z, fixed[name])
            elif kind == "private":
                active = latents.vae.member(view).shown
                drawn[name] = torch.where(active, latents.shown(view, private[view]), fixed[name])
            elif kind == "scores" and not bool(latents.cohort.matrices[view].present.all()):
                drawn[name] = _scores(latents, view, bases[view], z, noise=True)
            else:
                drawn[name] = fixed[name].expand(n_draws, *fixed[name].shape)
    return drawn


@torch.no_grad()
def _scores(latents: Latents, name: str, basis: Basis, z: Tensor, *, noise: bool) -> Tensor:
    """Scores of a view, (..., n, r): measured where present, decoded where absent."""
    view, part = latents.cohort.matrices[name], latents.vae.part(name)
    scores = basis.scores(view)
    absent = ~view.present
    if not bool(absent.any()):
        return scores
    z = z[..., absent, :]
    w = z.new_zeros(*z.shape[:-1], part.design.n_private)
    if noise:
        w = part.private_sd * torch.randn_like(w)
    technical = latents.cohort.technical[absent]
    eta = part.decoder(z, w, technical, part.expected_effect())
    surface = part.likelihood.expected_surface(eta)
    if noise:
        exposure = None if part.exposure is None else part.exposure.draw(z, technical)
        drawn = part.draw(exposed(eta, exposure))
        surface = part.likelihood.surface(drawn, exposure)
    decoded = surface if basis.rotated else basis.project(surface)
    out = scores.expand(*z.shape[:-2], *scores.shape).clone()
    out[..., absent, :] = decoded
    return out
