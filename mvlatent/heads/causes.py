"""Reported heads of any outcome: one block head, or one a competing cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor

from mvlatent.heads.block_head import BlockHead
from mvlatent.outcomes.bound import BoundCauses, BoundLikelihood, LinearBaseline, bound_parts
from mvlatent.outcomes.competing import cumulative_incidence
from mvlatent.outcomes.curves import by_patient_stratum

__all__ = ["CauseHeads", "Head", "fit_head", "head_from_state"]


@dataclass
class CauseHeads:
    """A block head a competing cause, each with sds, coefficients and a baseline of its own.

    Given the features the causes' posteriors are independent, as their likelihoods and priors are.
    It reads as a `BlockHead` with an output a cause; survival is that of no event at all.

    Attributes
    ----------
    heads
        Heads of the causes, in the order of their codes.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import SurvivalData
    >>> from mvlatent.heads import fit_head
    >>> from mvlatent.outcomes import bind_outcome
    >>> from mvlatent.specs import Survival
    >>> x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    >>> data = SurvivalData(torch.exp(-x[:, 0]), torch.ones(100), cause=1 + (x[:, 1] > 0).long())
    >>> bound = bind_outcome(data, Survival("t", "e", kind="competing"))
    >>> head = fit_head({"shared": x}, bound)
    >>> head.incidence(torch.tensor([1.0]), {"shared": x}, cause=2).shape
    torch.Size([1, 100])
    """

    heads: list[BlockHead]

    @property
    def parts(self) -> list[BlockHead]:
        """The block heads that the head is made of."""
        return self.heads

    @property
    def tau(self) -> dict[str, float]:
        """Sd of the coefficients by block and cause, as scaled inside."""
        return self._by_cause([head.tau for head in self.heads])

    @property
    def effect_probability(self) -> dict[str, float]:
        """Posterior probability, by block and cause, that the block has an effect."""
        return self._by_cause([head.effect_probability for head in self.heads])

    @staticmethod
    def _by_cause(values: list[dict[str, float]]) -> dict[str, float]:
        named = [{f"{b} (cause {k})": v for b, v in of.items()} for k, of in enumerate(values, 1)]
        return {name: value for of in named for name, value in of.items()}

    @property
    def log_marginal(self) -> float:
        """Laplace log evidence, summed over the causes."""
        return sum(head.log_marginal for head in self.heads)

    @property
    def converged(self) -> bool:
        """Whether the sds of every cause settled."""
        return all(head.converged for head in self.heads)

    @property
    def coef(self) -> dict[str, Tensor]:
        """Coefficients at the mode by block, (p_b, K), in the units of the block given."""
        each = [head.coef for head in self.heads]
        return {block: torch.cat([c[block] for c in each], 1) for block in each[0]}

    def predict(self, blocks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Posterior mean and variance of the log relative hazard of each cause, (n, K) each."""
        mean, variance = zip(*(head.predict(blocks) for head in self.heads), strict=True)
        return torch.cat(mean, -1), torch.cat(variance, -1)

    def sample(
        self,
        blocks: Mapping[str, Tensor],
        n_samples: int,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Posterior draws of the linear predictors, (S, n, K); as `BlockHead.sample`."""
        return torch.cat([h.sample(blocks, n_samples, generator) for h in self.heads], -1)

    def incidence_draws(
        self,
        times: Tensor,
        blocks: Mapping[str, Tensor],
        n_samples: int,
        generator: torch.Generator | None = None,
        *,
        cause: int | None,
        stratum: Tensor | None = None,
    ) -> Tensor:
        """Posterior draws of cumulative incidence, (S, T, n), all causes' heads jointly.

        Parameters
        ----------
        times
            Times (T,), in the unit of the training times.
        blocks
            Features by block, (n, p_b), or draws of them, (S, n, p_b).
        n_samples
            Number of draws S.
        generator
            Source of randomness.
        cause
            Cause, counted from 1; None is the probability of no event.
        stratum
            Codes of the patients' strata, (n,).

        Raises
        ------
        ValueError
            If there is no such cause.
        """
        drawn = [head.joint_draws(blocks, n_samples, generator) for head in self.heads]
        eta, moved = [e[..., 0] for e, _ in drawn], [m for _, m in drawn]
        return self._curves(times, eta, moved, cause, stratum)

    def incidence(
        self,
        times: Tensor,
        blocks: Mapping[str, Tensor],
        *,
        cause: int | None,
        stratum: Tensor | None = None,
    ) -> Tensor:
        """Cumulative incidence at the posterior mode, (T, n); see `incidence_draws`."""
        eta = list(self.predict(blocks)[0].unbind(-1))
        return self._curves(times, eta, None, cause, stratum)

    def _curves(
        self,
        times: Tensor,
        eta: list[Tensor],
        moved: list[Tensor] | None,
        cause: int | None,
        stratum: Tensor | None,
    ) -> Tensor:
        if cause is not None and not 1 <= cause <= len(self.heads):
            choices = ", ".join(str(k) for k in range(1, len(self.heads) + 1))
            raise ValueError(f"cause {cause!r} is not one of {choices}.")
        baselines = [cast(LinearBaseline, head.baseline) for head in self.heads]

        def curves(rows: Tensor, s: int) -> Tensor:
            own = [e[..., rows] for e in eta]
            return cumulative_incidence(times, own, baselines, moved, cause=cause, stratum=s)

        return by_patient_stratum(curves, eta[0].shape[-1], stratum)

    def survival_draws(
        self,
        times: Tensor,
        blocks: Mapping[str, Tensor],
        n_samples: int,
        generator: torch.Generator | None = None,
        *,
        stratum: Tensor | None = None,
    ) -> Tensor:
        """Posterior draws of the probability of no event of any cause, (S, T, n)."""
        return self.incidence_draws(
            times, blocks, n_samples, generator, cause=None, stratum=stratum
        )

    def survival(
        self, times: Tensor, blocks: Mapping[str, Tensor], *, stratum: Tensor | None = None
    ) -> Tensor:
        """Probability of no event of any cause at the posterior mode, (T, n)."""
        return self.incidence(times, blocks, cause=None, stratum=stratum)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything `from_state` needs: a JSON-able dict and arrays; no patient's row."""
        states = [head.state() for head in self.heads]
        arrays = {f"cause{k}.{n}": v for k, (_, held) in enumerate(states) for n, v in held.items()}
        return {"causes": [json for json, _ in states]}, arrays

    @classmethod
    def from_state(cls, json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild the heads from `state`."""
        heads = []
        for k, part in enumerate(json["causes"]):
            prefix = f"cause{k}."
            own = {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
            heads.append(BlockHead.from_state(part, own))
        return cls(heads)


Head = BlockHead | CauseHeads


def fit_head(
    blocks: Mapping[str, Tensor],
    bound: BoundLikelihood | BoundCauses,
    *,
    fit: Callable[..., BlockHead] = BlockHead.fit,
    **options: Any,
) -> Head:
    """Fit the reported head of a bound likelihood: a block head, or one for each of its parts.

    Parameters
    ----------
    blocks
        Features of all patients by block, (N, p_b).
    bound
        ``likelihood.bind(...)`` of a likelihood of any role.
    fit
        How the block head of one part is fitted, called as `BlockHead.fit` is.
    **options
        Options of it, the same for every part.
    """
    heads = [fit(blocks, part, **options) for part in bound_parts(bound)]
    return CauseHeads(heads) if isinstance(bound, BoundCauses) else heads[0]


def head_from_state(json: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Head:
    """Rebuild a head of either sort from its state."""
    return (CauseHeads if "causes" in json else BlockHead).from_state(json, arrays)
