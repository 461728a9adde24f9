"""Tables of scores in markdown, and files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["number", "publish", "row", "table", "write"]


def number(value: float, form: str = ".3f") -> str:
    """Return a number as it stands in a cell; nothing where there is none."""
    return "" if value != value else format(value, form)


def row(cells: Iterable[object]) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]] = (), *, n_left: int = 1
) -> list[str]:
    """Return the lines of a table whose first columns are words and whose others are numbers."""
    rule = ["---"] * n_left + ["---:"] * (len(header) - n_left)
    return [row(header), row(rule), *map(row, rows)]


def write(path: Path, text: str) -> None:
    """Write at once or not at all, so that a run that is stopped leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(path.suffix + ".part")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def publish(path: Path, title: str, lines: Iterable[str], *, show: bool = True) -> None:
    """Write a page of results under its title and, unless lines were shown as they came, print."""
    text = "\n".join(lines).strip("\n") + "\n"
    if show:
        print(text)
    write(path, f"# {title}\n\n{text}")
