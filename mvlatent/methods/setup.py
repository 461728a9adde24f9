"""Setting a cohort up: what was typed becomes roles, and options are held against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mvlatent.fitting.devices import check_devices
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.heads.blocks import BLOCK_KINDS
from mvlatent.heads.choice import AUTO
from mvlatent.methods.arguments import LOOP, check_options
from mvlatent.methods.fitted import FittedModel
from mvlatent.specs import OutcomeSpec, Roles, View
from mvlatent.specs.checks import check_flag, check_number, did_you_mean, shown
from mvlatent.specs.typed import as_outcomes

__all__ = ["Views", "anndata_views", "check_names", "checked_plan", "roles_of"]

Views = Mapping[str, View | str | None] | Sequence[str] | None


def anndata_views(views: Views, layer: str | None, protein: str | None) -> Views:
    """Views of an AnnData, with what scvi-tools calls ``layer`` and the key of the proteins.

    Parameters
    ----------
    views
        What was typed; ``None`` is one view, ``"rna"``.
    layer
        Layer of the first view.
    protein
        Entry of ``obsm`` that is one more view.

    Raises
    ------
    ValueError
        If the first view names another layer, or there is no view that could take it.

    Examples
    --------
    >>> found = anndata_views(None, "counts", "protein_expression")
    >>> found["rna"].layer, list(found)
    ('counts', ['rna', 'protein_expression'])
    """
    if views is None:
        views = {"rna": None}
    named = dict(views) if isinstance(views, Mapping) else dict.fromkeys(views)
    if layer is not None:
        if not named:
            raise ValueError(f"layer={layer!r} has no view to go to; name the views.")
        first = next(iter(named))
        said = named[first]
        view = said if isinstance(said, View) else View(said)
        if view.layer not in (None, layer):
            raise ValueError(
                f"layer={layer!r}, but view {first!r} says layer {view.layer!r}; give one of them."
            )
        named[first] = replace(view, layer=layer)
    if protein is not None:
        named.setdefault(protein, None)
    return views if layer is None and protein is None else named


def checked_plan(
    *,
    validation_size: object = 0.0,
    progress: object = True,
    warm_start: object = None,
    **plan: Any,
) -> Plan:
    """Options of a fit, once each of them is sound and this machine has the devices.

    Raises
    ------
    TypeError
        If there is no option of a name, or one is of another kind than it has to be.
    ValueError
        If an option is out of its range, or the devices cannot be had.
    """
    check_options(plan, LOOP)
    check_number("validation_size", validation_size, 0, 1)
    check_flag("progress", progress)
    if warm_start is not None:
        if not isinstance(warm_start, FittedModel):
            raise TypeError(f"warm_start must be a fitted MVLatent, not {shown(warm_start)}.")
        if warm_start._trained is None:
            raise ValueError("warm_start is not fitted yet; call its fit() first.")
    settled = Plan(**plan)
    check_devices(settled)
    return settled


def roles_of(
    views: Views,
    batch_key: str | None,
    technical_keys: Sequence[str],
    clinical_keys: Sequence[str],
    outcomes: Sequence[OutcomeSpec],
) -> Roles:
    """Roles of what was typed."""
    return Roles(
        views,  # type: ignore[arg-type]
        batch=batch_key,
        technical=technical_keys,  # type: ignore[arg-type]
        clinical=clinical_keys,  # type: ignore[arg-type]
        outcome_specs=tuple(as_outcomes(outcomes=outcomes)),
    )


def check_names(roles: Roles, options: Options) -> None:
    """Raise KeyError or ValueError if options name views or blocks that there are not."""
    _check_something(roles)
    for name in options.likelihood_power or {}:
        if name not in roles.views:
            hint = did_you_mean(name, roles.views)
            views = ", ".join(roles.views) or "none"
            raise KeyError(f"likelihood_power: no view {name!r}; {hint}the views are {views}.")
    of_views = [f"{kind}:{v}" for kind in ("private", "scores") for v in roles.views]
    known = (*BLOCK_KINDS, *of_views)
    for name in () if options.head_blocks == AUTO else options.head_blocks:
        if name not in known:
            choices = ", ".join(known)
            hint = did_you_mean(name, known)
            raise KeyError(f"head_blocks: no block {name!r}; {hint}the blocks are {choices}.")
    columns = {
        **dict.fromkeys(("shared", "private", "scores"), roles.views),
        "clinical": roles.clinical,
        "technical": roles.batch or roles.technical,
    }
    if not any(columns.get(name, True) for name in options.head_blocks):
        asked = ", ".join(map(repr, options.head_blocks)) or "nothing"
        other = "add 'shared'" if roles.views else "add 'clinical'"
        raise ValueError(
            f"head_blocks: the head has no block to take, as {asked} has no column; name its "
            f"columns, or {other}."
        )


def _check_something(roles: Roles) -> None:
    """ValueError if a model without views has nothing to predict, or nothing to predict from."""
    if roles.views:
        return
    if not roles.outcome_specs:
        raise ValueError(
            "views=[] leaves heads alone to be fitted, and there is no outcome; name survival, "
            "labels or targets, or leave views out to take every modality."
        )
    if not roles.clinical:
        raise ValueError(
            "views=[] leaves heads on clinical columns alone; name those columns as clinical, or "
            "leave views out to take every modality."
        )
