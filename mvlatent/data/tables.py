"""Raw modalities and role columns of the patients, aligned by name: plain numpy and pandas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from mvlatent.data.columns import find_column, quote
from mvlatent.data.support import SPARSE, columns_of, entries_of
from mvlatent.specs import Roles, View

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from mvlatent.data.preparation import Preparation

__all__ = ["PATIENTS", "RawView", "Tables", "check_names", "check_view"]

PATIENTS = "_patients"
"""Modality without features that only fixes the rows of a private MuData."""


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

    x: np.ndarray | sparse.csr_matrix
    present: np.ndarray
    features: list[str]


def check_names(names: pd.Index, what: str) -> None:
    """Raise ValueError if a name occurs twice."""
    if not names.is_unique:
        twice = names[names.duplicated()].unique()
        raise ValueError(f"{what} occur more than once: {quote(twice)}; make them unique first.")


def _no_view(mdata: MuData, name: str) -> str:
    have = quote(m for m in mdata.mod if m != PATIENTS)
    return f"no view {name!r} in mdata; the modalities are {have}."


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
        raise ValueError(f"view {name!r} has no values in X; name a layer in View(layer=...).")
    check_names(mod.obs_names, f"patients of view {name!r}")
    check_names(mod.var_names, f"features of view {name!r}")
    return mod


def _values(
    values: Any, columns: Sequence[int] | None, name: str, *, keep_sparse: bool
) -> np.ndarray | sparse.csr_matrix:
    """Values as float32: dense, or in compressed rows if they are sparse and may stay so."""
    if not isinstance(values, np.ndarray) and not sparse.issparse(values):
        values = values[:]
    if sparse.issparse(values) and keep_sparse:
        values = sparse.csr_matrix(values, dtype=np.float32)
        if not np.isnan(values.data).any():
            kept = values if columns is None else values[:, columns]
            kept.sum_duplicates()
            return kept
    if columns is not None:
        values = values[:, columns]
    if sparse.issparse(values):
        values = values.toarray()
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"view {name!r} holds values that are not numbers.") from None


def _pick_features(mod: AnnData, name: str, wanted: list[str]) -> list[int] | None:
    """Return where the wanted features are, ``None`` if they are all of them, in order."""
    where = mod.var_names.get_indexer(pd.Index(wanted, dtype=object))
    lacking = [f for f, i in zip(wanted, where, strict=True) if i < 0]
    if lacking:
        raise KeyError(
            f"view {name!r} lacks {len(lacking)} of the {len(wanted)} features the model was "
            f"fitted on: {quote(lacking)}."
        )
    return None if np.array_equal(where, np.arange(mod.n_vars)) else where.tolist()


def _read_view(
    mdata: MuData, name: str, spec: View, obs_names: pd.Index, wanted: list[str] | None
) -> RawView:
    mod = check_view(mdata, name, spec.layer)
    columns = None if wanted is None else _pick_features(mod, name, wanted)
    raw = mod.X if spec.layer is None else mod.layers[spec.layer]
    values = _values(raw, columns, name, keep_sparse=spec.likelihood in SPARSE)
    features = [str(f) for f in (mod.var_names if wanted is None else wanted)]
    infinite = np.isinf(entries_of(values))
    if infinite.any():
        bad = [features[j] for j in columns_of(values, infinite)]
        raise ValueError(f"view {name!r} holds infinite values in {quote(bad)}.")
    where = mod.obs_names.get_indexer(obs_names)
    if sparse.issparse(values):
        return RawView(_spread(values, where), where >= 0, features)
    x = np.full((len(obs_names), len(features)), np.nan, dtype=np.float32)
    x[where >= 0] = values[where[where >= 0]]
    return RawView(x, np.asarray((~np.isnan(x)).any(axis=1)), features)


def _spread(values: sparse.csr_matrix, where: np.ndarray) -> sparse.csr_matrix:
    """Rows in the order of the patients, empty where they have none (-1)."""
    present = where >= 0
    rows = values[where[present]]
    counts = np.zeros(len(where), dtype=np.int64)
    counts[present] = np.diff(rows.indptr)
    starts = np.concatenate([[0], counts.cumsum()])
    return sparse.csr_matrix((rows.data, rows.indices, starts), (len(where), values.shape[1]))


def _role_columns(mdata: MuData, roles: Roles, transfer: bool) -> pd.DataFrame:
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
    data: dict[str, np.ndarray | pd.Series] = {}
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

    obs_names: np.ndarray
    views: dict[str, RawView]
    obs: pd.DataFrame

    def __len__(self) -> int:
        """Return the number of patients."""
        return len(self.obs_names)

    @classmethod
    def from_mudata(
        cls, mdata: MuData, roles: Roles, *, reference: Preparation | None = None
    ) -> Tables:
        """Read the modalities and columns that have a role.

        Parameters
        ----------
        mdata
            Patients; it is not changed. Rows of the modalities may be in any order.
        roles
            What to read.
        reference
            What a model was prepared with. Features are then aligned to it by name (order and
            additional ones do not matter), a whole view, outcomes or clinical columns may be
            missing.

        Returns
        -------
        Tables
            With a reference, views hold only the features it kept.

        Raises
        ------
        KeyError
            If a column, a modality, a layer or (with a reference) a feature is not there.
        ValueError
            If names of patients or features are not unique, or a value is infinite.

        Examples
        --------
        >>> tables = Tables.from_mudata(mdata, roles)  # doctest: +SKIP
        """
        check_names(mdata.obs_names, "patients of mdata")
        views: dict[str, RawView] = {}
        for name, spec in roles.views.items():
            wanted = None if reference is None else reference.features(name)
            if name in mdata.mod:
                views[name] = _read_view(mdata, name, spec, mdata.obs_names, wanted)
            elif wanted is None:
                raise KeyError(_no_view(mdata, name))
            else:
                empty = np.full((mdata.n_obs, len(wanted)), np.nan, dtype=np.float32)
                views[name] = RawView(empty, np.zeros(mdata.n_obs, dtype=bool), wanted)
        if roles.views and not any(name in mdata.mod for name in roles.views):
            raise KeyError(f"mdata has none of the views {quote(roles.views)}.")
        obs = _role_columns(mdata, roles, reference is not None)
        return cls(np.asarray(mdata.obs_names, dtype=object), views, obs)

    @classmethod
    def empty(cls, preparation: Preparation) -> Tables:
        """One patient of whom nothing is known, for what depends on no patient."""
        names = np.asarray(["nobody"], dtype=object)
        views = {}
        for name in preparation.views:
            features = preparation.features(name)
            x = np.full((1, len(features)), np.nan, dtype=np.float32)
            views[name] = RawView(x, np.zeros(1, dtype=bool), features)
        columns = {key: [np.nan] for key in preparation.roles.covariates}
        return cls(names, views, pd.DataFrame(columns, index=names))

    def subset(self, rows: np.ndarray | Sequence[int]) -> Tables:
        """Return the patients given by integer index (in that order) or a bool mask."""
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        views = {
            k: RawView(v.x[index], v.present[index], v.features) for k, v in self.views.items()
        }
        return Tables(self.obs_names[index], views, self.obs.iloc[index])
