"""Expectation–maximisation of linear views with normal noise: closed-form sweeps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.moments import Joint, joint_posterior, second_moments
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.tied import Tied
from mvlatent.vae.view_part import ViewPart

__all__ = ["em_sweeps", "hold_effects", "tied_evidence"]

RIDGE = 1e-3  # on loadings: keeps the solve stable where a factor is switched off
PROJECTIONS = 10  # of z on the technical design, until its group means settle
MIN_VARIANCE = 1e-4  # variance of a group's mean of z


@torch.no_grad()
def em_sweeps(vae: StructuredVAE, cohort: Cohort, n_sweeps: int) -> None:
    r"""Improve loadings, noise, intercepts and technical effects in place, in closed form.

    The E-step is the exact posterior of linear views; the M-step a regression a view on the
    expected latents, then the posterior mean of the technical effects given what latents leave.
    While it lasts z has a mean a site, :math:`z_i \sim N(\mu_{s_i}, I)`, :math:`\mu_s \sim N(0,
    \tau^2)` with τ by moments: under one common prior a subtype that is commoner at one hospital
    would cost z its square for every patient but the effects only once, and drift into them.
    So random effects are held afterwards, see `hold_effects`. Views with other likelihoods keep
    their loadings and speak through their expert.

    Parameters
    ----------
    vae
        A started model; networks are not used.
    cohort
        Training patients.
    n_sweeps
        Number of sweeps.

    References
    ----------
    Rubin & Thayer (1982), EM algorithms for ML factor analysis;
    Laird & Ware (1982), Random-effects models for longitudinal data.
    """
    normal = [name for name, part in vae.items if part.likelihood.gaussian]
    for _ in range(n_sweeps if normal else 0):
        evidence = tied_evidence(vae, cohort)
        q = vae.product(evidence, cohort.presence)
        covariance = q.covariance
        z = _with_group_means(q, covariance, cohort.technical, vae)
        for name in normal:
            view, part = cohort.matrices[name], vae.part(name)
            latents = joint_posterior(z, covariance, evidence[name], view.present)
            _maximise(vae, part, view, cohort.technical[view.present], latents)


def hold_effects(vae: StructuredVAE) -> None:
    """Leave random technical effects as they were found: no gradient reaches them any more.

    Under one common prior of z the gradient of the bound would move the site means of z into them.
    """
    for _, part in vae.items:
        if part.effects is not None and part.effects.kind == "random":
            part.effects.loc.requires_grad_(False)


def tied_evidence(vae: StructuredVAE, cohort: Cohort) -> dict[str, Evidence]:
    """What each view says through its linear decoder, whatever expert the model has."""
    found = {}
    for name, part in vae.members:
        if not isinstance(part, ViewPart):
            found[name] = part.read(cohort.views[name], cohort.technical)
            continue
        expert = part.expert
        if not isinstance(expert, Tied) or not expert.top_down:
            expert = Tied(part.decoder, part.likelihood, n_technical=0, n_hidden=0)
        found[name] = part.read(cohort.matrices[name], cohort.technical, expert)
    return found


def _with_group_means(
    q: PrecisionNormal, covariance: Tensor, design: Tensor, vae: StructuredVAE
) -> Tensor:
    """Posterior means of z, (n, k), under a prior whose mean depends on the technical groups."""
    z = q.mean
    if not vae.groups or vae.design.effects != "random":
        return z
    energy = design.square().sum(0).clamp_min(1e-6)
    for _ in range(PROJECTIONS):
        means = design.T @ z / energy[:, None]
        shrink = torch.empty_like(energy)
        for columns in vae.groups:
            size = energy[columns]
            between = (means[columns][:, vae.active].square().mean(1) * size).sum() - len(size)
            tau2 = (between / size.sum()).clamp_min(MIN_VARIANCE)
            shrink[columns] = size / (size + 1.0 / tau2)
            vae.technical_variance[columns] = tau2
        prior = design @ (means * shrink[:, None])
        z = q.mean + (covariance @ prior.unsqueeze(-1)).squeeze(-1)
    return z


def _maximise(
    vae: StructuredVAE, part: ViewPart, view: CohortView, design: Tensor, latents: Joint
) -> None:
    """Intercept, loadings and noise given the latents, then the effects given all of them."""
    decoder, u = part.decoder, latents.mean
    x = view.values[view.present]
    weight = None if view.observed is None else view.observed[view.present].to(x.dtype)
    count = x.new_tensor(float(len(x))) if weight is None else weight.sum(0).clamp_min(1.0)
    loadings = torch.cat([decoder.shared, decoder.private])
    target = x - design @ part.expected_effect()
    intercept = _seen(target - u @ loadings, weight).sum(0) / count
    target = _seen(target - intercept, weight)
    projection = u.T @ target
    second = second_moments(latents, weight)
    active = torch.cat([vae.active, part.active]).to(x.dtype)[:, None]
    ridge = _ridge(loadings, second, part.noise_variance().mean())
    if weight is None:
        loadings = torch.linalg.solve(second + ridge, projection) * active
        explained = second @ loadings
    else:
        solved = torch.linalg.solve(second + ridge, projection.T.unsqueeze(-1)).squeeze(-1)
        loadings = solved.T * active
        explained = (second @ loadings.T.unsqueeze(-1)).squeeze(-1).T
    energy = target.square().sum(0) + (loadings * (explained - 2.0 * projection)).sum(0)
    decoder.intercept.copy_(intercept)
    decoder.shared.copy_(loadings[: len(decoder.shared)])
    decoder.private.copy_(loadings[len(decoder.shared) :])
    share = x.shape[1] / (x.shape[1] + view.n_outside)
    outside = 0.0 if view.residual is None else view.residual.sum() / len(x) / x.shape[1]
    part.likelihood.start((energy / count + outside).clamp_min(0.0) * share)
    if part.effects is not None:
        residual = x - intercept - u @ loadings
        _effects(part, residual, weight, design, vae.groups)


def _ridge(loadings: Tensor, second: Tensor, noise: Tensor) -> Tensor:
    """Penalty (m, m) of the loadings: a normal prior a factor, its variance by empirical Bayes."""
    gram = second if second.dim() == 2 else second.mean(0)
    eye = torch.eye(len(gram), dtype=gram.dtype)
    unsure = noise * torch.linalg.inv(gram + RIDGE * eye).diagonal()
    return torch.diag(noise / (loadings.square().mean(1) + unsure).clamp_min(1e-8)) + RIDGE * eye


def _seen(x: Tensor, weight: Tensor | None) -> Tensor:
    return x if weight is None else x * weight


def _effects(
    part: ViewPart,
    residual: Tensor,
    weight: Tensor | None,
    design: Tensor,
    groups: Sequence[slice],
) -> None:
    """Posterior mean of the technical effects, one covariate after the other."""
    effects = part.effects
    if effects is None:
        return
    variance = part.noise_variance()
    for columns in groups:
        own = design[:, columns]
        rest = residual - design @ effects.loc + own @ effects.loc[columns]
        size = own.square().sum(0)[:, None] if weight is None else own.square().T @ weight
        prior = variance / effects.prior_sd[columns].square()[:, None]
        effects.loc[columns] = own.T @ _seen(rest, weight) / (size + prior)
