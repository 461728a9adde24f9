"""Classes of a label column, as learnt on the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from mvlatent.data.coding import code_labels, label_categories
from mvlatent.data.outcome_data import LabelData
from mvlatent.data.tables import Tables
from mvlatent.data.taken import none_notes, taken_as
from mvlatent.specs import Labels

__all__ = ["LabelCoder"]


@dataclass(frozen=True, eq=False)
class LabelCoder:
    """Classes of a label column.

    Attributes
    ----------
    categories
        Classes of the training rows, sorted, in the type in which they came.
    counts
        Training patients of each.
    missing
        Training patients without one.
    """

    categories: tuple[Any, ...]
    counts: tuple[int, ...] = ()
    missing: int = 0

    @property
    def taken(self) -> str:
        """What the column was taken as, for the summary."""
        return taken_as(
            f"{len(self.categories)} classes", self.categories, self.counts, self.missing
        )

    @classmethod
    def check(
        cls, spec: Labels, obs: pd.DataFrame, *, others: pd.DataFrame, shared: frozenset[str]
    ) -> None:
        """Raise ValueError if no row has a label, or all have the same."""
        label_categories(obs[spec.column], spec)

    @classmethod
    def fit(
        cls, spec: Labels, obs: pd.DataFrame, what: str, *, shared: frozenset[str]
    ) -> tuple[LabelCoder, list[str]]:
        """Learn the classes of training rows.

        Raises
        ------
        ValueError
            If no row has a label, or all have the same.
        """
        column = obs[spec.column]
        classes = label_categories(column, spec)
        codes = code_labels(column, classes, f"labels {spec.column!r}")
        counts = np.bincount(codes[codes >= 0], minlength=len(classes)).tolist()
        notes = none_notes(column, f"{what} {spec.column!r}" if what == spec.role else what)
        return cls(classes, tuple(counts), int((codes < 0).sum())), notes

    def data(self, spec: Labels, tables: Tables) -> LabelData | None:
        """Classes of the patients, ``None`` where they lack the column."""
        if spec.column not in tables.obs:
            return None
        codes = code_labels(tables.obs[spec.column], self.categories, f"labels {spec.column!r}")
        return LabelData(torch.from_numpy(codes), self.categories)

    def to_dict(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return a JSON-safe dictionary and (no) arrays."""
        held = {"categories": self.categories, "counts": self.counts}
        return {**{k: list(v) for k, v in held.items()}, "missing": self.missing}, {}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LabelCoder:
        """Inverse of `to_dict`."""
        return cls(tuple(state["categories"]), tuple(state["counts"]), state["missing"])
