"""Closed-form sweeps of random loadings: where gradient steps would take hundreds of epochs."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.loadings import MAX_PRECISION
from mvlatent.vae.moments import joint_posterior, second_moments
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.view_part import ViewPart

__all__ = ["settle_loadings"]


@torch.no_grad()
def settle_loadings(vae: StructuredVAE, cohort: Cohort, *, sweeps: int, prune: int = 0) -> None:
    r"""Coordinate ascent over latents, loadings, their scales and the noise, in place.

    With latents f = [z, w], weights of the noise :math:`\omega_f` and expected prior precisions
    :math:`\alpha`, a feature's loadings become

    .. math:: m_f = (\mathrm{diag}\,\alpha_f + \omega_f S)^{-1} \omega_f \sum_i E[f_i] r_{if},
              \quad s_{jf}^2 = (\alpha_{jf} + \omega_f S_{jj})^{-1},
              \quad S = \sum_i E[f_i f_i'] .

    Parameters
    ----------
    vae
        Model with random loadings and exact experts; views of other than normal noise are left as
        they are, and so is every other model.
    cohort
        Training patients.
    sweeps
        Times that everything is updated in turn.
    prune
        First sweeps that take one precision a factor whatever the prior, so that spare factors go
        as a whole before single features can hold them.
    """
    if vae.design.encoder_kind != "exact" or vae.design.loadings == "point":
        return
    for sweep in range(sweeps):
        q, evidence = vae.posterior(cohort)
        for name, part in vae.items:
            view = cohort.matrices[name]
            if part.likelihood.gaussian and int(view.present.sum()) > 1:
                by_factor = sweep < prune
                active = torch.cat([vae.active, part.active])
                _settle_view(
                    part, view, cohort.technical, q, evidence[name], active, by_factor=by_factor
                )


def _settle_view(
    part: ViewPart,
    view: CohortView,
    technical: Tensor,
    q: PrecisionNormal,
    evidence: Evidence,
    active: Tensor,
    *,
    by_factor: bool,
) -> None:
    decoder, random, seen = part.decoder, part.decoder.random_loadings, view.present
    assert random is not None  # as the loadings are no points
    joint = joint_posterior(q.mean, q.covariance, evidence, seen)
    offset = decoder.offset(technical, part.expected_effect())
    x = (view.values - offset)[seen]
    weight = part.power * part.weight()
    if view.observed is None:
        energy = second_moments(joint, None)[None]  # (1, m, m), the same for every feature
        count = torch.full_like(weight, float(len(x)))
    else:
        observed = view.observed[seen].to(x.dtype)
        x, count = x * observed, observed.sum(0)
        energy = second_moments(joint, observed)  # (p, m, m)
    response = joint.mean.T @ x  # (m, p)
    expected = random.factor_precision if by_factor else random.expected_precision
    off = ~active[:, None]
    prior = expected(decoder.loadings).expand_as(response).masked_fill(off, MAX_PRECISION)
    precision = torch.diag_embed(prior.T) + weight[:, None, None] * energy
    factor = torch.linalg.cholesky(precision)
    solved = torch.cholesky_solve((weight * response).T[..., None], factor)[..., 0].T
    mean = solved.masked_fill(off, 0.0)
    decoder.shared.copy_(mean[: len(decoder.shared)])
    decoder.private.copy_(mean[len(decoder.shared) :])
    random.log_sd.copy_(-0.5 * precision.diagonal(dim1=1, dim2=2).T.log())
    random.refresh(mean)
    if view.observed is None:
        fitted = (mean * (energy[0] @ mean)).sum(0)
    else:
        fitted = torch.einsum("jf,fjl,lf->f", mean, energy, mean)
    fitted = fitted + (energy.diagonal(dim1=1, dim2=2).T * random.variance).sum(0)
    left = x.square().sum(0) - 2 * (mean * response).sum(0) + fitted
    part.likelihood.start(left / count.clamp_min(1))
