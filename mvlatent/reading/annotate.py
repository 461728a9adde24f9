"""Latents and predictions written into the slots that scanpy and its plots read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from mvlatent.data.cohort import Cohort
from mvlatent.data.written import write_predictions
from mvlatent.outcomes.role import role_of
from mvlatent.posterior import Latents
from mvlatent.reading.outcomes import reading_of

if TYPE_CHECKING:
    from mvlatent.fitting.trained import Trained

__all__ = ["annotate", "outcome_columns", "unpredictable"]


def annotate(
    data: Any,
    trained: Trained,
    latents: Latents,
    *,
    outcomes: Collection[str] | None = None,
    seed: int = 0,
) -> str:
    """Write latents into ``obsm``, predictions into ``obs`` and the settings into ``uns``.

    ``obsm["X_mvlatent"]`` and ``"X_mvlatent_sd"`` hold mean and sd of z,
    ``"X_mvlatent_private_<view>"`` the means of the private latents (see `slots`); rows in the
    order of ``data.obs_names``. Of ``obs``, the columns of `outcome_columns`: those of patients who
    bear names of patients of the fit end in ``_fitted``. Where a cohort holds both sorts of
    patients, there are both columns, and each is missing for the others.

    Parameters
    ----------
    data
        AnnData or MuData to write into.
    trained, latents
        The model, and the posterior of these patients.
    outcomes
        Names of the outcomes to predict; all whose clinical columns are there by default.
    seed
        Seed of predictions by draws.

    Returns
    -------
    str
        Which outcomes were left out and why. Of those that are asked for none is: a KeyError names
        the columns that they need.
    """
    left_out = ""
    if outcomes is None and (cannot := unpredictable(trained, latents.cohort)):
        outcomes = [name for name in trained.outcomes if name not in cannot]
        columns = ", ".join(map(repr, latents.cohort.lacking))
        left_out = (
            f"no predictions of {', '.join(cannot)}: the patients lack the clinical columns "
            f"{columns}; give them, empty where they are not known."
        )
    predicted = outcome_columns(trained, latents, outcomes=outcomes, seed=seed)
    fitted = trained.is_fitted(latents.cohort)
    _write_latents(data, trained, latents, int(fitted.sum()))
    write_predictions(data, predicted, fitted)
    return left_out


def _write_latents(data: Any, trained: Trained, latents: Latents, n_fitted: int) -> None:
    shared = latents.posterior("shared")
    data.obsm["X_mvlatent"] = shared.mean
    data.obsm["X_mvlatent_sd"] = shared.sd
    for name, slot in slots(latents.vae.names).items():
        data.obsm[slot] = latents.shown(name, latents.private_means[name]).numpy()
    data.uns["mvlatent"] = {
        "n_shared": trained.options.n_shared,
        "n_private": trained.options.n_private,
        "views": list(latents.vae.names),
        "likelihoods": [v.likelihood for v in trained.vae.design.matrices],
        "decoder": trained.options.decoder,
        "best_epoch": trained.fitted.best_epoch,
        "n_fitted": n_fitted,  # of these patients
    }


def slots(views: Iterable[str]) -> dict[str, str]:
    """Slot of each view's private latents: files take no slash in a name, so it becomes ``_``.

    Examples
    --------
    >>> slots(["rna", "img/tile"])
    {'rna': 'X_mvlatent_private_rna', 'img/tile': 'X_mvlatent_private_img_tile'}
    """
    found: dict[str, str] = {}
    for name in sorted(views, key=lambda name: "/" in name):  # a plain name keeps its own
        slot = f"X_mvlatent_private_{name.replace('/', '_')}"
        while slot in found.values():
            slot += "_"
        found[name] = slot
    return found


def unpredictable(trained: Trained, cohort: Cohort) -> list[str]:
    """Outcomes whose heads take clinical covariates that the patients lack."""
    if not cohort.lacking:
        return []
    return [name for name, head in trained.outcomes.items() if "clinical" in head.full.coef]


def outcome_columns(
    trained: Trained,
    latents: Latents,
    *,
    outcomes: Collection[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Predicted outcomes as columns for ``obs``: risk, label and class probabilities, target.

    ``mvlatent_risk`` is that of the first of competing causes, ``mvlatent_risk_2`` of the second.
    Further outcomes of a kind have their names at the end, as in ``mvlatent_risk_PFI``; targets
    always have: ``mvlatent_target_purity``. ``outcomes`` names those to predict, all by default.
    `mvlatent.data.written` adds to them whether these are patients of the fit.
    """
    columns: dict[str, Any] = {}
    for spec in trained.roles.outcome_specs:
        if outcomes is None or spec.name in outcomes:
            columns |= role_of(spec).columns(reading_of(trained, latents, spec.name, seed=seed))
    return pd.DataFrame(columns, index=list(latents.cohort.obs_names))
