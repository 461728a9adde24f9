"""``mvlatent transform``: predictions of a saved model for patients of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mvlatent.commands.files import check_cohort_file, check_output, read_cohort, write_cohort
from mvlatent.data.written import FITTED

__all__ = ["run_transform"]


def run_transform(
    model: Path, cohort: Path, out: Path, *, outcomes: Sequence[str], overwrite: bool
) -> None:
    """Load the model, annotate a copy of the cohort and write it."""
    from mvlatent.io import load_trained

    check_cohort_file(cohort)
    check_output(out, (cohort.suffix,), overwrite=overwrite)
    data = read_cohort(cohort)
    # a folder that holds no model is refused before the slow imports
    _check_outcomes(outcomes, list(load_trained(model).outcomes))
    from mvlatent.model import MVLatent
    from mvlatent.reading.annotate import annotate

    fitted = MVLatent.load(model)
    latents = fitted.latents(data)
    left_out = annotate(data, fitted.trained, latents, outcomes=outcomes or None)
    write_cohort(data, out)
    print(f"{data.n_obs} patients: latents in obsm, predictions in obs, written to {out}")
    if again := data.uns["mvlatent"]["n_fitted"]:
        print(
            f"{again} of them bear names of patients that the model was fitted on: what it says of "
            f"them stands in the columns that end in {FITTED}."
        )
    if left_out:
        print(left_out)


def _check_outcomes(asked: Sequence[str], known: Sequence[str]) -> None:
    for name in asked:
        if name not in known:
            choices = ", ".join(map(repr, known)) or "none"
            raise ValueError(f"--outcome {name}: no such outcome; the model has {choices}.")
