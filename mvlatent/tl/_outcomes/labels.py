"""Checked labels and class probabilities."""

from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned

__all__ = ["checked_labels", "checked_probabilities"]


def checked_probabilities(probabilities: pd.DataFrame) -> np.ndarray:
    """Rows of probabilities, patients × classes; ValueError if they are not."""
    p = np.asarray(probabilities, float)
    if p.ndim != 2 or not ((p >= 0) & (p <= 1)).all() or (np.abs(p.sum(axis=1) - 1) > 1e-4).any():
        raise ValueError(
            "probabilities must lie within [0, 1] and each row sum to 1; take "
            "predict_labels(proba=True)."
        )
    return p


def checked_labels(
    labels: Any, probabilities: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes (m,) and probabilities, m × classes, of those with a label, and who they are, (n,)."""
    labels, probabilities = aligned(labels=labels, probabilities=probabilities)
    p = checked_probabilities(probabilities)
    column = pd.Series(np.asarray(labels, dtype=object))
    if len(column) != len(p):
        raise ValueError(
            f"rows differ: {len(column)} labels, probabilities {p.shape}; give the same patients."
        )
    codes = pd.Index(probabilities.columns).get_indexer(column)
    unknown = column[column.notna() & (codes < 0)].unique()
    if len(unknown):
        raise ValueError(
            f"labels {[*unknown]} are no classes; the classes are {[*probabilities.columns]}."
        )
    known = codes >= 0
    if not known.any():
        raise ValueError("no label is known; give patients with one.")
    return codes[known], p[known], known
