"""Targets: values of continuous ones in the user's units, probabilities of ordered levels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mvlatent.data.outcome_data import TargetData
from mvlatent.data.units import Prediction, through
from mvlatent.outcomes.likelihoods import TARGETS
from mvlatent.outcomes.role import Estimates, OutcomeRole, Reading, level_columns
from mvlatent.specs import Target

__all__ = ["TargetRole"]


class TargetRole(OutcomeRole[Target, TargetData]):
    """Targets; inner folds are not asked about them, and their columns always bear their names."""

    likelihoods = TARGETS

    @property
    def kind(self) -> str:
        return self.spec.kind

    # --- predictions ------------------------------------------------------------------------------

    def probabilities(self, read: Reading) -> np.ndarray:
        """Posterior mean probabilities of ordered levels, (n, L)."""
        parts = []
        for _, head, features, generator in read.draws():
            eta, moved = head.joint_draws(features, read.n_samples, generator)
            parts.append(head.baseline.probabilities(eta[..., 0], moved).mean(0))
        return torch.cat(parts).numpy()

    def values(self, read: Reading, level: float | None = None) -> Prediction:
        """Predictive mean and sd of a new measurement, (n,), and with a level its interval."""
        mean = read.predict()[:, 0]
        variance = torch.empty_like(mean)
        for rows, head, features, generator in read.draws():
            eta, moved = head.joint_draws(features, read.n_samples, generator)
            value = eta[..., 0] + head.baseline.level(moved)
            variance[rows] = value.var(0) + head.baseline.noise(moved).square().mean()
        return through(mean.numpy(), variance.sqrt().numpy(), read.coder.inverse, level)

    def columns(self, read: Reading) -> dict[str, Any]:
        """The value, or the most probable level and the probability of each."""
        name = self.spec.name
        what = f"mvlatent_target_{name}"
        if not self.spec.ordered:
            return {what: self.values(read).mean}
        return level_columns(what, f"_{name}", read.coder.levels, self.probabilities(read))

    def table(self, read: Reading) -> dict[str, Any]:
        """Values in the user's units, or levels, and those that are predicted."""
        value, seen = read.data.value.numpy(), read.data.observed.numpy()
        if self.spec.ordered:
            levels = np.array([*read.coder.levels, None], dtype=object)
            known = levels[np.where(seen, value, -1).astype(int)]
            predicted: Any = levels[self.probabilities(read).argmax(1)]
        else:
            known = np.where(seen, read.coder.inverse(value), np.nan)
            predicted = self.values(read).mean
        name = self.spec.name
        return {f"target_{name}": known, f"predicted_target_{name}": predicted}

    # --- words ------------------------------------------------------------------------------------

    def estimates(self, found: Estimates) -> list[str]:
        """Accuracy of levels, or explained variance of values."""
        name = self.spec.name
        if self.spec.ordered:
            return [f"accuracy of {name}: {found.accuracy(name):.3f}"]
        return [f"R² of {name}: {found.r2(name):.3f}"]
