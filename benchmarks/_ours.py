"""Our arms: one fit a fold, read through several heads and from one view at a time."""

from __future__ import annotations

import time as clock
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from _baselines import Prediction
from _fit import fit_ours
from _folds import BATCH, SURVIVAL, Fold

__all__ = ["LATENT_BLOCKS", "ours"]

AUTO = ("auto",)
LATENT_BLOCKS = ("shared", "private", "clinical")
N_SAMPLES = 200


def ours(
    fold: Fold, times: np.ndarray, options: Mapping[str, Any] | None = None
) -> dict[str, Prediction]:
    """Fit on the training patients; predictions by arm.

    Arms are ``ours`` (the default head: every block), ``ours_every_no_site`` (every block but the
    site), ``ours_chosen`` (every block or z, clinical columns and site, by what inner folds of the
    training patients prefer), ``ours_z`` (z, clinical columns and site), ``ours_zw`` (shared,
    private and clinical) and ``ours_given_<view>`` (the default head looking at one view).

    Parameters
    ----------
    fold
        Training and test patients.
    times
        Times of the survival curves.
    options
        Options of `mvlatent.fit` that differ from its defaults.
    """
    model, fitting = fit_ours(
        fold.train_mdata,
        views=fold.roles.views,
        batch=BATCH,
        clinical=fold.roles.clinical,
        survival=SURVIVAL,
        **(options or {}),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sites of the test fold that training lacks
        test = fold.test_mdata
        readings: dict[str, Callable[[], Prediction]] = {
            "ours": lambda: _read(model, test, times),
            "ours_z": lambda: _read(model, test, times, "shared"),
            "ours_chosen": lambda: _read(model, test, times, _preferred(model)),
            "ours_zw": lambda: _other_head(model, test, times, LATENT_BLOCKS),
            "ours_every_no_site": lambda: _other_head(
                model, test, times, AUTO, without="technical"
            ),
        }
        for view in fold.roles.views if len(fold.roles.views) > 1 else ():
            readings[f"ours_given_{view}"] = partial(_read, model, test, times, given=[view])
        arms = {}
        for name, reading in readings.items():
            start = clock.process_time()
            prediction = reading()
            arms[name] = prediction._replace(seconds=fitting + clock.process_time() - start)
    return arms


def _read(
    model: Any,
    test: Any,
    times: np.ndarray,
    blocks: str = "full",
    given: list[str] | None = None,
) -> Prediction:
    risk = model.predict_risk(test, blocks=blocks, given=given)
    curves = model.predict_survival(times, test, blocks=blocks, given=given, n_samples=N_SAMPLES)
    return Prediction(risk.to_numpy(), curves.to_numpy())


def _preferred(model: Any) -> str:
    """Which of the two reported heads inner folds prefer; every block where they say nothing."""
    scores = model.trained.survival.inner_scores
    return "shared" if scores and scores["shared"] >= scores["full"] else "full"


def _other_head(
    model: Any, test: Any, times: np.ndarray, kinds: tuple[str, ...], without: str | None = None
) -> Prediction:
    """Read another head on the same posterior, of blocks of these kinds."""
    from mvlatent.heads.blocks import head_blocks
    from mvlatent.heads.reported import fit_outcome
    from mvlatent.outcomes.roles.survival import SurvivalRole
    from mvlatent.reading.outcomes import reading_of

    trained = model.trained
    latents = model.latents(test)
    every = head_blocks(model.latents(), trained.bases)
    blocks = {name: x for name, x in every.items() if name != without}
    spec = trained.roles.survival
    reported = fit_outcome(blocks, model.cohort(), spec, kinds=kinds)
    read = replace(reading_of(trained, latents, spec.name, n_samples=N_SAMPLES), heads=reported)
    risk = read.predict()[:, 0]
    curves = SurvivalRole(spec).curves(read, times)
    return Prediction(risk.numpy(), np.asarray(curves[0]))
