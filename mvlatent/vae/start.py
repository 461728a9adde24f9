"""The spectral start: loadings from generalized canonical correlation and thin SVDs."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.vae.experts import Amortised
from mvlatent.vae.structured import StructuredVAE

__all__ = ["STARTS", "shared_scores", "spectral_start"]

STARTS = ("gcca", "svd", "random")


def _centred(view: CohortView, design: Tensor) -> Tensor:
    """Rows of the present patients without technical means, unobserved entries at the centre; (n, p)."""
    x, seen = view.x.clone(), view.present
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
    """Left singular vectors and singular values of the leading directions, from the smaller Gram."""
    n, p = x.shape
    rank = min(rank, n, p)
    if n <= p:
        values, vectors = torch.linalg.eigh((x @ x.T).double())
        return vectors[:, -rank:].flip(1).float(), values[-rank:].flip(0).clamp_min(0).sqrt().float()
    values, vectors = torch.linalg.eigh((x.T @ x).double())
    sd = values[-rank:].flip(0).clamp_min(1e-12).sqrt().float()
    return x @ vectors[:, -rank:].flip(1).float() / sd, sd


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
    blocks = []
    for name, x in centred.items():
        seen = cohort.views[name].present
        left, values = _thin(x[seen], n_components)
        block = torch.zeros(len(cohort), left.shape[1])
        block[seen] = left if kind == "gcca" else left * values / values.square().sum().sqrt()
        blocks.append(block)
    stacked = torch.cat(blocks, 1)
    count = cohort.presence.sum(1).clamp_min(1).to(stacked.dtype)
    left, _ = _thin(stacked / count.sqrt()[:, None], n_shared)
    scores = left / count.sqrt()[:, None]
    if scores.shape[1] < n_shared:
        scores = torch.cat([scores, 0.01 * torch.randn(len(cohort), n_shared - scores.shape[1])], 1)
    scores = scores - scores.mean(0)
    return scores / scores.std(0).clamp_min(1e-6)


@torch.no_grad()
def spectral_start(vae: StructuredVAE, cohort: Cohort, *, kind: str = "gcca") -> None:
    """Start every view's loadings, noise, intercept and technical effects from the data.

    z and the loadings come from site-centred data, the technical effects from the site means of what
    is left, so that the start holds no site in z.

    Parameters
    ----------
    vae
        Model to start, in place.
    cohort
        Training patients.
    kind
        One of `STARTS`; ``"random"`` only sets intercepts and noise.
    """
    k = vae.design.n_shared
    centred = {name: _centred(cohort.views[name], cohort.technical) for name in vae.names}
    n_components = max(2 * k, 3 * k // 2 + 8)
    z = torch.randn(len(cohort), k)
    if kind != "random":
        z = shared_scores(cohort, centred, k, kind=kind, n_components=n_components)
    for name in vae.names:
        _start_view(vae, name, cohort, centred[name], z, random=kind == "random")


def _start_view(
    vae: StructuredVAE, name: str, cohort: Cohort, x: Tensor, z: Tensor, *, random: bool
) -> None:
    part, view = vae.part(name), cohort.views[name]
    seen, d = view.present, part.design.n_private
    x, z = x[seen], z[seen]
    n = max(int(seen.sum()), 1)
    weights = seen[:, None] if view.observed is None else view.observed & seen[:, None]
    mean = (view.x * weights).sum(0) / weights.sum(0).clamp_min(1)
    part.decoder.intercept.copy_(part.likelihood.link(mean))
    slope = part.likelihood.slope(mean)
    if random:
        part.likelihood.start(x.square().sum(0) / n)
    else:
        loadings = torch.linalg.solve(z.T @ z + torch.eye(z.shape[1]), z.T @ x)
        residual = x - z @ loadings
        left, values = _thin(residual, d)
        fitted = left * values @ torch.linalg.lstsq(left * values, residual).solution
        noise = (residual - fitted).square().sum(0) / max(n - z.shape[1] - d, 1)
        scale = (values.square() / n - noise.mean()).clamp_min(1e-4).sqrt()
        directions = left.T @ residual / values.clamp_min(1e-6)[:, None]
        private = directions * scale[:, None]
        part.decoder.shared.copy_(loadings / slope)
        part.decoder.private.copy_(torch.zeros_like(part.decoder.private))
        part.decoder.private[: len(private)] = private / slope
        part.likelihood.start(noise)
    if part.effects is not None:
        raw = (view.x - mean)[seen] * (1.0 if view.observed is None else view.observed[seen])
        part.effects.start(raw / slope, cohort.technical[seen], vae.groups)
    if isinstance(part.expert, Amortised) and not random:
        part.expert.start(view.x)

