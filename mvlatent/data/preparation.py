"""What is learnt on the training rows before any model: kept features, scalers, encoders, codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from mudata import MuData

from mvlatent.data.assemble import check_cohort, mudata_from_anndata
from mvlatent.data.coder import Coder, coder_of, fit_coders
from mvlatent.data.cohort import Cohort, Group, OutcomeData
from mvlatent.data.column_kinds import covariate_roles
from mvlatent.data.covariates import Encoder, encode_all, fit_encoders
from mvlatent.data.names import by_name, quote
from mvlatent.data.newcomers import read_newcomers
from mvlatent.data.obs_columns import as_text
from mvlatent.data.prepared_view import PreparedView
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
    notes
        What was guessed, dropped or imputed, a sentence each.
    outcomes
        Outcomes by name: what a time of 0 becomes, strata, classes, levels, scaling.
    views_held
        How many training patients have 0, 1, ... views.
    """

    roles: Roles
    views: dict[str, PreparedView]
    technical: tuple[Encoder, ...] = ()
    clinical: tuple[Encoder, ...] = ()
    notes: list[str] = field(default_factory=list)
    outcomes: dict[str, Coder] = field(default_factory=dict)
    views_held: tuple[int, ...] = ()

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
        >>> from mvlatent.specs import View
        >>> roles = Roles({"rna": View(scaling="zscore")})
        >>> mdata = MuData({"rna": AnnData(np.array([[1.0, 5.0], [3.0, 5.0], [4.0, 5.0]]))})
        >>> tables = Tables.from_mudata(mdata, roles)
        >>> preparation = Preparation.fit(tables, roles, rows=[0, 1])
        >>> preparation.notes
        ["view 'rna': 1 features dropped: '1: constant (5)'"]
        >>> preparation.transform(tables).views["rna"].x.ravel().tolist()
        [-1.0, 1.0, 2.0]
        """
        train = tables if rows is None else tables.subset(np.asarray(rows))
        said = list(notes)
        names = sorted(roles.views, key=by_name)  # of views too the order is no input
        views = {k: PreparedView.fit(train.views[k], roles.views[k], k) for k in names}
        said += _presence_notes(train) + _site_notes(train, roles)
        said += [note for name, view in views.items() for note in view.notes(name)]
        said += _outcome_notes(roles, views)
        keys = covariate_roles(roles)
        technical, more = fit_encoders(train.obs, [k for k in keys if k[1] != "clinical"])
        clinical, last = fit_encoders(train.obs, [k for k in keys if k[1] == "clinical"])
        said += more + last
        outcomes, notes_of_outcomes = fit_coders(roles, train.obs)
        said += notes_of_outcomes
        held = np.bincount(_presence(train).sum(axis=0), minlength=len(views) + 1)
        return cls(roles, views, technical, clinical, said, outcomes, tuple(held.tolist()))

    def transform(self, tables: Tables) -> Cohort:
        """Return the patients as tensors, scaled and encoded as learnt.

        Sites and levels that the training rows lack become unknown, with a warning that names them.
        Outcome columns that the tables lack give a cohort without that outcome, clinical columns
        one that names them in ``lacking``: the latents can do without.

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
            technical=torch.from_numpy(encode_all(tables.obs, self.technical)),
            technical_groups=self.technical_groups,
            clinical=torch.from_numpy(encode_all(tables.obs, self.clinical)),
            clinical_names=self.clinical_names,
            outcomes=self._outcomes(tables),
            lacking=tuple(e.name for e in self.clinical if e.name not in tables.obs),
        )

    def read(
        self, data: MuData | AnnData, *, outcomes: bool = True, missing_features: str = "refuse"
    ) -> Tables:
        """Return the tables of new patients; whole views, outcomes and clinical columns may lack.

        ``outcomes`` and ``missing_features`` are those of `read_newcomers`.

        Raises
        ------
        TypeError
            If the patients are neither a MuData nor an AnnData.
        KeyError, ValueError
            As in `mvlatent.data.tables.Tables.from_mudata`.
        """
        check_cohort(data)
        if isinstance(data, AnnData):
            data = mudata_from_anndata(data, self.roles.views, allow_missing=True)
        options: dict[str, Any] = {"outcomes": outcomes, "missing_features": missing_features}
        return read_newcomers(data, self.roles, self.kept, **options)

    @property
    def kept(self) -> dict[str, list[str]]:
        """Kept features of each view."""
        return {name: list(view.features) for name, view in self.views.items()}

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
        """Return the kept features of a view, in the order of the data they were learnt from."""
        return list(self._view(view).shown)

    def columns(self, view: str) -> list[str]:
        """Return the names of a view's columns as the model sees them."""
        return list(self._view(view).columns)

    def inverse(self, view: str, scaled: np.ndarray) -> np.ndarray:
        """Return scaled values (n, columns) in the user's units, (n, kept features) float32.

        Features are in the model's order, as the columns are; `frame` shows the user's.
        """
        return self._view(view).scaler.inverse(np.asarray(scaled))

    def frame(self, view: str, values: np.ndarray, index: Sequence[str]) -> pd.DataFrame:
        """Values (n, features or columns) of the model's order, in that of the user."""
        own = self._view(view)
        coded = values.shape[1] != len(own.features)  # a column a level
        names, shown = (own.columns, own.shown_columns) if coded else (own.features, own.shown)
        found = pd.DataFrame(values, list(index), list(names))
        return found if names == shown else found[list(shown)]

    def _view(self, name: str) -> PreparedView:
        if name not in self.views:
            raise KeyError(f"no view {name!r}; the views are {quote(self.views)}.")
        return self.views[name]

    def _outcomes(self, tables: Tables) -> dict[str, OutcomeData]:
        """Outcomes of the patients by name, without those whose columns are not there."""
        found = {}
        for spec in self.roles.outcome_specs:
            data = self.outcomes[spec.name].data(spec, tables)
            if data is not None:
                found[spec.name] = data
        return found

    def to_dict(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return a JSON-safe dictionary, and the arrays by name.

        The names are ``"<view>/<array>"`` and ``"outcome:<name>/<array>"``.
        """
        outcomes = {k: prepared.to_dict() for k, prepared in self.outcomes.items()}
        state = {
            "roles": self.roles.to_dict(),
            "views": {
                k: {
                    "features": list(v.features),
                    "dropped": v.dropped,
                    "scaler": v.scaler.name,
                    "offset": v.exposure is not None,
                    "order": list(v.order),
                    "patients": v.patients,
                }
                for k, v in self.views.items()
            },
            "technical": [e.to_dict() for e in self.technical],
            "clinical": [e.to_dict() for e in self.clinical],
            "notes": list(self.notes),
            "outcomes": {k: held for k, (held, _) in outcomes.items()},
            "views_held": list(self.views_held),
        }
        arrays = {
            f"{k}/{name}": np.ascontiguousarray(array)
            for k, v in self.views.items()
            for name, array in v.state().items()
        }
        arrays |= {
            f"outcome:{k}/{name}": np.ascontiguousarray(array)
            for k, (_, held) in outcomes.items()
            for name, array in held.items()
        }
        return state, arrays

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Preparation:
        """Build a preparation from what `to_dict` returned."""
        views = {}
        for k, v in state["views"].items():
            views[k] = PreparedView.from_state(v, arrays, k)
        roles = Roles.from_dict(state["roles"])
        outcomes: dict[str, Coder] = {}
        for k, role in roles.named.items():
            prefix = f"outcome:{k}/"
            held = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            outcomes[k] = coder_of(role).from_dict(state["outcomes"][k], held)
        return cls(
            roles=roles,
            views=views,
            technical=tuple(Encoder.from_dict(e) for e in state["technical"]),
            clinical=tuple(Encoder.from_dict(e) for e in state["clinical"]),
            notes=list(state["notes"]),
            outcomes=outcomes,
            views_held=tuple(state["views_held"]),
        )


def _outcome_notes(roles: Roles, views: Mapping[str, PreparedView]) -> list[str]:
    """Features that have the name of an outcome: a view that holds it would predict it too well."""
    columns = {column.rpartition(":")[2].casefold(): column for column in roles.outcomes}
    return [
        f"view {name!r} has a feature {feature!r} beside the outcome {columns[key]!r}: "
        "drop it if it is the same thing"
        for name, view in views.items()
        for feature in view.features
        if (key := feature.casefold()) in columns
    ]


def _presence(tables: Tables) -> np.ndarray:
    """Which patient has which view, (M, N) bool."""
    held = [v.present for v in tables.views.values()]
    return np.stack(held) if held else np.zeros((0, len(tables)), dtype=bool)


def _site_notes(tables: Tables, roles: Roles) -> list[str]:
    """Views that the patients of one site alone have: what the site does to them is not told."""
    if roles.batch is None:
        return []
    site = as_text(tables.obs[roles.batch])
    if len(pd.unique(site[pd.notna(site)])) < 2:
        return []
    notes = []
    for name, view in tables.views.items():
        sites = pd.unique(site[view.present & pd.notna(site)])
        if len(sites) == 1:
            notes.append(
                f"view {name!r}: only patients of {roles.batch} {str(sites[0])!r} have it, so that "
                "what the site does to it cannot be told from what it is"
            )
    return notes


def _presence_notes(tables: Tables) -> list[str]:
    if not tables.views:
        return []
    none = ~_presence(tables).any(axis=0)
    if not none.any():
        return []
    return [f"{none.sum()} patients have no view: {quote(tables.obs_names[none])}"]
