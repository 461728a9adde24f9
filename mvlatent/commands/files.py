"""Cohorts read from and written to disk."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mvlatent._files import replacing
from mvlatent.process import quiet

__all__ = [
    "check_cohort_file",
    "check_model_folder",
    "check_output",
    "one_line",
    "read_cohort",
    "write_beside",
    "write_cohort",
]


def read_cohort(path: Path, views: dict[str, str] | None = None) -> Any:
    """Read a MuData, or an AnnData with its views named, quietly.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is neither .h5mu nor .h5ad, or cannot be read.
    """
    check_cohort_file(path)
    with quiet():
        import anndata

        try:
            return _read_mudata(path) if path.suffix == ".h5mu" else anndata.read_h5ad(path)
        except MemoryError:
            raise
        except Exception as error:  # whatever a reader meets in a file that is not what it says
            why = _other_kind(path) or f"({one_line(error)}) it is damaged; write it anew"
            raise ValueError(f"{path} cannot be read as {path.suffix}: {why}.") from error


def check_cohort_file(path: Path) -> None:
    """Raise as `read_cohort` does unless there is a file of its kinds."""
    if path.is_dir():
        holds = " that holds a model" if (path / "spec.json").is_file() else ""
        raise ValueError(f"{path} is a folder{holds}; a cohort is a file, .h5mu or .h5ad.")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; check its name.")
    if path.suffix not in (".h5mu", ".h5ad"):
        raise ValueError(f"{path} is neither .h5mu nor .h5ad; write the cohort as one of them.")


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename is not None else ""
        text = f"{named}{error.strerror}."
    return " ".join(str(text).split()) or type(error).__name__


def _other_kind(path: Path) -> str:
    """What a file holds, if not what its name says; nothing where it cannot be told."""
    import h5py

    try:
        with h5py.File(path) as file:
            if path.suffix == ".h5mu" and "mod" not in file and {"X", "obs"} & set(file):
                return "it holds an AnnData; name it .h5ad, and its views with --views"
            if path.suffix == ".h5ad" and "mod" in file:
                return "it holds a MuData; name it .h5mu"
    except OSError:
        return "it is no HDF5 file, or cut short; write it anew"
    return ""


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
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists; pass --overwrite to replace it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} for {path.name}; make it first.")
    check_writable(path)


def check_model_folder(folder: Path, *, overwrite: bool) -> None:
    """Say before any work whether a model can be written to a folder.

    Raises
    ------
    FileExistsError
        If it holds a model that may not be replaced.
    NotADirectoryError
        If it is a file, or something on the way is.
    PermissionError
        If it may not be written to.
    """
    if (folder / "spec.json").exists() and not overwrite:
        raise FileExistsError(f"{folder} already holds a model; pass --overwrite to replace it.")
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; a model is a folder.")
    check_writable(folder)


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
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermissionError(
            f"{folder} may not be written to ({error.strerror}): choose another place for {path}."
        ) from None


def write_cohort(data: Any, path: Path) -> None:
    """Write a MuData or an AnnData, whole or not at all."""
    with replacing(path) as beside:
        write_beside(data, beside)


def write_beside(data: Any, path: Path) -> None:
    """Write a MuData or an AnnData to a name that nobody reads yet."""
    with quiet():
        data.write(path) if path.suffix == ".h5mu" else data.write_h5ad(path)
