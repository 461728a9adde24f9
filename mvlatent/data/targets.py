"""Ordinal and continuous targets: their levels or scaling, learnt on training rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from mvlatent.data.advice import without_line
from mvlatent.data.coding import code_labels
from mvlatent.data.names import quote
from mvlatent.data.obs_columns import (
    as_numbers,
    as_text,
    ordered_levels,
    refuse_dates,
    typed_levels,
)
from mvlatent.data.outcome_data import TargetData
from mvlatent.data.scaling import SCALERS, Scaler, make_scaler
from mvlatent.data.tables import Tables
from mvlatent.data.taken import level_name, sentinel_notes, taken_as
from mvlatent.data.words import is_unassessed
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
    values = as_numbers(column, what, how="take kind='ordinal' or mv.Labels.")
    known = values[~np.isnan(values)]
    if not len(known):
        raise ValueError(f"{what} has no value in any row.")
    if known.min() == known.max():
        raise ValueError(f"{what} has one value only ({known[0]:g}).")
    return values[:, None]


def target_levels(column: pd.Series, spec: Target) -> tuple[tuple[Any, ...], str]:
    """Return the levels among the training rows from low to high, and where the order is from.

    Levels are in the type in which they came.

    Raises
    ------
    ValueError
        If fewer than two levels have a row, a value is not among the levels given, or the alphabet
        would put a level that says "not known" beside the others.

    Examples
    --------
    >>> target_levels(pd.Series([10, 2, 2]), Target("grade", kind="ordinal"))
    ((2, 10), 'of numbers')
    """
    what, typed = f"target {spec.column!r}", typed_levels(column)
    refuse_dates(column, what)
    found = sorted(typed)
    if len(found) < 2:
        has = f"one level only ({found[0]!r})" if found else "no value in any row"
        raise ValueError(f"{what} has {has}.")
    if spec.levels is not None:
        given = as_text(pd.Series([*spec.levels], dtype=object), known=()).tolist()
        strange = [t for t in found if t not in given]
        if strange:
            levels = ", ".join(map(repr, spec.levels))
            raise ValueError(f"{what} holds {quote(strange)}, which is not among levels {levels}.")
        return tuple(typed[level] for level in given if level in found), "as given"
    if (order := ordered_levels(column)) is not None:
        return tuple(typed[t] for t in order if t in found), "of the ordered categories"
    try:
        return tuple(typed[t] for t in sorted(found, key=float)), "of numbers"
    except ValueError:
        _refuse_unknown(found, spec)
        return tuple(typed[t] for t in found), "of the alphabet"


def _refuse_unknown(found: list[str], spec: Target) -> None:
    """Raise where a level says that none is known: the alphabet would call it high or low."""
    for level in found:
        if is_unassessed(level):
            line = without_line(spec.column, json.dumps(level, ensure_ascii=False))
            raise ValueError(
                f"target {spec.column!r} holds {level!r}, which is no level between the others; "
                f"make it missing: {line}"
            )


@dataclass(frozen=True, eq=False)
class TargetCoder:
    """What a target was taken as.

    Attributes
    ----------
    levels
        Ordered levels; empty for a continuous target.
    scaler
        Scaling of a continuous target.
    taken
        What the column was taken as, for the summary.
    """

    levels: tuple[Any, ...] = ()
    scaler: Scaler | None = None
    taken: str = ""

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
            codes = code_labels(column, levels, what)
            missing = int((codes < 0).sum())
            notes = [f"{what}: {' < '.join(map(level_name, levels))}, the order {order}"]
            counts = np.bincount(codes[codes >= 0], minlength=len(levels)).tolist()
            taken = taken_as(f"{len(levels)} levels", levels, counts, missing, ordered=True)
            prepared = cls(levels=levels, taken=taken)
        else:
            values = target_values(column, spec)
            scaler = make_scaler(str(spec.scaling))
            if scaler.refused(values).any():
                raise ValueError(f"{what} holds negative values, which {spec.scaling} cannot take.")
            known = values[~np.isnan(values[:, 0])]
            missing, notes = len(values) - len(known), sentinel_notes(column, values[:, 0], what)
            span = f"{known.min():g} to {known.max():g}, median {np.median(known):g}"
            taken = f"a number ({span}), {missing or 'none'} missing"
            prepared = cls(scaler=scaler.fit(known), taken=taken)
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
            return {"levels": list(self.levels), "taken": self.taken}, {}
        held = {"levels": [], "scaler": self.scaler.name, "taken": self.taken}
        return held, self.scaler.state()

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> TargetCoder:
        """Inverse of `to_dict`."""
        kind = SCALERS.get(state.get("scaler", ""))
        scaler = None if kind is None else kind.from_state(dict(arrays))
        return cls(tuple(state["levels"]), scaler, state["taken"])
