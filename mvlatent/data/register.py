"""Registration on scvi-tools' `AnnDataManager`, without touching the user's object.

scvi-tools writes keys into what it registers. So a private MuData is registered: it refers to the
same matrices, and holds a copy of the role columns.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scipy import sparse
from scvi.data import AnnDataManager
from scvi.data._manager import AnnDataManagerValidationCheck
from scvi.data.fields import MuDataCategoricalObsField, MuDataLayerField

from mvlatent.data.coder import coder_of
from mvlatent.data.columns import as_text, find_column, quote
from mvlatent.data.guess import guess_likelihood
from mvlatent.data.tables import PATIENTS, check_names, check_view
from mvlatent.specs import OutcomeSpec, Roles, View

__all__ = [
    "guess_views",
    "mudata_from_anndata",
    "register_mudata",
    "registered_manager",
    "registered_notes",
    "registered_roles",
]

BATCH = "_mvlatent_batch"

_MANAGERS: dict[int, tuple[weakref.ref[Any], AnnDataManager]] = {}


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
    >>> guess_views(mdata)["mut"].likelihood  # doctest: +SKIP
    'bernoulli'
    """
    return _guessed(mdata, views)[0]


def _guessed(mdata: MuData, views: Mapping[str, View] | None) -> tuple[dict[str, View], list[str]]:
    """Views with their likelihood, and what was guessed and why, a sentence each."""
    if not views:
        views = {name: View(None) for name in mdata.mod if name != PATIENTS}
    found, notes = {}, []
    for name, spec in views.items():
        if spec.likelihood is None:
            mod = check_view(mdata, name, spec.layer)
            values = mod.X if spec.layer is None else mod.layers[spec.layer]
            likelihood, why = guess_likelihood(values)
            notes.append(f"view {name!r}: likelihood guessed: {likelihood} ({why})")
            spec = replace(spec, likelihood=likelihood)
        found[name] = spec
    return found, notes


def mudata_from_anndata(
    adata: AnnData, views: Mapping[str, Any] | Sequence[str], *, allow_missing: bool = False
) -> MuData:
    """Make a MuData of one AnnData.

    Parameters
    ----------
    adata
        Patients. It is not changed.
    views
        The first is ``X`` (or its `View.layer`); the others are the ``obsm`` entries of that name.
        A patient whose row in ``obsm`` is all NaN lacks that view.
    allow_missing
        Leave out views that are not in ``obsm`` (new patients of a fitted model).

    Returns
    -------
    MuData
        One modality a view, and ``obs`` at the top; the first keeps its layer under its name.

    Raises
    ------
    ValueError
        If no view is named, or a patient or feature occurs twice.
    KeyError
        If a layer or an ``obsm`` entry is not there.
    """
    if not views:
        raise ValueError("name the views of an AnnData, the first of them being X or a layer.")
    check_names(adata.obs_names, "patients of adata")
    first, *others = views
    spec = views[first] if isinstance(views, Mapping) else None
    layer = spec.layer if isinstance(spec, View) else None
    if layer is not None and layer not in adata.layers:
        have = quote(adata.layers) or "none"
        raise KeyError(f"view {first!r} has no layer {layer!r}; it has {have}.")
    mods = {
        first: AnnData(
            X=adata.X,
            obs=pd.DataFrame(index=adata.obs_names),
            var=pd.DataFrame(index=adata.var_names),
            layers={} if layer is None else {layer: adata.layers[layer]},
        )
    }
    for name in others:
        if name in adata.obsm:
            mods[name] = _from_obsm(adata, name)
        elif not allow_missing:
            have = quote(adata.obsm) or "none"
            raise KeyError(f"view {name!r} is not in adata.obsm; it has {have}.")
    return _assemble(mods, adata.obs.copy())


def _from_obsm(adata: AnnData, name: str) -> AnnData:
    block = adata.obsm[name]
    features = (
        [str(c) for c in block.columns]
        if isinstance(block, pd.DataFrame)
        else [f"{name}_{j}" for j in range(block.shape[1])]
    )
    x = sparse.csr_matrix(block) if sparse.issparse(block) else np.asarray(block)
    keep = np.ones(x.shape[0], dtype=bool)
    if x.dtype.kind == "f" and not sparse.issparse(x):
        keep = ~np.isnan(x).all(axis=1)
    return AnnData(
        X=x[keep],
        obs=pd.DataFrame(index=adata.obs_names[keep]),
        var=pd.DataFrame(index=features),
    )


