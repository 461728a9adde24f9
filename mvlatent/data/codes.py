"""Numbers that stand for missing values, as other programs write them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from mvlatent.data.matrix import Matrix, entries_of, is_sparse
from mvlatent.data.names import quote

__all__ = ["LIKELY", "occurring", "refuse_codes"]

NO_INTEGER = (-2147483648.0, -9223372036854775808.0)  # what integers are where there is none
CODES = (-999.0, -9999.0, -32768.0, -99999.0, -999999.0)
LIKELY = (-99.0, 999.0, 9999.0, 99999.0, 999999.0, 2147483647.0)
"""Numbers that may be measurements as well: noted, not refused."""
FAR = 10.0  # times any other value of a feature: no measurement is so far from all others


def refuse_codes(x: Matrix, view: str, features: pd.Index, patients: pd.Index) -> None:
    """Raise ValueError where a number stands for a missing value.

    That is where it is one of the codes of missing values, and ten times as far from 0 as all other
    values of its feature; what integers without a value become is refused in any case.

    Examples
    --------
    >>> x = np.array([[1.0], [-9999.0]], dtype=np.float32)
    >>> refuse_codes(x, "rna", pd.Index(["TP53"]), pd.Index(["P1", "P2"]))
    Traceback (most recent call last):
    ValueError: view 'rna' holds -9999 in place of missing values, 1 of them in 'TP53' (first of \
patient 'P2'); set them to NaN.
    """
    for code, columns in occurring(x, (*NO_INTEGER, *CODES)):
        found = np.asarray(x[:, columns].toarray() if is_sparse(x) else x[:, columns])
        hit = found == np.float32(code)
        first = patients[int(hit.any(axis=1).argmax())]
        raise ValueError(
            f"view {view!r} holds {code:.0f} in place of missing values, {hit.sum()} of them in "
            f"{quote(features[j] for j in columns)} (first of patient {str(first)!r}); set them "
            "to NaN."
        )


def occurring(x: Matrix, codes: tuple[float, ...]) -> Iterator[tuple[float, npt.NDArray[np.intp]]]:
    """Codes that occur, each with the columns in which it is far from all other values."""
    entries = entries_of(x)
    if not entries.size or np.isnan(entries).all():
        return
    low, high = np.nanmin(entries), np.nanmax(entries)
    for code in codes:
        if not low <= np.float32(code) <= high:
            continue
        hit = entries == np.float32(code)
        if not hit.any():
            continue
        columns = np.unique(x.indices[hit] if is_sparse(x) else hit.nonzero()[1])
        held = np.abs(x[:, columns].toarray() if is_sparse(x) else x[:, columns])
        other = np.where((held == abs(np.float32(code))) | np.isnan(held), 0.0, held).max(axis=0)
        far = columns if code in NO_INTEGER else columns[abs(code) > FAR * other]
        if len(far):
            yield code, far
