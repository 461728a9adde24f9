"""Ours against its opponents on TCGA cohorts, in published folds.

``python benchmarks/tcga.py --data FOLDER`` reads ``tcga_<cohort>.h5mu`` from the folder (or from
``$MVLATENT_DATA``), fits every arm on the training patients of every fold, keeps the out-of-fold
predictions and writes ``table.md``. What was computed before is not computed again: after a change
of the model ``--arms ours --force`` re-runs ours alone, and the table has all arms. ``--stage``
gives every arm one more clinical column; ``--folds survpath_fold`` (BLCA, BRCA) keeps hospitals
whole. Each has a folder of results of its own.
"""

from __future__ import annotations

import argparse
import ast
import sys
import time as clock
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _arguments import choice, parse, parser
from _baselines import OPPONENTS, NotInstalled, Prediction
from _folds import Fold, cut, fold_numbers, outcomes, read, training_outcomes
from _markdown import write
from _ours import ours
from _results import Results, time_grid
from _table import markdown, mean_c

OURS = "ours"
ARMS = (*OPPONENTS, OURS)
FAILED = "failed"
FOLDS = "mcat_fold"
COHORTS = ("luad", "blca", "brca", "gbmlgg")


class Job(NamedTuple):
    """One fold of one cohort, and what to fit on it."""

    data: Path
    cohort: str
    folds: str
    number: int
    arms: tuple[str, ...]
    views: tuple[str, ...] | None
    options: dict[str, Any]
    tag: str
    force: bool
    stage: bool = False


def arm_function(job: Job, arm: str) -> Callable[[Fold, np.ndarray], dict[str, Prediction]]:
    """Return what an arm's name stands for: fold and times to predictions by arm."""
    if arm == OURS:
        suffix = f"@{job.tag}" if job.tag else ""
        return lambda fold, times: {
            f"{name}{suffix}": p for name, p in ours(fold, times, job.options).items()
        }
    return lambda fold, times: {arm: OPPONENTS[arm](fold, times)}


def run_job(job: Job, results: Results) -> dict[str, str]:
    """Fit the arms that are still to be fitted on a fold; what kept an arm from running."""
    import torch

    torch.set_num_threads(1)
    remarks: dict[str, str] = {}
    suffix = f"@{job.tag}" if job.tag else ""
    waiting = [
        arm
        for arm in job.arms
        if job.force
        or not results.has(job.cohort, job.number, arm + (suffix if arm == OURS else ""))
    ]
    if not waiting:
        return remarks
    mdata = read(job.data, job.cohort)
    table = outcomes(mdata, job.folds)
    fold = cut(mdata, job.cohort, job.folds, job.number, job.views, stage=job.stage)
    test = table.loc[list(fold.test.obs_names)]
    grid = time_grid(training_outcomes(table, job.number)[0])
    times = np.union1d(grid, test["time"].to_numpy())
    for arm in waiting:
        start = clock.process_time()
        try:
            predictions = arm_function(job, arm)(fold, times)
        except NotInstalled as error:
            remarks[arm] = f"not installed ({error})"
            continue
        except Exception as error:
            traceback.print_exc()
            remarks[arm] = f"{FAILED} in {job.cohort} fold {job.number}: {error}"
            continue
        seconds = clock.process_time() - start
        keep = partial(results.save, times=times, test=test, grid=grid)
        for name, prediction in predictions.items():
            own = seconds if prediction.seconds is None else prediction.seconds
            keep(job.cohort, job.number, name, prediction, seconds=own)
        scores = [
            f"{name} {mean_c(results, job.cohort, job.number, name):.3f}" for name in predictions
        ]
        print(f"{job.cohort} fold {job.number}: {', '.join(scores)} ({seconds:.1f} s)", flush=True)
    return remarks


def run_all(jobs: Sequence[Job], results: Results, n_jobs: int) -> dict[str, str]:
    """Run the jobs, one thread each, and merge their remarks."""
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
        found = Parallel()(delayed(run_job)(job, results) for job in jobs)
    return {arm: remark for remarks in found for arm, remark in remarks.items()}


def command_line() -> argparse.ArgumentParser:
    """Return the command line."""
    found = parser(__doc__, data=True)
    found.add_argument("--cohorts", nargs="+", default=list(COHORTS), metavar="NAME")
    found.add_argument("--folds", default=FOLDS, metavar="COLUMN", help="obs column of folds")
    found.add_argument("--views", nargs="+", metavar="VIEW", help="modalities (default: all)")
    found.add_argument("--stage", action="store_true", help="stage as one more clinical column")
    choice(found, "--arms", ARMS)
    found.add_argument("--jobs", type=int, default=2, help="folds at a time")
    found.add_argument("--out", type=Path, metavar="DIR", help="default: results/tcga...")
    found.add_argument("--force", action="store_true", help="fit the arms again that are there")
    found.add_argument("--option", action="append", default=[], metavar="NAME=VALUE",
                       help="option of mvlatent.fit for our arms; give --tag with it")  # fmt: skip
    found.add_argument("--tag", default="", help="suffix of our arms fitted with --option")
    return found


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn ``name=value`` into keyword arguments; values are Python literals or plain words."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SystemExit(f"--option takes NAME=VALUE, not {pair!r}")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 unless an arm failed."""
    args = parse(command_line(), argv)
    options = parse_options(args.option)
    if options and not args.tag:
        raise SystemExit("--option needs a --tag, so that it is not taken for the default model")
    views = None if args.views is None else tuple(args.views)
    if args.out is None:
        name = "_".join(["tcga", *([args.folds] if args.folds != FOLDS else []),
                         *(["stage"] if args.stage else [])])  # fmt: skip
        args.out = Path(__file__).parent / "results" / name
    settings = {"folds": args.folds, "views": views and list(views)}
    results = Results(args.out, {**settings, "stage": True} if args.stage else settings)
    jobs = []
    for cohort in args.cohorts:
        mdata = read(args.data, cohort)
        table = outcomes(mdata, args.folds)
        results.save_outcomes(cohort, table)
        lacking = int(fold_numbers(mdata, args.folds).isna().sum())
        print(f"{cohort}: {len(table)} patients, {int(table['event'].sum())} events; "
              f"{lacking} without a fold left out", flush=True)  # fmt: skip
        jobs += [
            Job(args.data, cohort, args.folds, int(number), tuple(args.arms), views, options,
                args.tag, args.force, args.stage)
            for number in sorted(table["fold"].unique())
        ]  # fmt: skip
    remarks = run_all(jobs, results, args.jobs)
    text = markdown(results, args.cohorts, remarks)
    write(args.out / "table.md", text)
    print(text)
    return int(any(remark.startswith(FAILED) for remark in remarks.values()))


if __name__ == "__main__":
    sys.exit(main())
