"""Heads that predict a view from the others, judged on held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mvlatent.fitting.caution import HeldOut
from mvlatent.fitting.climb import Climbed
from mvlatent.fitting.honest import Fold
from mvlatent.fitting.shared import Latent, SharedModel
from mvlatent.fitting.surfaces import Scores, spread_rows
from mvlatent.heads.view_head import ScoreReader, Spread, ViewHead, ViewHeads
from mvlatent.vae.basis import Basis

__all__ = ["fit_view_heads"]

N_SCORES = 150  # leading scores of a view that a head reads, and that it predicts
PENALTIES = tuple(10.0 ** (0.5 * i) for i in range(-2, 11))  # of scores whose first has unit sd
DAMPINGS = (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)
LEVEL, NORMAL = 0.9, 1.6448536  # the interval that held-out entries set the scale of
SPREAD_ELEMENTS = 5_000_000
SPREAD_ROWS = 1000  # held-out patients whose errors are measured, at most
MIN_PATIENTS = 20  # who have both views


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
    views = climbed.model.views
    folds, models = judges.folds, judges.models
    inputs = _Inputs(views)
    readers = {
        name: _reader(climbed, m, bases[name], n_shared) for m, name in enumerate(climbed.names)
    }
    heads = {
        name: _head(
            climbed, climbed.names.index(name), folds, models, inputs, bases[name], n_shared
        )
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


class _Inputs:
    """Leading scores of every view, the first of unit sd."""

    def __init__(self, views: Sequence[Scores]) -> None:
        self.scale = [float((v.energy[0] / max(v.n, 1)).sqrt().clamp_min(1e-8)) for v in views]
        self.values = [v.values[:, :N_SCORES] / s for v, s in zip(views, self.scale, strict=True)]

    def filled(self, m: int, expected: Sequence[Tensor], presence: Tensor) -> list[Tensor]:
        """Scores of the views but m, what is expected where a patient lacks one."""
        return [
            torch.where(presence[:, o, None], x, expected[o][:, : x.shape[1]] / self.scale[o])
            for o, x in enumerate(self.values)
            if o != m
        ]


class _Ridge:
    """Ridge regression of several targets, its penalty by leave-one-out."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.mean_x, self.mean_y = x.mean(0), y.mean(0)
        x, y = x - self.mean_x, y - self.mean_y
        wide = x.shape[1] > len(x)
        values, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
        values = values.clamp_min(0)
        if wide:
            left, across = vectors, x.T @ vectors
        else:
            left, across = x @ vectors, vectors
        best = float("inf")
        inner = left.T @ y
        for penalty in PENALTIES:
            shrink = 1.0 / (values + penalty)
            factor = values * shrink if wide else shrink
            fitted = left @ (factor[:, None] * inner)
            leverage = (left.square() * factor).sum(1) + 1.0 / len(x)
            error = float(((y - fitted) / (1 - leverage).clamp_min(1e-3)[:, None]).square().sum())
            if error < best:
                best, self.penalty = error, penalty
                self.coef = across @ (shrink[:, None] * inner)

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.mean_x) @ self.coef + self.mean_y


def _expected(model: SharedModel, latent: Latent) -> list[Tensor]:
    return [model.predict(o, latent) for o in range(len(model.views))]


