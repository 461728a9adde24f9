"""Encoding of technical and clinical covariates, learnt on training rows."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.data.names import quote
from mvlatent.data.obs_columns import (
    MOST_UNLIKE,
    are_numbers_in_words,
    as_numbers,
    as_text,
    is_numeric,
)

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
        ``"categorical"`` or ``"continuous"``.
    levels
        Levels of a categorical covariate on the training rows, sorted. Technical ones get a column
        each; clinical ones all but the first.
    center, scale
        Mean and sd of a continuous covariate on the training rows, missing ones filled.
    fill
        What a missing value becomes: the median (continuous) or the mode (clinical categorical).
    indicator
        Whether a column says that the value is missing.
    """

    name: str
    role: str
    kind: str
    levels: tuple[str, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    fill: float | str | None = None
    indicator: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it makes."""
        missing = (f"{self.name} (missing)",) if self.indicator else ()
        if self.kind == "continuous":
            return (self.name, *missing)
        if self.role != "clinical":
            return self.levels
        return (*(f"{self.name}={v}" for v in self.levels[1:]), *missing)

    def encode(self, column: pd.Series) -> np.ndarray:
        """Return the columns, (N, len(columns)) float32; unseen levels are named in a warning."""
        if self.kind == "continuous":
            return self._continuous(column)
        text = as_text(column)
        known = set(self.levels)
        unseen = sorted({t for t in text if t is not None and t not in known})
        if unseen:
            self._warn_unseen(unseen)
        missing = np.array([t not in known for t in text], dtype=bool)
        if self.role != "clinical":
            hot = text[:, None] == np.array(self.levels, dtype=object)
            return np.asarray(hot, dtype=np.float32)
        filled = np.where(missing, str(self.fill), text)
        dummies = filled[:, None] == np.array(self.levels[1:], dtype=object)[None, :]
        parts = [dummies, missing[:, None]] if self.indicator else [dummies]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _continuous(self, column: pd.Series) -> np.ndarray:
        values = as_numbers(column, f"{self.role} covariate {self.name!r}")
        missing = np.isnan(values)
        scaled = (np.where(missing, float(self.fill or 0.0), values) - self.center) / self.scale
        if (far := np.abs(scaled) > FAR).any():
            self._warn_far(values[far][0], column.index[far])
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
        instead = f"the mode {self.fill!r}" if self.role == "clinical" else "unknown"
        warnings.warn(
            f"{self.name!r} holds {what} that the training rows do not: {quote(unseen)}; "
            f"taken as {instead}.",
            UserWarning,
            stacklevel=5,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        return {**asdict(self), "levels": list(self.levels)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Encoder:
        """Build an encoder from what `to_dict` returned."""
        return cls(**{**state, "levels": tuple(state["levels"])})


def fit_encoder(column: pd.Series, role: str) -> tuple[Encoder | None, list[str]]:
    """Learn how to encode a covariate from its training rows.

    Parameters
    ----------
    column
        Training rows.
    role
        ``"batch"`` (always categorical), ``"technical"``, or ``"clinical"`` (numbers with two
        values count as categorical).

    Returns
    -------
    encoder, notes
        ``None`` if the column does not vary; what was imputed or dropped.

    Raises
    ------
    ValueError
        If no training row has a value, or a clinical class is another one in each patient.

    Examples
    --------
    >>> encoder, notes = fit_encoder(pd.Series([40.0, None, 50.0, 60.0], name="age"), "clinical")
    >>> encoder.columns
    ('age', 'age (missing)')
    >>> notes
    ["clinical covariate 'age': 1 missing, filled with the median 50, plus an indicator"]
    """
    text = as_text(column)
    found = sorted({t for t in text if t is not None})
    what = f"{role} covariate {str(column.name)!r}"
    if not found:
        raise ValueError(f"{what} has no value in any training row.")
    if len(found) == 1:
        return None, [f"{what}: one value only ({found[0]!r}), dropped"]
    n_missing = sum(t is None for t in text)
    continuous = role != "batch" and is_numeric(column)
    if continuous and not (role == "clinical" and len(found) == 2):
        return _fit_continuous(column, role, what, n_missing)
    if role != "clinical":
        notes = [f"{what}: {n_missing} missing, taken as unknown"] if n_missing else []
        return Encoder(str(column.name), role, "categorical", tuple(found)), notes
    if len(found) == len(text) - n_missing > MOST_UNLIKE:
        raise ValueError(f"{what} has another value in each patient: it is a name, not a class.")
    mode = max(found, key=lambda level: (text == level).sum())
    notes = [f"{what}: {n_missing} missing, filled with the mode {mode!r}, plus an indicator"]
    encoder = Encoder(
        str(column.name), role, "categorical", tuple(found), fill=mode, indicator=n_missing > 0
    )
    return encoder, [*(notes if n_missing else []), *_numbers_as_text(column, found, what)]


def _numbers_as_text(column: pd.Series, found: list[str], what: str) -> list[str]:
    """Note that words are numbers, which were taken as classes."""
    if len(found) < 3 or not are_numbers_in_words(column):
        return []
    line = f'mdata.obs["{column.name}"] = mdata.obs["{column.name}"].astype(float)'
    return [f"{what}: numbers written as text, taken as {len(found)} classes; if not: {line}"]


def _fit_continuous(
    column: pd.Series, role: str, what: str, n_missing: int
) -> tuple[Encoder, list[str]]:
    values = as_numbers(column, what)
    median = float(np.nanmedian(values))
    filled = np.where(np.isnan(values), median, values)
    note = f"{what}: {n_missing} missing, filled with the median {median:g}, plus an indicator"
    encoder = Encoder(
        str(column.name),
        role,
        "continuous",
        center=float(filled.mean()),
        scale=float(filled.std()) or 1.0,
        fill=median,
        indicator=n_missing > 0,
    )
    return encoder, [note] if n_missing else []


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
