"""``mvlatent transform``: predictions of a saved model for patients of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mvlatent.commands.files import check_target, read_cohort, write_cohort

__all__ = ["run_transform", "write_predictions"]


def run_transform(model: Path, cohort: Path, out: Path, *, overwrite: bool) -> None:
    """Load the model, annotate a copy of the cohort and write it."""
    from mvlatent.io import load_trained

    data = read_cohort(cohort)
    check_target(out, (cohort.suffix,), overwrite=overwrite)
    load_trained(model)  # a folder that holds no model is refused before the slow imports
    from mvlatent.model import MVLatent

    fitted = MVLatent.load(model)
    write_predictions(fitted, data, out)
    print(f"{data.n_obs} patients: latents in obsm, predictions in obs, written to {out}")


def write_predictions(model: Any, data: Any, out: Path) -> None:
    """Annotate ``data`` with latents and predicted outcomes and write it."""
    from mvlatent.reading.annotate import annotate, outcome_columns

    latents = model.latents(data)
    annotate(data, model.trained, latents)
    predicted = outcome_columns(model.trained, latents)
    for name, column in predicted.items():
        data.obs[name] = column.to_numpy()
    write_cohort(data, out)
