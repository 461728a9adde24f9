"""How far technical effects and z can trade places: what the data cannot tell apart."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.structured import StructuredVAE

__all__ = ["with_shift"]


@torch.no_grad()
def with_shift(vae: StructuredVAE, q: PrecisionNormal, technical: Tensor) -> PrecisionNormal:
    r"""Widen the posterior of z by what is not known of the technical effects and parameters.

    Evidence is weakened by the model's caution first: what held-out patients asked for.

    Adding :math:`\delta A_m` to the effects of a site in every view and taking δ from its
    patients' z leaves the fit as it was. Only the priors object: with :math:`n_s` patients, and
    site means of z of variance :math:`\tau^2`, the shift has the posterior covariance

    .. math:: G_s = \Bigl(\sum_m A_m A_m' / \omega_m^2 + I / (\tau^2 + 1 / n_s)\Bigr)^{-1},

    which reaches z as far as z follows the data, :math:`(I - \Lambda^{-1}) G (I - \Lambda^{-1})'`.
    An unknown site has seen no patient and is the least known.

    Parameters
    ----------
    vae
        Fitted model.
    q
        Posterior of z given the technical effects.
    technical
        Technical design of the same patients, (n, q).

    Returns
    -------
    PrecisionNormal
        The same means, wider where views are informative; ``q`` itself without technical columns or
        random effects.
    """
    q = _cautious(vae, q)
    random = vae.design.effects == "random" and bool(vae.groups)
    random = random and any(part.technical_energy is not None for _, part in vae.members)
    if not random and not bool(vae.doubt.any()):
        return q
    covariance = q.covariance
    eye = torch.eye(covariance.shape[-1], dtype=covariance.dtype)
    follows = eye - covariance
    doubt = vae.doubt
    if random:
        doubt = doubt + _shifts(vae, q, technical)
    wider = covariance + follows @ doubt @ follows.mT
    precision = torch.linalg.inv(wider)
    precision = 0.5 * (precision + precision.mT)
    return PrecisionNormal((precision @ q.mean.unsqueeze(-1)).squeeze(-1), precision)


def _cautious(vae: StructuredVAE, q: PrecisionNormal) -> PrecisionNormal:
    """The posterior from evidence that is weakened by the model's caution."""
    if float(vae.caution) == 1.0:
        return q
    eye = torch.eye(q.precision.shape[-1], dtype=q.precision.dtype)
    precision = eye + (q.precision - eye) / vae.caution
    return PrecisionNormal(q.potential / vae.caution, precision, q.group)


def _shifts(vae: StructuredVAE, q: PrecisionNormal, technical: Tensor) -> Tensor:
    """Covariance of the shift of each patient, (n, k, k)."""
    shift = torch.zeros_like(q.covariance)
    seen = [part.technical_energy for _, part in vae.members]
    size = torch.stack([energy for energy in seen if energy is not None]).amax(0)
    for columns in vae.groups:
        design = technical[:, columns].square()
        places = range(columns.start, columns.stop)
        each = torch.stack([_shift(vae, place, float(size[place])) for place in places])
        shift = shift + torch.einsum("nq,qkl->nkl", design, each)
        unknown = design.sum(1) == 0
        if len(places) > 1 and bool(unknown.any()):
            shift[unknown] += _shift(vae, columns.start, 0.0)
    return shift


def _shift(vae: StructuredVAE, column: int, size: float) -> Tensor:
    """Covariance (k, k) of the shift along one technical column, 0 for factors switched off."""
    k = vae.design.n_shared
    between = float(vae.technical_variance[column]) + 1.0 / max(size, 1e-6)
    precision = torch.eye(k) / min(between, 1.0)
    for _, part in vae.members:
        pull = part.technical_pull(column)
        precision = precision if pull is None else precision + pull
    active = vae.active.to(precision.dtype)
    found: Tensor = torch.linalg.inv(precision) * active * active[:, None]
    return found
