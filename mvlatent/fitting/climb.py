"""The closed-form fit of z: effects of sites, start, choice by held-out patients, and the climb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.fitting.canonical import canonical_scores
from mvlatent.fitting.honest import Choice, choose, folds_of, leading
from mvlatent.fitting.private import shrunk
from mvlatent.fitting.shared import Groups, Latent, SharedModel
from mvlatent.fitting.sites import centred_within, learn_effects
from mvlatent.fitting.start.spectral import dense_rows
from mvlatent.fitting.surfaces import (
    MIN_NOISE,
    MIN_NOISE_DISCRETE,
    Scores,
    filled_surface,
    noise_weights,
    scores_of,
)
from mvlatent.vae.effects import TechnicalEffects
from mvlatent.vae.likelihoods import likelihood_of

__all__ = ["Climbed", "climb"]

DEFAULT_SHARE, DEFAULT_RANK = 0.1, 4  # of cohorts too small to hold patients out
TOLERANCE = 2e-3  # nats a patient that a sweep must add
MAX_SWEEPS = 200
START_SWEEPS = 3  # of the model before the effects of sites are learnt


@dataclass
class Climbed:
    """What the closed-form fit leaves.

    Attributes
    ----------
    names
        Views, in the order of the model's.
    model
        Loadings and private covariances.
    latent
        z of the patients they were fitted to.
    centres
        Mean of each view's surface, (p,).
    weights
        What each feature of a view is multiplied by before anything else, (p,).
    effects
        Technical effects on the weighted features of each view; ``None`` without technical columns.
    choice
        What held-out patients chose; ``None`` where there were too few, or one view.
    history
        The criterion and its parts by sweep, nats a patient; the start is row 0.
    stopped
        ``"converged"``, ``"held_out"`` (more sweeps predicted held-out views worse),
        ``"asked"``, ``"max_epochs"`` or ``"start"`` (one view has no other to learn from).
    patients
        The patients whose surfaces were used.
    groups
        Technical columns along which z has means of its own; ``None`` without random effects.
    """

    names: tuple[str, ...]
    model: SharedModel
    latent: Latent
    centres: list[Tensor]
    weights: list[Tensor]
    effects: list[TechnicalEffects] | None
    choice: Choice | None
    patients: Cohort
    groups: Groups | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    stopped: str = "converged"


@torch.no_grad()
def climb(
    cohort: Cohort,
    *,
    n_shared: int,
    rank: str = "auto",
    effects: str = "random",
    kind: str = "gcca",
    sweeps: int | None = None,
    max_epochs: int | None = None,
    seed: int = 0,
    say: Callable[[str], Any] = lambda stage: None,
) -> Climbed:
    """Fit z to the surfaces of all views.

    Parameters
    ----------
    cohort
        Training patients.
    n_shared
        Most shared factors.
    rank
        ``"auto"``: as many as held-out patients ask for; ``"full"``: ``n_shared``.
    effects
        ``"random"``, ``"free"`` or ``"none"``.
    kind
        Start of z: ``"gcca"``, ``"svd"`` (leading directions of all views) or ``"random"``.
    sweeps
        Sweeps of EM; ``None``: until the criterion settles, unless held-out patients want fewer.
    max_epochs
        Most sweeps.
    seed
        Seed of the folds (and of a random start).
    say
        Told the name of each stage.
    """
    cohort = dense_rows(cohort)
    say("factors")
    views = _views_of(cohort, effects)
    choice, shares, k = _asked(views.within, n_shared, rank, sweeps, seed)
    say("sites" if views.columns else "start")
    ridges = _ridges(views.within, shares, k)
    z = _start(views.within, ridges, k, kind, seed)
    model = SharedModel(views.within, ridges, z, widths=views.widths)
    found, groups = None, None
    if views.columns:
        model, found, groups = _beside_sites(model, views, shares, effects)
    out = Climbed(
        tuple(cohort.matrices),
        model,
        model.posterior(),
        views.centres,
        views.weights,
        found,
        choice,
        cohort,
        groups,
    )
    say("sweeps")
    asked = sweeps if sweeps is not None else (choice.sweeps if choice else None)
    _sweep(out, asked, MAX_SWEEPS if max_epochs is None else max_epochs)
    if sweeps is not None and out.stopped == "held_out":
        out.stopped = "asked"
    return out


@dataclass(frozen=True, eq=False)
class _Views:
    """All views as they are climbed on: features weighted, technical means off.

    ``surfaces`` (N, p) still hold the technical means, and are empty without technical columns.
    """

    centres: list[Tensor]
    weights: list[Tensor]
    within: list[Scores]
    widths: list[int]
    surfaces: list[Tensor]
    design: Tensor
    columns: list[slice]


def _views_of(cohort: Cohort, effects: str) -> _Views:
    """Surfaces of the views of dense rows, weighted by their noise, in their thin-SVD bases."""
    views = list(cohort.matrices.values())
    filled = [filled_surface(view) for view in views]
    surfaces, centres = [x for x, _ in filled], [c for _, c in filled]
    present = [view.present for view in views]
    design = cohort.technical if effects != "none" else cohort.technical[:, :0]
    columns = [slice(g.columns.start, g.columns.stop) for g in cohort.technical_groups]
    columns = columns if design.shape[1] else []
    own = [centred_within(x, p, design) for x, p in zip(surfaces, present, strict=True)]
    weights = [
        x.new_ones(x.shape[1])
        if view.noise == "view"
        else noise_weights(x[view.present], _least_noise(view))
        for x, view in zip(own, views, strict=True)
    ]
    within = [scores_of(x * w, p) for x, w, p in zip(own, weights, present, strict=True)]
    widths = [x.shape[1] for x in surfaces]
    # nobody else holds these rows
    surfaces = [x.mul_(w) for x, w in zip(surfaces, weights, strict=True)] if columns else []
    return _Views(centres, weights, within, widths, surfaces, design, columns)


def _asked(
    within: Sequence[Scores], n_shared: int, rank: str, sweeps: int | None, seed: int
) -> tuple[Choice | None, tuple[float, ...], int]:
    """Choice of held-out patients, and the shares and rank that follow from it or by default."""
    most = _most(within, n_shared)
    choice = _chosen(within, most, rank, sweeps, seed)
    if choice is not None:
        return choice, choice.shares, choice.rank
    return None, (DEFAULT_SHARE,) * len(within), _default_rank(most, rank, len(within))


def _beside_sites(
    model: SharedModel, views: _Views, shares: Sequence[float], effects: str
) -> tuple[SharedModel, list[TechnicalEffects], Groups | None]:
    """Technical effects given a model without technical means, and the model without the effects.

    With random effects z keeps means of its own along the technical columns.
    """
    for _ in range(START_SWEEPS if len(views.within) > 1 else 0):
        model.sweep()
    found, groups, z = learn_effects(model, views.surfaces, views.design, views.columns, effects)
    present = [view.present for view in views.within]
    left = [
        (x - views.design @ e.loc.detach()) * p[:, None]
        for x, e, p in zip(views.surfaces, found, present, strict=True)
    ]
    scores = [scores_of(x, p) for x, p in zip(left, present, strict=True)]
    around = groups if effects == "random" else None
    ridges = _ridges(scores, shares, model.k)
    return SharedModel(scores, ridges, z, groups=around, widths=views.widths), found, around


def _least_noise(view: CohortView) -> float:
    """Share of noise that a feature has at least: few patients with a mutation are no signal."""
    return MIN_NOISE if likelihood_of(view).measures else MIN_NOISE_DISCRETE


def _most(views: Sequence[Scores], n_shared: int) -> int:
    """Most factors there can be: of patients, and of the columns of the two widest views."""
    room = sorted(len(v.energy) for v in views)
    widest = room[-2] if len(room) > 1 else room[-1]
    return max(1, min(n_shared, len(views[0].present) - 2, widest if len(room) > 1 else room[-1]))


def _default_rank(most: int, rank: str, n_views: int) -> int:
    return most if rank == "full" or n_views == 1 else min(most, DEFAULT_RANK)


def _ridges(views: Sequence[Scores], shares: Sequence[float], k: int) -> list[Tensor]:
    """A ridge a view; a single view has the noise that its leading directions leave."""
    if len(views) == 1:
        rest = views[0].energy[k:]
        least = 1e-3 * float(views[0].energy.mean())
        level = max(float(rest.mean()) if len(rest) else 0.0, least)
        return [torch.full_like(views[0].energy, level)]
    return [shrunk(v.energy, v.n, v.width, s) for v, s in zip(views, shares, strict=True)]


def _chosen(
    within: Sequence[Scores], most: int, rank: str, sweeps: int | None, seed: int
) -> Choice | None:
    """What held-out patients prefer, ``None`` where they cannot be asked."""
    if len(within) < 2:
        return None
    folds = folds_of([leading(v) for v in within], seed)
    if not folds:
        return None
    return choose(folds, most, rank=most if rank == "full" else None, sweeps=sweeps)


def _start(
    views: Sequence[Scores], ridges: Sequence[Tensor], k: int, kind: str, seed: int
) -> Tensor:
    """Scores that z starts from, (N, k)."""
    if kind == "random":
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(len(views[0].present), k, generator=generator)
    if kind == "svd":  # so large a ridge that directions count by their variance
        ridges = [torch.full_like(v.energy, 1e3 * v.total) for v in views]
    return canonical_scores(views, ridges, k)


def _sweep(climbed: Climbed, asked: int | None, most: int) -> None:
    """Climb until the criterion settles, or as many sweeps as were asked for; keep a history."""
    model, n = climbed.model, len(climbed.latent.mean)
    latent = model.posterior()
    climbed.history.append(_row(model, latent, 0, n, climbed.names))
    goal = most if asked is None else min(asked, most)
    climbed.stopped = "max_epochs" if asked is None or most < asked else "held_out"
    if len(model.views) == 1:
        climbed.stopped, goal = "start", 0
    for epoch in range(1, goal + 1):
        model.maximise(latent)
        latent = model.posterior()
        climbed.history.append(_row(model, latent, epoch, n, climbed.names))
        if climbed.history[-1]["elbo"] - climbed.history[-2]["elbo"] < TOLERANCE:
            climbed.stopped = "converged"
            break
    climbed.latent = latent


def _row(
    model: SharedModel, latent: Latent, epoch: int, n: int, names: Sequence[str]
) -> dict[str, float]:
    parts = {name: value / n for name, value in model.terms(latent, names).items()}
    return {"epoch": epoch, "elbo": sum(parts.values()), **parts}
