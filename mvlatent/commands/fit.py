"""``mvlatent fit``: from a file to a saved model and a closing summary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mvlatent._files import replacing
from mvlatent.commands.files import check_model_folder, check_output, read_cohort, write_beside
from mvlatent.commands.tables import check_tables, read_named_tables
from mvlatent.specs import LIKELIHOODS, OutcomeSpec
from mvlatent.specs.checks import check_choice, check_jobs

__all__ = ["run_fit"]


def run_fit(
    cohort: Path | None,
    out: Path,
    *,
    tables: Sequence[str] = (),
    obs: Path | None = None,
    outcomes: Sequence[OutcomeSpec],
    batch: str | None,
    clinical: Sequence[str],
    technical: Sequence[str],
    views: dict[str, str | None] | None,
    fit: dict[str, Any],
    shape: dict[str, Any],
    folds: str | None,
    jobs: int,
    out_data: Path | None,
    seed: int,
    overwrite: bool,
) -> None:
    """Check the targets, fit, save, and say what was done."""
    begun = time.perf_counter()
    check_tables(cohort, tables, obs)
    check_jobs("--jobs", jobs)
    check_model_folder(out, overwrite=overwrite)
    if cohort is not None and cohort.suffix == ".h5ad" and cohort.is_file() and views is None:
        raise ValueError(
            f"{cohort} is one table: name its views with --views, first what to call X, then "
            "entries of obsm, for example --views rna ADT."
        )
    if out_data is not None:
        if out_data.resolve() == out.resolve():
            raise ValueError(f"--out and --out-data are both {out}; name a folder and a file.")
        suffix = ".h5mu" if cohort is None else cohort.suffix
        check_output(out_data, (suffix,), overwrite=overwrite)
    data = read_named_tables(tables, obs) if cohort is None else read_cohort(cohort)
    options: dict[str, Any] = {
        "views": views,
        "batch": batch,
        "technical": technical,
        "clinical": clinical,
        "outcomes": outcomes,
        "seed": seed,
        **fit,
        **shape,
    }
    found = folded = None
    if folds is not None:
        from mvlatent.study._out_of_fold import folded_for, predict_folds

        # refused before minutes go to the model
        folded = folded_for(data, _n_folds(folds), seed, jobs, options)
    model = _fit(data, options)
    if folded is not None:
        found = predict_folds(folded, data.obs_names, jobs)
    _write(model, found, data, out, out_data, overwrite=overwrite)
    estimates = _estimates(found, folds, options["outcomes"])
    _report(model, estimates, out, out_data, time.perf_counter() - begun)


def _write(
    model: Any, found: Any, data: Any, out: Path, out_data: Path | None, *, overwrite: bool
) -> None:
    """Write model and cohort when all is computed: both, or after a failure neither."""
    if out_data is None:
        model.save(out, overwrite=overwrite)
        return
    with replacing(out_data) as beside:
        model.annotate(data)
        if found is not None:
            found.annotate(data)
        write_beside(data, beside)
        model.save(out, overwrite=overwrite)


def parse_views(views: Sequence[str], *, none: bool = False) -> dict[str, str | None] | None:
    """Views of ``name=likelihood``, or of ``name`` alone, whose likelihood is guessed.

    Without a view every modality is meant, ``None``, unless ``none`` says that none is.

    Raises
    ------
    ValueError
        If a likelihood is not known, a view has no name or is named twice, or ``none`` is
        said beside views.

    Examples
    --------
    >>> parse_views(["rna", "mut=bernoulli"])
    {'rna': None, 'mut': 'bernoulli'}
    >>> parse_views([]), parse_views([], none=True)
    (None, {})
    """
    if views and none:
        raise ValueError(f"--no-views goes without --views {' '.join(views)}; give one of the two.")
    named: dict[str, str | None] = {}
    for text in views:
        name, _, likelihood = text.partition("=")
        if not name or name in named:
            what = f"view {name!r} is named twice" if name else "the view has no name"
            raise ValueError(f"--views {text}: {what}; name each view once.")
        named[name] = likelihood or None
        if likelihood:
            try:
                check_choice("likelihood", likelihood, tuple(LIKELIHOODS))
            except ValueError as error:
                raise ValueError(f"--views {text}: {str(error).rstrip('.')}.") from None
    return named or ({} if none else None)


def _fit(data: Any, options: dict[str, Any]) -> Any:
    import mvlatent as mv

    return mv.fit(data, **options)


def _n_folds(folds: str) -> int | str:
    """Number of folds, or their column."""
    return int(folds) if folds.isdigit() else folds


def _estimates(found: Any, folds: str | None, outcomes: Sequence[OutcomeSpec]) -> list[str]:
    """Lines of out-of-fold estimates."""
    if found is None:
        return ["no out-of-fold estimate was made; add --folds 5 for one"]
    from mvlatent.outcomes.role import role_of

    lines = [line for outcome in outcomes for line in role_of(outcome).estimates(found)]
    return [f"out of fold ({folds}):", *(f"  {line}" for line in lines)]


def _report(
    model: Any, estimates: list[str], out: Path, out_data: Path | None, seconds: float
) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False)
    console.print(model.summary(), markup=False)
    shares = model.variance_explained()
    table = Table(title="variance explained (scaled units)", title_justify="left")
    table.add_column("block")
    for view in shares.columns:
        table.add_column(str(view), justify="right")
    for block, row in shares.iterrows():
        table.add_row(str(block), *(f"{value:.3f}" for value in row))
    console.print(table)
    for line in estimates:
        console.print(line, markup=False)
    console.print(f"model: {out}", markup=False)
    if out_data is not None:
        console.print(f"cohort with latents and predictions: {out_data}", markup=False)
    console.print(f"{seconds:.0f} s in all")
