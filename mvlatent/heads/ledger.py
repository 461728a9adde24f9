"""The head that the ledger of prognosis is read from: every block, each on or off."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.heads.causes import Head, fit_head
from mvlatent.outcomes.likelihoods import bind_outcome
from mvlatent.specs import Survival

__all__ = ["ledger_head", "residual_scores"]

OFF = 0.5  # prior probability that a block has nothing to say of prognosis
N_SDS = 48  # points of the posterior of which blocks do, and how much


def residual_scores(
    blocks: Mapping[str, Tensor], training: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Blocks with each view's scores replaced by what they say beyond z and the view's w.

    The scores are regressed (least squares, intercept) on the means of z and of the view's private
    latent. So scores are given only what no latent can say, and shares are identified.

    Parameters
    ----------
    blocks
        Blocks of patients, as `mvlatent.heads.blocks.head_blocks` makes them.
    training
        Blocks of the patients the regression is learnt on; the same patients by default.
    """
    known = blocks if training is None else training
    out = {name: x.double() for name, x in blocks.items()}
    for name in blocks:
        kind, _, view = name.partition(":")
        if kind == "scores":
            slope = torch.linalg.lstsq(_latents(known, view), known[name].double(), driver="gelsd")
            out[name] = blocks[name].double() - _latents(blocks, view) @ slope.solution
    return out


def ledger_head(blocks: Mapping[str, Tensor], cohort: Cohort, spec: Survival) -> Head:
    """Survival head on every block of the patients, for `mvlatent.reading.ledger.ledger`.

    Raises
    ------
    ValueError
        If the patients have no survival outcome.
    """
    if spec.name not in cohort.outcomes:
        raise ValueError("the patients have no survival outcome to learn a ledger from.")
    bound = bind_outcome(cohort.outcomes[spec.name], spec)
    return fit_head(blocks, bound, n_sds=N_SDS, off=OFF)


def _latents(blocks: Mapping[str, Tensor], view: str) -> Tensor:
    """Intercept, z and the view's w side by side, (n, 1 + k + d)."""
    parts = [blocks[name].double() for name in ("shared", f"private:{view}") if name in blocks]
    return torch.cat([torch.ones(len(parts[0]), 1, dtype=torch.float64), *parts], 1)
