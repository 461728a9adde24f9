"""What is known of a patient beforehand: library size of counts, burden of mutations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

__all__ = ["Exposure"]

LEAST = 0.5  # total of a row without any count


@dataclass(frozen=True, eq=False)
class Exposure:
    r"""Log total of a row's values around its mean on the training rows.

    A library size is a weighted total: a feature of mean m weighs 1 / (1 + m), the precision of a
    count whose sd is as large as its mean, lest a few abundant features make it up. Totals of rare
    counts are plain ones. Where entries are missing, the total is divided by the share that
    the other entries have on the training rows.

    Attributes
    ----------
    weight
        Weight of each feature, (p,).
    profile
        Share of each feature in the total of all training rows, (p,).
    mean
        Mean of the log totals of the training rows, (1,).

    Examples
    --------
    >>> exposure = Exposure.fit(np.array([[1.0, 3.0], [2.0, 6.0]], dtype=np.float32))
    >>> exposure.of(np.array([[2.0, np.nan]], dtype=np.float32)).round(3).item()
    0.347
    """

    arrays: ClassVar[tuple[str, ...]] = ("weight", "profile", "mean")
    weight: np.ndarray
    profile: np.ndarray
    mean: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray | sparse.csr_matrix, *, plain: bool = False) -> Exposure:
        """Learn from training rows (n, p), NaN where missing; ``plain`` weighs all alike."""
        if sparse.issparse(x):
            means = np.asarray(x.mean(axis=0), dtype=np.float64).ravel()
        else:
            means = np.nanmean(x.astype(np.float64), axis=0)
        weight = np.ones_like(means) if plain else 1.0 / (1.0 + means)
        profile = means * weight / max((means * weight).sum(), 1e-12)
        logs = cls(weight, profile, np.zeros(1)).of(x)
        return cls(weight, profile, logs.mean(keepdims=True))

    def of(self, x: np.ndarray | sparse.csr_matrix) -> np.ndarray:
        """Return the exposure of each row, (n,); 0 where a row has no value at all."""
        if sparse.issparse(x):
            total, share = x @ self.weight, np.ones(x.shape[0])
        else:
            seen = ~np.isnan(x)
            total, share = np.where(seen, x, 0.0) @ self.weight, seen @ self.profile
        logs = np.log(np.maximum(total, LEAST)) - np.log(np.maximum(share, 1e-6))
        return np.where(share > 0, logs - self.mean, 0.0)

    def state(self) -> dict[str, np.ndarray]:
        """Return the learnt arrays by name."""
        return {name: np.asarray(getattr(self, name), dtype=np.float64) for name in self.arrays}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Exposure:
        """Build an exposure from what `state` returned."""
        return cls(*(np.asarray(state[name]) for name in cls.arrays))
