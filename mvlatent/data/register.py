"""Registration on scvi-tools' `AnnDataManager`, without touching the user's object.

scvi-tools writes keys into what it registers. So a private MuData is registered: it refers to the
same matrices, and holds a copy of the role columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scvi.data._manager import AnnDataManagerValidationCheck
from scvi.data.fields import BaseAnnDataField, MuDataCategoricalObsField, MuDataLayerField

from mvlatent.data.assemble import PATIENTS, assemble, check_cohort, mudata_from_anndata
from mvlatent.data.coder import coder_of
from mvlatent.data.column_kinds import check_covariate, covariate_roles
from mvlatent.data.guess import guess_likelihood
from mvlatent.data.matrix import Matrix
from mvlatent.data.names import check_names
from mvlatent.data.obs_columns import as_text, find_column
from mvlatent.data.odd_values import copied_views, value_notes
from mvlatent.data.registered import CohortManager, forget, remember
from mvlatent.data.shape import FEWEST, Names, barcode_notes, check_known, check_shape
from mvlatent.data.tables import RawView, Tables, check_view, read_matrix, role_columns
from mvlatent.process import as_found, quiet
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


def _names(mdata: MuData, views: Iterable[str]) -> dict[str, Names]:
    """Names of the views that have patients."""
    mods = {name: mdata.mod[name] for name in views}
    return {k: Names(m.obs_names, m.var_names) for k, m in mods.items() if m.n_obs}


def _without_few(
    asked: Mapping[str, View], raw: Mapping[str, RawView], rows: Mapping[str, int], n: int
) -> tuple[list[str], list[str]]:
    """Views that enough patients have, and what is said of the others, a sentence each.

    A model of few patients' values knows nothing of others. Where all patients have the view, it
    is the cohort that is small, and a view of rows without any value is refused later.
    """
    have = {name: int(view.present.sum()) for name, view in raw.items()}
    few = {k: h for k, h in have.items() if h < min(FEWEST, n) and (h or not rows[k])}
    notes = [
        f"view {name!r} is left out: {h} patients have it, and a view needs {FEWEST}"
        for name, h in few.items()
    ]
    kept = [name for name in asked if name not in few]
    if asked and not kept:
        raise ValueError(
            f"no view is left: a view needs values of {FEWEST} patients, and there are "
            f"{', '.join(f'{h} of {k!r}' for k, h in few.items())}; name other views, or check "
            "that their obs_names are the patients."
        )
    for note in notes:
        warnings.warn(f"{note}.", UserWarning, stacklevel=2)
    return kept, notes


def _read(
    mdata: MuData, roles: Roles, asked_views: Mapping[str, View]
) -> tuple[Tables, Roles, list[str]]:
    """Read a cohort once: its tables, the roles with the views named, what was guessed."""
    obs = role_columns(mdata, roles)
    views, raw = {}, {}
    guesses: dict[str, list[str]] = {}
    for name, asked in asked_views.items():
        values = read_matrix(mdata, name, asked.layer)
        views[name], guesses[name] = _guessed(name, asked, values)
        mod = mdata.mod[name]
        raw[name] = RawView.aligned(
            values, views[name], mod.var_names, mod.obs_names, mdata.obs_names
        )
    patients = np.asarray(mdata.obs_names, dtype=object)
    rows = {name: mdata.mod[name].n_obs for name in views}
    kept, left_out = _without_few(asked_views, raw, rows, len(patients))
    views, raw = {k: views[k] for k in kept}, {k: raw[k] for k in kept}
    notes = [*left_out, *(note for name in kept for note in guesses[name])]
    notes += barcode_notes(_names(mdata, kept))
    for name in kept:
        notes += value_notes(raw[name], views[name], name, patients)
    notes += copied_views(raw, views)
    tables = Tables(patients, raw, obs)
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
    for name, spec in views.items():
        check_view(mdata, name, spec.layer)
    check_names(mdata.obs_names, "patients of mdata")
    names, known = _names(mdata, views), mdata.obs_names[mdata.obs.notna().any(axis=1)]
    check_shape(names, known)
    if roles.columns and mdata.obs.shape[1]:
        check_known(names, known)
    for key, role in covariate_roles(roles):
        check_covariate(find_column(mdata, key, "covariate"), role, f"{role} covariate {key!r}")
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
    with as_found(), quiet():
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
