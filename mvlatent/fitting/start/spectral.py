"""The spectral start: loadings from generalized canonical correlation and thin SVDs."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.data.sparse_rows import SparseRows
from mvlatent.fitting.start.newton import refit_loadings
from mvlatent.fitting.start.rank import private_rank, shared_rank
from mvlatent.vae.amortised import Amortised
from mvlatent.vae.basis import surface_of
from mvlatent.vae.exposure import exposed
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.view_part import ViewPart

__all__ = ["STARTS", "dense_rows", "shared_scores", "spectral_start", "start_experts", "start_view"]

STARTS = ("gcca", "svd", "random")
EFFECT_SWEEPS = 2
MAX_ROWS, MAX_ELEMENTS = 3000, 100_000_000  # of a cohort with sparse views


def _centred(view: CohortView, design: Tensor) -> Tensor:
    """Surface of the rows without technical means, unobserved entries at the centre, (n, p)."""
    x, seen = surface_of(view).clone(), view.present
    weights = seen[:, None].to(x.dtype)
    if view.observed is not None:
        weights = weights * view.observed
    centre = (x * weights).sum(0) / weights.sum(0).clamp_min(1)
    x = (x - centre) * weights
    if design.shape[1]:
        within = design[seen]
        solution = torch.linalg.lstsq(_padded(within), x[seen], driver="gelsd").solution
        x[seen] = x[seen] - _padded(within) @ solution
        x = x * weights
    return x


def _padded(design: Tensor) -> Tensor:
    return torch.cat([torch.ones(len(design), 1), design], 1)


def _thin(x: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Left singular vectors and values of the leading directions, from the smaller Gram."""
    n, p = x.shape
    rank = min(rank, n, p)
    if n <= p:
        values, vectors = torch.linalg.eigh((x @ x.T).double())
        sd = values[-rank:].flip(0).clamp_min(0).sqrt()
        return vectors[:, -rank:].flip(1).float(), sd.float()
    values, vectors = torch.linalg.eigh((x.T @ x).double())
    sd = values[-rank:].flip(0).clamp_min(1e-12).sqrt().float()
    return x @ vectors[:, -rank:].flip(1).float() / sd, sd


def _bases(
    cohort: Cohort, centred: dict[str, Tensor], *, kind: str, n_components: int
) -> list[Tensor]:
    """Leading components of each view, (n, r) with rows of 0 where it is missing."""
    blocks = []
    for name, x in centred.items():
        seen = cohort.matrices[name].present
        left, values = _thin(x[seen], n_components)
        block = torch.zeros(len(cohort), left.shape[1])
        block[seen] = left if kind == "gcca" else left * values / values.square().sum().sqrt()
        blocks.append(block)
    return blocks


def shared_scores(
    cohort: Cohort, centred: dict[str, Tensor], n_shared: int, *, kind: str, n_components: int
) -> Tensor:
    """Starting scores of z, (n, k), unit variance.

    ``"gcca"`` is the MAXVAR generalized CCA on the leading components of each view, ``"svd"`` the
    leading left vectors of all views, each scaled to the same total variance. Patients that lack a
    view are averaged over the views they have.

    References
    ----------
    Kettenring (1971), Canonical analysis of several sets of variables;
    van de Velden & Takane (2012), Generalized canonical correlation analysis with missing values.
    """
    blocks = _bases(cohort, centred, kind=kind, n_components=n_components)
    count = cohort.presence.sum(1).clamp_min(1).to(blocks[0].dtype)
    left, _ = _thin(torch.cat(blocks, 1) / count.sqrt()[:, None], n_shared)
    scores = left / count.sqrt()[:, None]
    if scores.shape[1] < n_shared:
        scores = torch.cat([scores, 0.01 * torch.randn(len(cohort), n_shared - scores.shape[1])], 1)
    scores = scores - scores.mean(0)
    return scores / scores.std(0).clamp_min(1e-6)


@torch.no_grad()
def spectral_start(
    vae: StructuredVAE, cohort: Cohort, *, kind: str = "gcca", rank: str = "auto"
) -> None:
    """Start every view's loadings, noise, intercept and technical effects from the data.

    z and the loadings come from site-centred data, the technical effects from the group means of
    what the latents leave, in turn.

    Parameters
    ----------
    vae
        Model to start, in place.
    cohort
        Training patients.
    kind
        One of `STARTS`; ``"random"`` only sets intercepts and noise.
    rank
        ``"auto"`` switches off the shared factors that `shared_rank` does not count (generalized
        CCA only), ``"full"`` keeps all.
    """
    everyone, cohort = cohort, dense_rows(cohort)
    k = vae.design.n_shared
    centred = {name: _centred(cohort.matrices[name], cohort.technical) for name, _ in vae.items}
    n_components = k + max(view.n_private for view in vae.design.matrices)
    if kind == "gcca" and rank == "auto" and len(centred) > 1:
        presence = torch.stack([cohort.matrices[name].present for name in centred], 1)
        kept, n_components = shared_rank(list(centred.values()), presence, k)
        n_components = max(n_components, kept)
        vae.active[kept:] = False
    z = torch.randn(len(cohort), k)
    if kind != "random":
        z = shared_scores(cohort, centred, k, kind=kind, n_components=n_components)
        z = z * vae.active
    for name, _ in vae.items:
        start_view(vae, name, cohort, centred[name], z, random=kind == "random", rank=rank)
    for _ in range(EFFECT_SWEEPS if vae.design.n_technical else 0):
        _start_effects(vae, cohort, latent=kind != "random")
    for name, part in vae.items:
        if part.effects is not None:
            seen = everyone.technical[everyone.matrices[name].present]
            part.effects.energy.copy_(seen.square().sum(0).clamp_min(1e-6))


