"""The fit in closed form, from a prepared cohort to a model that holds it."""

from __future__ import annotations

import time

import numpy as np

from mvlatent.data.cohort import Cohort
from mvlatent.fitting.build import design_of
from mvlatent.fitting.caution import caution_of, doubt_of, held_out
from mvlatent.fitting.climb import Climbed, climb
from mvlatent.fitting.convergence import closing_words
from mvlatent.fitting.decoders import start_decoders
from mvlatent.fitting.fitted import FitResult, Fitted
from mvlatent.fitting.install import AxesByView, axes_of, basis_of, install, view_design
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.progress import Stages
from mvlatent.fitting.start.rescale import learn_exposures
from mvlatent.fitting.view_heads import fit_view_heads
from mvlatent.heads.view_head import ViewHeads
from mvlatent.process import seeded
from mvlatent.vae.basis import Basis, rotate
from mvlatent.vae.structured import StructuredVAE

__all__ = ["closed_form", "fit_closed"]


def closed_form(options: Options, plan: Plan) -> bool:
    """Whether the whole fit has closed forms: no network, no learnt prior, no minibatch."""
    return not (
        options.decoder != "linear"
        or options.encoder not in ("auto", "exact")
        or options.prior != "normal"
        or options.loadings != "point"
        or any(term.weight > 0 for term in options.objectives)
        or options.rho > 0
        or options.likelihood_power
        or not options.top_down
        or plan.batch_size is not None
    )


def fit_closed(
    everyone: Cohort, rows: np.ndarray, options: Options, plan: Plan, say: Stages
) -> FitResult:
    """Climb on the training patients, install what was found, and ask held-out patients.

    Parameters
    ----------
    everyone
        All patients, prepared.
    rows
        Rows of the training patients.
    options, plan
        The model's shape; seed and most sweeps.
    say
        Told the name of each stage.
    """
    begun = time.perf_counter()
    whole = len(rows) == len(everyone)
    training = everyone if whole else everyone.subset(rows)
    climbed = climb(
        training,
        n_shared=options.n_shared,
        rank=options.rank,
        effects=options.effects,
        kind=options.start,
        sweeps=options.sweeps,
        max_epochs=plan.max_epochs,
        seed=plan.seed,
        say=say,
    )
    say("decoders")
    by_view = axes_of(climbed, training, options.n_private, options.rank)
    bases = _bases(climbed, training, by_view)
    seen = rotate(everyone, bases)
    vae = _installed(seen if whole else seen.subset(rows), climbed, by_view, options, plan.seed)
    heads = _learnt_from_held_out(vae, climbed, bases, plan.seed, say)
    fitted = Fitted(climbed.history, len(climbed.history) - 1, climbed.stopped)
    fitted.sweeps = len(climbed.history) - 1
    fitted.said = _said(climbed, by_view, options, len(training), len(everyone) - len(training))
    fitted.seconds = time.perf_counter() - begun
    return FitResult(bases, vae, fitted, heads, seen)


def _bases(climbed: Climbed, training: Cohort, by_view: AxesByView) -> dict[str, Basis]:
    """Bases in which the model sees the views: their own directions, or those of the climb."""
    bases = {}
    for m, (name, view) in enumerate(training.matrices.items()):
        turned = name in by_view and by_view[name].rotated
        bases[name] = (
            basis_of(by_view[name], climbed.centres[m], climbed.weights[m])
            if turned
            else Basis.fit(view)
        )
    return bases


def _installed(
    rotated: Cohort, climbed: Climbed, by_view: AxesByView, options: Options, seed: int
) -> StructuredVAE:
    """A model of the rotated training patients that holds what the climb found."""
    views = tuple(
        view_design(name, view, options.n_private, by_view.get(name))
        for name, view in rotated.matrices.items()
    )
    with seeded(seed):
        vae = StructuredVAE(design_of(rotated, options, views))
        install(vae, climbed, by_view)
        start_decoders(vae, climbed, rank=options.rank)
    learn_exposures(vae, rotated)
    return vae


def _learnt_from_held_out(
    vae: StructuredVAE, climbed: Climbed, bases: dict[str, Basis], seed: int, say: Stages
) -> ViewHeads | None:
    """Caution and doubt of z, in place, and heads of the views; ``None`` for too few patients."""
    say("held-out patients")
    judges = held_out(climbed, seed)
    if judges is None:
        return None
    caution = caution_of(judges)
    for model in (climbed.model, *judges.models):
        model.caution = caution
    k = climbed.model.k
    vae.caution.fill_(caution)
    vae.doubt[:k, :k] = doubt_of(climbed, judges)
    say("views from one another")
    names = _unbounded(vae)
    return fit_view_heads(climbed, names, bases, judges=judges, n_shared=vae.design.n_shared)


def _unbounded(vae: StructuredVAE) -> list[str]:
    """Views whose surface may be any real number."""
    return [name for name, part in vae.items if part.likelihood.measures]


def _said(
    climbed: Climbed, by_view: AxesByView, options: Options, n_training: int, n_kept_out: int
) -> list[str]:
    """Sentences on the fit, for `summary`."""
    said = []
    if len(climbed.patients) < n_training:
        said.append(
            f"z was fitted to {len(climbed.patients)} of {n_training} patients, spread evenly"
        )
    said += closing_words(
        climbed,
        by_view,
        n_shared=options.n_shared,
        n_private=options.n_private,
        rank=options.rank,
    )
    if n_kept_out:
        said.append(
            f"{n_kept_out} patients of validation_size were kept out of the fit; in closed "
            "form there is no epoch to choose on them"
        )
    return said
