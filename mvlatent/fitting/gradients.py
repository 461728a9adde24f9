"""The fit by gradients: networks, learnt priors, random loadings, objectives, minibatches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mvlatent.data.cohort import Cohort
from mvlatent.fitting.build import build
from mvlatent.fitting.fitted import FitResult
from mvlatent.fitting.loop import fit
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.start.rescale import learn_exposures, rescale_latents
from mvlatent.fitting.start.settle import settle_loadings
from mvlatent.fitting.start.started import started
from mvlatent.fitting.start.warm import check_features, warm_weights
from mvlatent.fitting.trained import Trained
from mvlatent.objectives.objective import Objective
from mvlatent.specs import Roles
from mvlatent.vae.basis import Basis, fit_bases, rotate
from mvlatent.vae.structured import StructuredVAE

__all__ = ["finish", "fit_by_gradients", "objective_of"]

LAST_SWEEPS = 10  # of random loadings: the last steps of the optimiser leave noise in them


def fit_by_gradients(
    everyone: Cohort,
    rows: np.ndarray,
    roles: Roles,
    options: Options,
    plan: Plan,
    *,
    warm_start: Trained | None = None,
    progress: bool = True,
) -> FitResult:
    """Start, loop and closing steps.

    Parameters
    ----------
    everyone
        All patients, prepared.
    rows
        Rows of the training patients; the others choose the epoch.
    roles, options, plan
        What is what, the model's shape and the loop's options.
    warm_start
        A fitted model of the same shape whose weights replace the spectral start.
    progress
        Show a progress bar with the terms.
    """
    bases = _bases(everyone.subset(rows), options, warm_start)
    seen = rotate(everyone, bases)
    training = seen.subset(rows)
    held_out = np.setdiff1d(np.arange(len(seen)), rows)
    if warm_start is None:
        vae, sweeps = started(training, roles, options, plan.seed)
    else:
        vae, sweeps = _warm(training, roles, options, plan.seed, bases, warm_start), None
    objective = objective_of(vae, options, plan)
    validation = seen.subset(held_out) if len(held_out) else None
    fitted = fit(objective, training, plan, validation=validation, progress=progress)
    fitted.sweeps, fitted.warm = sweeps, warm_start is not None
    if plan.refit_epochs and len(held_out) and fitted.stopped != "interrupted":
        again = replace(plan, max_epochs=plan.refit_epochs, warmup=0.0, shared_first=0.0)
        objective.settle()
        fitted.history += fit(objective, seen, again, progress=progress).history
    if warm_start is None or not warm_start.is_closed:  # whose scale is that of its criterion
        finish(vae, training)
    return FitResult(bases, vae, fitted, None, seen)


def _bases(
    training: Cohort, options: Options, warm_start: Trained | None = None
) -> dict[str, Basis]:
    """Bases of the views: a closed-form fit's own, if the model starts from one."""
    if warm_start is not None and warm_start.is_closed:
        check_features(warm_start.bases, training)
        return warm_start.bases
    bases = fit_bases(training)
    if options.loadings != "point":  # their priors are of features, not of directions
        bases = {name: replace(basis, rotated=False) for name, basis in bases.items()}
    return bases


def _warm(
    training: Cohort,
    roles: Roles,
    options: Options,
    seed: int,
    bases: dict[str, Basis],
    warm_start: Trained,
) -> StructuredVAE:
    """A model that begins at the weights of a fitted one."""
    views = warm_start.vae.design.matrices if warm_start.is_closed else None
    vae = build(training, roles, options, seed, views)
    warm_weights(vae, warm_start.vae, bases, warm_start.bases, training)
    return vae


def finish(vae: StructuredVAE, cohort: Cohort) -> None:
    """Closed-form steps after the loop: latents' scale, random loadings, exposures."""
    rescale_latents(vae, cohort)
    if not len(vae.heads):  # a supervised fit knows of loadings that the views alone would undo
        settle_loadings(vae, cohort, sweeps=LAST_SWEEPS)
    learn_exposures(vae, cohort)


def objective_of(vae: StructuredVAE, options: Options, plan: Plan) -> Objective:
    """What the loop maximises: the ELBO and the terms that were asked for."""
    return Objective(
        vae,
        rho=options.rho,
        terms=options.objectives,
        stop_gradient=options.stop_gradient,
        precision=plan.weight_decay,
    )
