"""Per-feature scaling learnt on training rows, and its inverse on the way out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from scipy.special import ndtr, ndtri

__all__ = ["SCALERS", "Identity", "Log1p", "RankNormal", "Scaler", "ZScore", "make_scaler"]

N_KNOTS = 256
CHUNK = 1024
CLIP = 5.0
MOST = np.float32(1e15)  # of a value without scaling: sums of squares stay finite in float32


class Scaler(ABC):
    """A transform of each column of an (n, p) array; NaN stays NaN.

    Every scaler is `fit` on training rows, and its arrays go to and from disk by `state` and
    `from_state`.
    """

    name: ClassVar[str]
    arrays: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fit(self, x: np.ndarray) -> Scaler:
        """Learn from training rows x (n, p), NaN where missing; each column varies."""

    @abstractmethod
    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return x (n, p) in the scaled units, float32."""

    @abstractmethod
    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return scaled y (n, p) in the user's units, float32."""

    def refused(self, x: np.ndarray) -> np.ndarray:
        """Return which columns of x (n, p) hold values this scaler cannot take, (p,) bool."""
        return np.zeros(x.shape[1], dtype=bool)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of levels: none but of a coding of levels."""
        return ()

    def columns(self, features: tuple[str, ...]) -> tuple[str, ...]:
        """Return a name for each column of the scaled values."""
        return features

    def state(self) -> dict[str, np.ndarray]:
        """Return the learnt arrays by name."""
        return {name: getattr(self, name) for name in self.arrays}

    @classmethod
    def from_state(cls, state: dict[str, np.ndarray]) -> Scaler:
        """Build a scaler from what `state` returned."""
        scaler = cls()
        for name in cls.arrays:
            setattr(scaler, name, np.asarray(state[name]))
        return scaler


class Identity(Scaler):
    """No change, of values that need none (counts, shares, zeros and ones)."""

    name = "none"

    def fit(self, x: np.ndarray) -> Identity:
        """Learn nothing."""
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return x as float32, within what its square can bear."""
        with np.errstate(over="ignore"):
            values = np.asarray(x, dtype=np.float32)
        if values.size and max(-np.nanmin(values, initial=0), np.nanmax(values, initial=0)) > MOST:
            return np.clip(values, -MOST, MOST)
        return values

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return y as float32."""
        return np.asarray(y, dtype=np.float32)


class ZScore(Scaler):
    """Mean 0 and sd 1 on the training rows, clipped at ±5 (which the inverse does not undo).

    Examples
    --------
    >>> ZScore().fit(np.array([[0.0], [2.0]])).transform(np.array([[3.0]])).item()
    2.0
    """

    name = "zscore"
    arrays = ("mean", "sd")
    mean: np.ndarray
    sd: np.ndarray

    def fit(self, x: np.ndarray) -> ZScore:
        """Learn the mean and sd of each column."""
        values = np.asarray(x, dtype=np.float64)
        self.mean, self.sd = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        self.sd[~(self.sd > 0)] = 1.0
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the clipped z-scores."""
        return np.asarray(np.clip((x - self.mean) / self.sd, -CLIP, CLIP), dtype=np.float32)

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return y · sd + mean."""
        return np.asarray(y * self.sd + self.mean, dtype=np.float32)


class Log1p(ZScore):
    """log(1 + x), then `ZScore`; x must not be negative."""

    name = "log1p"

    def refused(self, x: np.ndarray) -> np.ndarray:
        """Return which columns hold a negative value."""
        return np.asarray((x < 0).any(axis=0))

    def fit(self, x: np.ndarray) -> Log1p:
        """Learn the mean and sd of the logarithms."""
        super().fit(np.log1p(x))
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the clipped z-scores of the logarithms."""
        return super().transform(np.log1p(x))

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return exp(y · sd + mean) - 1, never negative."""
        return np.asarray(np.maximum(np.expm1(super().inverse(y)), 0.0), dtype=np.float32)


def _mid_ranks(ordered: np.ndarray, n_valid: np.ndarray) -> np.ndarray:
    """Return (below + below or equal) / 2n for each entry of columns sorted with NaN last."""
    index = np.arange(len(ordered), dtype=np.int32)[:, None]
    ranks: np.ndarray = (index + 0.5) / n_valid
    tied = (ordered[1:] == ordered[:-1]).any(axis=0)
    if tied.any():
        ranks[:, tied] = _tied_mid_ranks(ordered[:, tied], index) / n_valid[tied]
    return ranks


def _tied_mid_ranks(ordered: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the mean of the first and one past the last place of each entry's run of ties."""
    new = np.ones(ordered.shape, dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(new, index, 0), axis=0)
    end = np.full(ordered.shape, len(ordered), dtype=np.int32)
    end[:-1] = np.where(new[1:], index[1:], len(ordered))
    end = np.minimum.accumulate(end[::-1], axis=0)[::-1]
    return (first + end) / 2.0


