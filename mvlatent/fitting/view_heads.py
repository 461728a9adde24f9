"""Heads that predict a view from the others, judged on held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mvlatent.fitting.caution import HeldOut
from mvlatent.fitting.climb import Climbed
from mvlatent.fitting.judged import (
    MIN_PATIENTS,
    damped_loadings,
    damping_of,
    error_size,
    expected,
    judge,
)
from mvlatent.fitting.ridge import N_SCORES, Inputs, Ridge
from mvlatent.fitting.shared import SharedModel
from mvlatent.heads.view_head import ErrorSize, ScoreReader, ViewHead, ViewHeads
from mvlatent.vae.basis import Basis

__all__ = ["fit_view_heads"]


@torch.no_grad()
def fit_view_heads(
    climbed: Climbed,
    names: Sequence[str],
    bases: Mapping[str, Basis],
    *,
    judges: HeldOut,
    n_shared: int,
) -> ViewHeads:
    """Heads of the views named, and how far held-out patients were from what they were predicted.

    Parameters
    ----------
    climbed
        The closed-form fit.
    names
        Views to predict: of any real number on their surface.
    bases
        Bases in which the model sees the views.
    n_shared
        Dimensions of the model's z, those switched off included.
    judges
        Folds and the models of the other patients.

    Notes
    -----
    A head is a ridge regression of the view's leading scores on those of all other views (and one
    on each other view alone), its penalty by leave-one-out. Where a patient lacks one of the
    others, what z expects of it stands in. Folds in which z and ridges are fitted without the
    patients who judge say how much of the head and how much of z predicts best.
    """
    inputs = Inputs(climbed.model.views)
    readers = {
        name: _reader(climbed, m, bases[name], n_shared) for m, name in enumerate(climbed.names)
    }
    heads = {
        name: _head(climbed, climbed.names.index(name), judges, inputs, bases[name], n_shared)
        for name in names
    }
    return ViewHeads(readers, heads)


def _reader(climbed: Climbed, m: int, basis: Basis, n_shared: int) -> ScoreReader:
    """How the leading scores of a view are read from the columns that the model sees."""
    view, weights, centre = climbed.model.views[m], climbed.weights[m], climbed.centres[m]
    directions = view.directions[:, :N_SCORES]
    s = directions.shape[1]
    origin = view.centre @ directions
    if basis.rotated:
        turn, at = basis.directions.T @ directions, torch.zeros(basis.directions.shape[1])
    else:
        turn, at = weights[:, None] * directions, centre
        origin = origin + (centre * weights) @ directions
    effects = torch.zeros(climbed.patients.technical.shape[1], s)
    if climbed.effects is not None:
        effects = climbed.effects[m].loc.detach() @ directions
    loadings = climbed.model.private[m].loadings[:, :s].to(turn.dtype)
    expected = torch.zeros(n_shared + 1, s)
    expected[: climbed.model.k], expected[-1] = loadings[:-1], loadings[-1]
    return ScoreReader(turn.contiguous(), origin, effects, expected, at)


def _head(
    climbed: Climbed, m: int, judges: HeldOut, inputs: Inputs, basis: Basis, n_shared: int
) -> ViewHead:
    """The head of one view."""
    model, names = climbed.model, climbed.names
    own, unit = model.views[m], climbed.weights[m].reciprocal()
    others = [o for o in range(len(names)) if o != m]
    # held-out predictions of z and of the heads, for all others and for each alone
    patterns: dict[str, list[int]] = {"": others} | {names[o]: [o] for o in others}
    tau = damping_of(m, judges)
    judged = {
        key: judge(model, m, seen, judges, inputs, tau)
        for key, seen in patterns.items()
        if int((own.present & model.presence[:, seen].any(1)).sum()) >= MIN_PATIENTS
    }
    alone = {names[o]: o for o in others if names[o] in judged}
    ridges = {"": _joint(model, m, inputs)} | {
        name: _single(model, m, o, inputs) for name, o in alone.items()
    }
    directions = own.directions[:, :N_SCORES]
    onto = directions.T @ basis.directions if basis.rotated else directions.T * unit
    shift, prior, size = _effects(climbed, m, directions)

    def on_features(size: ErrorSize) -> ErrorSize:
        return ErrorSize(size.variance * unit.square(), size.scale)

    return ViewHead(
        view=names[m],
        sources=tuple(names[o] for o in others),
        scales=torch.tensor([inputs.scale[o] for o in others]),
        coef={key: ridge.coef for key, ridge in ridges.items()},
        origin={key: ridge.mean_x for key, ridge in ridges.items()},
        level={key: ridge.mean_y for key, ridge in ridges.items()},
        parts={key: found.parts for key, found in judged.items()},
        parts_latent={key: found.latent for key, found in judged.items()},
        errors={key: on_features(found.errors) for key, found in judged.items()},
        errors_latent={key: on_features(found.errors_latent) for key, found in judged.items()},
        total=on_features(error_size(own.values[own.present], own)),
        onto=onto.contiguous(),
        damping=_damping(model, m, tau, n_shared),
        base=climbed.centres[m] + own.centre * unit,
        shift=shift,
        effect_variance=prior[:, None] * unit.square(),
        effect_size=size,
    )


def _joint(model: SharedModel, m: int, inputs: Inputs) -> Ridge:
    """Regression on all other views, what z expects in the place of those that a patient lacks."""
    given = model.presence.clone()
    given[:, m] = False
    rows = model.presence[:, m] & given.any(1)
    latent = model.posterior(given, grouped=False)
    x = torch.cat(inputs.filled(m, expected(model, latent), model.presence), 1)
    return Ridge(x[rows], model.views[m].values[:, :N_SCORES][rows])


def _single(model: SharedModel, m: int, other: int, inputs: Inputs) -> Ridge:
    """Regression on one other view, of the patients who have both."""
    both = model.presence[:, m] & model.presence[:, other]
    return Ridge(inputs.values[other][both], model.views[m].values[:, :N_SCORES][both])


def _damping(model: SharedModel, m: int, tau: float, n_shared: int) -> Tensor:
    """What shrinkage along private directions adds to the scores' loadings on z, (k, t)."""
    own = damped_loadings(model, m, tau)[:, :N_SCORES] - model.private[m].loadings[:-1, :N_SCORES]
    damping = torch.zeros(n_shared, own.shape[1])
    damping[: model.k] = own.float()
    return damping


def _effects(climbed: Climbed, m: int, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Technical effects on the scores (q, t), their prior variance and their patients (q,)."""
    if climbed.effects is None:
        q = climbed.patients.technical.shape[1]
        return torch.zeros(q, directions.shape[1]), torch.zeros(q), torch.ones(q)
    effects = climbed.effects[m]
    shift = effects.loc.detach() @ directions
    return shift, effects.prior_sd.square(), effects.energy.clone()
