"""Registration on scvi-tools' `AnnDataManager`, without touching the user's object.

scvi-tools writes keys into what it registers. So a private MuData is registered: it refers to the
same matrices, and holds a copy of the role columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scvi.data._manager import AnnDataManagerValidationCheck
from scvi.data.fields import BaseAnnDataField, MuDataCategoricalObsField, MuDataLayerField

from mvlatent.data.assemble import PATIENTS, assemble, check_cohort, mudata_from_anndata
from mvlatent.data.coder import coder_of
from mvlatent.data.guess import guess_likelihood
from mvlatent.data.matrix import Matrix
from mvlatent.data.names import check_names
from mvlatent.data.obs_columns import as_text, find_column
from mvlatent.data.registered import CohortManager, forget, remember
from mvlatent.data.tables import RawView, Tables, check_view, read_matrix, role_columns
from mvlatent.specs import OutcomeSpec, Roles, View

__all__ = ["guess_views", "register_cohort", "register_mudata"]

BATCH = "_mvlatent_batch"


def guess_views(mdata: MuData, views: Mapping[str, View] | None = None) -> dict[str, View]:
    """Guess the likelihood of every view that names none, from its values.

    Parameters
    ----------
    mdata
        Patients.
    views
        Views to look at; every modality by default. Those that name a likelihood keep it.

    Examples
    --------
    >>> guess_views(MuData({"mut": AnnData(np.eye(3))}))["mut"].likelihood
    'bernoulli'
    """
    found = {}
    for name, spec in _asked(mdata, views).items():
        if spec.likelihood is None:
            spec = _guessed(name, spec, read_matrix(mdata, name, spec.layer))[0]
        found[name] = spec
    return found


def _asked(mdata: MuData, views: Mapping[str, View] | None) -> dict[str, View]:
    """Views asked for, every modality by default."""
    every = {m: View(None) for m in mdata.mod if m != PATIENTS}
    return every if views is None else dict(views)


def _guessed(name: str, spec: View, values: Matrix) -> tuple[View, list[str]]:
    """A view with its likelihood, and what was guessed and why, a sentence."""
    if spec.likelihood is not None:
        return spec, []
    likelihood, why = guess_likelihood(values)
    note = f"view {name!r}: likelihood guessed: {likelihood} ({why})"
    return replace(spec, likelihood=likelihood), [note]


def _read(
    mdata: MuData, roles: Roles, asked_views: Mapping[str, View]
) -> tuple[Tables, Roles, list[str]]:
    """Read a cohort once: its tables, the roles with the views named, what was guessed."""
    obs = role_columns(mdata, roles)
    views, raw, notes = {}, {}, []
    for name, asked in asked_views.items():
        values = read_matrix(mdata, name, asked.layer)
        views[name], said = _guessed(name, asked, values)
        notes += said
        mod = mdata.mod[name]
        raw[name] = RawView.aligned(
            values, views[name], mod.var_names, mod.obs_names, mdata.obs_names
        )
    tables = Tables(np.asarray(mdata.obs_names, dtype=object), raw, obs)
    return tables, roles if views == roles.views else replace(roles, views=views), notes


def _private_modality(mod: AnnData, spec: View, raw: RawView, patients: pd.Index) -> AnnData:
    """A modality without its columns; the matrix is the user's, or what was read of a file."""
    if mod.isbacked:
        values = raw.x[patients.get_indexer(mod.obs_names)]
    else:
        values = mod.X if spec.layer is None else mod.layers[spec.layer]
    return AnnData(
        X=values if spec.layer is None else None,
        obs=pd.DataFrame(index=mod.obs_names),
        var=pd.DataFrame(index=mod.var_names),
        layers={} if spec.layer is None else {spec.layer: values},
    )


def _private_mudata(mdata: MuData, roles: Roles, tables: Tables) -> MuData:
    """Return a MuData of the roles only: the matrices are shared, the columns are copies."""
    mods = {
        name: _private_modality(mdata.mod[name], spec, tables.views[name], mdata.obs_names)
        for name, spec in roles.views.items()
    }
    obs = tables.obs.copy()
    if roles.batch is not None:
        text = [t if t is not None else "unknown" for t in as_text(obs[roles.batch])]
        obs[BATCH] = pd.Categorical(text)
    return assemble(mods, obs)


