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
from mvlatent.specs import Labels

__all__ = ["LabelCoder"]


@dataclass(frozen=True, eq=False)
class LabelCoder:
    """Classes of a label column: the sorted ``categories`` of the training rows."""

    categories: tuple[str, ...]

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
        return cls(label_categories(obs[spec.column], spec)), []

    def data(self, spec: Labels, tables: Tables) -> LabelData | None:
        """Classes of the patients, ``None`` where they lack the column."""
        if spec.column not in tables.obs:
            return None
        codes = code_labels(tables.obs[spec.column], self.categories, f"labels {spec.column!r}")
        return LabelData(torch.from_numpy(codes), self.categories)

    def to_dict(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return a JSON-safe dictionary and (no) arrays."""
        return {"categories": list(self.categories)}, {}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LabelCoder:
        """Inverse of `to_dict`."""
        return cls(tuple(state["categories"]))
