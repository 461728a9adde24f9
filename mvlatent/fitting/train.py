"""From raw tables to a fitted model with its reported heads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.data.preparation import Preparation
from mvlatent.data.tables import Tables
from mvlatent.fitting.caution import caution_of, doubt_of, held_out
from mvlatent.fitting.climb import Climbed, climb
from mvlatent.fitting.convergence import closing_words
from mvlatent.fitting.decoders import start_decoders
from mvlatent.fitting.install import basis_of, install, plans_of, view_design
from mvlatent.fitting.loop import Fitted, fit
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.progress import Stages, stages
from mvlatent.fitting.start.chosen_sweeps import choose_sweeps
from mvlatent.fitting.start.em import em_sweeps, hold_effects
from mvlatent.fitting.start.refine import refine_start
from mvlatent.fitting.start.rescale import learn_exposures, rescale_latents
from mvlatent.fitting.start.settle import settle_loadings
from mvlatent.fitting.start.spectral import spectral_start, start_experts
from mvlatent.fitting.start.warm import check_features, warm_weights
from mvlatent.fitting.threads import small_work_on_one_thread
from mvlatent.fitting.trained import Options, Trained, without_technical
from mvlatent.fitting.view_heads import fit_view_heads
from mvlatent.heads.blocks import head_blocks
from mvlatent.heads.reported import fit_outcome
from mvlatent.heads.view_head import ViewHeads
from mvlatent.objectives.objective import Objective
from mvlatent.outcomes.training import training_heads
from mvlatent.posterior import Latents
from mvlatent.specs import Roles
from mvlatent.vae.basis import Basis, fit_bases, rotate
from mvlatent.vae.design import Design, ViewDesign
from mvlatent.vae.structured import StructuredVAE

__all__ = ["train", "training_blocks"]

MIN_VALIDATION = 5
CROSS_FITS = 3
LAST_SWEEPS = 10  # of random loadings: the last steps of the optimiser leave noise in them


def train(
    tables: Tables,
    roles: Roles,
    options: Options,
    plan: Plan,
    *,
    validation_size: float = 0.0,
    notes: Sequence[str] = (),
    progress: bool = True,
    warm_start: Trained | None = None,
) -> tuple[Trained, Cohort]:
    """Prepare, start, fit and report: the whole way from raw tables.

    Scaling, bases and the spectral start are learnt on the training rows only; the reported heads
    take all rows (nothing is validated on them).

    Parameters
    ----------
    tables
        Raw data of all patients.
    roles, options, plan
        What is what, the model's shape and the loop's options.
    validation_size
        Share of the patients held out for early stopping.
    notes
        What was guessed before.
    progress
        Show a progress bar.
    warm_start
        A fitted model of the same shape whose weights replace the spectral start.

    Returns
    -------
    tuple
        The fitted parts, and the patients as they see them.

    Raises
    ------
    ValueError
        If an option does not go with the others, or asks for more factors than the patients and
        columns can hold.
    """
    _check_objectives(roles, options, plan)
    _check_sizes(tables, options)
    asked, plan = plan, plan.resolved(validated=validation_size > 0)
    held_out = _validation_rows(len(tables), validation_size, plan.seed)
    rows = np.setdiff1d(np.arange(len(tables)), held_out)
    preparation = Preparation.fit(tables, roles, rows, notes=notes)
    everyone = without_technical(preparation.transform(tables), options)
    size = len(everyone) * sum(view.x.shape[1] for view in everyone.matrices.values())
    with stages(progress) as say, small_work_on_one_thread(size) as n_threads:
        heads = None
        if warm_start is None and closed_form(options, plan):
            closed = _closed(everyone, rows, options, asked, say)
            bases, vae, fitted, heads, seen = closed
        else:
            say("start")
            bases = _bases(everyone.subset(rows), options, warm_start)
            seen = rotate(everyone, bases)
            vae, fitted = _opened(
                seen,
                rows,
                held_out,
                roles,
                options,
                plan,
                bases,
                warm_start,
                progress,
            )
        if len(held_out) and warm_start is None and closed_form(options, plan):
            fitted.said.append(
                f"{len(held_out)} patients of validation_size were kept out of the fit; in closed "
                "form there is no epoch to choose on them"
            )
        fitted.said.append(f"on {n_threads} thread{'s' * (n_threads > 1)}")
        trained = Trained(preparation, bases, vae, {}, fitted, options, plan, heads)
        _report(trained, seen, say)
    return trained, seen


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


def _bases(
    training: Cohort, options: Options, warm_start: Trained | None = None
) -> dict[str, Basis]:
    """Bases of a model trained by gradients: a fitted model's own, if it starts from one."""
    if warm_start is not None and warm_start.is_closed:
        check_features(warm_start.bases, training)
        return warm_start.bases
    bases = fit_bases(training)
    if options.loadings != "point":  # their priors are of features, not of directions
        bases = {name: replace(basis, rotated=False) for name, basis in bases.items()}
    return bases


