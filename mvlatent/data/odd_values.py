"""Values that are hardly measurements: noted, as a codebook may know better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mvlatent.data.codes import LIKELY, occurring
from mvlatent.data.matrix import Matrix, dense, is_sparse
from mvlatent.data.names import quote

if TYPE_CHECKING:
    from mvlatent.data.tables import RawView
    from mvlatent.specs import View

__all__ = ["copied_views", "value_notes"]

NONZERO = 3  # entries that nine in ten patients have, where one who has none was filled in
FEATURES = 3  # that make a row of equal values no chance
ROWS = 32  # compared of two views
CHUNK = 256
QUIET = 0.05  # share of patients who may have no mutation, or no copy number changed


def value_notes(
    raw: RawView, spec: View, name: str, patients: npt.NDArray[np.object_]
) -> list[str]:
    """Say where values look like a code of missing, like rows filled in, or like copies."""
    notes = [
        f"view {name!r}: {quote(raw.features[j] for j in columns)} hold {code:.0f}, far from all "
        "other values: if it stands for missing, set it to NaN"
        for code, columns in occurring(raw.x, LIKELY)
    ]
    notes += _filled(raw, spec, name, patients)
    if spec.declaration.coding is None and not spec.declaration.categories:
        if not is_sparse(raw.x):
            notes += _repeated(raw, name, patients)
        notes += _copies(raw, name)
    return notes


def _filled(
    raw: RawView, spec: View, name: str, patients: npt.NDArray[np.object_]
) -> Iterator[str]:
    """Patients who have nothing but zeros where hardly anybody has; a quiet genome may."""
    if is_sparse(raw.x):
        matrix = raw.x.copy()
        matrix.eliminate_zeros()
        nonzero = np.diff(matrix.indptr)
    else:
        nonzero = ((raw.x != 0) & ~np.isnan(raw.x)).sum(axis=1)
    zero = raw.present & (nonzero == 0)
    rest = nonzero[raw.present & (nonzero > 0)]
    quiet = spec.declaration.categories or spec.declaration.coding is not None
    if zero.sum() <= (QUIET * raw.present.sum() if quiet else 0):
        return
    if len(rest) and np.quantile(rest, 0.1) >= NONZERO:
        yield (
            f"view {name!r}: {zero.sum()} patients have 0 in every feature, as if a view that they "
            f"lack had been filled with zeros: {quote(patients[zero])}; leave those rows out of "
            "the view, or set them to NaN"
        )


def _repeated(raw: RawView, name: str, patients: npt.NDArray[np.object_]) -> Iterator[str]:
    """Patients whose values are all those of another."""
    seen: dict[int, list[int]] = {}
    if raw.x.shape[1] < FEATURES:
        return
    for i in np.flatnonzero(raw.present):
        seen.setdefault(hash((raw.x[i] + 0.0).tobytes()), []).append(int(i))
    same = [i for rows in seen.values() if len(rows) > 1 and np.any(raw.x[rows[0]]) for i in rows]
    if same:
        yield (
            f"view {name!r}: {len(same)} patients have exactly the values of another: "
            f"{quote(patients[same])}; if they were filled in, set them to NaN, if it is one "
            "sample under two names, keep one"
        )


def _copies(raw: RawView, name: str) -> Iterator[str]:
    """Features whose values are all those of an earlier one."""
    first: dict[int, int] = {}
    copies: list[tuple[int, int]] = []
    for j, key in enumerate(_column_keys(raw.x[raw.present])):
        if key is not None and first.setdefault(key, j) != j:
            copies.append((j, first[key]))
    if copies:
        shown = quote(f"{raw.features[j]} of {raw.features[k]}" for j, k in copies)
        yield f"view {name!r}: {len(copies)} features are copies of others: {shown}"


def _column_keys(x: Matrix) -> Iterator[int | None]:
    """A number a column that equal columns share; ``None`` of one that does not vary."""
    if is_sparse(x):
        by_column = x.tocsc()
        by_column.sort_indices()
        for start, stop in zip(by_column.indptr[:-1], by_column.indptr[1:], strict=True):
            rows, values = by_column.indices[start:stop], by_column.data[start:stop]
            yield hash((rows.tobytes(), values.tobytes())) if len(rows) else None
        return
    for start in range(0, x.shape[1], CHUNK):
        for column in np.ascontiguousarray(x[:, start : start + CHUNK].T) + np.float32(0):
            varies = (column != column[:1]).any() and not np.isnan(column).all()
            yield hash(column.tobytes()) if varies else None


def copied_views(views: Mapping[str, RawView], specs: Mapping[str, View]) -> list[str]:
    """Say which views hold the same values as another, in whatever order of the features."""
    notes = []
    names = [n for n, spec in specs.items() if not spec.declaration.sparse and n in views]
    names = [n for n in names if specs[n].declaration.coding is None]
    for i, two in enumerate(names):
        for one in names[:i]:
            both = np.flatnonzero(views[one].present & views[two].present)[:ROWS]
            if len(both) < ROWS // 4:
                continue
            keys = [[*_column_keys(dense(views[n].x[both]))] for n in (one, two)]
            seen, mine = (set(k) - {None} for k in keys)
            if mine and len(seen & mine) >= 0.5 * min(len(seen), len(mine)):
                notes.append(
                    f"view {two!r} has {len(seen & mine)} of its {len(keys[1])} features in common "
                    f"with view {one!r}, value for value: if it is the same table, name one"
                )
    return notes
