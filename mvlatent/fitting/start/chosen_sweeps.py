"""Whether sweeps of EM help: what held-out patients say of one view given the others."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.fitting.start.em import em_sweeps, tied_evidence
from mvlatent.vae.basis import surface_of
from mvlatent.vae.likelihoods import likelihood_of
from mvlatent.vae.structured import StructuredVAE

__all__ = ["choose_sweeps", "cross_view_score"]

CANDIDATES = (0, 5, 30)
FOLDS, USED_FOLDS = 5, 2
MAX_PATIENTS = 2000
MIN_HELD_OUT = 10
TOLERANCE = 0.02  # of the best score, which more sweeps may cost: they settle sites and noise too


@torch.no_grad()
def choose_sweeps(start: Callable[[Cohort], StructuredVAE], cohort: Cohort) -> int:
    """Number of sweeps after which views of held-out patients are predicted best from the others.

    Sweeps climb the likelihood. Where the model is right they bring z closer to the shared factors;
    where a view has more of its own structure than private factors can hold (most real ones), they
    spend z on it instead. Two fifths of the patients, each held out once, decide.

    Parameters
    ----------
    start
        Makes a started model for a cohort.
    cohort
        Training patients.

    Returns
    -------
    int
        One of 0, 5 and 30; the largest for a single view or too few patients to hold out, 0 where
        no view has normal noise.
    """
    n = len(cohort)
    if not any(likelihood_of(view).gaussian for view in cohort.matrices.values()):
        return 0  # there is nothing to sweep
    if len(cohort.matrices) < 2 or n < FOLDS * MIN_HELD_OUT:
        return CANDIDATES[-1]
    order = torch.randperm(n)[:MAX_PATIENTS]
    total = torch.zeros(len(CANDIDATES))
    for fold in range(USED_FOLDS):
        held = torch.zeros(len(order), dtype=torch.bool)
        held[fold::FOLDS] = True
        train, test = cohort.subset(order[~held]).dense(), cohort.subset(order[held]).dense()
        vae, done = start(train), 0
        for i, sweeps in enumerate(CANDIDATES):
            em_sweeps(vae, train, sweeps - done)
            done = sweeps
            total[i] += cross_view_score(vae, test)
    good = total >= total.max() - TOLERANCE * total.max().abs()
    return CANDIDATES[int(good.nonzero().max())]


@torch.no_grad()
def cross_view_score(vae: StructuredVAE, cohort: Cohort) -> Tensor:
    """R² of each view's surface given all the others, mean over views; 0 is the site's mean alone.

    Entries that were not observed, and patients who have no other view, do not count.
    """
    evidence = tied_evidence(vae, cohort)
    scores = []
    for name, part in vae.items:
        view, presence = cohort.matrices[name], cohort.presence.clone()
        presence[:, vae.names.index(name)] = False
        rows = view.present & presence.any(1)
        if int(rows.sum()) < 2:
            continue
        z = vae.product(evidence, presence).mean
        seen = rows[:, None] if view.observed is None else view.observed & rows[:, None]
        surface = surface_of(view)
        errors = []
        for latent in (z, torch.zeros_like(z)):
            w = z.new_zeros(len(z), part.design.n_private)
            eta = part.decoder(latent, w, cohort.technical, part.expected_effect())
            error = surface - part.likelihood.expected_surface(eta)
            errors.append((error.square() * seen).sum())
        scores.append(1.0 - errors[0] / errors[1].clamp_min(1e-12))
    return torch.stack(scores).mean() if scores else torch.zeros(())