def _closed(
    everyone: Cohort, rows: np.ndarray, options: Options, plan: Plan, say: Stages
) -> tuple[dict[str, Basis], StructuredVAE, Fitted, ViewHeads | None, Cohort]:
    """The closed-form fit, installed in a model; and everyone as the model sees them."""
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
    plans = plans_of(climbed, training, options.n_private, options.rank)
    bases = {}
    for m, (name, view) in enumerate(training.matrices.items()):
        turned = name in plans and plans[name].rotated
        bases[name] = (
            basis_of(plans[name], climbed.centres[m], climbed.weights[m])
            if turned
            else Basis.fit(view)
        )
    seen = rotate(everyone, bases)
    rotated = seen if whole else seen.subset(rows)
    views = tuple(
        view_design(name, view, options.n_private, plans.get(name))
        for name, view in rotated.matrices.items()
    )
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        vae = StructuredVAE(_design(rotated, options, views))
        install(vae, climbed, plans)
        start_decoders(vae, climbed, rank=options.rank)
    learn_exposures(vae, rotated)
    heads = _learnt_from_held_out(vae, climbed, bases, plan.seed, say)
    fitted = Fitted(climbed.history, len(climbed.history) - 1, climbed.stopped)
    fitted.sweeps = len(climbed.history) - 1
    fitted.said = []
    if len(climbed.patients) < len(training):
        fitted.said.append(
            f"z was fitted to {len(climbed.patients)} of {len(training)} patients, spread evenly"
        )
    fitted.said += closing_words(
        climbed,
        plans,
        n_shared=options.n_shared,
        n_private=options.n_private,
        rank=options.rank,
    )
    fitted.seconds = time.perf_counter() - begun
    return bases, vae, fitted, heads, seen


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
    names = _continuous(vae)
    return fit_view_heads(climbed, names, bases, judges=judges, n_shared=vae.design.n_shared)


def _continuous(vae: StructuredVAE) -> list[str]:
    """Views whose surface may be any real number."""
    return [name for name, part in vae.items if part.likelihood.measures]


def _opened(
    everyone: Cohort,
    rows: np.ndarray,
    held_out: np.ndarray,
    roles: Roles,
    options: Options,
    plan: Plan,
    bases: dict[str, Basis],
    warm_start: Trained | None,
    progress: bool,
) -> tuple[StructuredVAE, Fitted]:
    """Start, loop and closing steps of a model that is trained by gradients."""
    training = everyone.subset(rows)
    sweeps = None
    if warm_start is None:
        vae, sweeps = _started(training, roles, options, plan.seed)
    else:
        views = warm_start.vae.design.matrices if warm_start.is_closed else None
        vae = _build(training, roles, options, plan.seed, views)
        warm_weights(vae, warm_start.vae, bases, warm_start.bases, training)
    objective = _objective(vae, options, plan)
    validation = everyone.subset(held_out) if len(held_out) else None
    fitted = fit(objective, training, plan, validation=validation, progress=progress)
    fitted.sweeps, fitted.warm = sweeps, warm_start is not None
    if plan.refit_epochs and len(held_out) and fitted.stopped != "interrupted":
        again = replace(plan, max_epochs=plan.refit_epochs, warmup=0.0, shared_first=0.0)
        objective.settle()
        fitted.history += fit(objective, everyone, again, progress=progress).history
    if warm_start is None or not warm_start.is_closed:  # whose scale is that of its criterion
        _finish(vae, training)
    return vae, fitted


def training_blocks(trained: Trained, cohort: Cohort) -> dict[str, Tensor]:
    """Blocks of the training patients that a reported head may be fitted to."""
    blocks = head_blocks(trained.latents(cohort), trained.bases)
    return blocks | _cross_fitted(trained, cohort) if trained.options.rho > 0 else blocks


def _finish(vae: StructuredVAE, cohort: Cohort) -> None:
    """Closed-form steps after the loop: latents' scale, random loadings, exposures."""
    rescale_latents(vae, cohort)
    if not len(vae.heads):  # a supervised fit knows of loadings that the views alone would undo
        settle_loadings(vae, cohort, sweeps=LAST_SWEEPS)
    learn_exposures(vae, cohort)


def _objective(vae: StructuredVAE, options: Options, plan: Plan) -> Objective:
    return Objective(
        vae,
        rho=options.rho,
        terms=options.objectives,
        stop_gradient=options.stop_gradient,
        precision=plan.weight_decay,
    )


