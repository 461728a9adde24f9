"""Tables in the form people have them, made into one MuData."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.data.names import quote
from mvlatent.data.table_files import Table, csv_options, numbers_of, read_frame
from mvlatent.data.table_names import averaged, is_barcode, plain_barcodes, upright
from mvlatent.process import quiet
from mvlatent.specs.checks import check_choice

__all__ = ["read_tables"]

DUPLICATES = ("average", "refuse")


def read_tables(
    *, obs: Table | None = None, duplicates: str = "average", quiet: bool = False, **tables: Any
) -> MuData:
    """Make a MuData of CSV, TSV or parquet files, or of DataFrames, one a view.

    Parameters
    ----------
    obs
        Clinical table, a row a patient: path or DataFrame. Names are in the first column, or in
        the one that the views' names are found in. Its values stay as they are.
    duplicates
        ``"average"``: patients and features that occur more than once in a view are averaged;
        ``"refuse"``: they are an error.
    quiet
        Do not print what was done.
    **tables
        Path or DataFrame by the name of the view, names in the first column. Patients may be rows
        or columns. What is named like an option of `pandas.read_csv` (``sep=``, ``decimal=``,
        ``encoding=``, ...) is one, of all files.

    Returns
    -------
    MuData
        A modality a view, float32; ``obs`` has the clinical columns of every patient who has a
        view. ``uns["mvlatent_read"]`` keeps what was done, a sentence each: tables that were
        turned, TCGA barcodes cut to a common length, repeats averaged, columns of words left out.

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    TypeError
        If a table is neither a path nor a DataFrame.
    ValueError
        If there is no table, a file cannot be read, a view holds words, or a table has no patient
        in common with the others.

    Examples
    --------
    >>> import pandas as pd
    >>> rna = pd.DataFrame({"p1": [1.0, 2.0], "p2": [3.0, 4.0]}, index=["TP63", "KRT5"])
    >>> meth = pd.DataFrame({"cg1": [0.1, 0.9, 0.5]}, index=["p1", "p2", "p3"])
    >>> clinic = pd.DataFrame({"age": [61, 70]}, ["p1", "p2"])
    >>> mdata = mv.read_tables(rna=rna, meth=meth, obs=clinic)
    rna: turned, 2 columns are patients and 2 rows are features
    1 patient has a view but no row in obs: 'p3'
    >>> mdata["rna"].obs_names.tolist(), mdata.obs["age"].tolist()
    (['p1', 'p2'], [61.0, 70.0, nan])
    """
    check_choice("duplicates", duplicates, DUPLICATES)
    given, options = csv_options(tables)
    if not given:
        raise ValueError("no table is given; name one a view, as in read_tables(rna='rna.csv').")
    notes: list[str] = []
    frames = {name: read_frame(name, table, options) for name, table in given.items()}
    clinical = None if obs is None else _clinical(obs, frames, options, notes)
    frames = {name: numbers_of(name, frame, notes) for name, frame in frames.items()}
    frames = upright(frames, None if clinical is None else clinical.index, notes)
    sheets = frames if clinical is None else {**frames, "obs": clinical}
    sheets = plain_barcodes(sheets, notes)
    clinical = sheets.pop("obs") if clinical is not None else None
    values = {}
    for name, frame in sheets.items():
        numbers = averaged(name, frame, duplicates, notes)
        values[name] = _without_nobody(name, numbers, notes)
    mdata = _assembled(values, clinical, notes)
    mdata.uns["mvlatent_read"] = np.asarray(notes, dtype=object)
    if not quiet and notes:
        print("\n".join(notes))
    return mdata


def _clinical(
    obs: Table, frames: dict[str, pd.DataFrame], options: dict[str, Any], notes: list[str]
) -> pd.DataFrame:
    """The clinical table by patient; its names are looked for among its columns too."""
    frame = read_frame("obs", obs, options)
    names = {x for f in frames.values() for axis in (f.index, f.columns) for x in axis}
    cut = {x.replace(".", "-")[:12] for x in names if is_barcode(x)}

    def known(labels: Any) -> int:
        return sum(str(x).strip() in names or str(x).strip()[:12] in cut for x in labels)

    best, where = known(frame.index), None
    for position, column in enumerate(frame.columns):
        values = frame.iloc[:, position]
        if not pd.api.types.is_numeric_dtype(values.dtype) and known(values) > best:
            best, where = known(values), column
    if where is not None:
        notes.append(f"obs: patients are named by column {where!r}")
        frame = frame.set_index(where)
        frame.index = frame.index.astype(str).str.strip()
    if not frame.index.is_unique:
        rows = frame.reset_index().drop_duplicates()
        frame = rows.set_index(rows.columns[0])
    if not frame.index.is_unique:
        twice = frame.index[frame.index.duplicated()].unique()
        raise ValueError(
            f"patients of obs occur more than once, with different values: {quote(twice)}; keep "
            "one row a patient."
        )
    frame.index.name = None
    return frame


def _without_nobody(name: str, frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Rows with a value; the others lack the view."""
    empty = frame.isna().all(axis=1)
    if empty.any():
        notes.append(f"{name}: {int(empty.sum())} patients without any value lack the view")
    return frame[~empty]


def _assembled(
    values: dict[str, pd.DataFrame], clinical: pd.DataFrame | None, notes: list[str]
) -> MuData:
    mods = {
        name: AnnData(
            X=frame.to_numpy(np.float32),
            obs=pd.DataFrame(index=frame.index.astype(str)),
            var=pd.DataFrame(index=frame.columns.astype(str)),
        )
        for name, frame in values.items()
    }
    with quiet():
        mdata = MuData(mods)
    if clinical is None:
        return mdata
    clinical = clinical[~clinical.index.duplicated()]
    lacking = [x for x in mdata.obs_names if x not in clinical.index]
    if lacking:
        n = len(lacking)
        notes.append(
            f"{n} patient{'s have' if n > 1 else ' has'} a view but no row in obs: {quote(lacking)}"
        )
    spare = [x for x in clinical.index if x not in mdata.obs_names]
    if spare:
        notes.append(f"{len(spare)} rows of obs have no view and are left out: {quote(spare)}")
    mdata.obs = clinical.reindex(mdata.obs_names)
    return mdata