@torch.no_grad()
def start_experts(vae: StructuredVAE) -> None:
    """Start amortised experts at what the linear decoder implies, in place."""
    for _, part in vae.items:
        if isinstance(part.expert, Amortised):
            part.expert.start()


def dense_rows(cohort: Cohort) -> Cohort:
    """The cohort, dense; of a large one with sparse views, rows spread over it evenly."""
    wide = [v.x.shape[1] for v in cohort.matrices.values() if isinstance(v.x, SparseRows)]
    most = min(MAX_ROWS, MAX_ELEMENTS // max(wide)) if wide else len(cohort)
    if most < len(cohort):
        cohort = cohort.subset(torch.linspace(0, len(cohort) - 1, most).long())
    return cohort.dense()


def _start_effects(vae: StructuredVAE, cohort: Cohort, *, latent: bool) -> None:
    """Give the technical effects what the latents leave of the group means.

    In turn: latents given the effects so far (none at first), effects given the latents. What a
    site has more of because of its patients' biology lies along the loadings and stays with z; an
    effect on single features does not.
    """
    z = torch.zeros(len(cohort), vae.design.n_shared)
    evidence = None
    if latent and vae.design.encoder_kind == "exact":
        q, evidence = vae.posterior(cohort)
        z = q.mean
    for name, part in vae.items:
        view = cohort.matrices[name]
        if part.effects is None:
            continue
        seen = view.present
        w = torch.zeros(len(cohort), part.design.n_private)
        if evidence is not None:
            w = evidence[name].private(z).mean
        nothing = torch.zeros_like(part.effects.loc)
        eta = part.decoder(z, w, cohort.technical, nothing)
        residual = surface_of(view) - part.likelihood.expected_surface(eta)
        if part.likelihood.bends:  # a surface that bends is off by the same for everyone
            seen_entries = seen[:, None] if view.observed is None else view.observed
            total = seen_entries.expand_as(residual).sum(0).clamp_min(1)
            residual = residual - (residual * seen_entries).sum(0) / total
        residual = residual / part.likelihood.slope(part.decoder.intercept)
        if view.observed is not None:
            residual = residual * view.observed
        width = residual.shape[1] + view.n_outside
        part.effects.start(residual[seen], cohort.technical[seen], vae.groups, n_features=width)


def start_view(
    vae: StructuredVAE,
    name: str,
    cohort: Cohort,
    x: Tensor,
    z: Tensor,
    *,
    random: bool,
    rank: str = "full",
) -> None:
    """Start intercept, loadings and noise of one view from scores of z, in place.

    Parameters
    ----------
    vae, name
        Model, and the view in it.
    cohort
        Patients.
    x
        Surface of the view without technical means, (n, p), 0 where missing.
    z
        Scores, (n, k).
    random
        Whether loadings stay as they were drawn.
    rank
        ``"auto"`` switches off private factors that do not stand out of the noise.
    """
    part, view = vae.part(name), cohort.matrices[name]
    seen = view.present
    x, z = x[seen], z[seen]
    n = max(int(seen.sum()), 1)
    share = x.shape[1] / (x.shape[1] + view.n_outside)  # of a rotated view's features
    entries = seen[:, None] if view.observed is None else view.observed & seen[:, None]
    values, exposure = view.values, view.exposure
    intercept = part.likelihood.intercept(values, exposure, entries)
    part.decoder.intercept.copy_(intercept)
    slope = part.likelihood.slope(intercept)
    entries, exposure = entries[seen], None if exposure is None else exposure[seen]
    eta = intercept.expand_as(x)
    if random:
        part.likelihood.start(share * x.square().sum(0) / n)
    else:
        fitted, own = _linear_start(part, x, z, slope, share, rank)
        eta = eta + fitted / slope
    eta = exposed(eta, exposure)
    if not part.likelihood.gaussian and not random:
        latents = torch.cat([z, own], 1)
        eta = refit_loadings(part, latents, values[seen], exposure, entries)
        part.likelihood.settle(values[seen], eta, entries)
        # with the dispersion that was found
        refit_loadings(part, latents, values[seen], exposure, entries)
        return
    part.likelihood.settle(values[seen], eta, entries)


def _linear_start(
    part: ViewPart, x: Tensor, z: Tensor, slope: Tensor, share: float, rank: str
) -> tuple[Tensor, Tensor]:
    """Loadings and noise of a surface x (n, p) given z, in place; its fit, and w."""
    n, d = max(len(x), 1), part.design.n_private
    loadings = torch.linalg.solve(z.T @ z + torch.eye(z.shape[1]), z.T @ x)
    residual = x - z @ loadings
    left, values_left = _thin(residual, d)
    if rank == "auto":
        part.active[private_rank(residual, d) :] = False
    fitted = left * values_left @ torch.linalg.lstsq(left * values_left, residual).solution
    noise = (residual - fitted).square().sum(0) / max(n - z.shape[1] - d, 1)
    scale = (values_left.square() / n - share * noise.mean()).clamp_min(1e-4).sqrt()
    directions = left.T @ residual / values_left.clamp_min(1e-6)[:, None]
    private = directions * scale[:, None] * part.active[: len(directions), None]
    part.decoder.shared.copy_(loadings / slope)
    part.decoder.private.copy_(torch.zeros_like(part.decoder.private))
    part.decoder.private[: len(private)] = private / slope
    part.likelihood.start(noise * share)
    own = left * values_left / scale * part.active[: len(scale)]
    return z @ loadings + fitted, own
