"""Outcomes as inner folds see them: fitted on some patients, scored on the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, LabelData, SurvivalData, TargetData
from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.causes import CauseHeads, Head
from mvlatent.heads.search import predicted_at_mode
from mvlatent.outcomes.competing import CompetingTarget
from mvlatent.outcomes.likelihoods import outcome_target
from mvlatent.specs import OutcomeSpec

__all__ = [
    "HELD_OUT",
    "LabelOutcome",
    "Outcome",
    "SurvivalOutcome",
    "TargetOutcome",
    "concordance_at_risk",
]

N_DRAWS = 64  # of held-out logits
MAX_SLOPE = 8.0  # of logits, either way
SETTLED = 0.1  # nats of evidence by which an inner fold may miss the sds of its blocks

Data = TypeVar("Data", SurvivalData, LabelData, TargetData)


class Outcome(Generic[Data]):
    """An outcome that can be fitted on some patients and scored on others.

    Parameters
    ----------
    cohort
        The patients.
    spec
        The outcome.

    Raises
    ------
    ValueError
        If the patients have no such outcome.
    """

    record: type[Data]
    what: ClassVar[str]
    n_folds: ClassVar[int] = 5
    horizon: float = 0.0

    def __init__(self, cohort: Cohort, spec: OutcomeSpec) -> None:
        data = cohort.outcome(self.record, spec.name)
        if data is None:
            raise ValueError(f"the cohort has no {self.what}.")
        self.data: Data = data
        self.spec = spec

    def target(self, rows: np.ndarray | None = None) -> Any:
        """Likelihood bound to the outcomes of the rows (all by default)."""
        data = self.data if rows is None else self.data.subset(torch.as_tensor(rows))
        return outcome_target(data, self.spec)

    def predictive(
        self,
        blocks: Mapping[str, Tensor],
        target: Any,
        new: Mapping[str, Tensor],
        start: Head | None = None,
    ) -> Tensor:
        """What held-out rows are scored by: linear predictors (n, C), or draws of them.

        Parameters
        ----------
        blocks, target
            Blocks of training rows, and the likelihood bound to their outcomes.
        new
            Blocks of the held-out rows.
        start
            Head with whose sds the search begins.
        """
        raise NotImplementedError(f"{self.what} are not predicted in inner folds.")

    def score(self, eta: Tensor, rows: np.ndarray) -> float:
        """Score of held-out rows for what is predicted of them, summed over patients."""
        raise NotImplementedError(f"{self.what} have no score.")

    def slope(self, eta: Tensor, rows: np.ndarray) -> float:
        """Factor of the predictors that all held-out rows together ask for; 1 for most kinds."""
        return 1.0

    def strata(self) -> np.ndarray:
        """What the folds are balanced by, (N,) int; -1 where there is no outcome."""
        raise NotImplementedError(f"{self.what} have no strata.")

    def n_telling(self, strata: np.ndarray) -> int:
        """How many patients of the strata (n,) tell candidates apart."""
        return len(strata)


class SurvivalOutcome(Outcome[SurvivalData]):
    """Survival of a cohort; held-out rows are scored by their concordance, cause by cause.

    The partial likelihood would punish a head for its slope, which a small fold hardly knows.
    """

    record, what = SurvivalData, "survival outcome"

    def __init__(self, cohort: Cohort, spec: OutcomeSpec) -> None:
        super().__init__(cohort, spec)
        seen = self.data.observed & (self.data.event > 0)
        self.horizon = float(self.data.time[seen].max())

    def predictive(
        self,
        blocks: Mapping[str, Tensor],
        target: Any,
        new: Mapping[str, Tensor],
        start: Head | None = None,
    ) -> Tensor:
        """Log relative hazards of each cause at the mode, (n, K)."""
        causes = target.causes if isinstance(target, CompetingTarget) else [target]
        heads = start.heads if isinstance(start, CauseHeads) else [start] * len(causes)
        sds = [None if head is None else head.tau for head in heads]
        eta = [
            predicted_at_mode(blocks, cause, new, start=tau, settled=SETTLED)
            for cause, tau in zip(causes, sds, strict=True)
        ]
        return torch.cat(eta, -1)

    def score(self, eta: Tensor, rows: np.ndarray) -> float:
        seen = self.data.observed[rows]
        data = self.data.subset(torch.as_tensor(rows)[seen])
        causes = [
            concordance_at_risk(data, data.outcome == k, eta[seen, k - 1])
            for k in range(1, eta.shape[1] + 1)
        ]
        return len(data.time) * float(np.mean(causes))

    def strata(self) -> np.ndarray:
        return np.where(self.data.observed.numpy(), self.data.outcome.numpy(), -1).astype(int)

    def n_telling(self, strata: np.ndarray) -> int:
        """Those with an event: who was censored is only compared with them."""
        return int((strata > 0).sum())


def concordance_at_risk(data: SurvivalData, died: Tensor, risk: Tensor) -> float:
    """Harrell's C over the pairs that were at risk together, within strata; 0.5 if there is none.

    Parameters
    ----------
    data
        Outcomes, all observed.
    died, risk
        Whose event it was (bool), and the predicted risk, (n,) each.
    """
    time = data.time
    outlived = (time > time[:, None]) | ((time == time[:, None]) & ~died)
    pairs = outlived & died[:, None]
    if data.entry is not None:
        pairs &= data.entry < time[:, None]
    if data.stratum is not None:
        pairs &= data.stratum == data.stratum[:, None]
    right = (risk[:, None] > risk).double() + 0.5 * (risk[:, None] == risk).double()
    n = int(pairs.sum())
    return float((right * pairs).sum()) / n if n else 0.5


class LabelOutcome(Outcome[LabelData]):
    """Classes of a cohort: fewer folds, as its head is the slower one."""

    record, what = LabelData, "labels"
    n_folds = 3

    def predictive(
        self,
        blocks: Mapping[str, Tensor],
        target: Any,
        new: Mapping[str, Tensor],
        start: Head | None = None,
    ) -> Tensor:
        """Draws of the logits, (S, n, C)."""
        begin = None if start is None else start.tau
        head = BlockHead.fit(blocks, target, n_sds=0, start=begin, settled=SETTLED)
        return head.sample(new, N_DRAWS, torch.Generator().manual_seed(0))

    def score(self, eta: Tensor, rows: np.ndarray) -> float:
        """Log of the mean probability of each row's class, summed."""
        codes = self.data.codes[torch.as_tensor(rows)]
        index = codes.clamp(min=0).expand(eta.shape[:-1])[..., None]
        log_probability = eta.log_softmax(-1).gather(-1, index)[..., 0].logsumexp(0)
        return float((log_probability - np.log(len(eta)))[codes >= 0].sum())

    def slope(self, eta: Tensor, rows: np.ndarray) -> float:
        """Factor of the logits with the largest score (Guo et al., ICML 2017: temperature)."""
        from scipy.optimize import minimize_scalar

        found = minimize_scalar(
            lambda log_slope: -self.score(np.exp(log_slope) * eta, rows),
            bounds=(-np.log(MAX_SLOPE), np.log(MAX_SLOPE)),
            method="bounded",
            options={"xatol": 0.01},
        )
        return float(np.exp(found.x))

    def strata(self) -> np.ndarray:
        return self.data.codes.numpy()

    def n_telling(self, strata: np.ndarray) -> int:
        """All, unless they are of one class, which tells nothing."""
        return len(strata) if len(np.unique(strata)) > 1 else 0


class TargetOutcome(Outcome[TargetData]):
    """A target of a cohort; inner folds are not asked about it."""

    record, what = TargetData, "target"


HELD_OUT: dict[str, type[Outcome[Any]]] = {
    "survival": SurvivalOutcome,
    "labels": LabelOutcome,
    "target": TargetOutcome,
}
