"""A view predicted from others: z, a ridge head beside it, and their held-out errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["ErrorSize", "ScoreReader", "ViewHead", "ViewHeads"]

KEPT = ("onto", "damping", "base", "shift", "effect_variance", "effect_size")  # arrays of a head


@dataclass(frozen=True, eq=False)
class ErrorSize:
    """How far held-out entries were from their predictions.

    Attributes
    ----------
    variance
        Mean squared error of each feature, (p,).
    scale
        Factor of the sd with which the 90 % interval of all features holds 90 %.
    """

    variance: Tensor
    scale: float


@dataclass(frozen=True, eq=False)
class ScoreReader:
    """Leading scores of a view, technical effects taken off.

    Attributes
    ----------
    turn
        From the columns that the model sees (of the surface) to scores, (c, s).
    origin
        Scores of a patient at the origin, (s,).
    effects
        Scores of the technical effects, (q, s).
    expected
        Scores given z and 1, (k + 1, s).
    centre
        What stands for entries that were not observed, (c,).
    """

    turn: Tensor
    origin: Tensor
    effects: Tensor
    expected: Tensor
    centre: Tensor

    def read(self, surface: Tensor, technical: Tensor, observed: Tensor | None = None) -> Tensor:
        """Scores of rows of the surface (n, c), (n, s)."""
        if observed is not None:
            surface = torch.where(observed, surface, self.centre)
        return surface @ self.turn - self.origin - technical @ self.effects

    def expect(self, z: Tensor) -> Tensor:
        """Scores that z (n, k) expects, (n, s)."""
        return z @ self.expected[:-1] + self.expected[-1]

    def state(self) -> dict[str, np.ndarray]:
        """Arrays by name."""
        return {f.name: getattr(self, f.name).numpy() for f in fields(self)}

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> ScoreReader:
        """Inverse of `state`."""
        return cls(**{f.name: torch.from_numpy(arrays[f.name]) for f in fields(cls)})


@dataclass(frozen=True, eq=False)
class ViewHead:
    """Ridge regression of a view's leading scores on those of the others, and its part beside z.

    Keys of the dictionaries are ``""`` for all other views, or the name of the one view given.

    Attributes
    ----------
    view
        The view predicted.
    sources
        The other views, in the order of the joint head's columns.
    scales
        Sd of the first score of each source, (M - 1,).
    coef, origin, level
        Coefficients (columns, t), mean of the inputs and of what they predict.
    parts
        How much of what z expects and of the head is in the prediction, ``(z, head)``, by least
        squares on held-out patients; ``parts_latent`` of z alone.
    errors, errors_latent
        Of held-out entries around the prediction, and around that of z alone.
    total
        Of all entries, where nothing is given.
    onto
        From scores to the columns that the model sees, (t, c).
    damping
        What is added to the scores' loadings on z, (k, t): less of them along private directions.
    base
        Mean of the surface, (p,), and ``shift`` (q, t) the scores of the technical effects.
    effect_variance
        Prior variance of the technical effects on each feature, (q, p), and ``effect_size`` (q,)
        how many patients spoke of each.
    """

    view: str
    sources: tuple[str, ...]
    scales: Tensor
    coef: dict[str, Tensor]
    origin: dict[str, Tensor]
    level: dict[str, Tensor]
    parts: dict[str, tuple[float, float]]
    parts_latent: dict[str, float]
    errors: dict[str, ErrorSize]
    errors_latent: dict[str, ErrorSize]
    total: ErrorSize
    onto: Tensor
    damping: Tensor
    base: Tensor
    shift: Tensor
    effect_variance: Tensor
    effect_size: Tensor

    def held_out_errors(self, *, latent: bool) -> dict[str, ErrorSize]:
        """Of the prediction, or of that of z alone."""
        return self.errors_latent if latent else self.errors

    def uncertain_effects(self, design: Tensor, noise: Tensor) -> Tensor:
        """Variance of the technical effects on rows (n, q) of the design, (n, p).

        A row without a known level adds the prior's.

        Parameters
        ----------
        design
            Technical design.
        noise
            Variance of an entry, (p,).
        """
        if not design.shape[1]:
            return noise.new_zeros(len(design), len(noise))
        prior = self.effect_variance
        posterior = prior * noise / (self.effect_size[:, None] * prior + noise)
        unknown = (design.abs().sum(1) == 0).to(noise.dtype)
        return design.square() @ posterior + unknown[:, None] * prior.mean(0)

    def key(self, given: Sequence[str]) -> str:
        """Which head serves patients of whom these views are known."""
        one = given[0] if len(given) == 1 else ""
        return one if one in self.coef else ""

    def part_of_z(self, given: Sequence[str], *, latent: bool) -> float:
        """How much of what z expects is in the prediction."""
        key = self.key(given)
        if latent:
            return self.parts_latent.get(key, 1.0)
        return self.parts[key][0] if key in self.parts else 1.0

    def addition(self, given: Sequence[str], scores: Mapping[str, Tensor]) -> Tensor | None:
        """Scores (n, t) that the head adds to what z expects; ``None`` for nothing.

        Parameters
        ----------
        given
            Views that are known of these patients.
        scores
            Scores of every source, expected ones where it is not known.
        """
        key = self.key(given)
        share = self.parts[key][1] if key in self.parts else 0.0
        if not share:
            return None
        if key:
            x = scores[key] / self.scales[self.sources.index(key)]
        else:
            parts = [scores[s] / scale for s, scale in zip(self.sources, self.scales, strict=True)]
            x = torch.cat(parts, 1)
        return share * ((x - self.origin[key]) @ self.coef[key] + self.level[key])

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON and arrays."""
        arrays: dict[str, np.ndarray] = {
            "scales": self.scales.numpy(),
            "total": self.total.variance.numpy(),
            **{name: getattr(self, name).numpy() for name in KEPT},
        }
        for name in ("coef", "origin", "level"):
            arrays |= {f"{name}/{k}": v.numpy() for k, v in getattr(self, name).items()}
        for name in ("errors", "errors_latent"):
            arrays |= {f"{name}/{k}": v.variance.numpy() for k, v in getattr(self, name).items()}
        json = {
            "view": self.view,
            "sources": list(self.sources),
            "parts": self.parts,
            "parts_latent": self.parts_latent,
            "scale": {k: v.scale for k, v in self.errors.items()},
            "scale_latent": {k: v.scale for k, v in self.errors_latent.items()},
            "scale_total": self.total.scale,
        }
        return json, arrays

    @classmethod
    def from_state(cls, json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ViewHead:
        """Inverse of `state`."""

        def under(name: str) -> dict[str, Tensor]:
            prefix = f"{name}/"
            return {
                k.removeprefix(prefix): torch.from_numpy(v)
                for k, v in arrays.items()
                if k.startswith(prefix)
            }

        errors, latent = under("errors"), under("errors_latent")
        return cls(
            view=json["view"],
            sources=tuple(json["sources"]),
            scales=torch.from_numpy(arrays["scales"]),
            coef=under("coef"),
            origin=under("origin"),
            level=under("level"),
            parts={k: (z, own) for k, (z, own) in json["parts"].items()},
            parts_latent=dict(json["parts_latent"]),
            errors={k: ErrorSize(errors[k], s) for k, s in json["scale"].items()},
            errors_latent={k: ErrorSize(latent[k], s) for k, s in json["scale_latent"].items()},
            total=ErrorSize(torch.from_numpy(arrays["total"]), json["scale_total"]),
            **{k: torch.from_numpy(arrays[k]) for k in KEPT},
        )


@dataclass(frozen=True, eq=False)
class ViewHeads:
    """The heads of a model's views, and how their inputs are read."""

    readers: dict[str, ScoreReader]
    heads: dict[str, ViewHead]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON and arrays."""
        json: dict[str, Any] = {}
        arrays = {
            f"reader/{v}/{k}": a for v, r in self.readers.items() for k, a in r.state().items()
        }
        for name, head in self.heads.items():
            json[name], held = head.state()
            arrays |= {f"head/{name}/{k}": a for k, a in held.items()}
        return {"views": list(self.readers), "heads": json}, arrays

    @classmethod
    def from_state(cls, json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ViewHeads:
        """Inverse of `state`."""

        def under(prefix: str) -> dict[str, np.ndarray]:
            return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}

        readers = {v: ScoreReader.from_state(under(f"reader/{v}/")) for v in json["views"]}
        heads = {v: ViewHead.from_state(j, under(f"head/{v}/")) for v, j in json["heads"].items()}
        return cls(readers, heads)
