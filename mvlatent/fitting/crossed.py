"""Blocks of the training patients to which a reported head may be fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.fitting.gradients import finish, objective_of
from mvlatent.fitting.loop import fit
from mvlatent.fitting.start.started import started
from mvlatent.fitting.trained import Trained
from mvlatent.heads.blocks import head_blocks
from mvlatent.posterior import Latents

__all__ = ["training_blocks"]

CROSS_FITS = 3


def training_blocks(trained: Trained, cohort: Cohort) -> dict[str, Tensor]:
    """Blocks of the training patients that a reported head may be fitted to."""
    blocks = head_blocks(trained.latents(cohort), trained.bases)
    crossed = trained.options.rho > 0 and cohort.views
    return blocks | _cross_fitted(trained, cohort) if crossed else blocks


def _cross_fitted(trained: Trained, cohort: Cohort) -> dict[str, Tensor]:
    """Latent blocks of each patient from a model that never saw that patient's outcome.

    With ``rho > 0`` the training latents know the outcome, and a head fitted on them would trust
    them too much. Each fold's model is aligned to the reported one by least squares on the patients
    it was fitted to.
    """
    own = _latent_blocks(trained.latents(cohort))
    out = {name: torch.empty_like(x) for name, x in own.items()}
    plan = replace(trained.plan, max_epochs=max(1, trained.fitted.best_epoch + 1))
    order = np.random.default_rng(plan.seed).permutation(len(cohort))
    for others in np.array_split(order, CROSS_FITS):
        rows = np.setdiff1d(order, others)
        part = cohort.subset(rows)
        vae, _ = started(part, trained.roles, trained.options, plan.seed)
        fit(objective_of(vae, trained.options, plan), part, plan, progress=False)
        finish(vae, part)
        for name, x in _latent_blocks(Latents(vae, cohort)).items():
            aligned = torch.linalg.lstsq(x[rows], own[name][rows], driver="gelsd").solution
            out[name][others] = x[others] @ aligned
    return out


def _latent_blocks(latents: Latents) -> dict[str, Tensor]:
    private = {f"private:{k}": latents.shown(k, w) for k, w in latents.private_means.items()}
    return {"shared": latents.z.mean, **private}