def _head(
    climbed: Climbed,
    m: int,
    folds: Sequence[Fold],
    models: Sequence[SharedModel],
    inputs: _Inputs,
    basis: Basis,
    n_shared: int,
) -> ViewHead:
    """The head of one view."""
    model, names = climbed.model, climbed.names
    presence = model.presence
    everyone = torch.stack([v.present for v in model.views], 1)
    others = [o for o in range(len(names)) if o != m]
    without = everyone.clone()
    without[:, m] = False
    rows = everyone[:, m] & without.any(1)
    tau = _damping(m, folds, models)
    # held-out predictions of z and of the heads, for all others and for each alone
    patterns: dict[str, list[int]] = {"": others} | {names[o]: [o] for o in others}
    judged = {
        key: _judge(climbed, m, seen, folds, models, inputs, tau)
        for key, seen in patterns.items()
        if int((everyone[:, m] & everyone[:, seen].any(1)).sum()) >= MIN_PATIENTS
    }
    y = model.views[m].values[:, :N_SCORES]
    latent = model.posterior(without, grouped=False)
    joint = _Ridge(
        torch.cat(inputs.filled(m, _expected(model, latent), presence), 1)[rows], y[rows]
    )
    single = {}
    for o in others:
        both = everyone[:, m] & everyone[:, o]
        if names[o] in judged:
            single[names[o]] = _Ridge(inputs.values[o][both], y[both])
    damped = _damped(model, m, tau)[:, : y.shape[1]] - model.private[m].loadings[:-1, : y.shape[1]]
    damping = torch.zeros(n_shared, y.shape[1])
    damping[: model.k] = damped.float()
    own, unit = model.views[m], climbed.weights[m].reciprocal()
    total = _spread(own.values[own.present], own)
    directions = own.directions[:, : y.shape[1]]
    onto = directions.T @ basis.directions if basis.rotated else directions.T * unit
    q = climbed.patients.technical.shape[1]
    effects = None if climbed.effects is None else climbed.effects[m]
    prior = torch.zeros(q) if effects is None else effects.prior_sd.square()
    size = torch.ones(q) if effects is None else effects.energy.clone()

    def on_features(spread: Spread) -> Spread:
        return Spread(spread.variance * unit.square(), spread.scale)

    return ViewHead(
        view=names[m],
        sources=tuple(names[o] for o in others),
        scales=torch.tensor([inputs.scale[o] for o in others]),
        coef={"": joint.coef} | {key: ridge.coef for key, ridge in single.items()},
        origin={"": joint.mean_x} | {key: ridge.mean_x for key, ridge in single.items()},
        level={"": joint.mean_y} | {key: ridge.mean_y for key, ridge in single.items()},
        parts={key: found.parts for key, found in judged.items()},
        parts_latent={key: found.latent for key, found in judged.items()},
        spread={key: on_features(found.spread) for key, found in judged.items()},
        spread_latent={key: on_features(found.spread_latent) for key, found in judged.items()},
        total=on_features(total),
        onto=onto.contiguous(),
        damping=damping,
        base=climbed.centres[m] + own.centre * unit,
        shift=torch.zeros(q, y.shape[1]) if effects is None else effects.loc.detach() @ directions,
        effect_variance=prior[:, None] * unit.square(),
        effect_size=size,
    )


def _damped(model: SharedModel, m: int, tau: float) -> Tensor:
    r"""Loadings (k, r) shrunk along private directions, :math:`A(I + \tau\Psi)^{-1}`.

    What is estimated of them is least known where patients differ most for reasons of their own:
    that is their posterior mean under independent normal priors of precision :math:`n\tau`.
    """
    psi, ridge = model.private[m], model.ridges[m].double()
    loadings = psi.loadings[:-1]
    if tau == 0:
        return loadings
    values, turn = torch.linalg.eigh(psi.dense() - torch.diag(ridge) / model.views[m].n)
    return (loadings @ turn / (1.0 + tau * values.clamp_min(0.0))) @ turn.T


def _change(model: SharedModel, m: int, tau: float) -> Tensor:
    return _damped(model, m, tau) - model.private[m].loadings[:-1]


def _damping(m: int, folds: Sequence[Fold], models: Sequence[SharedModel]) -> float:
    """How much loadings are shrunk along private directions, by what predicts held-out patients."""
    errors = dict.fromkeys(DAMPINGS, 0.0)
    for fold, model in zip(folds, models, strict=True):
        given = fold.presence.clone()
        given[:, m] = False
        rows = fold.presence[:, m] & given.any(1)
        values = [x[rows] for x in fold.values]
        latent = model.posterior(given[rows], values, grouped=False)
        left = values[m] - model.predict(m, latent)
        for tau in DAMPINGS:
            change = _change(model, m, tau).to(left.dtype)
            errors[tau] += float((left - latent.mean @ change).square().sum())
    return min(errors, key=errors.__getitem__)


