"""One modality made ready: which features are usable, and their scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mvlatent.data.cohort import CohortView
from mvlatent.data.columns import quote
from mvlatent.data.scaling import Scaler, make_scaler
from mvlatent.data.tables import RawView
from mvlatent.specs import View

__all__ = ["PreparedView"]


@dataclass(frozen=True, eq=False)
class PreparedView:
    """What is kept of one modality.

    Attributes
    ----------
    features
        Kept features, in the order of the data.
    dropped
        Why each other feature was dropped.
    scaler
        Fitted on the kept features.
    """

    features: tuple[str, ...]
    dropped: dict[str, str]
    scaler: Scaler

    @classmethod
    def fit(cls, raw: RawView, spec: View, name: str) -> PreparedView:
        """Choose the usable features of the training rows and learn their scaling."""
        x = raw.x[raw.present]
        if not len(x):
            raise ValueError(f"view {name!r}: no training row has it.")
        _check_support(x, raw.features, spec, name)
        measured = ~np.isnan(x)
        low = np.where(measured, x, np.inf).min(axis=0)
        high = np.where(measured, x, -np.inf).max(axis=0)
        empty, varies = ~measured.any(axis=0), low < high
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
        scaler = make_scaler(str(spec.scaling))
        kept = x[:, varies]
        features = tuple(f for f, keep in zip(raw.features, varies, strict=True) if keep)
        _check_scalable(scaler, kept, features, name)
        return cls(features, dropped, scaler.fit(kept))

    def transform(self, raw: RawView, spec: View, name: str) -> CohortView:
        """Return the scaled tensors of the kept features."""
        x = raw.x if list(self.features) == raw.features else raw.x[:, self._columns(raw, name)]
        _check_support(x, self.features, spec, name)
        _check_scalable(self.scaler, x, self.features, name)
        observed = ~np.isnan(x)
        present = observed.any(axis=1)
        scaled = self.scaler.transform(x)
        own = not np.may_share_memory(scaled, x)  # the raw table keeps its gaps
        scaled = np.nan_to_num(scaled, copy=not own, nan=0.0)
        complete = bool(observed[present].all())
        return CohortView(
            x=torch.from_numpy(np.ascontiguousarray(scaled)),
            present=torch.from_numpy(present),
            observed=None if complete else torch.from_numpy(observed),
            likelihood=spec.likelihood,
            noise=str(spec.noise),
            features=self.features,
        )

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


def _check_support(x: np.ndarray, features: Sequence[str], spec: View, name: str) -> None:
    if spec.likelihood == "bernoulli":
        bad = ~((x == 0) | (x == 1) | np.isnan(x)).all(axis=0)
        if bad.any():
            names = [f for f, refused in zip(features, bad, strict=True) if refused]
            raise ValueError(
                f"view {name!r} is bernoulli but holds values other than 0 and 1 in {quote(names)}."
            )


def _check_scalable(scaler: Scaler, x: np.ndarray, features: Sequence[str], name: str) -> None:
    bad = scaler.refused(x)
    if bad.any():
        names = [f for f, refused in zip(features, bad, strict=True) if refused]
        raise ValueError(
            f"view {name!r}: scaling {scaler.name!r} needs values that are not negative, but "
            f"{quote(names)} hold some; use 'rank_normal' or 'zscore'."
        )
