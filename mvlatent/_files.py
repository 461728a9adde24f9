"""Files written beside and renamed: whoever looks finds the old one whole, or the new one."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["replacing", "replacing_folder", "sync"]


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A name beside a file to write to, which takes the file's place at the end.

    Until then the file is as it was. Whatever goes wrong, Ctrl-C included, what was written is
    removed; a process that is killed leaves it under a hidden name that nothing reads.

    Parameters
    ----------
    path
        The file; its folder has to be there. A link is followed.

    Yields
    ------
    Path
        Hidden, in the same folder, with the same suffix.

    Examples
    --------
    >>> with replacing(folder / "page.html") as beside:
    ...     _ = beside.write_text("whole")
    >>> (folder / "page.html").read_text()
    'whole'
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {target.parent} for {target.name}; make it first.")
    if target.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file.")
    beside = target.with_name(f".{target.stem[:80]}-{secrets.token_hex(4)}{target.suffix}")
    try:
        yield beside
        if target.exists():
            shutil.copymode(target, beside)
        sync(beside)
        os.replace(beside, target)
        sync(target.parent)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside another to write to, whose entries take their places at the end.

    What the folder held under other names stays. Whatever goes wrong leaves it as it was.

    Parameters
    ----------
    path
        The folder, made if need be.

    Yields
    ------
    Path
        Hidden, in the folder if it is there, else where it will be.
    """
    target = Path(os.path.realpath(path))
    made = [place for place in (target.parent, *target.parent.parents) if not place.exists()]
    fresh = not target.exists()
    beside = target.parent if fresh else target  # on the disk of what is there
    beside = beside / f".{target.name[:80]}-{secrets.token_hex(4)}"
    try:
        beside.mkdir(parents=True)
        yield beside
        for file in beside.rglob("*"):
            sync(file)
        if fresh:
            os.replace(beside, target)
        else:
            for entry in list(beside.iterdir()):
                _take_place(entry, target / entry.name)
        made.clear()
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        for place in made:
            with suppress(OSError):
                place.rmdir()


def _take_place(entry: Path, target: Path) -> None:
    """Rename a file or folder; a folder that is in the way is moved aside first."""
    if not target.is_dir():
        os.replace(entry, target)
        return
    aside = entry.with_name(f"{entry.name}.old")
    os.replace(target, aside)
    os.replace(entry, target)


def sync(path: Path) -> None:
    """Have a file, or a folder's entries, reach the disk before anything that follows."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        with suppress(OSError) if path.is_dir() else _nothing():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
