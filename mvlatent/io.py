"""A fitted model as a folder: ``spec.json`` and ``weights.safetensors``, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mvlatent._version import __version__
from mvlatent.data.preparation import Preparation
from mvlatent.fitting.fitted import Fitted
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.trained import Trained
from mvlatent.heads.reported import Reported
from mvlatent.heads.view_head import ViewHeads
from mvlatent.process import seeded
from mvlatent.vae.basis import Basis
from mvlatent.vae.design import Design
from mvlatent.vae.structured import StructuredVAE

__all__ = ["FORMAT", "load_trained", "packed", "save_trained", "unpacked"]

FORMAT = 2
SPEC, WEIGHTS = "spec.json", "weights.safetensors"


def save_trained(trained: Trained, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a fitted model to a folder.

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
    from safetensors.numpy import save_file

    folder = Path(path)
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file; name a folder for the model.")
    if (folder / SPEC).exists() and not overwrite:
        raise FileExistsError(f"{folder} already holds a model; pass overwrite=True to replace it.")
    folder.mkdir(parents=True, exist_ok=True)
    spec, arrays = _state(trained)
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / WEIGHTS)
    (folder / SPEC).write_text(json.dumps(spec, indent=1))
    return folder


def load_trained(path: str | Path) -> Trained:
    """Read what `save_trained` wrote. Safe on folders of unknown origin: no code is run.

    Raises
    ------
    FileNotFoundError
        If one of the two files is missing.
    ValueError
        If the folder was written in a format this version does not know.
    """
    from safetensors.numpy import load_file

    folder = Path(path)
    for name in (SPEC, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no model: {name} is missing.")
    spec = json.loads((folder / SPEC).read_text())
    if spec.get("format") != FORMAT:
        raise ValueError(
            f"{folder} is in format {spec.get('format')!r}; mvlatent {__version__} reads {FORMAT}. "
            f"It was written by mvlatent {spec.get('version')}."
        )
    return _rebuild(spec, load_file(folder / WEIGHTS))


def _state(trained: Trained) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    preparation, prepared = trained.preparation.to_dict()
    arrays = {f"preparation/{k}": v for k, v in prepared.items()}
    for name, basis in trained.bases.items():
        arrays |= basis.to_arrays(f"basis/{name}")
    arrays |= {f"vae/{k}": v.cpu().numpy() for k, v in _weights(trained.vae).items()}
    heads: dict[str, Any] = {}
    for name, head in trained.outcomes.items():
        heads[name], held = head.state()
        arrays |= {f"head/{name}/{k}": v for k, v in held.items()}
    views: dict[str, Any] | None = None
    if trained.view_heads is not None:
        views, held = trained.view_heads.state()
        arrays |= {f"view_head/{k}": v for k, v in held.items()}
    spec = {
        "format": FORMAT,
        "version": __version__,
        "preparation": preparation,
        "design": trained.vae.design.to_dict(),
        "rotated": [name for name, basis in trained.bases.items() if basis.rotated],
        "heads": heads,
        "view_heads": views,
        "options": trained.options.to_dict(),
        "plan": trained.plan.to_dict(),
        "fitted": asdict(trained.fitted),
    }
    return spec, arrays


def _weights(vae: StructuredVAE) -> dict[str, torch.Tensor]:
    """Weights of the model without the in-training heads, whose work is done."""
    return {k: v for k, v in vae.state_dict().items() if not k.startswith("heads.")}


def _rebuild(spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Trained:
    preparation = Preparation.from_dict(spec["preparation"], _under(arrays, "preparation/"))
    bases = {
        name: Basis(
            torch.from_numpy(arrays[f"basis/{name}/centre"]),
            torch.from_numpy(arrays[f"basis/{name}/directions"]),
            name in spec["rotated"],
            _tensor(arrays.get(f"basis/{name}/weights")),
        )
        for name in preparation.views
    }
    with seeded(0):  # weights are drawn before they are read
        vae = StructuredVAE(Design.from_dict(spec["design"]))
    weights = {k: torch.from_numpy(v) for k, v in _under(arrays, "vae/").items()}
    vae.load_state_dict(weights)
    outcomes = {
        name: Reported.from_state(state, _under(arrays, f"head/{name}/"))
        for name, state in spec["heads"].items()
    }
    return Trained(
        preparation,
        bases,
        vae,
        outcomes,
        Fitted(**spec["fitted"]),
        Options(**spec["options"]),
        Plan(**spec["plan"]),
        ViewHeads.from_state(spec["view_heads"], _under(arrays, "view_head/"))
        if spec["view_heads"]
        else None,
    )


def _tensor(array: np.ndarray | None) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array)


def _under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def packed(trained: Trained) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `save_trained` writes: JSON types and arrays, which any process can be handed."""
    return _state(trained)


def unpacked(spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Trained:
    """Inverse of `packed`, with arrays of its own."""
    return _rebuild(spec, {name: np.array(values) for name, values in arrays.items()})
