"""A model in other processes and threads: pickled as it is saved, copied, read by several."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.data.assemble import assemble
from mvlatent.data.tables import Tables
from mvlatent.fitting.options import Options
from mvlatent.fitting.trained import Trained
from mvlatent.io.state import rebuild, state_of
from mvlatent.methods.scvi import AsScvi
from mvlatent.process import usual_torch
from mvlatent.specs import Roles

__all__ = ["Portable"]


class Portable(AsScvi):
    """What a model needs to be anywhere: with its patients, as plain arrays and tables.

    What is read from it does not depend on torch's defaults where it is read, nor on other threads
    that read or fit.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Have each public reading done under torch's usual defaults, one at a time."""
        super().__init_subclass__(**options)
        for name, member in inspect.getmembers(cls, inspect.isfunction):
            reads = member.__module__.startswith(f"{__package__}.methods.")
            if reads and not name.startswith("_") and not hasattr(member, "__wrapped__"):
                setattr(cls, name, usual_torch()(member))

    def __reduce__(self) -> tuple[Any, ...]:
        """What rebuilds the model: what `save` writes, and its patients if it has any."""
        trained = None if self._trained is None else _packed(self._trained)
        patients = None
        if self._tables is not None:
            manager = self._adata_manager
            notes = () if manager is None else tuple(manager.notes)
            patients = _Patients(self._tables, notes, manager is not None)
        return _rebuilt, (type(self), self.roles, self.options, trained, patients)


def _packed(trained: Trained) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `save` writes, as it comes back from its file."""
    said, arrays = state_of(trained)
    return json.loads(json.dumps(said)), arrays


@dataclass(frozen=True)
class _Patients:
    """The patients of a model, what was guessed of them, and whether they are registered."""

    tables: Tables
    notes: Sequence[str]
    registered: bool


def _rebuilt(
    kind: type[Any],
    roles: Roles,
    options: Options,
    trained: tuple[dict[str, Any], dict[str, np.ndarray]] | None,
    patients: _Patients | None,
) -> Any:
    """The model that was taken apart by ``__reduce__``."""
    with usual_torch():
        model: Any = object.__new__(kind)
        model._begin(roles, options)
        if trained is not None:
            model._keep(rebuild(*trained))
        if patients is None:
            model._adata = model._adata_manager = None
            return model
        tables = patients.tables
        model._source = model._adata = _mudata_of(tables, roles)
        model._adata_manager = None
        if patients.registered:
            model._manager().notes[:] = patients.notes
        model._tables = tables
        if trained is not None:
            model._cohort = model.trained.cohort(tables)
    return model


def _mudata_of(tables: Tables, roles: Roles) -> MuData:
    """A MuData of the patients, with what has a role."""
    mods = {}
    for name, view in tables.views.items():
        layer = roles.views[name].layer
        values = view.x[view.present]
        mods[name] = AnnData(
            X=values if layer is None else None,
            obs=pd.DataFrame(index=tables.obs_names[view.present]),
            var=pd.DataFrame(index=view.features),
            layers={} if layer is None else {layer: values},
        )
    return assemble(mods, tables.obs.copy())
