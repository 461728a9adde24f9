"""Raw modalities and role columns of the patients, aligned by name: plain numpy and pandas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from mvlatent.data.assemble import PATIENTS
from mvlatent.data.codes import refuse_codes
from mvlatent.data.matrix import Matrix, dense, has_value, normalise, place_rows
from mvlatent.data.names import check_names, quote
from mvlatent.data.obs_columns import find_column
from mvlatent.data.shape import refuse_turned
from mvlatent.specs import Roles, View
from mvlatent.specs.checks import did_you_mean

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

__all__ = ["RawView", "Tables", "check_view", "read_matrix", "role_columns"]


@dataclass(frozen=True, eq=False)
class RawView:
    """One modality in the user's units.

    Attributes
    ----------
    x
        Values, (N, p) float32; NaN where missing, whole rows NaN where the patient lacks the view.
        Sparse counts (and zeros and ones) stay in compressed rows, empty where it is lacking.
    present
        Whether the patient has at least one value, (N,) bool.
    features
        Names of the p columns.
    """

    x: Matrix
    present: npt.NDArray[np.bool_]
    features: list[str]

    @classmethod
    def aligned(
        cls,
        values: Matrix,
        spec: View,
        features: Iterable[object],
        rows: pd.Index,
        patients: pd.Index,
    ) -> RawView:
        """Put the rows of a normalised matrix in the order of the patients; a copy, always."""
        names, where = [str(f) for f in features], rows.get_indexer(patients)
        x = place_rows(values if spec.declaration.sparse else dense(values), where)
        present = (where >= 0) & has_value(x)
        return cls(x, present, names)

    @classmethod
    def absent(cls, n: int, features: Sequence[str]) -> RawView:
        """Return a view that none of n patients has."""
        x = np.full((n, len(features)), np.nan, dtype=np.float32)
        return cls(x, np.zeros(n, dtype=bool), list(features))

    def subset(self, rows: npt.NDArray[np.int64]) -> RawView:
        """Return the rows given by integer index."""
        return RawView(self.x[rows], self.present[rows], self.features)


def _no_view(mdata: MuData, name: str) -> str:
    have = quote(m for m in mdata.mod if m != PATIENTS)
    hint = did_you_mean(name, mdata.mod)
    return f"no view {name!r} in mdata; {hint}the modalities are {have}."


def check_view(mdata: MuData, name: str, layer: str | None) -> AnnData:
    """Return a modality, once it is there, holds values and has unique names.

    Raises
    ------
    KeyError
        If the modality or the layer is not there.
    ValueError
        If it has no ``X`` and no layer is named, or a patient or feature occurs twice.
    """
    if name not in mdata.mod:
        raise KeyError(_no_view(mdata, name))
    mod = mdata.mod[name]
    if layer is not None and layer not in mod.layers:
        have = quote(mod.layers) or "none"
        raise KeyError(f"view {name!r} has no layer {layer!r}; it has {have}.")
    if layer is None and mod.X is None:
        raise ValueError(
            f"view {name!r} has no values in X; name a layer in View(layer=...), or name the other "
            "views alone."
        )
    check_names(mod.obs_names, f"patients of view {name!r}")
    check_names(mod.var_names, f"features of view {name!r}")
    return mod


def _pick_features(mod: AnnData, name: str, wanted: Sequence[str]) -> list[int] | None:
    """Return where the wanted features are, ``None`` if they are all of them, in order."""
    where = mod.var_names.map(str).get_indexer(pd.Index(wanted, dtype=object))
    lacking = [f for f, i in zip(wanted, where, strict=True) if i < 0]
    if lacking:
        refuse_turned(name, wanted, mod.obs_names)
        raise KeyError(
            f"view {name!r} lacks {len(lacking)} of the {len(wanted)} features the model was "
            f"fitted on: {quote(lacking)}."
        )
    return None if np.array_equal(where, np.arange(mod.n_vars)) else where.tolist()


def read_matrix(
    mdata: MuData, name: str, layer: str | None, wanted: Sequence[str] | None = None
) -> Matrix:
    """Read the values of a modality, rows as it has them: all features, or those wanted.

    Raises
    ------
    KeyError
        If the modality, the layer or a wanted feature is not there.
    ValueError
        If it has no values, a name occurs twice, or a value is infinite or not a number.
    """
    mod = check_view(mdata, name, layer)
    columns = None if wanted is None else _pick_features(mod, name, wanted)
    matrix = normalise(
        mod.X if layer is None else mod.layers[layer],
        view=name,
        features=mod.var_names,
        patients=mod.obs_names,
        columns=columns,
    )
    taken = mod.var_names if columns is None else mod.var_names[columns]
    refuse_codes(matrix, name, taken, mod.obs_names)
    return matrix


def role_columns(mdata: MuData, roles: Roles, transfer: bool = False) -> pd.DataFrame:
    """Return the role columns; left out are outcomes that new patients lack altogether.

    So are their clinical columns: some heads need them, the latents do not.
    """
    needed = tuple(key for key in roles.covariates if key not in roles.clinical)
    groups: list[tuple[str, tuple[str, ...], bool]] = [("covariate", needed, False)]
    groups += [("covariate", (key,), transfer) for key in roles.clinical]
    uses: dict[str, int] = {}
    for outcome in roles.outcome_specs:
        for key in outcome.parts.values():
            uses[key] = uses.get(key, 0) + 1
        groups += [(what, keys, transfer) for what, keys in outcome.groups]
    data: dict[str, pd.Series] = {}
    for what, keys, optional in groups:
        found: dict[str, pd.Series] = {}
        failed: KeyError | None = None
        for key in keys:
            try:
                found[key] = find_column(mdata, key, what)
            except KeyError as error:
                failed = error
        own = [key for key in found if uses.get(key, 1) == 1]  # and not also another outcome's
        if failed is not None and not (optional and not own):
            if transfer and what == "covariate":
                hint = " New patients need that column too, empty where it is not known."
                raise KeyError(failed.args[0] + hint)
            raise failed
        data.update({k: pd.Series(v.array, index=mdata.obs_names) for k, v in found.items()})
    return pd.DataFrame(data, index=mdata.obs_names)


@dataclass(frozen=True, eq=False)
class Tables:
    """Aligned raw data of N patients, in the order of ``mdata.obs_names``.

    Attributes
    ----------
    obs_names
        Names of the patients, (N,).
    views
        Modalities by name, in the order of the roles.
    obs
        Role columns only, index ``obs_names``.
    """

    obs_names: npt.NDArray[np.object_]
    views: dict[str, RawView]
    obs: pd.DataFrame

    def __len__(self) -> int:
        """Return the number of patients."""
        return len(self.obs_names)

    @classmethod
    def from_mudata(
        cls,
        mdata: MuData,
        roles: Roles,
        *,
        features: Mapping[str, Sequence[str]] | None = None,
    ) -> Tables:
        """Read the modalities and columns that have a role.

        Parameters
        ----------
        mdata
            Patients; it is not changed. Rows of the modalities may be in any order.
        roles
            What to read.
        features
            Of new patients, the features by view that a model was prepared with. They are found by
            name (their order and additional ones do not matter), and a whole view, outcomes or
            clinical columns may be missing.

        Returns
        -------
        Tables
            Views hold the features asked for, in that order.

        Raises
        ------
        KeyError
            If a column, a modality, a layer or a feature asked for is not there.
        ValueError
            If names of patients or features are not unique, or a value is infinite.

        Examples
        --------
        >>> from anndata import AnnData
        >>> from mudata import MuData
        >>> mdata = MuData({"rna": AnnData(np.eye(3))})
        >>> Tables.from_mudata(mdata, Roles({"rna": View()})).views["rna"].x.shape
        (3, 3)
        """
        check_names(mdata.obs_names, "patients of mdata")
        if features and not any(name in mdata.mod for name in features):
            raise KeyError(f"mdata has none of the views {quote(features)}.")
        views: dict[str, RawView] = {}
        for name, spec in roles.views.items():
            wanted = None if features is None else features[name]
            if wanted is not None and name not in mdata.mod:
                views[name] = RawView.absent(mdata.n_obs, wanted)
                continue
            values = read_matrix(mdata, name, spec.layer, wanted)
            mod = mdata.mod[name]
            shown = mod.var_names if wanted is None else wanted
            views[name] = RawView.aligned(values, spec, shown, mod.obs_names, mdata.obs_names)
        obs = role_columns(mdata, roles, features is not None)
        return cls(np.asarray(mdata.obs_names, dtype=object), views, obs)

    @classmethod
    def empty(cls, roles: Roles, features: Mapping[str, Sequence[str]]) -> Tables:
        """One patient of whom nothing is known, for what depends on no patient."""
        names = np.asarray(["nobody"], dtype=object)
        views = {name: RawView.absent(1, wanted) for name, wanted in features.items()}
        columns = {key: [np.nan] for key in roles.covariates}
        return cls(names, views, pd.DataFrame(columns, index=names))

    def subset(self, rows: npt.ArrayLike) -> Tables:
        """Return the patients given by integer index (in that order) or a bool mask."""
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        views = {k: v.subset(index) for k, v in self.views.items()}
        return Tables(self.obs_names[index], views, self.obs.iloc[index])
