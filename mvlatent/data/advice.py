"""Lines of pandas that mend a column, for messages: each may be pasted as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = [
    "classes_line",
    "comma_line",
    "dated_line",
    "days_line",
    "mapping_line",
    "number_line",
    "order_line",
    "span_line",
    "unit_line",
    "unordered_line",
    "without_line",
]


def _written(name: object) -> str:
    return json.dumps(str(name), ensure_ascii=False)


def _column(key: object) -> str:
    return f"mdata.obs[{_written(key)}]"


def _read(key: object) -> str:
    """Where a column is read, of a modality where it is written ``modality:column``."""
    modality, _, name = str(key).partition(":")
    return f"mdata[{_written(modality)}].obs[{_written(name)}]" if name else _column(key)


def mapping_line(key: object, codes: Mapping[Any, int], *, numeric: bool) -> str:
    """Return the line that recodes the values of a column.

    Examples
    --------
    >>> mapping_line("status", {1: 0, 2: 1}, numeric=True)
    'mdata.obs["status"] = mdata.obs["status"].map({1: 0, 2: 1})'
    """
    pairs = ", ".join(f"{v:g}: {c}" if numeric else f"{_written(v)}: {c}" for v, c in codes.items())
    return f"{_column(key)} = {_read(key)}{'' if numeric else '.astype(str)'}.map({{{pairs}}})"


def number_line(key: object) -> str:
    """Return the line that makes numbers of a column, missing where a word is none.

    Examples
    --------
    >>> number_line("age")
    'import pandas as pd; mdata.obs["age"] = pd.to_numeric(mdata.obs["age"], errors="coerce")'
    """
    return f'import pandas as pd; {_column(key)} = pd.to_numeric({_read(key)}, errors="coerce")'


def comma_line(key: object) -> str:
    """Return the line that makes numbers of text with a decimal comma.

    Examples
    --------
    >>> 'str.replace(",", ".")' in comma_line("age")
    True
    """
    text = f'{_read(key)}.astype(str).str.replace(",", ".")'
    return f'import pandas as pd; {_column(key)} = pd.to_numeric({text}, errors="coerce")'


def unit_line(key: object) -> str:
    """Return the line that leaves the unit of numbers out.

    Examples
    --------
    >>> unit_line("age").endswith('[0].astype(float)')
    True
    """
    text = f"{_read(key)}.astype(str)"
    return f'{_column(key)} = {text}.str.extract(r"^\s*([-+]?\d[.\d]*)")[0].astype(float)'


def dated_line(key: object) -> str:
    """Return the line that makes an event of the dates of those who had it.

    Examples
    --------
    >>> dated_line("death").endswith('errors="coerce").notna().astype(int)')
    True
    """
    dates = f'pd.to_datetime({_read(key)}.astype(str), errors="coerce")'
    return f"import pandas as pd; {_column(key)} = {dates}.notna().astype(int)"


def classes_line(key: object) -> str:
    """Return the line that makes classes of numbers.

    Examples
    --------
    >>> classes_line("plate").startswith('mdata.obs["plate"] = "c" + mdata.obs["plate"]')
    True
    """
    kept = r'.astype(str).str.extract(r"^\s*([-+]?\.?\d[-+.\de]*)\s*$")[0]'
    return f'{_column(key)} = "c" + {_read(key)}{kept}'


def days_line(key: object) -> str:
    """Return the line that makes days since the first one of dates.

    Examples
    --------
    >>> days_line("seen").endswith('mdata.obs["seen"] = (days - days.min()).dt.days')
    True
    """
    days = f'days = pd.to_datetime({_read(key)}.astype(str), errors="coerce")'
    return f"import pandas as pd; {days}; {_column(key)} = (days - days.min()).dt.days"


def span_line(key: object) -> str:
    """Return the line that makes days of spans of time.

    Examples
    --------
    >>> span_line("followup").endswith('pd.to_timedelta(mdata.obs["followup"]).dt.days')
    True
    """
    return f"import pandas as pd; {_column(key)} = pd.to_timedelta({_read(key)}).dt.days"


def unordered_line(key: object) -> str:
    """Return the line that takes the order from classes.

    Examples
    --------
    >>> unordered_line("stage")
    'mdata.obs["stage"] = mdata.obs["stage"].cat.as_unordered()'
    """
    return f"{_column(key)} = {_read(key)}.cat.as_unordered()"


def order_line(key: object, levels: Iterable[str]) -> str:
    """Return the line that puts classes in an order.

    Examples
    --------
    >>> order_line("grade", ["G1", "G2"]).endswith('["G1", "G2"], ordered=True)')
    True
    """
    order = ", ".join(map(_written, levels))
    text = f"{_read(key)}.astype(str).str.strip()"
    return f"import pandas as pd; {_column(key)} = pd.Categorical({text}, [{order}], ordered=True)"


def without_line(key: object, value: str) -> str:
    """Return the line that makes a value missing.

    Examples
    --------
    >>> without_line("age", "-9999")
    'mdata.obs["age"] = mdata.obs["age"].where(mdata.obs["age"] != -9999)'
    """
    return f"{_column(key)} = {_read(key)}.where({_read(key)} != {value})"
