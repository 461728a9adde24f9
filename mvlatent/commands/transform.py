"""``mvlatent transform``: predictions of a saved model for patients of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mvlatent.commands.files import check_output, read_cohort, write_cohort

__all__ = ["annotate_cohort", "run_transform"]


def run_transform(
    model: Path, cohort: Path, out: Path, *, outcomes: Sequence[str], overwrite: bool
) -> None:
    """Load the model, annotate a copy of the cohort and write it."""
    from mvlatent.io import load_trained

    check_output(out, (cohort.suffix,), overwrite=overwrite)
    data = read_cohort(cohort)
    # a folder that holds no model is refused before the slow imports
    _check_outcomes(outcomes, list(load_trained(model).outcomes))
    from mvlatent.model import MVLatent

    fitted = MVLatent.load(model)
    left_out = annotate_cohort(fitted, data, outcomes=outcomes or None)
    write_cohort(data, out)
    print(f"{data.n_obs} patients: latents in obsm, predictions in obs, written to {out}")
    if left_out:
        print(left_out)


def _check_outcomes(asked: Sequence[str], known: Sequence[str]) -> None:
    for name in asked:
        if name not in known:
            choices = ", ".join(map(repr, known)) or "none"
            raise ValueError(f"--outcome {name}: no such outcome; the model has {choices}.")


def annotate_cohort(model: Any, data: Any, *, outcomes: Sequence[str] | None = None) -> str:
    """Write latents and predicted outcomes into ``data``.

    Returns
    -------
    str
        Which outcomes were left out and why. Of those that are asked for none is: a KeyError names
        the columns that they need.
    """
    from mvlatent.reading.annotate import annotate, outcome_columns, unpredictable

    latents, left_out = model.latents(data), ""
    if outcomes is None and (cannot := unpredictable(model.trained, latents.cohort)):
        outcomes = [name for name in model.trained.outcomes if name not in cannot]
        columns = ", ".join(map(repr, latents.cohort.lacking))
        left_out = (
            f"no predictions of {', '.join(cannot)}: the patients lack the clinical columns "
            f"{columns}; give them, empty where they are not known."
        )
    predicted = outcome_columns(model.trained, latents, outcomes=outcomes)
    annotate(data, model.trained, latents)
    for name, column in predicted.items():
        data.obs[name] = column.to_numpy()
    return left_out
