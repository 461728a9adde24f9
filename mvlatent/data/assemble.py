"""A MuData put together: of one AnnData, or of matrices and a table of all patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.data.matrix import has_value, in_memory
from mvlatent.data.names import check_names, quote
from mvlatent.process import as_found, quiet
from mvlatent.specs import View
from mvlatent.specs.checks import kind_of

__all__ = ["PATIENTS", "assemble", "check_cohort", "mudata_from_anndata"]

PATIENTS = "_patients"
"""Modality without features that only fixes the rows of a private MuData."""


def check_cohort(data: object) -> None:
    """Raise TypeError unless patients are a MuData or an AnnData.

    Examples
    --------
    >>> check_cohort("cohort.h5mu")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    TypeError: a cohort is a MuData or an AnnData, not a str; read a file with ...
    """
    if not isinstance(data, MuData | AnnData):
        raise TypeError(
            f"a cohort is a MuData or an AnnData, not {kind_of(data)}; read a file with "
            "mudata.read(path), or put tables into mudata.MuData({name: anndata.AnnData(table)})."
        )


def assemble(mods: Mapping[str, AnnData], obs: pd.DataFrame) -> MuData:
    """Return a MuData whose rows are exactly those of ``obs``, in that order.

    MuData takes its rows from its modalities, so an empty one of all patients comes first.
    """
    patients = AnnData(obs=pd.DataFrame(index=obs.index))
    with as_found(), quiet():
        return MuData({PATIENTS: patients, **mods}, obs=obs)


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
        If a patient or feature occurs twice.
    KeyError
        If a layer or an ``obsm`` entry is not there.
    """
    check_names(adata.obs_names, "patients of adata")
    if not views:
        return assemble({}, adata.obs.copy())
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
    return assemble(mods, adata.obs.copy())


def _from_obsm(adata: AnnData, name: str) -> AnnData:
    """An entry of ``obsm`` as a modality of the patients who have a value in it."""
    block = adata.obsm[name]
    if block.ndim != 2:
        raise ValueError(
            f"view {name!r} has {block.ndim} dimensions in adata.obsm, not patients × features; "
            "make it a table."
        )
    features = (
        [str(c) for c in block.columns]
        if isinstance(block, pd.DataFrame)
        else [f"{name}_{j}" for j in range(block.shape[1])]
    )
    x = in_memory(block)
    keep = has_value(x)
    return AnnData(
        X=x if keep.all() else x[keep],
        obs=pd.DataFrame(index=adata.obs_names[keep]),
        var=pd.DataFrame(index=features),
    )
