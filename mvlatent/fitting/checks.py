"""What a fit refuses before it begins, and the patients that it keeps out."""

from __future__ import annotations

import numpy as np

from mvlatent.data.tables import Tables
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.objectives.terms import teachers
from mvlatent.specs import Roles
from mvlatent.specs.checks import check_number

__all__ = ["check_objectives", "check_sizes", "validation_rows"]

MIN_VALIDATION = 5


def check_objectives(roles: Roles, options: Options, plan: Plan) -> None:
    """ValueError if what is asked for beside the ELBO cannot be had."""
    for each in options.objectives:
        if each.needs_views > len(roles.views):
            raise ValueError(
                f"objective {each.name!r} needs at least {each.needs_views} views; there is "
                f"{len(roles.views) or 'none'}{': ' * bool(roles.views)}{', '.join(roles.views)}."
            )
    if plan.shared_first > 0 and not options.has_teacher:
        term, typed = teachers()
        raise ValueError(
            f"shared_first clamps the private latents while z learns from {term}; add {typed}."
        )


def check_sizes(tables: Tables, options: Options) -> None:
    """ValueError if there are more factors than the cohort can hold; defaults always pass.

    N patients differ in N - 1 directions at most, and in no more than there are columns.
    """
    if not tables.views:
        return
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


def validation_rows(n: int, size: float, seed: int) -> np.ndarray:
    """Rows of the patients who are kept out of the fit, in order; ValueError for too few."""
    check_number("validation_size", size, 0, 1)
    count = round(n * size)
    if count and count < MIN_VALIDATION:
        raise ValueError(
            f"validation_size={size} of {n} patients is {count}; take 0, or at least "
            f"{MIN_VALIDATION} patients."
        )
    return np.sort(np.random.default_rng(seed).permutation(n)[:count])
