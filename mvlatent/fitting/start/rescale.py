"""What follows the fit: latents back on the scale of their prior, exposures of absent views."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.surface_expert import SurfaceExpert

__all__ = ["learn_exposures", "rescale_latents"]

STEPS = 2


@torch.no_grad()
def rescale_latents(vae: StructuredVAE, cohort: Cohort) -> None:
    r"""Give every latent unit second moments over the training patients, in place.

    With :math:`M = \frac1n \sum_i E[z_i z_i']` the loadings become :math:`M^{1/2} A`: the expansion
    step of parameter-expanded EM. The subspace stays, and an unseen latent drawn from the prior is
    as wide as those that were seen, on which predictive intervals depend. Under another prior than
    the standard normal z keeps the scale that it has learnt, and only the private latents are put
    back; random loadings are widened factor by factor, lest a rotation undo their sparsity.

    Parameters
    ----------
    vae
        Model of matrices whose experts follow from linear decoders; others are left as they are.
    cohort
        Training patients.

    References
    ----------
    Liu, Rubin & Wu (1998), Parameter expansion to accelerate EM: the PX-EM algorithm.
    """
    if vae.design.encoder_kind != "exact" or len(vae.items) < len(vae.names):
        return
    for _ in range(STEPS):
        q, evidence = vae.posterior(cohort)
        sparse = vae.design.loadings != "point"
        root = _root(_second_moment(q.mean, q.covariance), diagonal=sparse)
        if not vae.prior.analytic:
            root = torch.eye(len(root), dtype=root.dtype)
        for name, part in vae.items:
            seen = cohort.matrices[name].present
            given = evidence[name].private(q.mean)
            w = _second_moment(given.mean[seen], given.covariance[seen])
            own = _root(w, diagonal=sparse)
            part.decoder.private.copy_(own @ part.decoder.private)
            part.decoder.shared.copy_(root @ part.decoder.shared)
            if isinstance(part.expert, SurfaceExpert):
                part.expert.turn(root)
            if part.decoder.random_loadings is not None:
                part.decoder.random_loadings.widen(torch.cat([root.diagonal(), own.diagonal()]))


def _second_moment(mean: Tensor, covariance: Tensor) -> Tensor:
    return covariance.mean(0) + mean.T @ mean / len(mean)


def _root(matrix: Tensor, *, diagonal: bool = False) -> Tensor:
    if diagonal:
        return matrix.diagonal().sqrt().diag()
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root


@torch.no_grad()
def learn_exposures(vae: StructuredVAE, cohort: Cohort) -> None:
    """Learn what library size or burden goes with the latents, in place.

    Parameters
    ----------
    vae
        Fitted model.
    cohort
        Training patients.
    """
    if all(part.exposure is None for _, part in vae.items):
        return
    q, _ = vae.posterior(cohort)
    mean, covariance = q.mean, q.covariance
    for name, part in vae.items:
        view = cohort.matrices[name]
        if part.exposure is not None and view.exposure is not None:
            seen, exposure = view.present, view.exposure[view.present]
            part.exposure.fit(exposure, mean[seen], covariance[seen], cohort.technical[seen])
