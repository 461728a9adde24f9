"""New patients of a fitted model, read as far as they go: outcomes and features may lack."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from mudata import MuData

from mvlatent.data.matrix import dense
from mvlatent.data.names import quote
from mvlatent.data.obs_columns import find_column
from mvlatent.data.shape import refuse_turned
from mvlatent.data.tables import RawView, Tables
from mvlatent.specs import Roles

__all__ = ["MISSING_FEATURES", "read_newcomers"]

MISSING_FEATURES = ("refuse", "integrate")


def read_newcomers(
    mdata: MuData,
    roles: Roles,
    kept: Mapping[str, Sequence[str]],
    *,
    outcomes: bool = True,
    missing_features: str = "refuse",
) -> Tables:
    """Tables of new patients, each view with the features that a model takes.

    Parameters
    ----------
    mdata
        Patients; they are not changed.
    roles
        What to read.
    kept
        Features by view that the model takes.
    outcomes
        Whether to read outcomes. Without, their columns may hold anything: only strata are read.
    missing_features
        ``"refuse"``, or ``"integrate"``: those that a view lacks are entries that nobody measured.

    Raises
    ------
    KeyError
        If features lack and are not to be integrated out, or every feature does.
    """
    lacking = _lacking(mdata, kept)
    if lacking and missing_features == "refuse":
        name, names = next(iter(lacking.items()))
        refuse_turned(name, kept[name], mdata.mod[name].obs_names)
        raise KeyError(
            f"view {name!r} lacks {len(names)} of the {len(kept[name])} features the model was "
            f"fitted on: {quote(names)}; missing_features='integrate' takes them as entries that "
            "were not measured."
        )
    have = {name: _without(features, lacking.get(name)) for name, features in kept.items()}
    if lacking and not any(have[name] for name in kept if name in mdata.mod):
        raise KeyError(f"mdata has no feature of the views {quote(kept)} that the model knows.")
    asked = replace(roles, views={k: view for k, view in roles.views.items() if have[k]})
    tables = Tables.from_mudata(
        mdata, asked if outcomes else replace(asked, outcome_specs=()), features=have
    )
    if not outcomes:
        tables = _with_strata(tables, mdata, roles)
    if not lacking:
        return tables
    _warn_of(lacking, kept)
    n = len(tables)
    views = {
        name: (
            _widened(tables.views[name], kept[name])
            if have[name]
            else RawView.absent(n, kept[name])
        )
        for name in roles.views
    }
    return replace(tables, views=views)


def _lacking(mdata: MuData, kept: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Features that a view which is there lacks, by view."""
    found = {}
    for name, features in kept.items():
        if name in mdata.mod:
            known = set(map(str, mdata.mod[name].var_names))
            if names := [f for f in features if f not in known]:
                found[name] = names
    return found


def _without(features: Sequence[str], lacking: Sequence[str] | None) -> list[str]:
    gone = set(lacking or ())
    return [f for f in features if f not in gone]


def _with_strata(tables: Tables, mdata: MuData, roles: Roles) -> Tables:
    """The tables with what outcomes take that is no outcome itself, where it is there."""
    obs = tables.obs.copy()
    for spec in roles.outcome_specs:
        for part, column in spec.parts.items():
            if part in spec.free_parts and column not in obs:
                try:
                    obs[column] = find_column(mdata, column, part).array
                except KeyError:
                    continue
    return replace(tables, obs=obs)


def _widened(view: RawView, features: Sequence[str]) -> RawView:
    """A view with columns without a value for the features that it lacks."""
    place = {f: j for j, f in enumerate(features)}
    x = np.full((len(view.present), len(features)), np.nan, dtype=np.float32)
    x[:, [place[f] for f in view.features]] = dense(view.x)
    x[~view.present] = np.nan
    return RawView(x, view.present, list(features))


def _warn_of(lacking: Mapping[str, Sequence[str]], kept: Mapping[str, Sequence[str]]) -> None:
    each = "; ".join(
        f"view {name!r} lacks {len(names)} of {len(kept[name])}: {quote(names)}"
        for name, names in lacking.items()
    )
    warnings.warn(
        f"features that the model was fitted on are taken as not measured: {each}.",
        UserWarning,
        stacklevel=6,
    )
