"""What a fitted model is worth on patients it has not seen: one number a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mvlatent.process import quiet

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["HELD_OUT_SCORES", "held_out_scores"]

HELD_OUT_SCORES: dict[str, str] = {
    "cross_view": "cross-view R²",
    "private": "private R²",
    "c_index": "C-index of z",
    "site_accuracy": "site from z, accuracy",
    "site_excess": "site from z, excess",
}
"""Columns of a path's table and what they are called in a plot."""

N_SPLITS, N_PERMUTATIONS = 3, 10  # of the probe for the site


def held_out_scores(
    model: Any, held_out: MuData, *, seed: int = 0, outcome: str | None = None
) -> dict[str, float]:
    """Scores of a model on held-out patients; NaN where a question cannot be asked.

    Parameters
    ----------
    model
        Fitted `mvlatent.MVLatent`.
    held_out
        Patients it has not seen.
    seed
        Seed of draws and of the probe.
    outcome
        Which of several survival outcomes; by default the first.

    Returns
    -------
    dict
        ``cross_view``: R² of each view imputed from the other views through z alone, as in
        `mvlatent.tl.cross_view`, mean over views, and ``cross_view:<view>`` of each; below 0 the
        training mean would have done better. ``private``: share of each view's variance that its
        private latent explains, mean over views. ``c_index``: Harrell's C of the head on z (and the
        clinical covariates), of competing causes for the first. ``site_accuracy``, ``site_excess``:
        as in `mvlatent.tl.site_audit`, permuted within the label's classes where there is a label.
    """
    with quiet():  # unseen sites of held-out patients are expected
        each = _cross_view(model, held_out, seed)
        private = model.variance_explained(held_out).loc["private"]
        found = {
            "cross_view": float(np.mean(list(each.values()))) if each else np.nan,
            "private": float(private.mean()),
            "c_index": _concordance(model, held_out, outcome),
        }
        found |= _site(model, held_out, seed)
    return found | {f"cross_view:{view}": r2 for view, r2 in each.items()}


def _cross_view(model: Any, held_out: MuData, seed: int) -> dict[str, float]:
    """R² of each view given the patient's other ones, by view."""
    from mvlatent.tl import cross_view

    table = cross_view(model, held_out, baselines=(), each=False, through="latent", seed=seed)
    return dict(zip(table["view"], table["r2"].astype(float), strict=True))


def _concordance(model: Any, held_out: MuData, outcome: str | None) -> float:
    from mvlatent.tl import concordance

    if model.roles.survival is None:
        return np.nan
    name = model.roles.outcome("survival", outcome).name
    survival = model.cohort(held_out).outcomes.get(name)
    if survival is None:
        return np.nan
    seen = survival.observed.numpy()
    event = (survival.code == 1).numpy()  # of competing causes the first, whose risk it is
    risk = model.predict_risk(held_out, outcome=name, blocks="shared").to_numpy()
    try:
        return concordance(survival.time.numpy()[seen], event[seen], risk[seen])
    except ValueError:  # no two patients can be compared
        return np.nan


def _site(model: Any, held_out: MuData, seed: int) -> dict[str, float]:
    from mvlatent.tl import site_audit

    nothing = {"site_accuracy": np.nan, "site_excess": np.nan}
    if model.roles.batch is None:
        return nothing
    site = held_out.obs[model.roles.batch].astype(object)
    labels = model.roles.labels
    biology = None if labels is None else held_out.obs[labels.column].astype(object)
    options = {"n_splits": N_SPLITS, "n_permutations": N_PERMUTATIONS, "seed": seed}
    try:
        audit = site_audit(model.transform(held_out), site, biology, **options)
    except ValueError:  # fewer than two sites with enough patients
        return nothing
    return {"site_accuracy": audit.accuracy, "site_excess": audit.excess}
