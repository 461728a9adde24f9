"""A fitted model as JSON and arrays, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from mvlatent.data.preparation import Preparation
from mvlatent.fitting.fitted import Fitted
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.trained import Trained
from mvlatent.heads.reported import Reported
from mvlatent.heads.view_head import ViewHeads
from mvlatent.io.digests import SPEC, WEIGHTS, Damaged
from mvlatent.io.shapes import (
    check_design,
    check_fields,
    check_heads,
    check_preparation,
    check_same,
    check_square,
)
from mvlatent.process import quiet, seeded
from mvlatent.vae.basis import Basis
from mvlatent.vae.design import Design
from mvlatent.vae.structured import StructuredVAE

__all__ = ["FORMAT", "rebuild", "state_of"]

FORMAT = 3
BOTH = f"{SPEC} {WEIGHTS}"


def state_of(trained: Trained) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """All that a model needs to be built again: JSON-able, and arrays by name."""
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


def rebuild(spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Trained:
    """Inverse of `state_of`: what it gives says the same of itself, or `Damaged` is raised."""
    with _reading("preparation"):
        check_preparation(spec["preparation"])
        preparation = Preparation.from_dict(spec["preparation"], _under(arrays, "preparation/"))
    with _reading("rotated"):
        bases = {
            name: Basis(
                torch.from_numpy(arrays[f"basis/{name}/centre"]),
                torch.from_numpy(arrays[f"basis/{name}/directions"]),
                name in spec["rotated"],
                _tensor(arrays.get(f"basis/{name}/weights")),
            )
            for name in preparation.views
        }
    with _reading("design"):
        _check_lengths(preparation, bases, [v["name"] for v in spec["design"]["views"]])
        vae = _vae(spec["design"], _under(arrays, "vae/"), sum(a.size for a in arrays.values()))
    with _reading("heads"):
        check_heads(spec["heads"])
        outcomes = {
            name: Reported.from_state(state, _under(arrays, f"head/{name}/"))
            for name, state in spec["heads"].items()
        }
    with _reading("view_heads"):
        views, own = spec["view_heads"], _under(arrays, "view_head/")
        view_heads = ViewHeads.from_state(views, own) if views else None
    said: dict[str, Any] = {}
    for key, kind in (("fitted", Fitted), ("options", Options), ("plan", Plan)):
        with _reading(key):
            check_fields(kind, spec[key], key)
            said[key] = kind(**spec[key])
    trained = Trained(preparation, bases, vae, outcomes, **said, view_heads=view_heads)
    with _reading("preparation"):
        again, held = state_of(trained)
        check_same(spec, again, SPEC)
        check_same(_outlines(arrays), _outlines(held), BOTH)
    return trained


def _check_lengths(preparation: Preparation, bases: dict[str, Basis], design: list[str]) -> None:
    if [name for name in design if name in preparation.views] != list(preparation.views):
        raise Damaged(SPEC, f"'design.views' names {design}, 'preparation' {[*preparation.views]}")
    for name, basis in bases.items():
        found, said = len(basis.centre), len(preparation.columns(name))
        rows = {
            found,
            len(basis.directions),
            found if basis.weights is None else len(basis.weights),
        }
        if rows != {said}:
            raise Damaged(BOTH, f"view {name!r} has {said} columns, and its basis {found}")


def _vae(said: Mapping[str, Any], weights: Mapping[str, np.ndarray], values: int) -> StructuredVAE:
    """The model of a design, whose sizes are held against the weights before it is built."""
    check_design(said, values)
    design = Design.from_dict(dict(said))
    with quiet():
        try:
            with torch.device("meta"):
                outline: StructuredVAE | None = StructuredVAE(design)
        except (NotImplementedError, RuntimeError):  # some priors compute while they are built
            outline = None
            check_square(design.n_shared, values)
    if outline is not None:
        expected = {k: list(v.shape) for k, v in _weights(outline).items()}
        found = {k: list(v.shape) for k, v in weights.items()}
        for name in expected.keys() | found.keys():
            if expected.get(name) != found.get(name):
                raise Damaged(
                    BOTH,
                    f"'design' needs {_sized('vae/' + name, expected.get(name))}, "
                    f"and the weights have {_sized('it', found.get(name))}",
                )
    with seeded(0):  # weights are drawn before they are read
        vae = StructuredVAE(design)
    vae.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    return vae


def _sized(name: str, shape: list[int] | None) -> str:
    return f"no {name!r}" if shape is None else f"{name!r} of {'x'.join(map(str, shape)) or 'one'}"


@contextmanager
def _reading(section: str) -> Iterator[None]:
    """Whatever a part of a model cannot be built from is said with the name of the section."""
    try:
        yield
    except (Damaged, MemoryError):
        raise
    except KeyError as error:
        lacks = str(error.args[0]) if error.args else "a key"
        raise Damaged(BOTH, f"{section!r} lacks {lacks!r}".rstrip(".")) from None
    except Exception as error:
        why = " ".join(str(error).split()).rstrip(".")
        raise Damaged(BOTH, f"{section!r} does not make a model: {why}") from None


def _weights(vae: StructuredVAE) -> dict[str, torch.Tensor]:
    """Weights of the model without the in-training heads, whose work is done."""
    return {k: v for k, v in vae.state_dict().items() if not k.startswith("heads.")}


def _outlines(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    return {k: f"{v.dtype} of {v.shape}" for k, v in arrays.items()}


def _tensor(array: np.ndarray | None) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array)


def _under(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
