"""Decoders of counts, levels, shares and zeros and ones, given the z of the closed-form fit."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.fitting.climb import Climbed
from mvlatent.fitting.sites import centred_within
from mvlatent.fitting.start.spectral import start_view
from mvlatent.fitting.surfaces import filled_surface
from mvlatent.vae.effects import TechnicalEffects
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.view_part import ViewPart

__all__ = ["start_decoders"]


@torch.no_grad()
def start_decoders(vae: StructuredVAE, climbed: Climbed, *, rank: str = "auto") -> None:
    """Fit decoder, private factors and effects of every view that is not normal, in place.

    Parameters
    ----------
    vae
        Model with the closed-form fit installed.
    climbed
        That fit.
    rank
        ``"auto"`` switches off private factors that do not stand out, ``"full"`` keeps all.
    """
    cohort = climbed.patients
    z = climbed.latent.mean.new_zeros(len(cohort), vae.design.n_shared)
    z[:, : climbed.model.k] = climbed.latent.mean
    design = cohort.technical if vae.design.n_technical else cohort.technical[:, :0]
    for m, (name, part) in enumerate(vae.items):
        view = cohort.matrices[name]
        if part.likelihood.gaussian:
            continue
        surface, _ = filled_surface(view)
        if climbed.effects is not None:
            effect = climbed.effects[m].loc / climbed.weights[m]
            centred = (surface - design @ effect) * view.present[:, None]
        else:
            centred = centred_within(surface, view.present, design)
        start_view(vae, name, cohort, centred, z, random=False, rank=rank)
        if part.effects is not None and climbed.effects is not None:
            _start_effects(part, part.effects, climbed.effects[m], climbed.weights[m])


def _start_effects(
    part: ViewPart, effects: TechnicalEffects, found: TechnicalEffects, weights: Tensor
) -> None:
    """Effects on the predictor from those on the weighted surface, in place."""
    slope = part.likelihood.slope(part.decoder.intercept)
    scale = weights.reciprocal().mean()
    effects.loc.copy_(found.loc / weights / slope)
    effects.prior_sd.copy_(scale * found.prior_sd / slope.mean())
    effects.energy.copy_(found.energy)
