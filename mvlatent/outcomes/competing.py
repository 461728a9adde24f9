"""Competing risks: a hazard a cause, and the cumulative incidence that they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from .cox import Cox
from .intervals import SurvivalOptions
from .piecewise import PiecewiseExponential
from .target import LinearBaseline, Target

__all__ = ["HAZARDS", "Competing", "CompetingTarget", "cumulative_incidence"]

HAZARDS: dict[str, type[PiecewiseExponential] | type[Cox]] = {
    "piecewise": PiecewiseExponential,
    "cox": Cox,
}


@dataclass(frozen=True)
class CompetingTarget:
    """Likelihoods of the causes, each bound to outcomes in which the other causes are censored.

    Attributes
    ----------
    causes
        A target a cause, of the same rows.
    """

    causes: tuple[Target, ...]


class Competing(nn.Module):
    """Cause-specific hazards, in which the other causes are censoring.

    The likelihood is the product of those of the causes, each with its own baseline and its own
    linear predictor. Events are codes, 0 for censored and 1..K for the causes.

    Parameters
    ----------
    causes
        Likelihood of each cause, one of `HAZARDS`.

    References
    ----------
    Prentice, R. L. et al. (1978). The analysis of failure times in the presence of competing risks.
    Aalen, O. O. & Johansen, S. (1978). An empirical transition matrix for non-homogeneous Markov
    chains based on censored observations.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.specs import Survival
    >>> time, event = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 2.0, 0.0, 1.0])
    >>> risks = Competing.from_data(time, event, Survival("t", "e", kind="competing"))
    >>> risks.log_prob(torch.zeros(4, 2), time, event).shape
    torch.Size([4])
    """

    def __init__(self, causes: Sequence[PiecewiseExponential | Cox]) -> None:
        super().__init__()
        self.causes = nn.ModuleList(causes)

    def _likelihoods(self) -> list[PiecewiseExponential | Cox]:
        return cast("list[PiecewiseExponential | Cox]", list(self.causes))

    @property
    def n_outputs(self) -> int:
        """Number of causes."""
        return len(self.causes)

    @property
    def factorises(self) -> bool:
        """Whether the likelihood is a product over patients."""
        return all(cause.factorises for cause in self._likelihoods())

    @classmethod
    def from_data(
        cls,
        time: Tensor,
        event: Tensor,
        spec: SurvivalOptions,
        *,
        entry: Tensor | None = None,
        stratum: Tensor | None = None,
        n_strata: int = 1,
    ) -> Self:
        """Start each cause as if it were alone.

        Raises
        ------
        ValueError
            If there is no event, or none of a cause below the highest code.
        """
        kind = HAZARDS[spec.hazard or "piecewise"]
        causes = []
        for cause in range(1, max(1, int(event.max())) + 1):
            own = _only(event, cause)
            if int(event.max()) and not bool(own.any()):
                raise ValueError(f"competing survival outcome has no events of cause {cause}")
            options: dict[str, Any] = {"entry": entry, "stratum": stratum, "n_strata": n_strata}
            causes.append(kind.from_data(time, own, spec, **options))
        return cls(causes)

    def log_prob(
        self,
        eta: Tensor,
        time: Tensor,
        event: Tensor,
        observed: Tensor | None = None,
        *,
        entry: Tensor | None = None,
        stratum: Tensor | None = None,
    ) -> Tensor:
        """Log-likelihood of each patient, (n,), or (Cox) the log partial likelihood, a scalar.

        Parameters
        ----------
        eta
            Log relative hazards of the causes, (n, K).
        time, event
            Follow-up time and cause (0 is censored), (n,).
        observed
            Boolean mask, (n,); None means that every outcome is observed.
        entry
            Times at which patients came under observation, (n,); None is 0.
        stratum
            Codes of strata, (n,); None is one stratum.
        """
        parts = [
            likelihood.log_prob(
                eta[..., k], time, _only(event, k + 1), observed, entry=entry, stratum=stratum
            )
            for k, likelihood in enumerate(self._likelihoods())
        ]
        return torch.stack(parts).sum(0)

    def log_prior(self) -> Tensor:
        """Log prior of the baselines, up to a constant."""
        return torch.stack([cause.log_prior() for cause in self._likelihoods()]).sum()

    def target(
        self,
        time: Tensor,
        event: Tensor,
        observed: Tensor | None = None,
        *,
        entry: Tensor | None = None,
        stratum: Tensor | None = None,
    ) -> CompetingTarget:
        """Bind the likelihoods to outcomes, a target a cause."""
        return CompetingTarget(
            tuple(
                likelihood.target(time, _only(event, k + 1), observed, entry=entry, stratum=stratum)
                for k, likelihood in enumerate(self._likelihoods())
            )
        )


def _only(event: Tensor, cause: int) -> Tensor:
    """Events of one cause, the others censored."""
    return (event == cause).to(event.dtype)


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
    relative = [e.double().exp() for e in eta]
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
