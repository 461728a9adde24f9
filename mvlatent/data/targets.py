"""Ordinal and continuous targets: their levels or scaling, learnt on training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from mvlatent.data.coding import code_labels
from mvlatent.data.names import quote
from mvlatent.data.obs_columns import as_numbers, as_text, ordered_levels
from mvlatent.data.outcome_data import TargetData
from mvlatent.data.scaling import SCALERS, Scaler, make_scaler
from mvlatent.data.tables import Tables
from mvlatent.specs import Target

__all__ = ["TargetCoder", "target_levels", "target_values"]


def target_values(column: pd.Series, spec: Target) -> np.ndarray:
    """Return the values of a continuous target, (n, 1) float64, NaN where missing.

    Raises
    ------
    ValueError
        If a value is not a number, or the column never varies.
    """
    what = f"target {spec.column!r}"
    try:
        values = as_numbers(column, what)
    except ValueError as error:
        raise ValueError(f"{str(error).rstrip('.')}; take kind='ordinal' or mv.Labels.") from None
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError(f"{what} has no value in any row.")
    if known.min() == known.max():
        raise ValueError(f"{what} has one value only ({known[0]:g}).")
    return values[:, None]


def target_levels(column: pd.Series, spec: Target) -> tuple[tuple[str, ...], str]:
    """Return the levels among the training rows from low to high, and where the order is from.

    Raises
    ------
    ValueError
        If fewer than two levels have a row, or a value is not among the levels given.

    Examples
    --------
    >>> target_levels(pd.Series([10, 2, 2]), Target("grade", kind="ordinal"))
    (('2', '10'), 'of numbers')
    """
    text, what = as_text(column), f"target {spec.column!r}"
    found = sorted({t for t in text if t is not None})
    if len(found) < 2:
        has = f"one level only ({found[0]!r})" if found else "no value in any row"
        raise ValueError(f"{what} has {has}.")
    if spec.levels is not None:
        strange = [t for t in found if t not in spec.levels]
        if strange:
            levels = ", ".join(map(repr, spec.levels))
            raise ValueError(f"{what} holds {quote(strange)}, which is not among levels {levels}.")
        return tuple(level for level in spec.levels if level in found), "as given"
    if (order := ordered_levels(column)) is not None:
        return tuple(t for t in order if t in found), "of the ordered categories"
    try:
        return tuple(sorted(found, key=float)), "of numbers"
    except ValueError:
        return tuple(found), "of the alphabet"


@dataclass(frozen=True, eq=False)
class TargetCoder:
    """What a target was taken as.

    Attributes
    ----------
    levels
        Ordered levels; empty for a continuous target.
    scaler
        Scaling of a continuous target.
    """

    levels: tuple[str, ...] = ()
    scaler: Scaler | None = None

    @classmethod
    def check(
        cls, spec: Target, obs: pd.DataFrame, *, others: pd.DataFrame, shared: frozenset[str]
    ) -> None:
        """Raise ValueError if the column is not what its kind needs."""
        cls.fit(spec, obs, f"target {spec.name}", shared=shared)

    @classmethod
    def fit(
        cls, spec: Target, obs: pd.DataFrame, what: str, *, shared: frozenset[str]
    ) -> tuple[TargetCoder, list[str]]:
        """Learn from training rows; also notes on what was guessed.

        Raises
        ------
        ValueError
            If the column is not what its kind needs.
        """
        column = obs[spec.column]
        if spec.ordered:
            levels, order = target_levels(column, spec)
            missing = sum(t is None for t in as_text(column))
            notes = [f"{what}: {' < '.join(levels)}, the order {order}"]
            prepared = cls(levels=levels)
        else:
            values = target_values(column, spec)
            scaler = make_scaler(str(spec.scaling))
            if scaler.refused(values).any():
                raise ValueError(f"{what} holds negative values, which {spec.scaling} cannot take.")
            known = values[~np.isnan(values[:, 0])]
            missing, notes = len(values) - len(known), []
            prepared = cls(scaler=scaler.fit(known))
        if missing:
            notes.append(f"{what}: {missing} of {len(obs)} patients have no value")
        return prepared, notes

    def data(self, spec: Target, tables: Tables) -> TargetData | None:
        """Values of the patients, ``None`` where they lack the column."""
        if spec.column not in tables.obs:
            return None
        column, what = tables.obs[spec.column], f"target {spec.column!r}"
        if self.scaler is None:
            codes = code_labels(column, self.levels, what)
            value, observed = np.maximum(codes, 0).astype(np.float32), codes >= 0
        else:
            scaled = self.scaler.transform(as_numbers(column, what)[:, None])[:, 0]
            observed = np.isfinite(scaled)
            value = np.where(observed, scaled, 0.0).astype(np.float32)
        return TargetData(torch.from_numpy(value), torch.from_numpy(observed), self.levels)

    def inverse(self, scaled: np.ndarray) -> np.ndarray:
        """Return scaled values of a continuous target in the user's units."""
        if self.scaler is None:
            raise ValueError("an ordinal target has levels, no units.")
        flat = np.asarray(scaled).reshape(-1, 1)
        return self.scaler.inverse(flat).reshape(np.shape(scaled))

    def to_dict(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return a JSON-safe dictionary and arrays."""
        if self.scaler is None:
            return {"levels": list(self.levels)}, {}
        return {"levels": [], "scaler": self.scaler.name}, self.scaler.state()

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> TargetCoder:
        """Inverse of `to_dict`."""
        kind = SCALERS.get(state.get("scaler", ""))
        return cls(tuple(state["levels"]), None if kind is None else kind.from_state(dict(arrays)))
