"""What is learnt on the training rows before any model: kept features, scalers, encoders, codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mvlatent.data.coding import (
    code_labels,
    code_survival,
    count_causes,
    label_categories,
    positive_times,
    time_floor,
)
from mvlatent.data.cohort import Cohort, Group, LabelData, SurvivalData
from mvlatent.data.columns import quote
from mvlatent.data.covariates import Encoder, fit_encoder
from mvlatent.data.prepared_view import PreparedView
from mvlatent.data.strata import Strata, fit_strata
from mvlatent.data.tables import Tables
from mvlatent.specs import Roles

__all__ = ["Preparation"]


@dataclass(frozen=True, eq=False)
class Preparation:
    """Everything learnt on the training rows that stands between tables and a `Cohort`.

    Made by `fit` (or `from_dict`), it holds no patient's row: per-feature knots or moments, levels,
    medians and names only.

    Attributes
    ----------
    roles
        What was asked for.
    views
        Kept features and scaling of each modality.
    technical, clinical
        Encoders of the covariates that vary.
    floor
        What a survival time of 0 becomes, in the user's unit; ``None`` without survival.
    categories
        Sorted classes; ``None`` without labels.
    notes
        What was guessed, dropped or imputed, a sentence each.
    strata
        Strata of the baseline hazard; ``None`` without.
    """

    roles: Roles
    views: dict[str, PreparedView]
    technical: tuple[Encoder, ...] = ()
    clinical: tuple[Encoder, ...] = ()
    floor: float | None = None
    categories: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)
    strata: Strata | None = None

    @classmethod
    def fit(
        cls,
        tables: Tables,
        roles: Roles,
        rows: np.ndarray | Sequence[int] | None = None,
        *,
        notes: Sequence[str] = (),
    ) -> Preparation:
        """Learn from the training rows.

        Parameters
        ----------
        tables
            Raw data; it is not changed.
        roles
            What to prepare, with its views named.
        rows
            Training rows (integers or a bool mask); all by default.
        notes
            Notes of earlier steps, put before its own.

        Raises
        ------
        ValueError
            If a view has no usable feature, values do not fit its likelihood or scaling, a
            covariate or the labels have no value, or the survival outcome is not sound.

        Examples
        --------
        >>> preparation = Preparation.fit(tables, roles, rows=train)  # doctest: +SKIP
        >>> cohort = preparation.transform(tables)  # doctest: +SKIP
        """
        train = tables if rows is None else tables.subset(np.asarray(rows))
        said = list(notes)
        views = {k: PreparedView.fit(train.views[k], spec, k) for k, spec in roles.views.items()}
        said += _presence_notes(train)
        said += [note for name, view in views.items() for note in view.notes(name)]
        keys = [(k, "technical") for k in roles.technical]
        if roles.batch is not None:
            keys.insert(0, (roles.batch, "batch"))
        technical = _fit_encoders(train, keys, said)
        clinical = _fit_encoders(train, [(k, "clinical") for k in roles.clinical], said)
        floor, categories, strata = None, None, None
        if roles.survival is not None:
            values = code_survival(train.obs, roles.survival)
            floor = time_floor(values, roles.survival)
            count_causes(values, roles.survival)
            if roles.survival.strata is not None:
                strata, notes_of_strata = fit_strata(train.obs[roles.survival.strata], values)
                said += notes_of_strata
            if n := int((~values.observed).sum()):
                said.append(f"survival: {n} of {len(train)} patients have no outcome")
        if roles.labels is not None:
            categories = label_categories(train.obs[roles.labels.column], roles.labels)
        return cls(roles, views, technical, clinical, floor, categories, said, strata)

    def transform(self, tables: Tables) -> Cohort:
        """Return the patients as tensors, scaled and encoded as learnt.

        Sites and levels that the training rows lack become unknown, with a warning that names them.
        Outcome columns that the tables lack give a cohort without that outcome.

        Raises
        ------
        ValueError, KeyError
            If values do not fit, or a kept feature is not there.
        """
        views = {
            k: view.transform(tables.views[k], self.roles.views[k], k)
            for k, view in self.views.items()
        }
        return Cohort(
            obs_names=tuple(map(str, tables.obs_names)),
            views=views,
            technical=_encode(tables, self.technical),
            technical_groups=self.technical_groups,
            clinical=_encode(tables, self.clinical),
            clinical_names=self.clinical_names,
            survival=self._survival(tables),
            labels=self._labels(tables),
        )

    @property
    def technical_groups(self) -> tuple[Group, ...]:
        """Which columns of the technical matrix encode which covariate."""
        groups, start = [], 0
        for e in self.technical:
            stop = start + len(e.columns)
            groups.append(Group(e.name, slice(start, stop), e.kind, e.columns))
            start = stop
        return tuple(groups)

    @property
    def clinical_names(self) -> tuple[str, ...]:
        """Names of the columns of the clinical matrix."""
        return tuple(c for e in self.clinical for c in e.columns)

    def features(self, view: str) -> list[str]:
        """Return the kept features of a view."""
        return list(self._view(view).features)

    def columns(self, view: str) -> list[str]:
        """Return the names of a view's columns as the model sees them."""
        return list(self._view(view).columns)

    def inverse(self, view: str, scaled: np.ndarray) -> np.ndarray:
        """Return scaled values (n, columns) in the user's units, (n, kept features) float32."""
        return self._view(view).scaler.inverse(np.asarray(scaled))

    def _view(self, name: str) -> PreparedView:
        if name not in self.views:
            raise KeyError(f"no view {name!r}; the views are {quote(self.views)}.")
        return self.views[name]

    def _survival(self, tables: Tables) -> SurvivalData | None:
        """Outcomes; patients without any still have a stratum, which their curves need."""
        spec, n = self.roles.survival, len(tables)
        if spec is None or self.floor is None:
            return None
        found: dict[str, Any] = {}
        if self.strata is not None:
            codes = self.strata.encode(tables.obs.get(self.strata.column), n)
            found = {"stratum": torch.from_numpy(codes), "n_strata": len(self.strata.names)}
        if spec.time not in tables.obs:
            nobody = torch.zeros(n)
            return SurvivalData(nobody + 1, nobody, nobody > 0, **found) if found else None
        values = code_survival(tables.obs, spec)
        seen = values.observed
        if values.entry is not None:
            found["entry"] = torch.from_numpy(values.entry.astype(np.float32))
        if values.cause is not None:
            found["cause"] = torch.from_numpy(np.where(seen, values.cause, 0.0).astype(np.int64))
        time = positive_times(values, self.floor, tables.obs_names)
        return SurvivalData(
            time=torch.from_numpy(np.where(seen, time, 1.0).astype(np.float32)),
            event=torch.from_numpy(np.where(seen, values.event, 0.0).astype(np.float32)),
            observed=torch.from_numpy(seen),
            **found,
        )

    def _labels(self, tables: Tables) -> LabelData | None:
        spec = self.roles.labels
        if spec is None or self.categories is None or spec.column not in tables.obs:
            return None
        what = f"labels {spec.column!r}"
        codes = code_labels(tables.obs[spec.column], self.categories, what)
        return LabelData(torch.from_numpy(codes), self.categories)

    def to_dict(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return a JSON-safe dictionary, and the arrays by name ("<view>/<array>")."""
        state = {
            "roles": self.roles.to_dict(),
            "views": {
                k: {
                    "features": list(v.features),
                    "dropped": v.dropped,
                    "scaler": v.scaler.name,
                    "offset": v.exposure is not None,
                }
                for k, v in self.views.items()
            },
            "technical": [e.to_dict() for e in self.technical],
            "clinical": [e.to_dict() for e in self.clinical],
            "floor": self.floor,
            "categories": None if self.categories is None else list(self.categories),
            "notes": list(self.notes),
            "strata": None if self.strata is None else self.strata.to_dict(),
        }
        arrays = {
            f"{k}/{name}": np.ascontiguousarray(array)
            for k, v in self.views.items()
            for name, array in v.state().items()
        }
        return state, arrays

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Preparation:
        """Build a preparation from what `to_dict` returned."""
        views = {}
        for k, v in state["views"].items():
            views[k] = PreparedView.from_state(v, arrays, k)
        categories = state["categories"]
        return cls(
            roles=Roles.from_dict(state["roles"]),
            views=views,
            technical=tuple(Encoder.from_dict(e) for e in state["technical"]),
            clinical=tuple(Encoder.from_dict(e) for e in state["clinical"]),
            floor=state["floor"],
            categories=None if categories is None else tuple(categories),
            notes=list(state["notes"]),
            strata=None if state.get("strata") is None else Strata.from_dict(state["strata"]),
        )


def _fit_encoders(
    tables: Tables, columns: Sequence[tuple[str, str]], said: list[str]
) -> tuple[Encoder, ...]:
    encoders = []
    for key, role in columns:
        encoder, notes = fit_encoder(tables.obs[key], role)
        said += notes
        if encoder is not None:
            encoders.append(encoder)
    return tuple(encoders)


def _encode(tables: Tables, encoders: Sequence[Encoder]) -> torch.Tensor:
    parts = [np.zeros((len(tables), 0), dtype=np.float32)]
    parts += [e.encode(tables.obs[e.name]) for e in encoders]
    return torch.from_numpy(np.concatenate(parts, axis=1))


def _presence_notes(tables: Tables) -> list[str]:
    if not tables.views:
        return []
    none = ~np.stack([v.present for v in tables.views.values()]).any(axis=0)
    if not none.any():
        return []
    return [f"{none.sum()} patients have no view: {quote(tables.obs_names[none])}"]
