"""Two files in a folder, written so that one of them decides which model is there."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mvlatent._files import replacing, sync
from mvlatent._version import __version__
from mvlatent.fitting.trained import Trained
from mvlatent.io.digests import HEAD, SPEC, WEIGHTS, Damaged, check_digests, digests_of, strict_json
from mvlatent.io.state import FORMAT, rebuild, state_of

__all__ = ["load_trained", "save_trained"]

LARGEST_SPEC = 2**28  # bytes: some million names of features
FORGOTTEN = 3600.0  # seconds after which weights that no spec asks for were left by a dead process
ADVICE = "take the folder from where it is whole, or save the model anew"

_SAVING = threading.Lock()


def save_trained(trained: Trained, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a fitted model to a folder.

    The new weights are written under a name of their own, then the spec that asks for them is
    renamed into its place: at any moment the folder holds the old model or the new one.

    Parameters
    ----------
    trained
        The model.
    path
        Folder to make.
    overwrite
        Replace the two files if they are there.

    Raises
    ------
    FileExistsError
        If the folder holds a model and ``overwrite`` is off, or is a file.
    """
    from safetensors.numpy import save

    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; name a folder for the model.")
    if (folder / SPEC).exists() and not overwrite:
        raise FileExistsError(f"{folder} already holds a model; pass overwrite=True to replace it.")
    spec, arrays = state_of(trained)
    weights = save({k: np.asarray(v, order="C") for k, v in arrays.items()})
    gaps = [k for k, v in arrays.items() if v.dtype.kind == "f" and not np.isfinite(v).all()]
    head = {
        "format": FORMAT,
        "version": __version__,
        "weights": {"bytes": len(weights), "sha256": _sha256(weights), "not_finite": gaps},
        "digests": digests_of(spec),
    }
    text = json.dumps({**head, **spec}, indent=1).encode()
    with _SAVING:
        _write(folder, text, weights)
    return folder


def load_trained(path: str | Path) -> Trained:
    """Read what `save_trained` wrote. Safe on folders of unknown origin: no code is run.

    Nothing of the size that a file claims is made before the claim is held against the other.

    Raises
    ------
    FileNotFoundError
        If one of the two files is missing.
    ValueError
        If the folder was written in a format this version does not know, or one of the files is
        damaged, was changed after it was saved or belongs to another model: it names file and key.
    """
    folder = Path(path)
    try:
        text, spec = _read_spec(folder)
        weights = _read_weights(folder, spec["weights"])
        while weights is None and text != (text := _read_spec(folder)[0]):
            spec = strict_json(text)  # saved anew in between
            weights = _read_weights(folder, spec["weights"])
        if weights is None:
            raise Damaged(
                WEIGHTS, f"it is not the file that {SPEC} was saved with (another sha256)"
            )
        own = {key: value for key, value in spec.items() if key not in HEAD}
        return rebuild(own, _arrays(weights, spec["weights"]["not_finite"]))
    except Damaged as damage:
        place = " and ".join(str(folder / name) for name in damage.files)
        raise ValueError(f"{place} cannot be read: {damage.why}; {ADVICE}.") from None


def _write(folder: Path, text: bytes, weights: bytes) -> None:
    """Both files; whatever goes wrong leaves what was there."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    pending = _pending(folder, _sha256(weights))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(pending) as beside:
            beside.write_bytes(weights)
        with replacing(folder / SPEC) as beside:
            beside.write_bytes(text)
    except BaseException:
        if not (folder / SPEC).exists() or (folder / SPEC).read_bytes() != text:
            pending.unlink(missing_ok=True)
            for place in made:
                if place.is_dir() and not any(place.iterdir()):
                    place.rmdir()
            raise
        os.replace(pending, folder / WEIGHTS)
        raise
    os.replace(pending, folder / WEIGHTS)
    sync(folder)
    for left in folder.glob(_pending(folder, "?" * 16).name):
        if time.time() - left.stat().st_mtime > FORGOTTEN:
            left.unlink(missing_ok=True)


def _pending(folder: Path, sha256: str) -> Path:
    """Where weights are until their spec is in its place."""
    return folder / f".{sha256[:16]}-{WEIGHTS}"


def _read_spec(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """The spec, its head checked."""
    file = folder / SPEC
    if not file.is_file():
        raise FileNotFoundError(f"{folder} holds no model: {SPEC} is missing.")
    if file.stat().st_size > LARGEST_SPEC:
        raise Damaged(SPEC, f"it has more than {LARGEST_SPEC} bytes")
    text = file.read_bytes()
    spec = strict_json(text)
    if not isinstance(spec, dict) or "format" not in spec:
        raise Damaged(SPEC, "it is no description of a model: it has no 'format'")
    if spec["format"] != FORMAT:
        raise ValueError(
            f"{file} is in format {spec['format']!r}; mvlatent {__version__} reads {FORMAT}. "
            f"It was written by mvlatent {spec.get('version')}."
        )
    check_digests(spec)
    return text, spec


def _read_weights(folder: Path, claimed: Mapping[str, Any]) -> bytes | None:
    """The weights that a spec asks for; ``None`` if those there are others."""
    places = [folder / WEIGHTS, _pending(folder, claimed["sha256"])]
    found = [place for place in places if place.is_file()]
    if not found:
        raise FileNotFoundError(f"{folder} holds no model: {WEIGHTS} is missing.")
    sizes = {place: place.stat().st_size for place in found}
    for place in found:
        if sizes[place] == claimed["bytes"]:
            weights = place.read_bytes()
            if _sha256(weights) == claimed["sha256"]:
                return weights
    if claimed["bytes"] not in sizes.values():
        raise Damaged(
            WEIGHTS, f"it has {sizes[found[0]]} bytes where {SPEC} says {claimed['bytes']}"
        )
    return None


def _arrays(weights: bytes, not_finite: list[str]) -> dict[str, np.ndarray]:
    """Tensors of the file; none is infinite or NaN that was not when it was saved."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays: dict[str, np.ndarray] = load(weights)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise Damaged(WEIGHTS, f"it is not in the safetensors format ({error})") from None
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise Damaged(WEIGHTS, f"{name!r} holds {array.dtype}, not numbers")
        if array.dtype.kind == "f" and name not in not_finite and not np.isfinite(array).all():
            raise Damaged(WEIGHTS, f"{name!r} holds values that are not finite")
    return arrays


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