def _judge(
    climbed: Climbed,
    m: int,
    seen: list[int],
    folds: Sequence[Fold],
    models: Sequence[SharedModel],
    inputs: _Inputs,
    tau: float,
) -> _Judged:
    """How much of z and of the head predicts held-out entries best, and how well."""
    view = climbed.model.views[m]
    everyone = climbed.model.presence
    by_head, by_z, truth = [], [], []
    for fold, model in zip(folds, models, strict=True):
        given = torch.zeros_like(everyone)
        given[:, seen] = everyone[:, seen]
        rows = everyone[:, m] & given.any(1)
        train, test = rows & ~fold.held_out, rows & fold.held_out
        if int(train.sum()) < MIN_PATIENTS // 2 or int(test.sum()) < 2:
            continue
        values = [v.values for v in fold.views]
        latent = model.posterior(given, values, grouped=False)
        expected = _expected(model, latent)
        expected[m] = expected[m] + latent.mean @ _change(model, m, tau).to(latent.mean.dtype)
        expected = [
            x @ v.directions.T + v.centre for x, v in zip(expected, fold.views, strict=True)
        ]
        if len(seen) > 1:
            x = torch.cat(inputs.filled(m, expected, given), 1)
        else:
            x = inputs.values[seen[0]]
        y = view.values[:, :N_SCORES]
        ridge = _Ridge(x[train], y[train])
        by_head.append(ridge(x[test]))
        by_z.append(expected[m][test])
        truth.append(view.values[test])
    if not truth:
        nothing = _spread(view.values[view.present], view)
        return _Judged((1.0, 0.0), 1.0, nothing, nothing)
    head, z, true = torch.cat(by_head), torch.cat(by_z), torch.cat(truth)
    wide = torch.zeros_like(true)
    wide[:, : head.shape[1]] = head
    expectation = torch.zeros_like(true)
    expectation[:, : z.shape[1]] = z
    of_z, own = _parts(expectation, wide, true)
    alone, _ = _parts(expectation, torch.zeros_like(true), true)
    return _Judged(
        (of_z, own),
        alone,
        _spread(true - of_z * expectation - own * wide, view),
        _spread(true - alone * expectation, view),
    )


class _Judged(NamedTuple):
    """Parts of z and of the head, that of z alone, and the spread of either prediction."""

    parts: tuple[float, float]
    latent: float
    spread: Spread
    spread_latent: Spread


def _parts(z: Tensor, head: Tensor, true: Tensor) -> tuple[float, float]:
    """Least squares of held-out scores on two predictions, parts from 0 to 1 together.

    Predictions of patients who were in no fit are too bold rather than too timid.
    """
    both = torch.stack([z.flatten(), head.flatten()]).double()
    gram, pull = both @ both.T, both @ true.flatten().double()
    tried = [(0.0, 0.0)]
    tried += [(float(pull[0] / gram[0, 0]), 0.0)] if gram[0, 0] > 0 else []
    if gram[1, 1] > 0:
        tried += [(0.0, float(pull[1] / gram[1, 1]))]
        found = torch.linalg.lstsq(gram, pull, driver="gelsd").solution
        tried += [(float(found[0]), float(found[1]))]
    tried = [(a, b) for a, b in tried if a >= 0 and b >= 0]
    scaled = [(a / max(a + b, 1.0), b / max(a + b, 1.0)) for a, b in tried]

    def error(parts: tuple[float, float]) -> float:
        weights = torch.tensor(parts, dtype=torch.float64)
        return float(weights @ gram @ weights - 2 * weights @ pull)

    return min(scaled, key=error)


def _spread(error: Tensor, view: Scores) -> Spread:
    """Variance of each feature's errors, and what makes the interval of all hold."""
    p = len(view.directions)
    error = spread_rows(error, max(MIN_PATIENTS, min(SPREAD_ROWS, SPREAD_ELEMENTS // p)))
    gram = error.T @ error / len(error)
    variance = ((view.directions @ gram) * view.directions).sum(1)
    sd = variance.sqrt().clamp_min(1e-6)
    sizes = (error @ view.directions.T).abs_() / sd
    flat = sizes.flatten()
    step = max(1, len(flat) // 200_000)
    return Spread(variance, float(torch.quantile(flat[::step], LEVEL)) / NORMAL)
