"""What a block head is once it is fitted, and the same as JSON and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from mvlatent.heads.factors import Shrinkage
from mvlatent.heads.mixture import HeadPosterior, LaplaceMixture, SampledPosterior
from mvlatent.heads.scaling import BlockScaling
from mvlatent.outcomes.bound import Baseline, BaselineShape
from mvlatent.outcomes.likelihoods import baseline_of

__all__ = ["HeadState"]

POSTERIORS: dict[str, type[LaplaceMixture] | type[SampledPosterior]] = {
    "laplace": LaplaceMixture,
    "sampled": SampledPosterior,
}


@dataclass
class HeadState:
    """Fields of a fitted head; no patient's row is in them.

    Attributes
    ----------
    tau
        Sd of the coefficients of each block as scaled inside; 0 is a block that is switched off at
        the mode.
    log_marginal
        Laplace log evidence, up to a constant of the data.
    converged
        Whether the sds settled.
    path
        Log evidence by iteration.
    """

    tau: dict[str, float]
    log_marginal: float
    converged: bool
    path: list[float]
    _scaling: BlockScaling
    _mode: Tensor  # standardised coefficients u = beta / tau, (C, P)
    _shrinkage: list[Shrinkage]
    _profile: BaselineShape
    _baseline: Baseline
    _posterior: HeadPosterior | None = None  # None: tau is plugged in

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything `from_state` needs: a JSON-able dict and arrays; no patient's row."""
        kinds: dict[type, str] = {cls: name for name, cls in POSTERIORS.items()}
        json = {
            "tau": self.tau,
            "sizes": list(self._scaling.sizes),
            "log_marginal": self.log_marginal,
            "converged": self.converged,
            "path": self.path,
            "baseline": self._profile.kind,
            "posterior": None if self._posterior is None else kinds[type(self._posterior)],
        }
        arrays = {"mean": self._scaling.mean, "scale": self._scaling.scale, "mode": self._mode}
        for c, part in enumerate(self._shrinkage):
            arrays |= {f"q.{c}": part.q, f"rest.{c}": part.rest}
        arrays |= {f"joint.{k}": v for k, v in vars(self._baseline).items()}
        out = {k: np.ascontiguousarray(v.numpy()) for k, v in arrays.items()}
        if self._posterior is not None:
            out |= {f"posterior.{k}": v for k, v in self._posterior.state().items()}
        return json, out | {f"profile.{k}": v for k, v in self._profile.state().items()}

    @classmethod
    def from_state(cls, json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a head from `state`."""
        own = {k: v for k, v in arrays.items() if not k.startswith("posterior.")}
        tensors = {k: torch.as_tensor(np.array(v)) for k, v in own.items()}
        sizes, kind = tuple(json["sizes"]), json.get("posterior")
        of_outputs = range(len(tensors["mode"]))
        return cls(
            dict(json["tau"]),
            json["log_marginal"],
            json["converged"],
            list(json["path"]),
            BlockScaling(tuple(json["tau"]), sizes, tensors["mean"], tensors["scale"]),
            tensors["mode"],
            [Shrinkage(tensors[f"q.{c}"], tensors[f"rest.{c}"]) for c in of_outputs],
            baseline_of(json["baseline"]).from_state(_part(tensors, "profile.")),
            Baseline(**_part(tensors, "joint.")),
            None if kind is None else POSTERIORS[kind].from_state(_part(arrays, "posterior.")),
        )


def _part(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Arrays under a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
