"""Cohorts read from and written to disk."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

__all__ = ["check_output", "read_cohort", "write_cohort"]


def read_cohort(path: Path, views: dict[str, str] | None = None) -> Any:
    """Read a MuData, or an AnnData with its views named, quietly.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is neither .h5mu nor .h5ad, or cannot be read.
    """
    if path.is_dir():
        holds = " that holds a model" if (path / "spec.json").is_file() else ""
        raise ValueError(f"{path} is a folder{holds}; a cohort is a file, .h5mu or .h5ad.")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; check its name.")
    if path.suffix not in (".h5mu", ".h5ad"):
        raise ValueError(f"{path} is neither .h5mu nor .h5ad; write the cohort as one of them.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import anndata

        try:
            return _read_mudata(path) if path.suffix == ".h5mu" else anndata.read_h5ad(path)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error}; write it anew.") from None


def _read_mudata(path: Path) -> Any:
    import mudata

    mudata.set_options(pull_on_update=False)
    try:
        return mudata.read(path)
    except ValueError:  # modalities whose index has a name that the cohort's index has not
        mudata.set_options(pull_on_update=None)
        return mudata.read(path)


def check_output(path: Path, suffixes: tuple[str, ...], *, overwrite: bool) -> None:
    """Say before any work whether a file can be written.

    Raises
    ------
    ValueError
        If its suffix is not one of those.
    FileExistsError
        If it is there and may not be replaced.
    """
    if path.suffix not in suffixes:
        raise ValueError(f"{path} must end in {' or '.join(suffixes)}.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass --overwrite to replace it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} for {path.name}; make it first.")
    check_writable(path)


def check_writable(path: Path) -> None:
    """Say before any work whether a file or folder can be made or replaced here.

    Raises
    ------
    NotADirectoryError
        If something on the way is a file.
    PermissionError
        If the folder may not be written to.
    """
    there = next(place for place in (path, *path.parents) if place.exists())
    folder = there if there.is_dir() else there.parent
    if there != path and not there.is_dir():
        raise NotADirectoryError(f"{there} is a file: {path} cannot be made in it.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} may not be written to: choose another place for {path}.")


def write_cohort(data: Any, path: Path) -> None:
    """Write a MuData or an AnnData."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.write(path) if path.suffix == ".h5mu" else data.write_h5ad(path)