def _check_objectives(roles: Roles, options: Options, plan: Plan) -> None:
    """ValueError if what is asked for beside the ELBO cannot be had."""
    for term in options.objectives:
        if term.needs_views > len(roles.views):
            raise ValueError(
                f"objective {term.name!r} needs at least {term.needs_views} views; there is "
                f"{len(roles.views)}: {', '.join(roles.views)}."
            )
    if plan.shared_first > 0 and not options.has_cross_view:
        raise ValueError(
            "shared_first clamps the private latents while z learns from the cross-view term; add "
            "objectives={'cross_view': 1.0}."
        )


def _check_sizes(tables: Tables, options: Options) -> None:
    """ValueError if there are more factors than the cohort can hold; defaults always pass.

    N patients differ in N - 1 directions at most, and in no more than there are columns.
    """
    n_columns = sum(len(view.features) for view in tables.views.values())
    room = {name: (int(v.present.sum()), len(v.features)) for name, v in tables.views.items()}
    widest = max(room, key=lambda name: _most(*room[name]))
    for what, asked, (n, p), where in (
        ("n_shared", options.n_shared, (len(tables), n_columns), "the cohort"),
        ("n_private", options.n_private, room[widest], f"view {widest!r}, which has most room,"),
    ):
        most = max(_most(n, p), getattr(Options, what))  # rank="auto" leaves on what there is
        if asked > most:
            raise ValueError(
                f"{what}={asked} is more than {where} can hold with {n} patients and {p} columns; "
                f"take {what}={most} or fewer (rank='auto' switches off those that are spare)."
            )


def _most(n_patients: int, n_columns: int) -> int:
    return min(n_patients - 1, n_columns)


def _report(trained: Trained, cohort: Cohort, say: Stages) -> None:
    """Fit the reported heads on the frozen posterior."""
    blocks = training_blocks(trained, cohort)
    kinds = trained.options.head_blocks
    for spec in trained.roles.outcome_specs:
        say(f"head of {spec.name}")
        trained.outcomes[spec.name] = fit_outcome(blocks, cohort, spec, kinds=kinds)


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
        vae, _ = _started(part, trained.roles, trained.options, plan.seed)
        fit(_objective(vae, trained.options, plan), part, plan, progress=False)
        _finish(vae, part)
        for name, x in _latent_blocks(Latents(vae, cohort)).items():
            aligned = torch.linalg.lstsq(x[rows], own[name][rows], driver="gelsd").solution
            out[name][others] = x[others] @ aligned
    return out


def _latent_blocks(latents: Latents) -> dict[str, Tensor]:
    private = {f"private:{k}": latents.shown(k, w) for k, w in latents.private_means.items()}
    return {"shared": latents.z.mean, **private}


def _validation_rows(n: int, size: float, seed: int) -> np.ndarray:
    if not 0 <= size < 1:
        raise ValueError(f"validation_size must be in [0, 1), not {size!r}.")
    count = round(n * size)
    if count and count < MIN_VALIDATION:
        raise ValueError(
            f"validation_size={size} of {n} patients is {count}; take 0, or at least "
            f"{MIN_VALIDATION} patients."
        )
    return np.sort(np.random.default_rng(seed).permutation(n)[:count])


def _started(
    cohort: Cohort, roles: Roles, options: Options, seed: int
) -> tuple[StructuredVAE, int]:
    """A model of the cohort's shape where the loop begins, and the sweeps it had."""

    def spectral(rows: Cohort) -> StructuredVAE:
        vae = _build(rows, roles, options, seed)
        spectral_start(vae, rows, kind=options.start, rank=options.rank)
        return vae

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vae, sweeps = spectral(cohort), 0
        if options.start != "random":
            chosen = options.sweeps
            sweeps = choose_sweeps(spectral, cohort) if chosen is None else chosen
            em_sweeps(vae, cohort, sweeps)
            hold_effects(vae)
            start_experts(vae)
    refine_start(vae, cohort, seed=seed)
    return vae, sweeps


def _build(
    cohort: Cohort,
    roles: Roles,
    options: Options,
    seed: int,
    views: tuple[ViewDesign, ...] | None = None,
) -> StructuredVAE:
    """An unfitted model of the cohort's shape, with its in-training heads."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        heads = training_heads(options.n_shared, cohort, roles) if options.rho > 0 else []
        return StructuredVAE(_design(cohort, options, views), heads)


def _design(
    cohort: Cohort, options: Options, views: tuple[ViewDesign, ...] | None = None
) -> Design:
    if views is None:
        views = tuple(ViewDesign.of(k, v, options.n_private) for k, v in cohort.matrices.items())
    return Design(
        views,
        n_shared=options.n_shared,
        technical_groups=tuple((g.columns.start, g.columns.stop) for g in cohort.technical_groups),
        n_technical=cohort.technical.shape[1],
        decoder=options.decoder,
        encoder=options.encoder,
        effects=options.effects,
        n_hidden=options.n_hidden,
        powers=dict(options.likelihood_power or {}),
        prior=options.prior,
        n_components=options.n_components,
        loadings=options.loadings,
        top_down=options.top_down,
    )
