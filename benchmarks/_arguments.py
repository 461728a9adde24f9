"""The command line that every benchmark shares."""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["choice", "parse", "parser"]


def parser(
    description: str | None,
    *,
    data: bool = False,
    out: Path | None = None,
    seeds: int | None = None,
    threads: int | Sequence[int] = 1,
) -> argparse.ArgumentParser:
    """Return a command line.

    Parameters
    ----------
    description
        The module's docstring.
    data
        Whether it reads cohorts: ``--data``, by default ``$MVLATENT_DATA``.
    out
        Folder of its results, ``--out``; none where they have a place of their own.
    seeds
        Number of seeds, ``--seeds``; none where there is one.
    threads
        Threads of torch, ``--threads``; several where each case is run with each number of them.
    """
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if data:
        found.add_argument(
            "--data",
            type=Path,
            default=os.environ.get("MVLATENT_DATA"),
            help="folder of the cohorts (default: $MVLATENT_DATA)",
        )
    if out is not None:
        found.add_argument("--out", type=Path, default=out, metavar="DIR")
    if seeds is not None:
        found.add_argument("--seeds", type=int, default=seeds)
    several = None if isinstance(threads, int) else "+"
    found.add_argument(
        "--threads", type=int, nargs=several, default=threads, help="threads of torch"
    )
    return found


def choice(command_line: argparse.ArgumentParser, name: str, choices: Iterable[str]) -> None:
    """Add an option that takes some of the choices, by default all."""
    every = list(choices)
    command_line.add_argument(name, nargs="+", default=every, choices=every, metavar="NAME",
                              help=", ".join(every).replace("%", "%%"))  # fmt: skip


def parse(
    command_line: argparse.ArgumentParser, argv: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse, insist on the folder where there has to be one, set threads and quieten warnings."""
    arguments = command_line.parse_args(argv)
    if getattr(arguments, "data", "") is None:
        command_line.error("give --data, or set MVLATENT_DATA")
    if hasattr(arguments, "data"):
        arguments.data = Path(arguments.data)
    if isinstance(arguments.threads, int):
        import torch

        torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    return arguments
