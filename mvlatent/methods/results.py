"""What the methods of `mvlatent.MVLatent` return where one table is not enough."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

__all__ = ["Imputation", "SurvivalCurves", "TargetPrediction"]


@dataclass(frozen=True, eq=False)
class Imputation:
    """Imputed entries of a view with their uncertainty, as `MVLatent.impute` returns them.

    Attributes
    ----------
    mean
        Predicted values, DataFrame patients × features in the user's units. Of zeros and ones it is
        the probability of a one; of a view of levels without order it is the most probable level.
    sd
        Standard deviations of a new measurement, of the same shape and units.
    lower, upper
        Ends of the central interval that was asked for, of the same shape and units.

    Examples
    --------
    >>> found = model.impute("rna", interval=0.9)
    >>> bool((found.lower <= found.upper).all(axis=None))
    True
    """

    mean: pd.DataFrame
    sd: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame

    def __repr__(self) -> str:
        """Size in place of the tables."""
        patients, features = self.mean.shape
        return (
            f"Imputation of {patients} patients × {features} features: .mean, .sd, .lower, .upper"
        )


@dataclass(frozen=True, eq=False)
class SurvivalCurves:
    """Survival or incidence curves with a band, as `MVLatent.predict_survival` returns them.

    Attributes
    ----------
    mean
        Posterior mean probabilities, DataFrame times × patients; its index is named ``"time"``.
    lower, upper
        Ends of the band at every time, of the same shape.

    Examples
    --------
    >>> model.predict_survival([12, 24], interval=0.9)
    SurvivalCurves of 2 times × 80 patients: .mean, .lower, .upper
    """

    mean: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame

    def __repr__(self) -> str:
        """Size in place of the tables."""
        times, patients = self.mean.shape
        return f"SurvivalCurves of {times} times × {patients} patients: .mean, .lower, .upper"


@dataclass(frozen=True, eq=False)
class TargetPrediction:
    """Predicted values of a continuous target, as `MVLatent.predict_target` returns them.

    Attributes
    ----------
    mean
        Predicted values, a Series over patients in the column's own units.
    sd
        Standard deviations of a new measurement.
    lower, upper
        Ends of the interval for a new measurement.

    Examples
    --------
    >>> model.predict_target(interval=0.9)
    TargetPrediction of 80 patients: .mean, .sd, .lower, .upper
    """

    mean: pd.Series
    sd: pd.Series
    lower: pd.Series
    upper: pd.Series

    def __repr__(self) -> str:
        """Size in place of the values."""
        return f"TargetPrediction of {len(self.mean)} patients: .mean, .sd, .lower, .upper"
