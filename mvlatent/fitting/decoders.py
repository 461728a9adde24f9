"""Decoders of counts, levels, shares and zeros and ones, given the z of the closed-form fit."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.fitting.climb import Climbed
from mvlatent.fitting.sites import centred_within
from mvlatent.fitting.start.spectral import start_view
from mvlatent.fitting.surfaces import filled_surface
from mvlatent.vae.structured import StructuredVAE

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
            scale = climbed.weights[m].reciprocal().mean()
            _effects(part, effect, scale * climbed.effects[m].prior_sd)
            part.effects.energy.copy_(climbed.effects[m].energy)


def _effects(part: object, loc: Tensor, sd: Tensor) -> None:
    """Effects on the predictor from those on the surface."""
    slope = part.likelihood.slope(part.decoder.intercept)  # type: ignore[attr-defined]
    part.effects.loc.copy_(loc / slope)  # type: ignore[attr-defined]
    part.effects.prior_sd.copy_(sd / slope.mean())  # type: ignore[attr-defined]
