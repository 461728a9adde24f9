"""Out-of-fold predictions on disk, one table a cohort, fold and arm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _baselines import Prediction
from _markdown import write

__all__ = ["OutOfFold", "Results", "time_grid"]

N_TIMES = 100
TAU_QUANTILE = 0.9  # of the training times: how far curves and concordances are judged
GRID = "S(t) at "


def time_grid(train_time: np.ndarray) -> np.ndarray:
    """Return the times (100,), up to tau, at which the curves of every arm are compared."""
    tau = float(np.quantile(train_time, TAU_QUANTILE))
    return np.linspace(0.0, tau, N_TIMES + 1)[1:]


class OutOfFold(NamedTuple):
    """Predictions of one arm for one test fold.

    Attributes
    ----------
    risk
        Higher means earlier, (n,); index = patients.
    own
        S at each patient's own time, (n,).
    curves
        Survival curves, times × patients.
    seconds
        CPU time of the fit and the predictions.
    """

    risk: pd.Series
    own: pd.Series
    curves: pd.DataFrame
    seconds: float


class Results:
    """Folder of results: ``<cohort>/<fold>/<arm>.csv`` beside ``<cohort>/outcomes.csv``.

    Parameters
    ----------
    folder
        Where to keep them.
    settings
        What all arms share; a folder made with other settings is refused.

    Raises
    ------
    ValueError
        If the folder holds results of other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "settings.json"
        if path.is_file() and (old := json.loads(path.read_text())) != settings:
            raise ValueError(
                f"{folder} holds results with {old}, not {settings}; give another --out"
            )
        write(path, json.dumps(settings, indent=1) + "\n")

    def _path(self, cohort: str, fold: int, arm: str) -> Path:
        return self.folder / cohort / f"fold{fold}" / f"{arm}.csv"

    def has(self, cohort: str, fold: int, arm: str) -> bool:
        """Whether an arm was predicted before."""
        return self._path(cohort, fold, arm).is_file()

    def arms(self, cohort: str, fold: int) -> list[str]:
        """Arms that were predicted for a fold."""
        return sorted(p.stem for p in (self.folder / cohort / f"fold{fold}").glob("*.csv"))

    def save_outcomes(self, cohort: str, table: pd.DataFrame) -> None:
        """Keep fold, time and event of the patients."""
        write(self.folder / cohort / "outcomes.csv", table.to_csv())

    def outcomes(self, cohort: str) -> pd.DataFrame:
        """Fold, time and event of the patients."""
        path = self.folder / cohort / "outcomes.csv"
        return pd.read_csv(path, index_col=0, dtype={"patient": str})

    def save(
        self,
        cohort: str,
        fold: int,
        arm: str,
        prediction: Prediction,
        *,
        times: np.ndarray,
        test: pd.DataFrame,
        grid: np.ndarray,
        seconds: float,
    ) -> None:
        """Keep a prediction at ``times``, which hold the grid and the test patients' own times."""
        own = np.searchsorted(times, test["time"].to_numpy())
        on_grid = prediction.survival[np.searchsorted(times, grid)]
        columns = {
            "risk": prediction.risk,
            "own": prediction.survival[own, np.arange(len(test))],
            "seconds": seconds,
            **{f"{GRID}{t:.9g}": row for t, row in zip(grid, on_grid, strict=True)},
        }
        table = pd.DataFrame(columns, index=test.index)
        if not np.isfinite(table.to_numpy()).all():
            raise ValueError(f"{arm} predicts values that are not finite")
        write(self._path(cohort, fold, arm), table.to_csv(float_format="%.7g"))

    def load(self, cohort: str, fold: int, arm: str) -> OutOfFold:
        """Read a prediction."""
        path = self._path(cohort, fold, arm)
        table = pd.read_csv(path, index_col=0, dtype={"patient": str})
        curves = table.loc[:, [c.startswith(GRID) for c in table.columns]].T
        curves.index = [float(c.removeprefix(GRID)) for c in curves.index]
        return OutOfFold(table["risk"], table["own"], curves, float(table["seconds"].iloc[0]))
