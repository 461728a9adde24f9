"""The density of a view given z with its private latent integrated out."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from mvlatent.data.cohort import CohortView
from mvlatent.vae.affine import Affine, Residual
from mvlatent.vae.decoders import Linear
from mvlatent.vae.likelihoods import Likelihood

__all__ = ["has_closed_form", "log_marginal", "log_marginal_by_draws"]


class Decoded(Protocol):
    """What is asked of the part of a matrix, a `mvlatent.vae.view_part.ViewPart`."""

    decoder: Linear
    likelihood: Likelihood
    power: float

    def predictor(
        self, view: CohortView, z: Tensor, w: Tensor, technical: Tensor, effect: Tensor | None
    ) -> Tensor | Affine:
        """Linear predictor, (n, p)."""

    def noise_variance(self) -> Tensor:
        """Noise variance of normal features, (p,)."""

    def outside(self, view: CohortView) -> Tensor:
        """Log density outside a rotated basis, (n,)."""


def has_closed_form(part: Decoded) -> bool:
    """Whether w can be integrated out exactly: normal noise, and a predictor linear in w."""
    return part.likelihood.gaussian and part.decoder.is_affine


def log_marginal(
    part: Decoded, view: CohortView, z: Tensor, technical: Tensor, effect: Tensor | None
) -> Tensor:
    r"""Return :math:`\log\int p(x \mid z, w, s)^\lambda\, N(w; 0, I)\,dw` a patient, (n,).

    For normal noise and a linear private part, by Woodbury's identity from d × d matrices: for
    power :math:`\lambda = 1` it is the density of :math:`N(h(z)A + sB + b,\; D + V'V)` at the
    entries observed.

    Parameters
    ----------
    part
        The view's part of the model.
    view
        Rows of n patients; those who lack the view get a number without meaning.
    z
        Shared latents, (n, k).
    technical
        Design s, (n, q).
    effect
        Technical effects B, (q, p); ``None`` without any.
    """
    private = part.decoder.private
    variance = part.noise_variance()
    weighted = private * (part.power / variance)
    eta = part.predictor(view, z, z.new_zeros(len(z), len(private)), technical, effect)
    residual, energy = _residual(view, eta, part.power / variance)
    constant = -0.5 * part.power * (variance.log() + math.log(2 * math.pi))
    eye = torch.eye(len(private), dtype=z.dtype, device=z.device)
    if view.observed is None:
        gram, constants = (eye + weighted @ private.mT)[None], constant.sum()
    else:
        seen = view.observed.to(z.dtype)
        outer = (weighted[:, None] * private[None]).flatten(0, 1)
        gram = eye + (seen @ outer.mT).unflatten(-1, eye.shape)
        constants = seen @ constant
    factor = torch.linalg.cholesky(gram)
    projection = (residual @ weighted.mT)[..., None]
    if len(factor) == 1:
        solved = torch.linalg.solve_triangular(factor[0], projection[..., 0].mT, upper=False).mT
    else:
        solved = torch.linalg.solve_triangular(factor, projection, upper=False)[..., 0]
    log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    found = constants - 0.5 * (energy - solved.square().sum(-1) + log_det)
    return found if view.residual is None else found + part.power * part.outside(view)


def _residual(
    view: CohortView, eta: Tensor | Affine, precision: Tensor
) -> tuple[Residual | Tensor, Tensor]:
    """What z and s leave of the entries observed, and its weighted squares, (n,)."""
    if isinstance(eta, Affine):
        residual = Residual(view.values, eta)
        return residual, residual.weighted_squares(precision)
    left = view.values - eta
    if view.observed is not None:
        left = left * view.observed
    return left, left.square() @ precision


def log_marginal_by_draws(
    part: Decoded,
    view: CohortView,
    z: Tensor,
    technical: Tensor,
    effect: Tensor | None,
    *,
    scale: Tensor,
    n_samples: int = 1,
) -> Tensor:
    r"""Lower bound of the same for any likelihood and decoder, (n,), noisy.

    Importance-weighted draws of w from the auxiliary prior :math:`r = N(0, \mathrm{diag}\,s^2)`,
    :math:`\log\frac1L\sum_l p(x \mid z, w_l, s)^\lambda\, p(w_l)/r(w_l)`: in expectation below
    :math:`\log\int p(x \mid z, w, s)^\lambda\, p(w)\,dw` for every s, which may so be learnt.

    Parameters
    ----------
    part, view, z, technical, effect
        As in `log_marginal`.
    scale
        s, (d,).
    n_samples
        Draws L.

    References
    ----------
    Burda et al. (2016), Importance weighted autoencoders.
    """
    draws = []
    for _ in range(n_samples):
        noise = torch.randn(len(z), len(scale), dtype=z.dtype, device=z.device)
        w = noise * scale
        eta = part.predictor(view, z, w, technical, effect)
        log_p = part.power * part.likelihood.distribution(eta, view.observed).log_prob(view.values)
        ratio = 0.5 * (noise.square() - w.square()).sum(-1) + scale.log().sum()
        draws.append(log_p + ratio)
    found = torch.stack(draws).logsumexp(0) - math.log(n_samples)
    return found if view.residual is None else found + part.power * part.outside(view)
