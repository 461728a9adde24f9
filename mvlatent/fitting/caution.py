"""How far evidence on z may be trusted: what views of held-out patients say of each other's z."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvlatent.fitting.climb import Climbed
from mvlatent.fitting.honest import Fold, folds_of, leading
from mvlatent.fitting.shared import SharedModel

__all__ = ["HeldOut", "caution_of", "doubt_of", "held_out"]

SWEEPS = 8  # of a fold's model, where the fit climbed until it settled
MOST = 4.0  # that the caution may be; it is never below 1
BISECTIONS = 25
JITTER = 1e-9


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Folds, and a model of the other patients for each."""

    folds: list[Fold]
    models: list[SharedModel]


def held_out(climbed: Climbed, seed: int = 0) -> HeldOut | None:
    """Models fitted without the patients of each fold, as the whole was; ``None`` for too few."""
    if len(climbed.names) < 2 or climbed.choice is None:
        return None
    folds = folds_of([leading(v) for v in climbed.model.views], seed)
    models = []
    for fold in folds:
        model = fold.started(climbed.choice.shares, climbed.model.k)
        for _ in range(SWEEPS if climbed.choice.sweeps is None else climbed.choice.sweeps):
            model.sweep()
        models.append(model)
    return HeldOut(folds, models)


def caution_of(judges: HeldOut) -> float:
    r"""The factor by which every view's evidence on z is weakened, at least 1.

    Given z from the other views, a view's potential h has the mean :math:`\Lambda\hat z` and, if
    its noise is c times what its covariance says, the covariance :math:`c\Lambda +
    \Lambda\Sigma\Lambda`. c is where the squared distances of held-out patients are what they
    should be in the mean: above 1 where loadings are poorly known, or a bend of one view is no
    noise to it.

    Parameters
    ----------
    judges
        From `held_out`.
    """
    groups = list(_groups(judges))
    if not groups or _distance(groups, 1.0) <= 1.0:
        return 1.0
    low, high = 1.0, MOST
    for _ in range(BISECTIONS):
        middle = (low * high) ** 0.5
        if _distance(groups, middle) > 1.0:
            low = middle
        else:
            high = middle
    return high


_Group = tuple[Tensor, Tensor, Tensor, Tensor]


def _groups(judges: HeldOut) -> Iterator[_Group]:
    """Potential and precision of a view, and those of the others together, by pattern of views."""
    for fold, model in zip(judges.folds, judges.models, strict=True):
        views = [model.evidence(m, x) for m, x in enumerate(fold.values)]
        for kind in torch.unique(fold.presence, dim=0):
            known = kind.nonzero()[:, 0].tolist()
            rows = (fold.presence == kind).all(1)
            for m in known if len(known) > 1 else ():
                rest = [views[o] for o in known if o != m]
                yield (
                    views[m][0][rows].double(),
                    views[m][1],
                    torch.stack([h[rows].double() for h, _ in rest]).sum(0),
                    torch.stack([sure for _, sure in rest]).sum(0),
                )


def _distance(groups: Sequence[_Group], caution: float) -> float:
    """Mean squared distance a dimension of potentials from what the other views expect."""
    total, count = 0.0, 0
    for potential, precision, other, sure in groups:
        eye = torch.eye(len(precision), dtype=precision.dtype)
        covariance = torch.linalg.inv(eye + sure / caution)
        residual = potential - (other / caution) @ covariance @ precision
        of_residual = caution * precision + precision @ covariance @ precision
        of_residual = of_residual + JITTER * precision.diagonal().mean() * eye
        total += float((residual * torch.linalg.solve(of_residual, residual.T).T).sum())
        count += residual.numel()
    return total / max(count, 1)


def doubt_of(climbed: Climbed, judges: HeldOut) -> Tensor:
    r"""Covariance (k, k) of z that comes of what is not known of the parameters.

    Each fold's z is turned to that of the whole by least squares on the patients of the fit; what
    is left is how z of a patient moves with the fit. An estimate from n patients differs by
    :math:`\sigma^2 (1/n_f - 1/n)` from that of :math:`n_f` of them, so that its own variance is
    that times :math:`n_f / (n - n_f)`. What of it caution holds already is not counted twice.
    """
    n, caution = len(climbed.latent.mean), climbed.model.caution
    whole = climbed.model.posterior(grouped=False).mean.double()
    moved = []
    for fold, model in zip(judges.folds, judges.models, strict=True):
        values = [v.values for v in fold.views]
        own = model.posterior(climbed.model.presence, values, grouped=False).mean.double()
        kept = torch.stack([v.present for v in fold.views]).any(0)
        turn = torch.linalg.lstsq(own[kept], whole[kept], driver="gelsd").solution
        left = (whole - own @ turn)[fold.held_out]
        moved.append(left * (int(kept.sum()) / max(n - int(kept.sum()), 1)) ** 0.5)
    errors = torch.cat(moved)
    return errors.T @ errors / len(errors) / caution
