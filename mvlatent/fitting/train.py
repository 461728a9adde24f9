"""From raw tables to a fitted model with its reported heads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mvlatent.data.cohort import Cohort
from mvlatent.data.known import name_digests
from mvlatent.data.names import rows_by_name
from mvlatent.data.preparation import Preparation
from mvlatent.data.tables import Tables
from mvlatent.fitting.checks import check_objectives, check_sizes, validation_rows
from mvlatent.fitting.closed import closed_form, fit_closed
from mvlatent.fitting.crossed import training_blocks
from mvlatent.fitting.gradients import fit_by_gradients
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.progress import Stages, stages
from mvlatent.fitting.threads import small_work_on_one_thread
from mvlatent.fitting.trained import Trained, without_technical
from mvlatent.fitting.without_views import fit_without_views
from mvlatent.heads.reported import fit_outcome
from mvlatent.process import usual_torch
from mvlatent.specs import Roles

__all__ = ["prepare", "train"]


def prepare(
    tables: Tables,
    roles: Roles,
    options: Options,
    plan: Plan,
    validation_size: float = 0.0,
    notes: Sequence[str] = (),
) -> tuple[np.ndarray, Preparation]:
    """Training rows, and what is learnt of the raw tables on them: all that comes before a fit.

    Rows are those of the patients in the order of their names.

    Raises
    ------
    ValueError
        If the patients cannot be fitted to: as `train`.
    """
    check_objectives(roles, options, plan)
    check_sizes(tables, options)
    held_out = validation_rows(len(tables), validation_size, plan.seed)
    rows = np.setdiff1d(np.arange(len(tables)), held_out)
    order = rows_by_name(tables.obs_names)
    return rows, Preparation.fit(tables, roles, order[rows], notes=notes)


@usual_torch()
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

    Order is no input: patients are fitted in the order of their names, and so are views and the
    features of each (`Preparation`), so that folds, subsets and noise fall to the same ones.

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
    rows, preparation = prepare(tables, roles, options, plan, validation_size, notes)
    order = rows_by_name(tables.obs_names)
    everyone = without_technical(preparation.transform(tables), options).subset(order)
    size = len(everyone) * sum(view.x.shape[1] for view in everyone.matrices.values())
    settled = plan.resolved(validated=validation_size > 0)
    with stages(progress) as say, small_work_on_one_thread(size) as n_threads:
        if not roles.views:
            found = fit_without_views(everyone)
            found.fitted.said += _unused(plan)
        elif warm_start is None and closed_form(options, plan):
            found = fit_closed(everyone, rows, options, plan, say)
            found.fitted.said += _unused(plan)
        else:
            say("start")
            found = fit_by_gradients(
                everyone, rows, roles, options, settled, warm_start=warm_start, progress=progress
            )
        bases, vae, fitted, view_heads, seen = found
        fitted.said.append(f"on {n_threads} thread{'s' * (n_threads > 1)}")
        fitted.patients = name_digests(everyone.obs_names)
        trained = Trained(preparation, bases, vae, {}, fitted, options, settled, view_heads)
        _report(trained, seen, say)
    return trained, seen.subset(np.argsort(order))


def _unused(plan: Plan) -> list[str]:
    """A sentence on options of devices, which a closed-form fit does not take."""
    given = ", ".join(f"{name}={value!r}" for name, value in plan.of_devices.items())
    return [f"fitted in closed form on the processor, without {given}"] if given else []


def _report(trained: Trained, cohort: Cohort, say: Stages) -> None:
    """Fit the reported heads on the frozen posterior."""
    blocks = training_blocks(trained, cohort)
    kinds = trained.options.head_blocks
    for spec in trained.roles.outcome_specs:
        say(f"head of {spec.name}")
        trained.outcomes[spec.name] = fit_outcome(blocks, cohort, spec, kinds=kinds)
