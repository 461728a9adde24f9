"""Levels of ordinal and categorical views, as the model sees them and back."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np

from mvlatent.data.scaling import Scaler

__all__ = ["CODINGS", "OneHot", "Ordered"]


class Ordered(Scaler):
    """Whole numbers as levels from 0; levels beyond the training range become its ends.

    Examples
    --------
    >>> levels = Ordered().fit(np.array([[-2.0], [2.0]]))
    >>> levels.sizes, levels.transform(np.array([[1.0]])).item()
    ((5,), 3.0)
    """

    name = "ordered"
    arrays = ("lowest", "highest")
    lowest: np.ndarray
    highest: np.ndarray

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of the view."""
        return (int(self.highest[0] - self.lowest[0]) + 1,)

    def fit(self, x: np.ndarray) -> Ordered:
        """Learn the range of the view."""
        self.lowest = np.asarray([np.nanmin(x)], dtype=np.float64)
        self.highest = np.asarray([np.nanmax(x)], dtype=np.float64)
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the number of each level, from 0."""
        beyond = int(((x < self.lowest) | (x > self.highest)).sum())
        if beyond:
            warnings.warn(
                f"{beyond} ordinal values are beyond the levels {self.lowest[0]:g}.."
                f"{self.highest[0]:g} "
                "of the training rows and are taken as the nearest.",
                stacklevel=2,
            )
        return np.asarray(np.clip(x, self.lowest, self.highest) - self.lowest, dtype=np.float32)

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return the levels in the user's numbers (means of levels stay between them)."""
        return np.asarray(np.asarray(y) + self.lowest, dtype=np.float32)


class OneHot(Scaler):
    """A column a level of each feature; NaN in all of them where it is missing or unknown.

    Examples
    --------
    >>> levels = OneHot().fit(np.array([[1.0], [3.0]]))
    >>> levels.transform(np.array([[3.0]])).tolist(), levels.inverse(np.array([[0.8, 0.2]])).item()
    ([[0.0, 1.0]], 1.0)
    """

    name = "one_hot"
    arrays = ("level", "feature")
    level: np.ndarray
    feature: np.ndarray

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of each feature."""
        return tuple(np.bincount(self.feature).tolist())

    def columns(self, features: tuple[str, ...]) -> tuple[str, ...]:
        """Return a name for each column."""
        pairs = zip(self.feature, self.level, strict=True)
        return tuple(f"{features[f]}={level:g}" for f, level in pairs)

    def fit(self, x: np.ndarray) -> OneHot:
        """Learn the levels of each column."""
        found = [np.unique(column[~np.isnan(column)]) for column in x.T]
        self.level = np.concatenate(found).astype(np.float64)
        self.feature = np.repeat(np.arange(len(found)), [len(f) for f in found])
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return a column a level, 1 where the value is that level."""
        wide = x[:, self.feature]
        hot = np.asarray(wide == self.level, dtype=np.float32)
        known = np.zeros(x.shape, dtype=np.float32)
        np.maximum.at(known.T, self.feature, hot.T)
        unknown = int((~np.isnan(x) & (known == 0)).sum())
        if unknown:
            warnings.warn(
                f"{unknown} categorical values are levels that the training rows lack and count "
                "as missing.",
                stacklevel=2,
            )
        hot[known[:, self.feature] == 0] = np.nan
        return hot

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return the most probable level of each feature in the user's numbers."""
        y = np.asarray(y)
        starts = np.r_[0, np.cumsum(self.sizes)]
        best = [y[:, a:b].argmax(axis=1) + a for a, b in pairwise(starts)]
        return np.asarray(self.level[np.stack(best, axis=1)], dtype=np.float32)


CODINGS: dict[str, type[Scaler]] = {coding.name: coding for coding in (Ordered, OneHot)}
"""Codings of levels by the name that a likelihood declares."""
