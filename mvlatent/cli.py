"""The command line: ``mvlatent demo``, ``fit`` and ``transform``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mvlatent._version import __version__
from mvlatent.specs import SURVIVAL_KINDS, TARGET_KINDS

__all__ = ["app", "main"]

# Threads that spin while they wait make a busy machine ten times slower; read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="One latent space of a multi-view cohort: shared and private factors, survival, labels.",
)

SEVERAL = ("--clinical", "--technical", "--views")
FILES = (".h5mu", ".h5ad")
COMMANDS = ("demo", "fit", "transform")
INTERRUPTED, TERMINATED = 130, 143

Cohort = Annotated[
    Path, typer.Argument(help="Cohort, .h5mu (or .h5ad with --views).", metavar="COHORT")
]
CohortOrTables = Annotated[
    Path | None,
    typer.Argument(
        help="Cohort, .h5mu (or .h5ad with --views); or --table and --obs.", metavar="[COHORT]"
    ),
]
Tables = Annotated[
    list[str] | None,
    typer.Option(help="CSV, TSV or parquet of a view; again for another.", metavar="VIEW=FILE"),
]
Obs = Annotated[Path | None, typer.Option(help="Clinical table, a row a patient.", metavar="FILE")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Model = Annotated[Path, typer.Option(help="Folder for the model.", metavar="FOLDER")]
TimeEvent = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns of time and event, named or not: OS=months dead; again for another.",
        metavar="[NAME=]T E",
    ),
]
Kind = Annotated[
    list[str] | None,
    typer.Option(
        help=f"{', '.join(SURVIVAL_KINDS)}: of every survival outcome, or of one.",
        metavar="[NAME=]KIND",
    ),
]
Strata = Annotated[
    list[str] | None,
    typer.Option(
        help="Column whose levels have a baseline hazard each; of every outcome, or of one.",
        metavar="[NAME=]COLUMN",
    ),
]
Entry = Annotated[
    list[str] | None,
    typer.Option(
        help="Column of the times at which patients came under observation; as --strata.",
        metavar="[NAME=]COLUMN",
    ),
]
Batch = Annotated[str | None, typer.Option(help="Column of the site.", metavar="COLUMN")]
Classes = Annotated[
    list[str] | None,
    typer.Option(help="Column of classes; again for another.", metavar="[NAME=]COLUMN"),
]
Outcomes = Annotated[
    list[str] | None,
    typer.Option(
        help="Outcome to predict, by its name; again for another. Without, all.", metavar="NAME"
    ),
]
Values = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Column of a {' or '.join(TARGET_KINDS)} value; again for another.",
        metavar="COLUMN[=KIND]",
    ),
]
Clinical = Annotated[
    list[str] | None,
    typer.Option(help="Columns for the outcome heads.", metavar="COLUMN ..."),
]
Technical = Annotated[
    list[str] | None, typer.Option(help="More technical columns.", metavar="COLUMN ...")
]
Views = Annotated[
    list[str] | None,
    typer.Option(
        help="Views, with likelihoods or guessed: rna=nb mut. Without, every modality.",
        metavar="VIEW[=KIND] ...",
    ),
]
NoViews = Annotated[
    bool, typer.Option("--no-views", help="Take no view: heads on clinical columns alone.")
]
Shared = Annotated[int, typer.Option(help="Shared factors.", metavar="N")]
Private = Annotated[int, typer.Option(help="Private factors a view.", metavar="N")]
Epochs = Annotated[int | None, typer.Option(help="Most epochs.", metavar="N")]
Folds = Annotated[
    str | None, typer.Option(help="Add out-of-fold estimates.", metavar="N or COLUMN")
]
Jobs = Annotated[int, typer.Option(help="Folds at a time.", metavar="N")]
OutData = Annotated[
    Path | None,
    typer.Option(help="Also write the cohort with latents and predictions.", metavar="FILE"),
]
Seed = Annotated[int, typer.Option(help="Seed of everything.", metavar="N")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def _say_version(asked: bool) -> None:
    if asked:
        print(f"mvlatent {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """One latent space of a multi-view cohort: shared and private factors, survival, labels."""


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for figures, report and model.", metavar="FOLDER")
    ] = Path("mvlatent-demo"),
    n: Annotated[int, typer.Option(help="Patients to simulate.", metavar="N")] = 300,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Simulate a cohort, fit, evaluate out of fold, write figures and an HTML report."""
    from mvlatent.commands.demo import run_demo

    run_demo(out, n=n, seed=seed, overwrite=overwrite)


