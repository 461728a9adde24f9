"""A block head as JSON and arrays, and back: what is saved of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mvlatent.heads.factors import Shrinkage
from mvlatent.heads.mixture import LaplaceMixture, SampledPosterior
from mvlatent.heads.scaling import BlockScaling
from mvlatent.outcomes.likelihoods import baseline_of
from mvlatent.outcomes.target import Baseline

if TYPE_CHECKING:
    from mvlatent.heads.block_head import BlockHead

__all__ = ["saved", "saved_fields"]

POSTERIORS: dict[str, type[LaplaceMixture] | type[SampledPosterior]] = {
    "laplace": LaplaceMixture,
    "sampled": SampledPosterior,
}


def saved(head: BlockHead) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A JSON-able dict and arrays that hold a head; no patient's row is in them."""
    kinds: dict[type, str] = {cls: name for name, cls in POSTERIORS.items()}
    json = {
        "tau": head.tau,
        "sizes": list(head._scaling.sizes),
        "log_marginal": head.log_marginal,
        "converged": head.converged,
        "path": head.path,
        "baseline": head._profile.kind,
        "posterior": None if head._posterior is None else kinds[type(head._posterior)],
    }
    arrays = {"mean": head._scaling.mean, "scale": head._scaling.scale, "mode": head._mode}
    for c, part in enumerate(head._shrinkage):
        arrays |= {f"q.{c}": part.q, f"rest.{c}": part.rest}
    arrays |= {f"joint.{k}": v for k, v in vars(head._baseline).items()}
    out = {k: np.ascontiguousarray(v.numpy()) for k, v in arrays.items()}
    if head._posterior is not None:
        out |= {f"posterior.{k}": v for k, v in head._posterior.state().items()}
    return json, out | {f"profile.{k}": v for k, v in head._profile.state().items()}


def saved_fields(json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Fields of the `BlockHead` that `saved` was given."""
    tensors = {
        k: torch.as_tensor(np.array(v)) for k, v in arrays.items() if not k.startswith("posterior.")
    }
    kind = json.get("posterior")
    return {
        "tau": dict(json["tau"]),
        "log_marginal": json["log_marginal"],
        "converged": json["converged"],
        "path": list(json["path"]),
        "_scaling": BlockScaling(
            tuple(json["tau"]), tuple(json["sizes"]), tensors["mean"], tensors["scale"]
        ),
        "_mode": tensors["mode"],
        "_shrinkage": [
            Shrinkage(tensors[f"q.{c}"], tensors[f"rest.{c}"]) for c in range(len(tensors["mode"]))
        ],
        "_profile": baseline_of(json["baseline"]).from_state(_part(tensors, "profile.")),
        "_baseline": Baseline(**_part(tensors, "joint.")),
        "_posterior": None
        if kind is None
        else POSTERIORS[kind].from_state(_part(arrays, "posterior.")),
    }


def _part(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Arrays under a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
