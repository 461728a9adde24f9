"""Cohorts of the benchmark, cut into the published folds; nothing of a test fold is learnt on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mvlatent.data.cohort import Cohort
from mvlatent.data.preparation import Preparation
from mvlatent.data.tables import Tables
from mvlatent.specs import Roles, Survival, View

if TYPE_CHECKING:
    from mudata import MuData

__all__ = [
    "BATCH",
    "CLINICAL",
    "STAGE",
    "SURVIVAL",
    "Fold",
    "cut",
    "fold_numbers",
    "outcomes",
    "read",
    "training_outcomes",
]

SURVIVAL = ("survival_months", "event")
CLINICAL = ("age", "is_female")
BATCH = "site"
STAGE = "stage_number"
STAGES = ("stage", "liu_ajcc_pathologic_tumor_stage")  # what it is read from, the first there is
BINARY = ("mut",)  # modelled as 0/1; every other modality is continuous


@dataclass(frozen=True, eq=False)
class Fold:
    """One training set and the patients to be predicted.

    Attributes
    ----------
    cohort, number
        Name of the cohort and of the fold that is left out.
    train
        Training patients, scaled by a preparation that was fitted on them.
    test
        The other patients, scaled by the same preparation; without outcomes.
    train_mdata, test_mdata
        The same patients as they were read; the test patients again without outcomes.
    roles
        What is what in ``train_mdata``, without the site.
    """

    cohort: str
    number: int
    train: Cohort
    test: Cohort
    train_mdata: MuData
    test_mdata: MuData
    roles: Roles


def stage_number(words: pd.Series) -> pd.Series:
    """Stage as a number from 1 to 4, NaN where none of I to IV is said.

    Examples
    --------
    >>> stage_number(pd.Series(["Stage IIIB", "II", "IV", "0", "[Discrepancy]", None])).tolist()
    [3.0, 2.0, 4.0, nan, nan, nan]
    """
    roman = words.astype("string").str.extract(r"^(?:Stage )?(IV|I{1,3})[ABC]?$")[0]
    return roman.map({"I": 1.0, "II": 2.0, "III": 3.0, "IV": 4.0}).astype(float)


@lru_cache(maxsize=1)
def read(data: Path, cohort: str) -> MuData:
    """Read a cohort; FileNotFoundError names the file that is missing.

    Where the cohort has a stage, the column `STAGE` holds it as a number.
    """
    import mudata

    path = data / f"tcga_{cohort}.h5mu"
    if not path.is_file():
        raise FileNotFoundError(f"no cohort {cohort!r}: there is no file {path}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdata = mudata.read_h5mu(path)
    for column in STAGES:
        if column in mdata.obs:
            mdata.obs[STAGE] = stage_number(mdata.obs[column])
            break
    return mdata


def fold_numbers(mdata: MuData, folds: str) -> pd.Series:
    """Fold of each patient as a nullable integer; KeyError if there is no such column."""
    if folds not in mdata.obs:
        raise KeyError(f"no column {folds!r} of folds in obs")
    return pd.to_numeric(mdata.obs[folds]).astype("Int64")


def outcomes(mdata: MuData, folds: str) -> pd.DataFrame:
    """Fold, time and event of the patients that have a fold and an outcome."""
    table = pd.DataFrame(
        {
            "fold": fold_numbers(mdata, folds),
            "time": mdata.obs[SURVIVAL[0]].astype(float),
            "event": mdata.obs[SURVIVAL[1]].astype(float),
        }
    )
    table.index.name = "patient"
    return table.dropna().astype({"fold": int})


def cut(
    mdata: MuData,
    cohort: str,
    folds: str,
    number: int,
    views: Sequence[str] | None,
    *,
    stage: bool = False,
) -> Fold:
    """Leave out fold ``number``.

    ``views`` restricts the modalities that any arm may use; with ``stage`` that is a clinical
    column like age and sex, where the cohort has one.
    """
    table = outcomes(mdata, folds)
    chosen = [name for name in mdata.mod if views is None or name in views]
    if not chosen:
        raise KeyError(f"cohort {cohort!r} has none of the views {list(views or ())}")
    roles = Roles(
        {name: View("bernoulli" if name in BINARY else "normal") for name in chosen},
        clinical=(*CLINICAL, STAGE) if stage and STAGE in mdata.obs else CLINICAL,
        outcome_specs=(Survival(*SURVIVAL),),
    )
    left_out = (table["fold"] == number).to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train_mdata = mdata[table.index[~left_out]].copy()
        test_mdata = mdata[table.index[left_out]].copy()
        tables = [Tables.from_mudata(part, roles) for part in (train_mdata, test_mdata)]
        for column in SURVIVAL:
            del test_mdata.obs[column]
    preparation = Preparation.fit(tables[0], roles)
    train, test = (preparation.transform(part) for part in tables)
    return Fold(
        cohort,
        number,
        train,
        replace(test, outcomes={}),
        train_mdata,
        test_mdata,
        roles,
    )


def training_outcomes(table: pd.DataFrame, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return times and events of the patients outside a fold."""
    train = table[table["fold"] != number]
    return train["time"].to_numpy(), train["event"].to_numpy()