@app.command()
def fit(
    out: Model,
    cohort: CohortOrTables = None,
    table: Tables = None,
    obs: Obs = None,
    survival: TimeEvent = None,
    batch: Batch = None,
    labels: Classes = None,
    target: Values = None,
    clinical: Clinical = None,
    technical: Technical = None,
    views: Views = None,
    no_views: NoViews = False,
    survival_kind: Kind = None,
    strata: Strata = None,
    entry: Entry = None,
    n_shared: Shared = 16,
    n_private: Private = 8,
    max_epochs: Epochs = None,
    folds: Folds = None,
    jobs: Jobs = 1,
    out_data: OutData = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Fit a model to a cohort and save it to a folder."""
    from mvlatent.commands.fit import parse_views, run_fit
    from mvlatent.commands.outcomes import parse_labels, parse_survival, parse_targets

    outcomes = parse_survival(
        survival or [], kinds=survival_kind or [], strata=strata or [], entries=entry or []
    )
    run_fit(
        cohort,
        out,
        tables=table or [],
        obs=obs,
        outcomes=[*outcomes, *parse_labels(labels or []), *parse_targets(target or [])],
        batch=batch,
        clinical=clinical or [],
        technical=technical or [],
        views=parse_views(views or [], none=no_views),
        fit={} if max_epochs is None else {"max_epochs": max_epochs},
        shape={"n_shared": n_shared, "n_private": n_private},
        folds=folds,
        jobs=jobs,
        out_data=out_data,
        seed=seed,
        overwrite=overwrite,
    )


@app.command()
def transform(
    model: Annotated[Path, typer.Argument(help="Folder of a fitted model.", metavar="MODEL")],
    cohort: Cohort,
    out: Annotated[
        Path,
        typer.Option(help="File to write, of the cohort's kind: .h5mu or .h5ad.", metavar="FILE"),
    ],
    outcome: Outcomes = None,
    overwrite: Overwrite = False,
    debug: Debug = False,
) -> None:
    """Write latents, risk and class probabilities of patients into a copy of their cohort."""
    from mvlatent.commands.transform import run_transform

    run_transform(model, cohort, out, outcomes=outcome or [], overwrite=overwrite)


def repeated(arguments: Sequence[str]) -> list[str]:
    """Repeat an option before each value: ``--clinical a b`` is ``--clinical a --clinical b``.

    Examples
    --------
    >>> repeated(["fit", "c.h5mu", "--clinical", "age", "sex", "--out", "M"])
    ['fit', 'c.h5mu', '--clinical', 'age', '--clinical', 'sex', '--out', 'M']
    """
    out: list[str] = []
    option, count = None, 0
    for argument in arguments:
        if argument.startswith("-"):
            option, count = (argument if argument in SEVERAL else None), 0
            out.append(argument)
            continue
        if option is not None and count and not argument.endswith(FILES):
            out.append(option)
        elif option is not None and count:
            option = None
        out.append(argument)
        count += 1
    return out


def paired(arguments: Sequence[str]) -> list[str]:
    """Repeat ``--survival`` before its second value: ``--survival t --survival e``.

    Examples
    --------
    >>> paired(["fit", "c.h5mu", "--survival", "months", "event"])
    ['fit', 'c.h5mu', '--survival', 'months', '--survival', 'event']
    """
    out: list[str] = []
    for i, argument in enumerate(arguments):
        second = i > 1 and arguments[i - 2] == "--survival" and not argument.startswith("-")
        out += ["--survival", argument] if second else [argument]
    return out


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; whatever goes wrong is one line on stderr.

    The exit status is 1 after an error, 2 after a mistyped command, 130 after Ctrl-C.
    """
    given = paired(repeated(sys.argv[1:] if arguments is None else arguments)) or ["--help"]
    if "--debug" in given:
        app(given)
        return
    if arguments is None:
        signal.signal(signal.SIGTERM, _terminated)
    try:
        status = app(given, standalone_mode=False)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:  # the reader of stdout has gone: nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        _stop(*_told(error, given))
    if status == INTERRUPTED:
        _stop("interrupted.", INTERRUPTED)
    raise SystemExit(status or 0)


def _terminated(*_: Any) -> None:
    """End as after an error, so that what is half written is removed."""
    _stop("terminated.", TERMINATED)


def _told(error: Exception, given: Sequence[str]) -> tuple[str, int]:
    """One line for an error, and the exit status."""
    from mvlatent.commands.files import one_line

    if type(error).__name__ == "Abort":  # what Ctrl-C was for typer before 0.13
        return "interrupted.", INTERRUPTED
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a mistyped command
        command = next((f" {a}" for a in given if not a.startswith("-")), "")
        command = command if command[1:] in COMMANDS else ""
        said = " ".join(str(error.format_message()).split()).rstrip(".")
        return f"{said}; see mvlatent{command} --help.", int(error.exit_code)
    text = one_line(error)
    if _is_ours(error, text):
        return text, 1
    what = f"{type(error).__name__}: {text}".rstrip(".")
    about = next((f"{a}: " for a in given if a.endswith(FILES)), "")
    return f"{about}{what}; --debug shows the traceback.", 1


def _is_ours(error: Exception, text: str) -> bool:
    """Whether an error is a sentence of this package, or of the disk with the name of a file."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in ("mvlatent", "__main__") and text.endswith((".", ")"))


def _stop(message: str, status: int) -> Any:
    print(f"mvlatent: {message}", file=sys.stderr)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
