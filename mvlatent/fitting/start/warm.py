"""Weights of another fitted model as a start."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.vae.basis import Basis
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.view_part import ViewPart

__all__ = ["check_features", "warm_weights"]

# what the shape of the weights does not hang on, or is compared view by view
FREE = ("views", "technical_groups", "powers", "top_down", "encoder", "n_hidden")


@torch.no_grad()
def warm_weights(
    vae: StructuredVAE,
    source: StructuredVAE,
    bases: dict[str, Basis],
    source_bases: dict[str, Basis],
    cohort: Cohort,
) -> None:
    """Start a model at the weights of another one of the same shape, in place.

    Features are taken by position, technical columns too. A view that is rotated in both models is
    carried from one basis to the other. In-training heads start anew, and so do their weights.

    Parameters
    ----------
    vae
        Model to start.
    source
        Fitted model.
    bases, source_bases
        Bases of either's views.
    cohort
        Training patients, whose technical columns set how sure the effects are.

    Raises
    ------
    ValueError
        If the views, their sizes or the model's families differ; what differs is named.
    """
    _check_shape(vae, source, bases, source_bases)
    rest = {
        key: value
        for key, value in source.state_dict().items()
        if not key.startswith(("parts.", "heads."))
    }
    vae.load_state_dict(rest, strict=False)
    for name, part in vae.items:
        other = source.part(name)
        weights = dict(other.state_dict())
        if bases[name].rotated:
            weights |= _carried(part, other, bases[name], source_bases[name])
        _check_sizes(name, weights, part.state_dict())
        part.load_state_dict(weights)
        for own, theirs in zip(part.parameters(), other.parameters(), strict=True):
            own.requires_grad_(theirs.requires_grad)  # what is held stays held
        if part.effects is not None:
            present = cohort.technical[cohort.matrices[name].present]
            part.effects.energy.copy_(present.square().sum(0).clamp_min(1e-6))


def check_features(bases: dict[str, Basis], cohort: Cohort) -> None:
    """ValueError if the views of a cohort have other numbers of features than their bases."""
    for name, view in cohort.matrices.items():
        there = len(bases[name].centre) if name in bases else None
        if there != view.x.shape[1]:
            raise ValueError(
                f"warm_start: view {name!r} has {there or 'no'} features there and "
                f"{view.x.shape[1]} here."
            )


def _carried(part: ViewPart, other: ViewPart, to: Basis, of: Basis) -> dict[str, Tensor]:
    """Loadings, intercept and effects on the columns of another basis of the same features."""
    found = {
        key: to.lower(of.lift(loadings))
        for key, loadings in (
            ("decoder.shared", other.decoder.shared),
            ("decoder.private", other.decoder.private),
        )
    }
    intercept = of.lift(other.decoder.intercept) + of.centre - to.centre
    found["decoder.intercept"] = to.lower(intercept)
    if part.effects is not None and other.effects is not None:
        found["effects.loc"] = to.lower(of.lift(other.effects.loc))
    return found


def _check_sizes(name: str, found: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    for key, value in own.items():
        if key not in found or found[key].shape != value.shape:
            there = tuple(found[key].shape) if key in found else "missing"
            raise ValueError(
                f"warm_start: {key} of view {name!r} is {there} there and {tuple(value.shape)} "
                "here."
            )


def _check_shape(
    vae: StructuredVAE,
    source: StructuredVAE,
    bases: dict[str, Basis],
    source_bases: dict[str, Basis],
) -> None:
    ours, theirs = vae.design, source.design
    networks = () if (ours.decoder, ours.encoder_kind) == ("linear", "exact") else ("n_hidden",)
    named = [field.name for field in fields(ours) if field.name not in FREE]
    for what in (*named, "encoder_kind", *networks):
        mine, other = getattr(ours, what), getattr(theirs, what)
        if mine != other:
            raise ValueError(f"warm_start: {what} is {other!r} there and {mine!r} here.")
    if vae.names != source.names:
        raise ValueError(
            f"warm_start: the views are {', '.join(source.names)} there and "
            f"{', '.join(vae.names)} here."
        )
    for mine, other in zip(ours.matrices, theirs.matrices, strict=True):
        for what in ("likelihood", "noise", "n_private"):
            if getattr(mine, what) != getattr(other, what):
                raise ValueError(
                    f"warm_start: {what} of view {mine.name!r} is {getattr(other, what)!r} there "
                    f"and {getattr(mine, what)!r} here."
                )
        to, of = bases[mine.name], source_bases[mine.name]
        if to.rotated != of.rotated or len(to.centre) != len(of.centre):
            raise ValueError(
                f"warm_start: view {mine.name!r} has {len(of.centre)} features"
                f"{' (rotated)' * of.rotated} there and {len(to.centre)}{' (rotated)' * to.rotated}"
                " here."
            )
    for name in bases if networks else ():
        to, of = bases[name], source_bases[name]
        if to.rotated and not torch.equal(to.directions, of.directions):
            raise ValueError(
                f"warm_start: view {name!r} is rotated, and networks cannot be carried from one "
                "rotation to another; take noise='feature' for it."
            )
