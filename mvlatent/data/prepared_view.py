"""One modality made ready: which features are usable, and their scaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse

from mvlatent.data.cohort import CohortView
from mvlatent.data.exposure import Exposure
from mvlatent.data.levels import CODINGS
from mvlatent.data.names import quote, rows_by_name
from mvlatent.data.scaling import SCALERS, Scaler, make_scaler
from mvlatent.data.sparse_rows import SparseRows
from mvlatent.data.support import MAX_LEVELS, check_support
from mvlatent.data.tables import RawView
from mvlatent.specs import View

__all__ = ["PreparedView"]


@dataclass(frozen=True, eq=False)
class PreparedView:
    """What is kept of one modality.

    Attributes
    ----------
    features
        Kept features, in the order of their names: that of the data is no input.
    dropped
        Why each other feature was dropped.
    scaler
        Fitted on the kept features.
    exposure
        Library size or burden, fitted on the kept features; ``None`` without an offset.
    order
        Where the features are among the kept ones as the data had them; empty: in that order.
    patients
        How many training patients have the view.
    """

    features: tuple[str, ...]
    dropped: dict[str, str]
    scaler: Scaler
    exposure: Exposure | None = None
    order: tuple[int, ...] = ()
    patients: int = 0

    @classmethod
    def fit(cls, raw: RawView, spec: View, name: str) -> PreparedView:
        """Choose the usable features of the training rows and learn their scaling."""
        x = raw.x[raw.present]
        if not x.shape[1]:
            raise ValueError(f"view {name!r} has no feature; leave it out.")
        if not x.shape[0]:
            raise ValueError(f"view {name!r}: no training row has it.")
        check_support(x, raw.features, spec, name)
        low, high = _range(x)
        empty, varies = low > high, low < high
        dropped = {
            f: "no value" if empty[j] else f"constant ({low[j]:g})"
            for j, f in enumerate(raw.features)
            if not varies[j]
        }
        if not varies.any():
            raise ValueError(
                f"view {name!r} has no usable feature: all {len(raw.features)} are constant or "
                f"without a value on the training rows."
            )
        coding = spec.declaration.coding
        scaler = make_scaler(str(spec.scaling)) if coding is None else CODINGS[coding]()
        where = np.flatnonzero(varies)
        order = rows_by_name([raw.features[j] for j in where])
        ordered, where = bool((np.diff(order) > 0).all()), where[order]
        kept = x if ordered and varies.all() else x[:, where]
        features = tuple(raw.features[j] for j in where)
        if not sparse.issparse(kept):
            _check_scalable(scaler, kept, features, name)
        prepared = cls(
            features,
            dropped,
            scaler if sparse.issparse(kept) else scaler.fit(kept),
            None if spec.offset == "none" else Exposure.fit(kept, plain=spec.offset == "burden"),
            () if ordered else tuple(order.tolist()),
            int(raw.present.sum()),
        )
        prepared.check_levels(name, spec)
        return prepared

    def transform(self, raw: RawView, spec: View, name: str) -> CohortView:
        """Return the scaled tensors of the kept features."""
        x = raw.x if list(self.features) == raw.features else raw.x[:, self._columns(raw, name)]
        check_support(x, self.features, spec, name)
        shared: dict[str, Any] = {
            "likelihood": str(spec.likelihood),
            "noise": str(spec.noise),
            "features": self.columns,
            "exposure": None,
            "levels": self.levels,
        }
        if self.exposure is not None:
            exposure = np.where(raw.present, self.exposure.of(x), 0.0).astype(np.float32)
            shared["exposure"] = torch.from_numpy(exposure)
        if sparse.issparse(x):
            rows = SparseRows.from_scipy(x)
            return CohortView(rows, torch.from_numpy(raw.present), None, **shared)
        _check_scalable(self.scaler, x, self.features, name)
        scaled = self.scaler.transform(x)
        observed = ~np.isnan(scaled)
        present = observed.any(axis=1)
        own = not np.may_share_memory(scaled, raw.x)  # the raw table keeps its gaps
        scaled = np.nan_to_num(scaled, copy=not own, nan=0.0)
        complete = bool(observed[present].all())
        return CohortView(
            torch.from_numpy(np.ascontiguousarray(scaled)),
            torch.from_numpy(present),
            None if complete else torch.from_numpy(observed),
            **shared,
        )

    @property
    def levels(self) -> tuple[int, ...]:
        """Numbers of levels, of a view that has some."""
        return self.scaler.sizes

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that the model sees: a categorical feature has one a level."""
        return self.scaler.columns(self.features)

    @property
    def shown(self) -> tuple[str, ...]:
        """The features in the order of the data they were learnt from."""
        return tuple(self.features[j] for j in np.argsort(self.order)) or self.features

    @property
    def shown_columns(self) -> tuple[str, ...]:
        """The columns that the model sees, by feature in the order of `shown`."""
        sizes = self.levels if len(self.columns) != len(self.features) else ()
        ends = np.cumsum(sizes or [1] * len(self.features))
        groups = np.split(np.arange(len(self.columns)), ends[:-1])
        places = np.argsort(self.order) if self.order else range(len(self.features))
        return tuple(self.columns[j] for f in places for j in groups[f])

    def check_levels(self, name: str, spec: View) -> None:
        """Raise ValueError if a view has more levels than its likelihood can be meant for."""
        if max(self.levels, default=0) > MAX_LEVELS:
            most = max(self.levels)
            which = self.features[self.levels.index(most)] if len(self.levels) > 1 else None
            where = "" if which is None else f" in {which!r}"
            raise ValueError(
                f"view {name!r} is {spec.likelihood} but has {most} levels{where}, more than "
                f"{MAX_LEVELS}; use a likelihood for counts or continuous values."
            )

    def state(self) -> dict[str, np.ndarray]:
        """Return the learnt arrays by name."""
        exposure = {} if self.exposure is None else self.exposure.state()
        return self.scaler.state() | {f"exposure_{k}": v for k, v in exposure.items()}

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray], name: str
    ) -> PreparedView:
        """Build a prepared view from its dictionary and the arrays named ``<view>/<array>``."""
        kind = (CODINGS | SCALERS)[state["scaler"]]
        scaler = kind.from_state({key: arrays[f"{name}/{key}"] for key in kind.arrays})
        exposure = None
        if state.get("offset"):
            kept = {key: arrays[f"{name}/exposure_{key}"] for key in Exposure.arrays}
            exposure = Exposure.from_state(kept)
        order, patients = tuple(state.get("order", ())), int(state["patients"])
        features, dropped = tuple(state["features"]), dict(state["dropped"])
        return cls(features, dropped, scaler, exposure, order, patients)

    def notes(self, name: str) -> list[str]:
        """Return what was dropped, in a sentence (or none)."""
        if not self.dropped:
            return []
        shown = quote(f"{f}: {why}" for f, why in self.dropped.items())
        return [f"view {name!r}: {len(self.dropped)} features dropped: {shown}"]

    def _columns(self, raw: RawView, name: str) -> list[int]:
        place = {f: j for j, f in enumerate(raw.features)}
        lacking = [f for f in self.features if f not in place]
        if lacking:
            raise KeyError(f"view {name!r} lacks features it was prepared with: {quote(lacking)}.")
        return [place[f] for f in self.features]


def _range(x: np.ndarray | sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of each column; the wrong way round without a value."""
    if sparse.issparse(x):
        low, high = (m.toarray().ravel() for m in (x.min(axis=0), x.max(axis=0)))
        return low, high
    measured = ~np.isnan(x)
    return (
        np.where(measured, x, np.inf).min(axis=0),
        np.where(measured, x, -np.inf).max(axis=0),
    )


def _check_scalable(scaler: Scaler, x: np.ndarray, features: Sequence[str], name: str) -> None:
    bad = scaler.refused(x)
    if bad.any():
        names = [f for f, refused in zip(features, bad, strict=True) if refused]
        raise ValueError(
            f"view {name!r}: scaling {scaler.name!r} needs values that are not negative, but "
            f"{quote(names)} hold some; use 'rank_normal' or 'zscore'."
        )
