"""Values to colour patients by, from a name: a column of obs, or a feature of a view."""

from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from mvlatent.data.obs_columns import find_column

__all__ = ["named_values"]

SHOWN = 5  # names of features in a message


def named_values(data: Any, name: str) -> pd.Series:
    """A column of obs, ``modality:column`` of a modality's obs, or ``view:feature``.

    Parameters
    ----------
    data
        MuData, or AnnData: there a feature of ``X`` may be named alone, and others are columns of a
        DataFrame in ``obsm``.
    name
        What to colour by. A column of obs comes first, then a modality's, then a feature.

    Returns
    -------
    Series
        Values in the order of the patients, missing where they lack the view.

    Raises
    ------
    KeyError
        If there is no such column, view or feature.
    """
    if name in data.obs:
        return pd.Series(data.obs[name])
    mods = getattr(data, "mod", None)
    if mods is None:
        return _of_anndata(data, name)
    mods = {view: mod for view, mod in mods.items() if mod.n_vars}
    fits = [m for m in mods if name.startswith(f"{m}:")]  # names of views may hold a colon
    for view in sorted(fits, key=len, reverse=True):
        inside = name[len(view) + 1 :]
        if inside in mods[view].obs:
            return find_column(data, name) if ":" not in view else mods[view].obs[inside]
        if inside in mods[view].var_names:
            return _feature(mods[view], inside, name).reindex(data.obs_names)
    if fits:
        view = max(fits, key=len)
        inside = name[len(view) + 1 :]
        close = _close(inside, [*map(str, mods[view].var_names)])
        raise KeyError(
            f"view {view!r} has no feature {inside!r}; {close}it has {mods[view].n_vars} features."
        )
    holds = [view for view, mod in mods.items() if name in mod.var_names]
    hint = f"did you mean {f'{holds[0]}:{name}'!r}? " if holds else _close(name, [*data.obs])
    raise KeyError(
        f"no column {name!r} in obs; {hint}there are {[*data.obs]}, and features are named "
        f"view:feature, of the views {', '.join(mods)}."
    )


def _of_anndata(adata: Any, name: str) -> pd.Series:
    """A feature of X, or ``entry:column`` of a DataFrame in obsm."""
    if name in adata.var_names:
        return _feature(adata, name, name)
    entry, _, inside = name.partition(":")
    block = adata.obsm.get(entry)
    if isinstance(block, pd.DataFrame) and inside in block:
        return pd.Series(block[inside]).rename(name)
    if block is None and inside in adata.var_names:  # by the name that X has as a view
        return _feature(adata, inside, name)
    close = _close(inside or name, [*map(str, adata.obs), *map(str, adata.var_names)])
    raise KeyError(
        f"no column {name!r} in obs and no such feature; {close}there are the columns "
        f"{[*adata.obs]} and {adata.n_vars} features."
    )


def _close(name: str, choices: list[str]) -> str:
    found = get_close_matches(name, [*map(str, choices)], n=SHOWN)
    return f"did you mean {', '.join(map(repr, found))}? " if found else ""


def _feature(mod: Any, feature: str, name: str) -> pd.Series:
    """Values of one feature of a modality's X by patient."""
    where = np.flatnonzero(np.asarray(mod.var_names) == feature)
    if len(where) > 1:
        raise KeyError(f"feature {name!r} is there {len(where)} times; rename or drop one.")
    column = mod[:, feature].X
    if not isinstance(column, np.ndarray | np.generic) and hasattr(column, "to_memory"):
        column = column.to_memory()
    values = column.toarray() if sparse.issparse(column) else np.asarray(column)
    return pd.Series(values.astype(float).ravel(), mod.obs_names, name=name)
