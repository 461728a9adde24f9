"""Latents written into the slots that scanpy and its plots read."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pandas as pd

from mvlatent.data.cohort import Cohort
from mvlatent.posterior import Latents
from mvlatent.reading.impute import through

if TYPE_CHECKING:
    from mvlatent.fitting.trained import Trained

__all__ = ["annotate", "outcome_columns", "unpredictable"]


def annotate(data: Any, trained: Trained, latents: Latents) -> None:
    """Write latents into ``obsm`` and the settings into ``uns`` of an AnnData or MuData.

    ``obsm["X_mvlatent"]`` and ``"X_mvlatent_sd"`` hold mean and sd of z,
    ``"X_mvlatent_private_<view>"`` the means of the private latents; rows in the order of
    ``data.obs_names``.
    """
    shared = latents.posterior("shared")
    data.obsm["X_mvlatent"] = shared.mean
    data.obsm["X_mvlatent_sd"] = shared.sd
    for name in latents.vae.names:
        data.obsm[f"X_mvlatent_private_{name}"] = latents.shown(
            name, latents.private_means[name]
        ).numpy()
    data.uns["mvlatent"] = {
        "n_shared": trained.options.n_shared,
        "n_private": trained.options.n_private,
        "views": list(latents.vae.names),
        "likelihoods": [v.likelihood for v in trained.vae.design.matrices],
        "decoder": trained.options.decoder,
        "best_epoch": trained.fitted.best_epoch,
    }


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
    """
    columns: dict[str, Any] = {}
    for name, reported in trained.outcomes.items():
        if outcomes is not None and name not in outcomes:
            continue
        role, end = trained.roles.named[name], trained.roles.suffix(name)
        prepared: Any = trained.preparation.outcomes[name]
        options: Any = {"n_samples": 200, "seed": seed, "blocks": "full"}
        if role == "survival":
            risk = reported.predict(latents, trained.bases)
            for k, column in enumerate(risk.T, 1):
                cause = "" if k == 1 else f"_{k}"
                columns[f"mvlatent_risk{end}{cause}"] = column.numpy()
            continue
        levels = prepared.categories if role == "labels" else prepared.levels
        what = f"mvlatent_label{end}" if role == "labels" else f"mvlatent_target_{name}"
        if not levels:
            mean, sd = reported.values(latents, trained.bases, **options)
            columns[what] = through(mean, sd, prepared.inverse).mean
            continue
        probabilities = reported.probabilities(latents, trained.bases, **options)
        columns[what] = [levels[i] for i in probabilities.argmax(1)]
        if role == "target":
            end = f"_{name}"
        for level, column in zip(levels, probabilities.T, strict=True):
            columns[f"mvlatent_probability{end}_{level}"] = column
    return pd.DataFrame(columns, index=list(latents.cohort.obs_names))
