"""Loadings of a view whose surface bends, fitted to its likelihood given the latents."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.vae.exposure import exposed
from mvlatent.vae.view_part import ViewPart

__all__ = ["REFIT_TOLERANCE", "refit_loadings"]

REFIT_STEPS, HALVINGS, MAX_STEP = 30, 6, 2.0
REFIT_TOLERANCE = 1e-2  # nats of a feature that a step must add


def refit_loadings(
    part: ViewPart, latents: Tensor, x: Tensor, exposure: Tensor | None, seen: Tensor
) -> Tensor:
    """Fit loadings and intercept to the likelihood given the latents; return the predictor.

    A surface that is nearly linear is not linear: the mean of an exponential is above the
    exponential of the mean, and loadings found on logarithms of small counts are too large for
    large ones. Each factor's ridge is the precision of its first loadings. Newton steps, halved a
    feature until the penalised log-likelihood rises, until none has anything left to gain.
    """
    decoder, k = part.decoder, part.decoder.shared.shape[0]
    on = (latents != 0).any(0)
    own = latents.shape[1] - k  # private factors that were found
    before = torch.cat([decoder.shared, decoder.private[:own]])[on]
    design = torch.cat([latents[:, on], torch.ones(len(x), 1)], 1)
    loadings = torch.cat([before, decoder.intercept[None]])
    ridge = loadings.square().mean(1).clamp_min(1e-4).reciprocal()
    ridge[-1] = 1e-3
    centre = torch.zeros_like(loadings)
    centre[-1] = loadings[-1]
    upper = torch.triu_indices(design.shape[1], design.shape[1])
    products = design[:, upper[0]] * design[:, upper[1]]

    known = part.likelihood.known(torch.where(seen, x, part.likelihood.fill))

    def at(eta: Tensor, loadings: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Penalised log-likelihood of every feature, and score and weight of every entry."""
        found = part.likelihood.expansion(known, eta)
        height, score, weight = (torch.where(seen, t, 0.0) for t in found)
        penalty = 0.5 * (ridge[:, None] * (loadings - centre).square()).sum(0)
        return height.sum(0) - penalty, score, weight

    eta = exposed(design @ loadings, exposure)
    height, score, weight = at(eta, loadings)
    for _ in range(REFIT_STEPS):
        step = _newton_step(score, weight, design, products, ridge, loadings - centre)
        change = design @ step
        size = (MAX_STEP / change.abs().amax(0).clamp_min(MAX_STEP)).clamp_max(1.0)
        slack = 8 * torch.finfo(eta.dtype).eps * height.abs()  # a sum is rounded
        for _ in range(HALVINGS):
            tried = at(eta + size * change, loadings + size * step)
            worse = ~(tried[0] >= height - slack)
            if not bool(worse.any()):
                break
            size = torch.where(worse, 0.5 * size, size)
        size = torch.where(worse, 0.0, size)
        loadings, eta = loadings + size * step, eta + size * change
        if bool(worse.any()):
            tried = at(eta, loadings)
        gain = tried[0] - height
        height, score, weight = tried
        if float(gain.max()) < REFIT_TOLERANCE:
            break
    full = torch.zeros(len(on), x.shape[1], dtype=loadings.dtype)
    full[on] = loadings[:-1]
    decoder.shared.copy_(full[:k])
    decoder.private[:own] = full[k:]
    decoder.intercept.copy_(loadings[-1])
    return eta


def _newton_step(
    score: Tensor,
    weight: Tensor,
    design: Tensor,
    products: Tensor,
    ridge: Tensor,
    shifted: Tensor,
) -> Tensor:
    """Newton step of the loadings (m, p) of every feature."""
    m = design.shape[1]
    upper = torch.triu_indices(m, m)
    gram = torch.empty(weight.shape[1], m, m, dtype=weight.dtype)
    gram[:, upper[0], upper[1]] = weight.T @ products
    gram[:, upper[1], upper[0]] = gram[:, upper[0], upper[1]]
    gram.diagonal(dim1=1, dim2=2).add_(ridge)
    pull = design.T @ score - ridge[:, None] * shifted
    step: Tensor = torch.linalg.solve(gram, pull.T.unsqueeze(-1)).squeeze(-1).T
    return step