def _check(mdata: MuData, roles: Roles, views: Mapping[str, View]) -> None:
    """Raise on what can be seen wrong without reading the matrices' values."""
    check_names(mdata.obs_names, "patients of mdata")
    for name, spec in views.items():
        check_view(mdata, name, spec.layer)
    for key in roles.covariates:
        column = find_column(mdata, key, "covariate")
        if not any(t is not None for t in as_text(column)):
            raise ValueError(f"covariate {key!r} has no value in any row.")
    for outcome in roles.outcome_specs:
        _check_outcome(mdata, outcome, roles.shared_parts(outcome))


def _check_outcome(mdata: MuData, spec: OutcomeSpec, shared: frozenset[str]) -> None:
    """Raise if an outcome's columns are not what its role needs."""
    found = {k: find_column(mdata, k, what).array for what, keys in spec.groups for k in keys}
    obs = pd.DataFrame(found, index=mdata.obs_names)
    coder_of(spec.role).check(spec, obs, others=mdata.obs, shared=shared)


def register_cohort(data: MuData | AnnData, roles: Roles) -> CohortManager:
    """Register a cohort of either kind, under which `registered_manager` finds the result.

    Raises
    ------
    TypeError
        If it is neither.
    KeyError, ValueError
        As in `register_mudata`; also if the views of an AnnData are not named.
    """
    check_cohort(data)
    if not isinstance(data, AnnData):
        return register_mudata(data, roles)
    if roles.every_view:
        raise ValueError(
            "name the views of an AnnData: the first is X (or a layer), the others are in obsm; "
            "views=[] takes none."
        )
    return register_mudata(mudata_from_anndata(data, roles.views), roles, owner=data)


def register_mudata(mdata: MuData, roles: Roles, *, owner: object | None = None) -> CohortManager:
    """Check the roles against the data and register them; the user's object is not changed.

    Parameters
    ----------
    mdata
        Patients; a patient may lack whole modalities, rows may be in any order.
    roles
        What is what. Without views, all modalities are taken; likelihoods that are not named are
        guessed (see `guess_views`), and the guesses are in `registered_notes`.
    owner
        Object under which `registered_manager` finds the result; ``mdata`` by default (an AnnData
        when ``mdata`` was made of it).

    Returns
    -------
    CohortManager
        It holds the roles, what was guessed, and the cohort as read, once. ``manager.adata`` is a
        private MuData of the role columns (copies) and modalities (shared matrices), rows in the
        order of ``mdata.obs_names``.

    Raises
    ------
    KeyError
        If a column, modality or layer is not there; the message names the choices.
    ValueError
        If names occur twice, or an outcome is not sound.

    Examples
    --------
    >>> manager = register_mudata(MuData({"mut": AnnData(np.eye(3))}), Roles())
    >>> manager.roles.views["mut"].likelihood, manager.tables.views["mut"].x.shape
    ('bernoulli', (3, 3))
    """
    thing = mdata if owner is None else owner
    forget(thing)
    asked = _asked(mdata, None if roles.every_view else roles.views)
    if not asked and roles.every_view:
        raise ValueError("mdata has no modality.")
    _check(mdata, roles, asked)
    tables, roles, notes = _read(mdata, roles, asked)
    manager = CohortManager(
        roles,
        notes,
        tables,
        fields=_fields(roles),
        setup_method_args={
            "model_name": "MVLatent",
            "setup_method_name": "setup_mudata",
            "setup_args": {"roles": roles.to_dict(), "notes": notes},
        },
        validation_checks=AnnDataManagerValidationCheck(check_fully_paired_mudata=False),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        manager.register_fields(_private_mudata(mdata, roles, tables))
    remember(thing, manager)
    return manager


def _fields(roles: Roles) -> list[BaseAnnDataField]:
    """Fields of scvi-tools: the views, and the site."""
    fields: list[BaseAnnDataField] = [
        MuDataLayerField(
            name, spec.layer, mod_key=name, is_count_data=False, correct_data_format=False
        )
        for name, spec in roles.views.items()
    ]
    if roles.batch is not None:
        fields.append(MuDataCategoricalObsField("batch", BATCH))
    return fields
