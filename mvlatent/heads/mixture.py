"""Joint posteriors of coefficients and baseline that a head draws from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mvlatent.heads.factors import Shrinkage
from mvlatent.outcomes.bound import Baseline

__all__ = ["Component", "HeadPosterior", "LaplaceMixture", "SampledPosterior"]


class HeadPosterior(Protocol):
    """Posterior of coefficients beta of the scaled columns, and of the baseline's coordinates."""

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draws of coefficients (n, C, P) and of the baseline's coordinates (n, K)."""
        ...

    def mean(self) -> Tensor:
        """Posterior mean of the coefficients, (C, P)."""
        ...

    def mean_moved(self) -> Tensor:
        """Posterior mean of the baseline's coordinates, (K,)."""
        ...

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of ``x @ beta`` for rows x (n, P), (n, C) each."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Arrays that rebuild it."""
        ...


@dataclass
class Component:
    """Gaussian posterior at one point of the block sds.

    Attributes
    ----------
    weight
        Its share.
    sd
        Sd of each column's coefficient, (P,).
    mode
        Standardised coefficients ``u = beta / sd``, (C, P).
    shrinkage
        Their covariance, by output.
    baseline
        Coordinates of the baseline given the coefficients.
    """

    weight: float
    sd: Tensor
    mode: Tensor
    shrinkage: list[Shrinkage]
    baseline: Baseline

    def draw(self, z: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Turn standard normal draws (n, C, P) into draws of coefficients and baseline."""
        parts = [part.root(z[:, c]) for c, part in enumerate(self.shrinkage)]
        deviation = torch.stack(parts, 1)
        return (self.mode + deviation) * self.sd, self.baseline.draw(deviation, generator)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of ``x @ beta``, (n, C) each."""
        scaled = x * self.sd
        variance = torch.stack([part.variance(scaled) for part in self.shrinkage], -1)
        return scaled @ self.mode.T, variance


@dataclass
class LaplaceMixture:
    """Mixture of Gaussian posteriors over points of the block sds; one point plugs them in."""

    components: Sequence[Component]

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        first = self.components[0]
        z = torch.randn(n, *first.mode.shape, dtype=torch.float64, generator=generator)
        if len(self.components) == 1:
            return first.draw(z, generator)
        beta = torch.empty_like(z)
        moved = z.new_empty(n, len(first.baseline.shift))
        for rows, part in zip(self._split(n, generator), self.components, strict=True):
            if len(rows):
                beta[rows], moved[rows] = part.draw(z[rows], generator)
        return beta, moved

    def _split(self, n: int, generator: torch.Generator | None) -> list[Tensor]:
        """Rows of each component: as even as the weights allow, in random order."""
        edges = torch.tensor([c.weight for c in self.components], dtype=torch.float64).cumsum(0)
        start = torch.rand(1, dtype=torch.float64, generator=generator)
        place = (torch.arange(n) + start) / n * edges[-1]
        which = torch.searchsorted(edges, place).clamp(max=len(edges) - 1)
        which = which[torch.randperm(n, generator=generator)]
        return [(which == k).nonzero()[:, 0] for k in range(len(edges))]

    def mean(self) -> Tensor:
        return torch.stack([c.weight * c.mode * c.sd for c in self.components]).sum(0)

    def mean_moved(self) -> Tensor:
        return torch.stack([c.weight * c.baseline.shift for c in self.components]).sum(0)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        found = [part.moments(x) for part in self.components]
        if len(found) == 1:
            return found[0]
        weight = torch.tensor([c.weight for c in self.components], dtype=torch.float64)
        mean = torch.stack([m for m, _ in found])
        second = torch.stack([v for _, v in found]) + mean.square()
        centre = torch.tensordot(weight, mean, 1)
        return centre, torch.tensordot(weight, second, 1) - centre.square()

    def state(self) -> dict[str, np.ndarray]:
        out: dict[str, np.ndarray] = {}
        for k, part in enumerate(self.components):
            arrays = {"weight": torch.tensor([part.weight]), "sd": part.sd, "mode": part.mode}
            for c, shrinkage in enumerate(part.shrinkage):
                arrays |= {f"q.{c}": shrinkage.q, f"rest.{c}": shrinkage.rest}
            arrays |= {f"joint.{name}": v for name, v in vars(part.baseline).items()}
            out |= {f"{k}.{name}": v.float().contiguous().numpy() for name, v in arrays.items()}
        return out

    @classmethod
    def from_state(cls, arrays: Mapping[str, np.ndarray]) -> LaplaceMixture:
        """Inverse of `state`; values are kept in single precision."""
        parts: list[Component] = []
        while f"{len(parts)}.mode" in arrays:
            prefix = f"{len(parts)}."
            own = {
                name.removeprefix(prefix): torch.as_tensor(np.array(v)).double()
                for name, v in arrays.items()
                if name.startswith(prefix)
            }
            shrinkage = [
                Shrinkage(own[f"q.{c}"], own[f"rest.{c}"]) for c in range(len(own["mode"]))
            ]
            joint = {n.removeprefix("joint."): v for n, v in own.items() if n.startswith("joint.")}
            parts.append(
                Component(
                    float(own["weight"]), own["sd"], own["mode"], shrinkage, Baseline(**joint)
                )
            )
        return cls(parts)


@dataclass
class SampledPosterior:
    """Draws of a sampler, taken again in random order.

    Attributes
    ----------
    beta
        Coefficients of the scaled columns, (S, C, P).
    moved
        Coordinates of the baseline, (S, K).
    """

    beta: Tensor
    moved: Tensor

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        held = len(self.beta)
        rounds = [torch.randperm(held, generator=generator) for _ in range(-(-n // held))]
        rows = torch.cat(rounds)[:n]
        return self.beta[rows], self.moved[rows]

    def mean(self) -> Tensor:
        return self.beta.mean(0)

    def mean_moved(self) -> Tensor:
        return self.moved.mean(0)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        eta = torch.einsum("np,scp->snc", x, self.beta)
        return eta.mean(0), eta.var(0)

    def state(self) -> dict[str, np.ndarray]:
        return {
            "beta": self.beta.float().contiguous().numpy(),
            "moved": self.moved.float().contiguous().numpy(),
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, Any]) -> SampledPosterior:
        """Inverse of `state`; values are kept in single precision."""
        beta, moved = (torch.as_tensor(np.array(arrays[k])).double() for k in ("beta", "moved"))
        return cls(beta, moved)
