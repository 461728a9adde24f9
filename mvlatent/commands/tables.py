"""A cohort given as tables on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["check_tables", "read_named_tables"]


def check_tables(cohort: Path | None, tables: Sequence[str], obs: Path | None) -> None:
    """Raise ValueError unless a cohort is given either as a file or as tables.

    Examples
    --------
    >>> check_tables(None, ["rna.csv"], None)
    Traceback (most recent call last):
    ...
    ValueError: --table rna.csv names no view; write it as --table rna=rna.csv.
    """
    if cohort is not None and (tables or obs is not None):
        raise ValueError(f"give {cohort} or --table and --obs, not both.")
    if cohort is None and not tables:
        raise ValueError("give a cohort (.h5mu or .h5ad), or its tables: --table rna=rna.csv.")
    names = []
    for text in tables:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ValueError(f"--table {text} names no view; write it as --table rna={text}.")
        names.append(name)
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"--table: view {min(twice)!r} is given twice; give each view one table.")


def read_named_tables(tables: Sequence[str], obs: Path | None) -> Any:
    """MuData of ``name=path`` tables and a clinical one; says what was done."""
    import mvlatent as mv

    named: dict[str, Any] = dict(text.split("=", 1) for text in tables)
    return mv.read_tables(obs=obs, **named)
