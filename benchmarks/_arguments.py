"""Arguments that the benchmarks of one fit share."""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

import torch

__all__ = ["parse", "parser"]


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a command line with the folder of the cohorts and the number of threads."""
    out = argparse.ArgumentParser(description=description)
    out.add_argument("--data", type=Path, default=os.environ.get("MVLATENT_DATA"))
    out.add_argument("--threads", type=int, default=1)
    return out


def parse(command_line: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse, insist on the folder, set the threads and quieten warnings."""
    arguments = command_line.parse_args()
    if arguments.data is None:
        command_line.error("give --data or set MVLATENT_DATA")
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    return arguments
