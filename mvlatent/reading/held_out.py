"""Outcomes as inner folds see them: fitted on some patients, scored on the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, LabelData, SurvivalData, TargetData
from mvlatent.outcomes.causes import Head
from mvlatent.outcomes.labels import Categorical
from mvlatent.outcomes.likelihoods import outcome_target
from mvlatent.specs import Survival, Target

__all__ = ["LabelOutcome", "Outcome", "SurvivalOutcome", "TargetOutcome", "concordance_at_risk"]

N_DRAWS = 64  # of held-out logits
MAX_SLOPE = 8.0  # of logits, either way


class Outcome(Protocol):
    """An outcome that can be fitted on some patients and scored on others."""

    horizon: float
    n_folds: int

    def target(self, rows: np.ndarray | None = None) -> Any:
        """Likelihood bound to the outcomes of the rows (all by default)."""
        ...

    def predictive(self, head: Head, blocks: Mapping[str, Tensor]) -> Tensor:
        """What held-out rows are scored by: linear predictors (n, C), or draws of them."""
        ...

    def score(self, eta: Tensor, rows: np.ndarray) -> float:
        """Score of held-out rows for what is predicted of them, summed over patients."""
        ...

    def slope(self, eta: Tensor, rows: np.ndarray) -> float:
        """Factor of the predictors that all held-out rows together ask for; 1 for most kinds."""
        ...

    def strata(self) -> np.ndarray:
        """What the folds are balanced by, (N,) int; -1 where there is no outcome."""
        ...

    def n_telling(self, strata: np.ndarray) -> int:
        """How many patients of the strata (n,) tell candidates apart."""
        ...


def mean_predictor(head: Head, blocks: Mapping[str, Tensor]) -> Tensor:
    """Posterior mean of the linear predictor, (n, C)."""
    return head.predict(blocks)[0]


def no_slope(eta: Tensor, rows: np.ndarray) -> float:
    """One: the predictors stay as they are."""
    return 1.0


class SurvivalOutcome:
    """Survival of a cohort; held-out rows are scored by their concordance, cause by cause.

    The partial likelihood would punish a head for its slope, which a small fold hardly knows.
    """

    n_folds = 5

    def __init__(self, cohort: Cohort, spec: Survival, name: str | None = None) -> None:
        data = cohort.outcome(SurvivalData, name)
        if data is None:
            raise ValueError("the cohort has no survival outcome.")
        self.data, self.spec = data, spec
        seen = self.data.observed & (self.data.event > 0)
        self.horizon = float(self.data.time[seen].max())

    def target(self, rows: np.ndarray | None = None) -> Any:
        data = self.data if rows is None else self.data.subset(torch.as_tensor(rows))
        return outcome_target(data, self.spec)

    def score(self, eta: Tensor, rows: np.ndarray) -> float:
        seen = self.data.observed[rows]
        data = self.data.subset(torch.as_tensor(rows)[seen])
        causes = [
            concordance_at_risk(data, data.outcome == k, eta[seen, k - 1])
            for k in range(1, eta.shape[1] + 1)
        ]
        return len(data.time) * float(np.mean(causes))

    predictive, slope = staticmethod(mean_predictor), staticmethod(no_slope)

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


class LabelOutcome:
    """Classes of a cohort: fewer folds, as its head is the slower one."""

    horizon: float = 0.0
    n_folds = 3

    def __init__(self, cohort: Cohort, name: str | None = None) -> None:
        labels = cohort.outcome(LabelData, name)
        if labels is None:
            raise ValueError("the cohort has no labels.")
        self.data, self.codes = labels, labels.codes

    def target(self, rows: np.ndarray | None = None) -> Any:
        data = self.data if rows is None else self.data.subset(torch.as_tensor(rows))
        return Categorical.from_data(data).target(data)

    def predictive(self, head: Head, blocks: Mapping[str, Tensor]) -> Tensor:
        """Draws of the logits, (S, n, C)."""
        return head.sample(blocks, N_DRAWS, torch.Generator().manual_seed(0))

    def score(self, eta: Tensor, rows: np.ndarray) -> float:
        """Log of the mean probability of each row's class, summed."""
        codes = self.codes[torch.as_tensor(rows)]
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
        return self.codes.numpy()

    def n_telling(self, strata: np.ndarray) -> int:
        """All, unless they are of one class, which tells nothing."""
        return len(strata) if len(np.unique(strata)) > 1 else 0


class TargetOutcome:
    """A target of a cohort: continuous values are scored by R², levels by their order.

    The order is the share of pairs of different levels that the predictor puts right.
    """

    horizon: float = 0.0
    n_folds = 5

    def __init__(self, cohort: Cohort, spec: Target, name: str | None = None) -> None:
        data = cohort.outcome(TargetData, name)
        if data is None:
            raise ValueError("the cohort has no target.")
        self.data, self.spec = data, spec
        self._spread = float(data.value[data.observed].var(correction=0))

    def target(self, rows: np.ndarray | None = None) -> Any:
        data = self.data if rows is None else self.data.subset(torch.as_tensor(rows))
        return outcome_target(data, self.spec)

    def score(self, eta: Tensor, rows: np.ndarray) -> float:
        data = self.data.subset(torch.as_tensor(rows))
        value, eta = data.value[data.observed].double(), eta[data.observed, 0].double()
        if not data.levels:
            return float((1 - (value - eta).square() / self._spread).sum())
        higher = value[:, None] > value
        right = (eta[:, None] > eta).double() + 0.5 * (eta[:, None] == eta).double()
        pairs = int(higher.sum())
        return len(value) * (float((right * higher).sum()) / pairs if pairs else 0.5)

    predictive, slope = staticmethod(mean_predictor), staticmethod(no_slope)

    def strata(self) -> np.ndarray:
        """Thirds of the values, as far as they are told apart."""
        observed, value = self.data.observed.numpy(), self.data.value.numpy()
        cuts = np.unique(np.quantile(value[observed], [1 / 3, 2 / 3]))
        return np.where(observed, np.searchsorted(cuts, value), -1)

    def n_telling(self, strata: np.ndarray) -> int:
        """All of them."""
        return len(strata)
