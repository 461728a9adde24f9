"""What a fitted model is worth on patients it has not seen: one number a question."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["METRICS", "held_out_scores"]

METRICS: dict[str, str] = {
    "cross_view": "cross-view R²",
    "private": "private R²",
    "c_index": "C-index of z",
    "site_accuracy": "site from z, accuracy",
    "site_excess": "site from z, excess",
}
"""Columns of a path's table and what they are called in a plot."""

N_DRAWS = 50  # of an imputed view without closed form
N_SPLITS, N_PERMUTATIONS = 3, 10  # of the probe for the site


def held_out_scores(model: Any, held_out: MuData, *, seed: int = 0) -> dict[str, float]:
    """Scores of a model on held-out patients; NaN where a question cannot be asked.

    Parameters
    ----------
    model
        Fitted `mvlatent.MVLatent`.
    held_out
        Patients it has not seen.
    seed
        Seed of draws and of the probe.

    Returns
    -------
    dict
        ``cross_view``: R² of each view imputed from the patient's other views, about the training
        mean, scaled units, mean over views. ``private``: share of each view's variance that its
        private latent explains, mean over views. ``c_index``: Harrell's C of the head on z (and the
        clinical covariates). ``site_accuracy``, ``site_excess``: as in `mvlatent.tl.site_audit`,
        permuted within the label's classes where there is a label.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unseen sites of held-out patients are expected
        cross = [_cross_view(model, held_out, view, seed) for view in model.roles.views]
        private = model.variance_explained(held_out).loc["private"]
        found = {
            "cross_view": float(np.nanmean(cross)) if np.isfinite(cross).any() else np.nan,
            "private": float(private.mean()),
            "c_index": _concordance(model, held_out),
        }
        return found | _site(model, held_out, seed)


def _cross_view(model: Any, held_out: MuData, view: str, seed: int) -> float:
    """R² of a view given the others, of the patients who have it and another one."""
    from mvlatent.data.tables import Tables

    trained = model.trained
    tables = Tables.from_mudata(held_out, trained.roles, reference=trained.preparation)
    cohort = trained.preparation.transform(tables)
    known = cohort.views[view]
    others = [v.present.numpy() for name, v in cohort.views.items() if name != view]
    if not others:
        return np.nan
    rows = known.present.numpy() & np.any(others, axis=0)
    if not rows.any():
        return np.nan
    predicted = model.impute(view, held_out, units="scaled", n_samples=N_DRAWS, seed=seed)
    truth, guess = known.x.numpy()[rows], predicted.to_numpy()[rows]
    seen = np.ones_like(truth, bool) if known.observed is None else known.observed.numpy()[rows]
    centre = trained.bases[view].centre.numpy()
    total = ((truth - centre) ** 2)[seen].sum()
    return float(1 - ((truth - guess) ** 2)[seen].sum() / max(total, 1e-12))


def _concordance(model: Any, held_out: MuData) -> float:
    from mvlatent.tl import concordance

    survival = model.cohort(held_out).survival
    if model.roles.survival is None or survival is None:
        return np.nan
    seen = survival.observed.numpy()
    risk = model.predict_risk(held_out, blocks="shared").to_numpy()
    try:
        return concordance(survival.time.numpy()[seen], survival.event.numpy()[seen], risk[seen])
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
