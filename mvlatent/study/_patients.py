"""Patients as plain arrays and tables: what any process or thread can be handed, and cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from mvlatent.data.assemble import PATIENTS, assemble, check_cohort, mudata_from_anndata
from mvlatent.data.matrix import in_memory
from mvlatent.data.obs_columns import find_column
from mvlatent.data.tables import check_view
from mvlatent.specs import Roles

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

__all__ = ["PlainCohort"]


@dataclass(frozen=True, eq=False)
class _Modality:
    """The values of one view, and whose and what they are."""

    values: Any  # (n, p): an array or a sparse matrix in memory
    layer: str | None
    patients: np.ndarray
    features: np.ndarray

    @classmethod
    def of(cls, mod: AnnData, layer: str | None) -> _Modality:
        values = in_memory(mod.X if layer is None else mod.layers[layer])
        if sparse.issparse(values) and values.format not in ("csr", "csc"):
            values = values.tocsr()  # rows of others cannot be taken
        return cls(values, layer, _names(mod.obs_names), _names(mod.var_names))

    def anndata(self, keep: pd.Index) -> AnnData:
        """The patients that are kept, as a modality."""
        from anndata import AnnData

        rows = np.flatnonzero(np.isin(self.patients, keep))
        values = self.values[rows]
        return AnnData(
            X=values if self.layer is None else None,
            obs=pd.DataFrame(index=self.patients[rows]),
            var=pd.DataFrame(index=self.features),
            layers={} if self.layer is None else {self.layer: values},
        )


@dataclass(frozen=True, eq=False)
class PlainCohort:
    """A cohort that can be pickled whatever it was read from: a MuData of a file cannot.

    Arrays are the user's own where they are in memory, and are never written to; joblib maps large
    ones into the memory of its processes.

    Attributes
    ----------
    obs
        Columns of the patients, those of a modality that have a role (``"rna:batch"``) among them.
    views
        Modalities by name.

    Examples
    --------
    >>> import mvlatent as mv
    >>> plain = PlainCohort.of(mv.datasets.demo(80), Roles(["rna"]))
    >>> plain.mudata([5, 3]).obs_names.equals(plain.obs.index[[5, 3]])
    True
    """

    obs: pd.DataFrame
    views: dict[str, _Modality]

    @classmethod
    def of(cls, data: MuData | AnnData, roles: Roles) -> PlainCohort:
        """Read what a fit takes of a cohort; it is not changed.

        Raises
        ------
        TypeError
            If it is no cohort.
        KeyError, ValueError
            If a view or a column is not there, or the views of an AnnData are not named.
        """
        check_cohort(data)
        mdata: Any = data if hasattr(data, "mod") else mudata_from_anndata(data, roles.views)
        obs = mdata.obs.copy()
        columns = [("covariate", key) for key in roles.covariates]
        for outcome in roles.outcome_specs:
            columns += [(what, key) for what, keys in outcome.groups for key in keys]
        for what, key in columns:
            if key not in obs:
                obs[key] = find_column(mdata, key, what).array
        found = {}
        for name in roles.views or [m for m in mdata.mod if m != PATIENTS]:
            layer = roles.views[name].layer if name in roles.views else None
            found[name] = _Modality.of(check_view(mdata, name, layer), layer)
        return cls(obs, found)

    def mudata(self, rows: Any) -> MuData:
        """A MuData of the rows given by integer index or bool mask, in that order; a copy."""
        obs = self.obs.iloc[rows].copy()
        mods = {name: view.anndata(obs.index) for name, view in self.views.items()}
        return assemble(mods, obs)


def _names(names: pd.Index) -> np.ndarray:
    return np.asarray(names, dtype=object)
