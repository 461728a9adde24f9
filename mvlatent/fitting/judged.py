"""How much of z and of a view's head predicts that view of held-out patients, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mvlatent.fitting.caution import HeldOut
from mvlatent.fitting.honest import Fold
from mvlatent.fitting.ridge import N_SCORES, Inputs, Ridge
from mvlatent.fitting.shared import Latent, SharedModel
from mvlatent.fitting.surfaces import Scores, even_rows
from mvlatent.heads.view_head import ErrorSize

__all__ = [
    "MIN_PATIENTS",
    "Judged",
    "damped_loadings",
    "damping_of",
    "error_size",
    "expected",
    "judge",
]

DAMPINGS = (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)
LEVEL, NORMAL = 0.9, 1.6448536  # the interval that held-out entries set the scale of
ERROR_ELEMENTS = 5_000_000
ERROR_ROWS = 1000  # held-out patients whose errors are measured, at most
MIN_PATIENTS = 20  # who have both views


class Judged(NamedTuple):
    """Parts of z and of the head, that of z alone, and the errors of either prediction."""

    parts: tuple[float, float]
    latent: float
    errors: ErrorSize
    errors_latent: ErrorSize


def judge(
    model: SharedModel, m: int, seen: Sequence[int], judges: HeldOut, inputs: Inputs, tau: float
) -> Judged:
    """Predict view m of held-out patients from the views seen, and compare.

    Parameters
    ----------
    model, judges
        The model of all patients, and the folds with their models of the others.
    m, seen
        The view to predict, and those that are given.
    inputs
        Scores that heads read.
    tau
        How much loadings are shrunk, from `damping_of`.
    """
    view = model.views[m]
    found = [
        predicted
        for fold, other in zip(judges.folds, judges.models, strict=True)
        if (predicted := _predicted(model, m, seen, fold, other, inputs, tau)) is not None
    ]
    if not found:
        nothing = error_size(view.values[view.present], view)
        return Judged((1.0, 0.0), 1.0, nothing, nothing)
    head, z, true = (torch.cat(each) for each in zip(*found, strict=True))
    wide = torch.zeros_like(true)
    wide[:, : head.shape[1]] = head
    expectation = torch.zeros_like(true)
    expectation[:, : z.shape[1]] = z
    of_z, own = _parts(expectation, wide, true)
    alone, _ = _parts(expectation, torch.zeros_like(true), true)
    return Judged(
        (of_z, own),
        alone,
        error_size(true - of_z * expectation - own * wide, view),
        error_size(true - alone * expectation, view),
    )


def _predicted(
    whole: SharedModel,
    m: int,
    seen: Sequence[int],
    fold: Fold,
    model: SharedModel,
    inputs: Inputs,
    tau: float,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Scores of a fold's patients by the head, by z, and in truth; ``None`` for too few."""
    everyone = whole.presence
    given = torch.zeros_like(everyone)
    given[:, seen] = everyone[:, seen]
    rows = everyone[:, m] & given.any(1)
    train, test = rows & ~fold.held_out, rows & fold.held_out
    if int(train.sum()) < MIN_PATIENTS // 2 or int(test.sum()) < 2:
        return None
    latent = model.posterior(given, [v.values for v in fold.views], grouped=False)
    by_z = expected(model, latent)
    by_z[m] = by_z[m] + latent.mean @ _change(model, m, tau).to(latent.mean.dtype)
    by_z = [x @ v.directions.T + v.centre for x, v in zip(by_z, fold.views, strict=True)]
    alone = len(seen) == 1
    x = inputs.values[seen[0]] if alone else torch.cat(inputs.filled(m, by_z, given), 1)
    own = whole.views[m].values
    ridge = Ridge(x[train], own[train][:, :N_SCORES])
    return ridge(x[test]), by_z[m][test], own[test]


def expected(model: SharedModel, latent: Latent) -> list[Tensor]:
    """Scores of every view given z, (N, r) each."""
    return [model.predict(o, latent) for o in range(len(model.views))]


def damped_loadings(model: SharedModel, m: int, tau: float) -> Tensor:
    r"""Loadings (k, r) shrunk along private directions, :math:`A(I + \tau\Psi)^{-1}`.

    What is estimated of them is least known where patients differ most for reasons of their own:
    that is their posterior mean under independent normal priors of precision :math:`n\tau`.
    """
    psi, ridge = model.private[m], model.ridges[m].double()
    loadings = psi.loadings[:-1]
    if tau == 0:
        return loadings
    values, turn = torch.linalg.eigh(psi.dense() - torch.diag(ridge) / model.views[m].n)
    damped: Tensor = (loadings @ turn / (1.0 + tau * values.clamp_min(0.0))) @ turn.T
    return damped


def _change(model: SharedModel, m: int, tau: float) -> Tensor:
    return damped_loadings(model, m, tau) - model.private[m].loadings[:-1]


def damping_of(m: int, judges: HeldOut) -> float:
    """How much loadings are shrunk along private directions, by what predicts held-out patients."""
    errors = dict.fromkeys(DAMPINGS, 0.0)
    for fold, model in zip(judges.folds, judges.models, strict=True):
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


def error_size(error: Tensor, view: Scores) -> ErrorSize:
    """Variance of each feature's errors, and what makes the interval of all hold."""
    p = len(view.directions)
    error = even_rows(error, max(MIN_PATIENTS, min(ERROR_ROWS, ERROR_ELEMENTS // p)))
    gram = error.T @ error / len(error)
    variance = ((view.directions @ gram) * view.directions).sum(1)
    sd = variance.sqrt().clamp_min(1e-6)
    sizes = (error @ view.directions.T).abs_() / sd
    flat = sizes.flatten()
    step = max(1, len(flat) // 200_000)
    return ErrorSize(variance, float(torch.quantile(flat[::step], LEVEL)) / NORMAL)
