"""Encoding of technical and clinical covariates, learnt on training rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.data.column_kinds import check_classes, kind_notes, kind_of, places
from mvlatent.data.names import quote
from mvlatent.data.obs_columns import as_numbers, as_text, ordered_levels
from mvlatent.data.taken import sentinel_notes, taken_as

__all__ = ["Encoder", "encode_all", "fit_encoder", "fit_encoders"]

FAR = 1000.0  # standard deviations of the training rows: no value, but a slip of the pen


@dataclass(frozen=True)
class Encoder:
    """How one covariate becomes columns of a matrix.

    Attributes
    ----------
    name
        Column of ``obs``.
    role
        ``"batch"``, ``"technical"`` or ``"clinical"``.
    kind
        ``"categorical"``, ``"continuous"`` or ``"ordered"`` (classes in an order: their places).
    levels
        Levels of a categorical covariate on the training rows, sorted. Technical ones get a column
        each; clinical ones all but the first. Of ordered classes all levels, from low to high.
    center, scale
        Mean and sd of a continuous covariate on the training rows, missing ones filled.
    fill
        What a missing value becomes: the median (continuous) or the mode (clinical categorical).
    indicator
        Whether a column says that the value is missing.
    counts, missing
        Training patients of each level, and those without a value, for the summary.
    """

    name: str
    role: str
    kind: str
    levels: tuple[str, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    fill: float | str | None = None
    indicator: bool = False
    counts: tuple[int, ...] = ()
    missing: int = 0

    @property
    def taken(self) -> str:
        """What the column was taken as, for the summary."""
        if self.kind == "continuous":
            more = f"mean {self.center:.4g}, sd {self.scale:.3g}"
            return f"a number ({more}), {self.missing or 'none'} missing"
        ordered = self.kind == "ordered"
        kind = (
            f"an order of {len(self.levels)} levels" if ordered else f"{len(self.levels)} classes"
        )
        return taken_as(kind, self.levels, self.counts, self.missing, ordered=ordered)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it makes."""
        missing = (f"{self.name} (missing)",) if self.indicator else ()
        if self.kind in ("continuous", "ordered"):
            return (self.name, *missing)
        if self.role != "clinical":
            return self.levels
        return (*(f"{self.name}={v}" for v in self.levels[1:]), *missing)

    def encode(self, column: pd.Series) -> np.ndarray:
        """Return the columns, (N, len(columns)) float32; unseen levels are named in a warning."""
        if self.kind == "continuous":
            what = f"{self.role} covariate {self.name!r}"
            return self._scaled(as_numbers(column, what, bounds=True), column.index)
        text = as_text(column, known=self.levels)
        known = set(self.levels)
        unseen = sorted({t for t in text if t is not None and t not in known})
        if unseen:
            self._warn_unseen(unseen)
        if self.kind == "ordered":
            return self._scaled(places(text, self.levels), column.index)
        missing = np.array([t not in known for t in text], dtype=bool)
        if self.role != "clinical":
            hot = text[:, None] == np.array(self.levels, dtype=object)
            return np.asarray(hot, dtype=np.float32)
        filled = np.where(missing, str(self.fill), text)
        dummies = filled[:, None] == np.array(self.levels[1:], dtype=object)[None, :]
        parts = [dummies, missing[:, None]] if self.indicator else [dummies]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _scaled(self, values: np.ndarray, patients: pd.Index) -> np.ndarray:
        missing = np.isnan(values)
        scaled = (np.where(missing, float(self.fill or 0.0), values) - self.center) / self.scale
        if (far := np.abs(scaled) > FAR).any():
            self._warn_far(values[far][0], patients[far])
            scaled = np.clip(scaled, -FAR, FAR)
        parts = [scaled, missing] if self.indicator else [scaled]
        return np.stack(parts, axis=1).astype(np.float32)

    def _warn_far(self, value: float, patients: pd.Index) -> None:
        warnings.warn(
            f"{self.role} covariate {self.name!r} is {value:g} for "
            f"{quote(patients)}, more than {FAR:g} standard deviations from the training rows; "
            f"taken as {FAR:g} of them: check the unit.",
            UserWarning,
            stacklevel=6,
        )

    def _warn_unseen(self, unseen: list[str]) -> None:
        what = "sites" if self.role == "batch" else "levels"
        filled = self.levels[int(float(self.fill or 0))] if self.kind == "ordered" else self.fill
        instead = f"the mode {filled!r}" if self.role == "clinical" else "unknown"
        instead = instead.replace("mode", "median") if self.kind == "ordered" else instead
        warnings.warn(
            f"{self.name!r} holds {what} that the training rows do not: {quote(unseen)}; "
            f"taken as {instead}.",
            UserWarning,
            stacklevel=5,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        return {**asdict(self), "levels": list(self.levels), "counts": list(self.counts)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Encoder:
        """Build an encoder from what `to_dict` returned."""
        tuples = {name: tuple(state[name]) for name in ("levels", "counts")}
        return cls(**{**state, **tuples})


def fit_encoder(column: pd.Series, role: str) -> tuple[Encoder | None, list[str]]:
    """Learn how to encode a covariate from its training rows.

    Parameters
    ----------
    column
        Training rows.
    role
        ``"batch"`` (always categorical), ``"technical"``, or ``"clinical"`` (numbers with two
        values count as categorical, ordered classes as the places of their levels).

    Returns
    -------
    encoder, notes
        ``None`` if the column does not vary; what was imputed or dropped.

    Raises
    ------
    ValueError
        If no training row has a value, a clinical class is another one in each patient, or it holds
        dates. What all patients must have is asked on registration, see `check_covariate`.

    Examples
    --------
    >>> encoder, notes = fit_encoder(pd.Series([40.0, None, 50.0, 60.0], name="age"), "clinical")
    >>> encoder.columns
    ('age', 'age (missing)')
    >>> notes
    ["clinical covariate 'age': 1 missing, filled with the median 50, plus an indicator"]
    """
    what = f"{role} covariate {str(column.name)!r}"
    text = as_text(column)
    found = sorted({t for t in text if t is not None})
    if not found:
        raise ValueError(f"{what} has no value in any training row.")
    if len(found) == 1:
        return None, [f"{what}: one value only ({found[0]!r}), dropped"]
    kind = kind_of(column, role)
    said = kind_notes(column, role, kind, what)
    n_missing = sum(t is None for t in text)
    if kind == "continuous":
        values = as_numbers(column, what, bounds=True)
        said += sentinel_notes(column, values, what)
        return _fit_scaled(column, role, kind, values, (said, what))
    if kind == "ordered":
        levels = tuple(t for t in ordered_levels(column) or () if t in found)
        return _fit_scaled(column, role, kind, places(text, levels), (said, what), levels)
    encoder = Encoder(str(column.name), role, kind, tuple(found), missing=n_missing)
    encoder = replace(encoder, counts=tuple(int((text == t).sum()) for t in found))
    if role != "clinical":
        filled = [f"{what}: {n_missing} missing, taken as unknown"] if n_missing else []
        return encoder, [*filled, *said]
    check_classes(encoder.counts, what)
    mode = max(found, key=lambda level: (text == level).sum())
    notes = [f"{what}: {n_missing} missing, filled with the mode {mode!r}, plus an indicator"]
    encoder = replace(encoder, fill=mode, indicator=n_missing > 0)
    return encoder, [*(notes if n_missing else []), *said]


def _fit_scaled(
    column: pd.Series,
    role: str,
    kind: str,
    values: np.ndarray,
    words: tuple[list[str], str],
    levels: tuple[str, ...] = (),
) -> tuple[Encoder, list[str]]:
    """Scale numbers, or the places of ordered levels, (n,)."""
    missing = np.isnan(values)
    n_missing = int(missing.sum())
    median = float(np.nanmedian(values))
    if levels:  # one of them, not between two
        median = float(np.floor(median))
    filled = np.where(missing, median, values)
    said, what = words
    shown = repr(levels[int(median)]) if levels else f"{median:g}"
    note = f"{what}: {n_missing} missing, filled with the median {shown}, plus an indicator"
    encoder = Encoder(
        str(column.name),
        role,
        kind,
        levels,
        center=float(filled.mean()),
        scale=float(filled.std()) or 1.0,
        fill=median,
        indicator=n_missing > 0,
        counts=tuple(int((values == place).sum()) for place in range(len(levels))),
        missing=n_missing,
    )
    return encoder, [*([note] if n_missing else []), *said]


def fit_encoders(
    obs: pd.DataFrame, columns: Iterable[tuple[str, str]]
) -> tuple[tuple[Encoder, ...], list[str]]:
    """Learn the encoders of columns and their roles, without those that do not vary; also notes."""
    encoders, said = [], []
    for key, role in columns:
        encoder, notes = fit_encoder(obs[key], role)
        said += notes
        if encoder is not None:
            encoders.append(encoder)
    return tuple(encoders), said


def encode_all(obs: pd.DataFrame, encoders: Iterable[Encoder]) -> np.ndarray:
    """Return the columns of all covariates, (N, c) float32; NaN where a column is not there."""
    parts = [np.zeros((len(obs), 0), dtype=np.float32)]
    for e in encoders:
        unknown = np.full((len(obs), len(e.columns)), np.nan, dtype=np.float32)
        parts.append(e.encode(obs[e.name]) if e.name in obs else unknown)
    return np.concatenate(parts, axis=1)
