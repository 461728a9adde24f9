"""A view's linear parts in the features' own coordinates, whatever the model saw."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mvlatent.posterior import Latents
from mvlatent.vae.basis import Basis
from mvlatent.vae.exposure import exposed
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.view_part import ViewPart

__all__ = ["LinearView", "decode", "jacobian", "linear_view"]


@dataclass(frozen=True, eq=False)
class LinearView:
    """Loadings of a view: shared (k, p), private (d, p), effects (q, p), intercept (p,)."""

    shared: Tensor
    private: Tensor
    effects: Tensor
    intercept: Tensor


@torch.no_grad()
def linear_view(vae: StructuredVAE, name: str, basis: Basis) -> LinearView:
    """The linear parts of a view's decoder on its features (scaled units)."""
    part = vae.part(name)
    intercept = basis.lift(part.decoder.intercept)
    if basis.rotated:
        intercept = intercept + basis.centre
    return LinearView(
        basis.lift(part.decoder.shared),
        basis.lift(part.decoder.private),
        basis.lift(part.expected_effect()),
        intercept,
    )


@torch.no_grad()
def decode(
    part: ViewPart,
    basis: Basis,
    z: Tensor,
    w: Tensor,
    technical: Tensor,
    effect: Tensor,
    exposure: Tensor | None = None,
) -> Tensor:
    """Linear predictor on the features, (..., n, p), scaled units, with the rows' exposure."""
    eta = exposed(part.decoder(z, w, technical, effect), exposure)
    return basis.lift(eta) + basis.centre if basis.rotated else eta


@torch.no_grad()
def jacobian(latents: Latents, name: str, basis: Basis, block: str) -> Tensor:
    """Derivative of a view's predictor by a block of latents, averaged over patients, (d, p).

    Exact for linear decoders, forward-mode derivatives at the posterior means for the others.
    """
    part = latents.vae.part(name)
    if part.decoder.is_linear:
        loadings = part.decoder.shared if block == "shared" else part.decoder.private
        return basis.lift(loadings.detach())
    z, w = latents.z.mean, latents.private_means[name]
    at = z if block == "shared" else w

    def eta(x: Tensor) -> Tensor:
        shared, private = (x, w) if block == "shared" else (z, x)
        technical = latents.cohort.technical
        found: Tensor = part.decoder(shared, private, technical, part.expected_effect())
        return found

    rows = []
    at = at.detach()
    for axis in torch.eye(at.shape[1]):
        slope = torch.func.jvp(eta, (at,), (axis.expand_as(at),))[1]
        rows.append(slope.mean(0))
    return basis.lift(torch.stack(rows)).detach()
