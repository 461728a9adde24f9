"""Columns of ``obs`` that are written: one rule of names.

Who was predicted by a model that was fitted on them stands under a name that ends in ``_fitted``,
who was predicted by a fold's model under one that ends in ``_oof``, and a plain name holds patients
that the model has not seen, nobody else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["FITTED", "FOLD", "OUT_OF_FOLD", "write_columns", "write_predictions"]

FITTED, OUT_OF_FOLD = "_fitted", "_oof"
FOLD = "mvlatent_fold"


def write_predictions(data: Any, columns: pd.DataFrame, fitted: np.ndarray) -> None:
    """Write a model's predictions of new patients and, under other names, of its own.

    Parameters
    ----------
    data
        AnnData or MuData of n patients.
    columns
        Predictions by their plain names, one row a patient, in their order.
    fitted
        Which patients the model was fitted on, (n,).
    """
    for name in columns:  # of an earlier model, whose patients were others
        for stale in (name, f"{name}{FITTED}"):
            if stale in data.obs:
                del data.obs[stale]
    write_columns(data, _among(columns, ~fitted))
    write_columns(data, _among(columns, fitted), FITTED)


def write_columns(data: Any, columns: pd.DataFrame, suffix: str = "") -> None:
    """Write columns, one row a patient in the order of ``data``, under names with a suffix."""
    for name, column in columns.items():
        data.obs[f"{name}{suffix}"] = column.array


def _among(columns: pd.DataFrame, rows: np.ndarray) -> pd.DataFrame:
    """Columns with values of these patients alone; none where there is no such patient."""
    if rows.all():
        return columns
    if not rows.any():
        return columns.iloc[:, :0]
    return pd.DataFrame({name: _where(column, rows) for name, column in columns.items()})


def _where(column: pd.Series, rows: np.ndarray) -> pd.Series:
    """A column that is missing outside these rows; of classes, whatever their type, categorical."""
    if pd.api.types.is_float_dtype(column.dtype):
        return column.where(rows)
    codes, levels = pd.factorize(column, sort=True)
    codes = np.where(rows, codes, -1)
    return pd.Series(pd.Categorical.from_codes(codes, categories=levels), column.index)
