"""Latents written into the slots that scanpy and its plots read."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mvlatent.posterior import Latents
from mvlatent.trained import Trained

__all__ = ["annotate", "outcome_columns"]


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
        data.obsm[f"X_mvlatent_private_{name}"] = latents.private_means[name].numpy()
    data.uns["mvlatent"] = {
        "n_shared": trained.options.n_shared,
        "n_private": trained.options.n_private,
        "views": list(latents.vae.names),
        "likelihoods": [v.likelihood for v in trained.vae.design.views],
        "decoder": trained.options.decoder,
        "best_epoch": trained.fitted.best_epoch,
    }


def outcome_columns(trained: Trained, latents: Latents, *, seed: int = 0) -> pd.DataFrame:
    """Predicted outcomes as columns for ``obs``: risk, label and class probabilities.

    ``mvlatent_risk`` is that of the first of competing causes, ``mvlatent_risk_2`` of the second.
    """
    columns: dict[str, Any] = {}
    index = list(latents.cohort.obs_names)
    if trained.survival is not None:
        risk = trained.survival.predict(latents, trained.bases)
        for k, column in enumerate(risk.T, 1):
            columns["mvlatent_risk" if k == 1 else f"mvlatent_risk_{k}"] = column.numpy()
    if trained.labels is not None:
        probabilities = trained.labels.probabilities(
            latents, trained.bases, n_samples=200, seed=seed, blocks="full"
        )
        classes = list(trained.preparation.categories or ())
        columns["mvlatent_label"] = [classes[i] for i in probabilities.argmax(1)]
        for name, column in zip(classes, probabilities.T, strict=True):
            columns[f"mvlatent_probability_{name}"] = column
    return pd.DataFrame(columns, index=index)
