"""Technical effects before the climb: what site means say beside the biology in them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mvlatent.fitting.shared import Groups, SharedModel, group_means
from mvlatent.vae.effects import TechnicalEffects

__all__ = ["centred_within", "learn_effects"]

SWEEPS = 8  # of latents and effects in turn
PROJECTIONS = 3  # of z on the design within one
MIN_VARIANCE = 1e-4  # variance of a group's mean of z


def centred_within(x: Tensor, present: Tensor, design: Tensor) -> Tensor:
    """Rows less what regression on the technical design explains of them, (N, p)."""
    if not design.shape[1]:
        return x
    own = torch.cat([torch.ones(int(present.sum()), 1), design[present]], 1)
    fitted = torch.linalg.lstsq(own, x[present], driver="gelsd").solution
    out = torch.zeros_like(x)
    out[present] = x[present] - own @ fitted
    return out


def learn_effects(
    model: SharedModel,
    surfaces: Sequence[Tensor],
    design: Tensor,
    groups: Sequence[slice],
    kind: str,
) -> tuple[list[TechnicalEffects], Groups, Tensor]:
    """Effects of technical columns on the features, and the latents beside them.

    In turn: latents given the effects so far, around means along the technical columns; effects
    given the latents. What a site has more of because of its patients' biology lies along the
    loadings and stays with z; an effect on single features does not. An effect is shrunk alike in
    all directions: staining and the like lie where patients of one site differ most, too.

    Parameters
    ----------
    model
        A model of the views without technical means.
    surfaces
        Rows of each view around its mean, (N, p), 0 where missing.
    design, groups
        Technical columns (N, q), and which of them share a variance.
    kind
        ``"random"`` or ``"free"``.

    Returns
    -------
    tuple
        Effects of each view, the groups with the variance of their means, and z, (N, k).

    References
    ----------
    Laird & Ware (1982), Random-effects models for longitudinal data.
    """
    k, q = model.k, design.shape[1]
    each = list(zip(model.private, model.views, surfaces, strict=True))
    loadings = [p.loadings[:k].to(x.dtype) @ v.directions.T for p, v, x in each]
    pulls = [v.directions @ p.pull[:, :k].to(x.dtype) for p, v, x in each]
    effects = [TechnicalEffects(q, x.shape[1], kind=kind) for x in surfaces]
    precision = torch.eye(k, dtype=torch.float64).expand(len(model.codes), -1, -1).clone()
    for m, psi in enumerate(model.private):
        precision += ((model.codes >> m) & 1).double()[:, None, None] * psi.precision[:k, :k]
    covariance = torch.linalg.inv(precision).to(design.dtype)[model.pattern]
    variance = torch.full((q,), 1.0)
    z = torch.zeros(len(design), k)
    raw = [x @ pull for x, pull in zip(surfaces, pulls, strict=True)]
    for _ in range(SWEEPS):
        potential = torch.zeros_like(z)
        for effect, pull, own, view in zip(effects, pulls, raw, model.views, strict=True):
            shift = design @ (effect.loc.detach() @ pull)
            potential += (own - shift) * view.present[:, None]
        z = (covariance @ potential[..., None])[..., 0]
        for _ in range(PROJECTIONS if kind == "random" else 0):
            found = Groups(design, variance)
            means = group_means(found, z)
            variance = _variance_of_means(design, z, groups)
            z = (covariance @ (potential + design @ means)[..., None])[..., 0]
        for m, (effect, x, own) in enumerate(zip(effects, surfaces, loadings, strict=True)):
            seen = model.views[m].present
            residual = x[seen] - z[seen] @ own
            effect.start(residual, design[seen], groups, n_features=x.shape[1])
    return effects, Groups(design, variance), z


def _variance_of_means(design: Tensor, z: Tensor, groups: Sequence[slice]) -> Tensor:
    """Variance of the means of z along the technical columns by moments, (q,)."""
    energy = design.square().sum(0).clamp_min(1e-6)
    means = design.T @ z / energy[:, None]
    variance = torch.empty_like(energy)
    for columns in groups:
        size = energy[columns]
        between = (means[columns].square().mean(1) * size).sum() - len(size)
        variance[columns] = (between / size.sum()).clamp_min(MIN_VARIANCE)
    return variance
