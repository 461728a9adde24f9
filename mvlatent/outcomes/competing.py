"""Competing risks: a hazard a cause, and the cumulative incidence that they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import torch
from torch import Tensor, nn

from mvlatent.data.outcome_data import SurvivalData
from mvlatent.outcomes.bound import BoundLikelihood, LinearBaseline, relative_hazard
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.specs import Survival
from mvlatent.specs.implementation import implementation_of
from mvlatent.specs.outcomes import KINDS_OF_SURVIVAL

__all__ = ["BoundCompeting", "Competing", "cumulative_incidence"]


@dataclass(frozen=True)
class BoundCompeting:
    """Likelihoods of the causes, each bound to outcomes in which the other causes are censored.

    Attributes
    ----------
    causes
        A bound likelihood a cause, of the same rows.
    """

    causes: tuple[BoundLikelihood, ...]


class Competing(OutcomeLikelihood[SurvivalData]):
    """Cause-specific hazards, in which the other causes are censoring.

    The likelihood is the product of those of the causes, each with its own baseline and its own
    linear predictor.

    Parameters
    ----------
    causes
        Likelihood of each cause.

    References
    ----------
    Prentice, R. L. et al. (1978). The analysis of failure times in the presence of competing risks.
    Aalen, O. O. & Johansen, S. (1978). An empirical transition matrix for non-homogeneous Markov
    chains based on censored observations.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import SurvivalData
    >>> from mvlatent.specs import Survival
    >>> time, cause = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1, 2, 0, 1])
    >>> data = SurvivalData(time, (cause > 0).float(), cause=cause)
    >>> risks = Competing.from_data(data, Survival("t", "e", kind="competing"))
    >>> risks.log_prob(torch.zeros(4, 2), data).shape
    torch.Size([4])
    """

    several: ClassVar[bool] = True

    def __init__(self, causes: Sequence[OutcomeLikelihood[SurvivalData]]) -> None:
        super().__init__()
        self.causes = nn.ModuleList(causes)
        self.n_outputs = len(causes)
        self.factorises = all(cause.factorises for cause in causes)

    def _likelihoods(self) -> list[OutcomeLikelihood[SurvivalData]]:
        return cast("list[OutcomeLikelihood[SurvivalData]]", list(self.causes))

    @classmethod
    def from_data(cls, data: SurvivalData, spec: Survival) -> Self:
        """Start each cause as if it were alone; ValueError if one has no event."""
        kind = implementation_of(KINDS_OF_SURVIVAL[str(spec.hazard)].likelihood)
        last = int(data.known().code.max())
        causes = []
        for cause in range(1, max(1, last) + 1):
            own = data.of_cause(cause)
            if last and not bool(own.known().event.any()):
                raise ValueError(
                    f"competing survival outcome has no events of cause {cause}; count the causes "
                    "from 1 without a gap."
                )
            causes.append(kind.from_data(own, spec))
        return cls(causes)

    def log_prob(self, eta: Tensor, data: SurvivalData) -> Tensor:
        parts = [
            likelihood.log_prob(eta[..., k], data.of_cause(k + 1))
            for k, likelihood in enumerate(self._likelihoods())
        ]
        return torch.stack(parts).sum(0)

    def log_prior(self) -> Tensor:
        """Log prior of the baselines, up to a constant."""
        return torch.stack([cause.log_prior() for cause in self._likelihoods()]).sum()

    def bind(self, data: SurvivalData) -> BoundCompeting:
        """Bind the likelihoods to outcomes, one a cause."""
        likelihoods = enumerate(self._likelihoods(), 1)
        return BoundCompeting(tuple(part.bind(data.of_cause(k)) for k, part in likelihoods))


def cumulative_incidence(
    times: Tensor,
    eta: Sequence[Tensor],
    baselines: Sequence[LinearBaseline],
    draws: Sequence[Tensor] | None = None,
    *,
    cause: int | None,
    stratum: int = 0,
) -> Tensor:
    """Probability of an event of one cause by each time, or of none at all.

    Hazards of jumps go into the product integral, so that without predictors the curve is the
    estimator of Aalen and Johansen; hazards with a density into the exponential. The incidences
    of all causes and the probability of no event add up to one.

    Parameters
    ----------
    times
        Times (T,), in the unit of the training times.
    eta
        Linear predictors of patients of one stratum, a cause each, (..., n).
    baselines
        Baselines of the causes, of one kind.
    draws
        Deviations of the coordinates of each, (..., K); None is the mode.
    cause
        Cause, counted from 1; None is the probability of no event.
    stratum
        Whose baselines.

    Returns
    -------
    Tensor
        Probabilities, (..., T, n).
    """
    at = times.double()
    knots = torch.cat([at, *(b.knots(stratum) for b in baselines)])
    grid = knots[(knots > 0) & (knots <= at.max())].unique()
    steps = _increments(grid, baselines, draws, stratum)
    relative = [relative_hazard(e) for e in eta]
    free = torch.ones_like(relative[0])
    found = free if cause is None else torch.zeros_like(free)
    place = torch.searchsorted(grid, at, right=True)
    kept = {0: found}
    for g in range(len(grid)):
        own = [s[..., g, None] * r for s, r in zip(steps, relative, strict=True)]
        total = torch.stack(own).sum(0)
        happens = total.clamp(max=1.0) if baselines[0].jumps else -torch.expm1(-total)
        if cause is None:
            found = found * (1.0 - happens)
        else:
            found = found + free * happens * own[cause - 1] / total.clamp(min=1e-300)
            free = free * (1.0 - happens)
        if bool((place == g + 1).any()):
            kept[g + 1] = found
    return torch.stack([kept[int(g)] for g in place], -2)


def _increments(
    grid: Tensor,
    baselines: Sequence[LinearBaseline],
    draws: Sequence[Tensor] | None,
    stratum: int,
) -> list[Tensor]:
    """Baseline hazard of each cause between the times of the grid, (..., G)."""
    out = []
    for k, baseline in enumerate(baselines):
        exposure = baseline.exposure(grid, stratum)
        exposure = torch.diff(exposure, dim=0, prepend=exposure.new_zeros(1, exposure.shape[1]))
        scale = exposure.new_ones(exposure.shape[1]) if draws is None else draws[k].exp()
        out.append(scale @ exposure.T)
    return out