def _assemble(mods: dict[str, AnnData], obs: pd.DataFrame) -> MuData:
    """Return a MuData whose rows are exactly those of ``obs``, in that order.

    MuData takes its rows from its modalities, so an empty one of all patients comes first.
    """
    patients = AnnData(obs=pd.DataFrame(index=obs.index))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MuData({PATIENTS: patients, **mods}, obs=obs)


def _private_mudata(mdata: MuData, roles: Roles) -> MuData:
    """Return a MuData of the roles only: the matrices are shared, the columns are copies."""
    mods = {}
    for name, spec in roles.views.items():
        mod = mdata.mod[name].to_memory() if mdata.mod[name].isbacked else mdata.mod[name]
        mods[name] = AnnData(
            X=mod.X,
            obs=pd.DataFrame(index=mod.obs_names),
            var=pd.DataFrame(index=mod.var_names),
            layers={} if spec.layer is None else {spec.layer: mod.layers[spec.layer]},
        )
    columns = {key: find_column(mdata, key).array for key in roles.columns}
    obs = pd.DataFrame(columns, index=mdata.obs_names)
    if roles.batch is not None:
        text = [t if t is not None else "unknown" for t in as_text(obs[roles.batch])]
        obs[BATCH] = pd.Categorical(text)
    return _assemble(mods, obs)


def _check(mdata: MuData, roles: Roles) -> None:
    """Raise on what can be seen wrong without reading the matrices' values."""
    check_names(mdata.obs_names, "patients of mdata")
    for name, spec in roles.views.items():
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


def register_mudata(mdata: MuData, roles: Roles, *, owner: object | None = None) -> AnnDataManager:
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
    AnnDataManager
        ``manager.adata`` is a private MuData of the role columns (copies) and modalities (shared
        matrices), rows in the order of ``mdata.obs_names``; the roles are in its setup arguments.

    Raises
    ------
    KeyError
        If a column, modality or layer is not there; the message names the choices.
    ValueError
        If names occur twice, or an outcome is not sound.

    Examples
    --------
    >>> manager = register_mudata(mdata, Roles(batch="site"))  # doctest: +SKIP
    >>> registered_roles(manager).views  # doctest: +SKIP
    """
    views, notes = _guessed(mdata, roles.views)
    if not views:
        raise ValueError("mdata has no modality.")
    roles = replace(roles, views=views)
    _check(mdata, roles)
    fields: list[Any] = [
        MuDataLayerField(
            name, spec.layer, mod_key=name, is_count_data=False, correct_data_format=False
        )
        for name, spec in roles.views.items()
    ]
    if roles.batch is not None:
        fields.append(MuDataCategoricalObsField("batch", BATCH))
    manager = AnnDataManager(
        fields=fields,
        setup_method_args={
            "model_name": "MVLatent",
            "setup_method_name": "setup_mudata",
            "setup_args": {"roles": roles.to_dict(), "notes": notes},
        },
        validation_checks=AnnDataManagerValidationCheck(check_fully_paired_mudata=False),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        manager.register_fields(_private_mudata(mdata, roles))
    _remember(mdata if owner is None else owner, manager)
    return manager


def _remember(owner: object, manager: AnnDataManager) -> None:
    key = id(owner)
    _MANAGERS[key] = (weakref.ref(owner, lambda _: _MANAGERS.pop(key, None)), manager)


def registered_manager(owner: object) -> AnnDataManager:
    """Return the latest manager that was registered for this very object.

    Raises
    ------
    ValueError
        If none was.
    """
    reference, manager = _MANAGERS.get(id(owner), (None, None))
    if manager is None or reference is None or reference() is not owner:
        raise ValueError("this object is not set up; call MVLatent.setup_mudata(mdata, ...) first.")
    return manager


def registered_roles(manager: AnnDataManager) -> Roles:
    """Return the roles of a manager, with the views named."""
    return Roles.from_dict(manager.registry["setup_args"]["roles"])


def registered_notes(manager: AnnDataManager) -> list[str]:
    """Return what was guessed while registering, a sentence each."""
    return list(manager.registry["setup_args"]["notes"])
