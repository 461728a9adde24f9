"""One table of a clinic, from a file or a DataFrame: names in the first column."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd

from mvlatent.data.names import quote
from mvlatent.data.obs_columns import as_numbers

__all__ = ["Table", "csv_options", "numbers_of", "read_frame"]

Table: TypeAlias = str | Path | pd.DataFrame
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
SEPARATED_BY = (",", "\t", ";", "|")
PACKED = (".gz", ".bz2", ".xz", ".zip")
OPTIONS = frozenset(inspect.signature(pd.read_csv).parameters) - {"filepath_or_buffer"}


def csv_options(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tables by the name of their view, and options of `pandas.read_csv`, of what was typed.

    Raises
    ------
    TypeError
        If a table is neither a path nor a DataFrame.

    Examples
    --------
    >>> csv_options({"rna": "rna.csv", "sep": ";"})
    ({'rna': 'rna.csv'}, {'sep': ';'})
    """
    options = {name: value for name, value in given.items() if name in OPTIONS}
    tables = {name: value for name, value in given.items() if name not in OPTIONS}
    for name, value in tables.items():
        if not isinstance(value, str | Path | pd.DataFrame):
            raise TypeError(
                f"table {name!r} must be a path or a DataFrame, not a {type(value).__name__}; give "
                "each view one, as in read_tables(rna='rna.csv')."
            )
    return tables, options


def read_frame(name: str, table: Table, options: Mapping[str, Any]) -> pd.DataFrame:
    """Read one table; its index are the names in its first column. A DataFrame is copied.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is of no kind that is known, cannot be read or is empty.
    """
    if isinstance(table, pd.DataFrame):
        frame = table.copy()
    else:
        frame = _of_file(name, Path(table), options)
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        size = f"{frame.shape[0]} rows × {frame.shape[1]} columns"
        raise ValueError(f"table {name!r} has no values: it has {size}; give its separator, sep=.")
    frame.index = pd.Index([_name(x) for x in frame.index], name=None)
    frame.columns = pd.Index([_name(x) for x in frame.columns], name=None)
    nameless = [i for i, x in enumerate(frame.index) if x == ""]
    if nameless:
        raise ValueError(
            f"table {name!r} has {len(nameless)} rows without a name, the first is row "
            f"{nameless[0] + 1}; names stand in the first column, or name theirs with index_col=."
        )
    return frame


def _of_file(name: str, path: Path, options: Mapping[str, Any]) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path} for table {name!r}; check its name.")
    suffixes = [s.lower() for s in path.suffixes]
    suffix = next((s for s in reversed(suffixes) if s not in PACKED), "")
    try:
        if suffix in (".parquet", ".pq"):
            return _named_by_first_text(pd.read_parquet(path))
        if suffix not in SEPARATORS:
            known = ", ".join([*SEPARATORS, ".parquet"])
            raise ValueError(f"{path} is none of {known} (packed or not); write it as one of them.")
        given = {"index_col": 0, "low_memory": False, **options}
        if "sep" not in given and "delimiter" not in given:
            given["sep"] = _separator(path, suffix, given)
        frame: pd.DataFrame = pd.read_csv(path, **given)
    except (OSError, UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(
            f"{path} cannot be read: {' '.join(str(error).split())}; give sep= or encoding= as "
            "pandas.read_csv takes them, or write it anew."
        ) from None
    return frame


def _separator(path: Path, suffix: str, options: Mapping[str, Any]) -> str:
    """What parts the first line most often: a table called .csv may have semicolons."""
    line = pd.read_csv(
        path, sep="\0", header=None, nrows=1, dtype=str, engine="python",
        encoding=options.get("encoding"), quoting=3, skiprows=options.get("skiprows"),
        comment=options.get("comment"),
    )  # fmt: skip
    first = str(line.iloc[0, 0]) if len(line) else ""
    usual = SEPARATORS[suffix]
    best = max(SEPARATED_BY, key=lambda mark: (first.count(mark), mark == usual))
    return best if first.count(best) else usual


def _named_by_first_text(frame: pd.DataFrame) -> pd.DataFrame:
    """A parquet without an index of its own has the names in its first column of text."""
    if isinstance(frame.index, pd.RangeIndex):
        for column in frame.columns[:1]:
            if not pd.api.types.is_numeric_dtype(frame[column].dtype):
                return frame.set_index(column)
    return frame


def _name(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def numbers_of(name: str, frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The columns that are numbers, as float32; a few of words beside them are left out and noted.

    Raises
    ------
    ValueError
        If more than a few columns hold words; the message names one and a value.
    """
    found, words = {}, {}
    for position, column in enumerate(frame.columns):
        values = frame.iloc[:, position]
        try:
            found[position] = as_numbers(values, column)
        except ValueError as error:
            words[column] = str(error)
    if len(words) > max(5, 0.1 * frame.shape[1]) or not found:
        column, why = next(iter(words.items()))
        raise ValueError(
            f"table {name!r} holds words in {len(words)} of {frame.shape[1]} columns, such as "
            f"{column!r}: {why} A view is made of numbers; clinical words go to obs=."
        )
    if words:
        notes.append(f"{name}: columns of words left out: {quote(words)}")
    kept = pd.DataFrame(dict(enumerate(found.values())), index=frame.index, dtype="float32")
    kept.columns = pd.Index([frame.columns[p] for p in found])
    return kept
