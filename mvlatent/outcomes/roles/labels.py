"""Class labels: log-likelihood of held-out patients, class probabilities and their words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.outcome_data import LabelData
from mvlatent.outcomes.labels import LABELS
from mvlatent.outcomes.role import Estimates, OutcomeRole, Reading, ReportedHeads, level_columns
from mvlatent.specs import Labels

__all__ = ["LabelRole"]

MAX_SLOPE = 8.0  # of logits, either way


class LabelRole(OutcomeRole[Labels, LabelData]):
    """Classes: fewer folds, as their head is the slower one."""

    likelihoods = LABELS
    n_folds: ClassVar[int] = 3
    n_draws: ClassVar[int] = 64
    sloped: ClassVar[bool] = True
    max_scores: ClassVar[int | None] = 64  # a class is not hidden in hundreds of directions

    # --- held-out rows ----------------------------------------------------------------------------

    def strata(self, data: LabelData) -> np.ndarray:
        """The classes."""
        return data.codes.numpy()

    def n_telling(self, strata: np.ndarray) -> int:
        """All, unless they are of one class, which tells nothing."""
        return len(strata) if len(np.unique(strata)) > 1 else 0

    def score(self, data: LabelData, eta: Tensor) -> float:
        """Log of the mean probability of each row's class over draws (S, n, C), summed."""
        codes = data.codes
        index = codes.clamp(min=0).expand(eta.shape[:-1])[..., None]
        log_probability = eta.log_softmax(-1).gather(-1, index)[..., 0].logsumexp(0)
        return float((log_probability - np.log(len(eta)))[codes >= 0].sum())

    def slope(self, data: LabelData, eta: Tensor) -> float:
        """Factor of the logits with the largest score (Guo et al., ICML 2017: temperature)."""
        from scipy.optimize import minimize_scalar

        found = minimize_scalar(
            lambda log_slope: -self.score(data, np.exp(log_slope) * eta),
            bounds=(-np.log(MAX_SLOPE), np.log(MAX_SLOPE)),
            method="bounded",
            options={"xatol": 0.01},
        )
        return float(np.exp(found.x))

    # --- predictions ------------------------------------------------------------------------------

    def probabilities(self, read: Reading) -> np.ndarray:
        """Posterior mean probabilities of the classes, (n, C)."""
        slope = read.heads.slopes[read.blocks]
        parts = [
            (slope * head.sample(features, read.n_samples, generator)).softmax(-1).mean(0)
            for _, head, features, generator in read.draws()
        ]
        return torch.cat(parts).numpy()

    def columns(self, read: Reading) -> dict[str, Any]:
        """The most probable class and the probability of each."""
        what, classes = f"mvlatent_label{read.end}", read.coder.categories
        return level_columns(what, read.end, classes, self.probabilities(read))

    def table(self, read: Reading) -> dict[str, Any]:
        """Classes and the most probable ones."""
        classes = np.array([*read.data.categories, None], dtype=object)
        likeliest = self.probabilities(read).argmax(1)
        return {
            f"label{read.end}": classes[read.data.codes.numpy()],
            f"predicted_label{read.end}": classes[likeliest],
        }

    # --- words ------------------------------------------------------------------------------------

    def remarks(self, heads: ReportedHeads, technical: Iterable[str]) -> Iterator[str]:
        """What inner folds made of the logits."""
        if heads.slopes["full"] != 1:
            yield f"  logits times {heads.slopes['full']:.2f}, as inner folds ask for"

    def estimates(self, found: Estimates) -> list[str]:
        """Accuracy."""
        return [f"accuracy of {self.spec.name}: {found.accuracy(self.spec.name):.3f}"]