def _columnwise(x: np.ndarray, at: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Interpolate each column of x (n, p) through knots ``at`` -> ``to`` (K, p)."""
    out = np.empty(x.shape, dtype=np.float32)
    for start in range(0, x.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        columns = [np.ascontiguousarray(a[:, part].T, dtype=np.float64) for a in (x, at, to)]
        out[:, part] = np.stack([np.interp(*c) for c in zip(*columns, strict=True)], axis=1)
    return out


class RankNormal(Scaler):
    """Ranks to Normal quantiles, per feature, kept as at most 256 knots.

    The empirical distribution function of the training rows (mid-ranks for ties) is mapped through
    the Normal quantile function and standardised to mean 0 and sd 1 on those rows. Both directions
    are piecewise linear between the knots and saturate at the training range.

    References
    ----------
    Van der Waerden scores; Conover (1999), Practical Nonparametric Statistics, ch. 5.

    Examples
    --------
    >>> scaler = RankNormal().fit(np.array([[1.0], [10.0], [1000.0]]))
    >>> [round(v, 2) for v in scaler.transform(np.array([[10.0], [1e9]])).ravel().tolist()]
    [0.0, 1.22]
    """

    name = "rank_normal"
    arrays = ("knots", "scores")
    knots: np.ndarray
    scores: np.ndarray

    def fit(self, x: np.ndarray) -> RankNormal:
        """Learn the knots of each column."""
        p = x.shape[1]
        pairs = [self._fit_chunk(x[:, i : i + CHUNK]) for i in range(0, p, CHUNK)]
        depth = max((len(k) for k, _ in pairs), default=1)
        padded = [
            [np.pad(a, ((0, depth - len(a)), (0, 0)), mode="edge") for a in pair] for pair in pairs
        ]
        empty = np.zeros((depth, 0), dtype=np.float32)
        self.knots = np.concatenate([empty, *(k for k, _ in padded)], axis=1)
        self.scores = np.concatenate([empty, *(s for _, s in padded)], axis=1)
        return self

    @staticmethod
    def _fit_chunk(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ordered = np.sort(np.asarray(x, dtype=np.float32), axis=0)
        n_valid = (~np.isnan(ordered)).sum(axis=0)
        depth = int(min(N_KNOTS, n_valid.max(initial=1)))
        ranks = _mid_ranks(ordered, np.maximum(n_valid, 1))
        at = _knot_places(np.maximum(n_valid, 1), depth)
        knots, scores = _distinct(
            np.take_along_axis(ordered, at, axis=0), ndtri(np.take_along_axis(ranks, at, axis=0))
        )
        fitted = _columnwise(ordered, knots, scores).astype(np.float64)
        mean, sd = np.nanmean(fitted, axis=0), np.nanstd(fitted, axis=0)
        sd[~(sd > 0)] = 1.0
        return knots, ((scores - mean) / sd).astype(np.float32)

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the normal scores; values beyond the training range saturate."""
        return _columnwise(x, self.knots, self.scores)

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return the values whose normal scores are y; saturates at the training range."""
        return _columnwise(y, self.scores, self.knots)


def _knot_places(n: np.ndarray, depth: int) -> np.ndarray:
    """Return which of n (p,) sorted values become knots, (depth, p) int64.

    All of them where they fit; else even in normal scores, so that heavy tails keep theirs.
    """
    grid = np.linspace(-1.0, 1.0, depth)[:, None]
    even = (grid + 1.0) / 2.0 * (n - 1)
    spaced = ndtr(grid * ndtri(1.0 - 0.5 / n)) * n - 0.5
    places = np.rint(np.where(n > depth, spaced, even))
    return np.asarray(np.clip(places, 0, n - 1), dtype=np.int64)


def _distinct(knots: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop repeated knots of each column; shorter columns repeat their last one."""
    new = np.ones(knots.shape, dtype=bool)
    new[1:] = knots[1:] != knots[:-1]
    place = np.cumsum(new, axis=0) - 1
    depth = int(place[-1].max(initial=0)) + 1
    columns = np.broadcast_to(np.arange(knots.shape[1]), knots.shape)
    packed = []
    for values in (knots, scores):
        out = np.repeat(values[-1:], depth, axis=0)
        out[place, columns] = values
        packed.append(out)
    return packed[0], packed[1]


SCALERS: dict[str, type[Scaler]] = {c.name: c for c in (RankNormal, ZScore, Log1p, Identity)}


def make_scaler(name: str) -> Scaler:
    """Return a new scaler of that name.

    Raises
    ------
    KeyError
        If there is no such scaler.
    """
    if name not in SCALERS:
        raise KeyError(f"no scaling {name!r}; the scalings are {', '.join(SCALERS)}.")
    return SCALERS[name]()
