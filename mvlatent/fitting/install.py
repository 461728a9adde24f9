"""From the closed-form fit to the generative model: bases, sizes, weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.fitting.climb import Climbed
from mvlatent.fitting.start.rank import private_rank
from mvlatent.fitting.surfaces import even_rows
from mvlatent.vae.basis import Basis
from mvlatent.vae.design import ViewDesign
from mvlatent.vae.likelihoods import Normal, likelihood_of
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.surface_expert import SurfaceExpert
from mvlatent.vae.view_part import ViewPart

__all__ = ["AxesByView", "ViewAxes", "axes_of", "install"]

MAX_REST = 40  # directions of w that are not shown, of a view with missing entries
STANDS_OUT = 1.5  # times the floor of the private covariance, for a direction to be one of them
MIN_VARIANCE = 1e-6
RANK_ROWS = 2000  # patients whose private directions are counted, at most
MIN_MEASURED = 1e-3  # of a direction's private variance, that measurements have at least


@dataclass(frozen=True, eq=False)
class ViewAxes:
    """A view's private covariance in its own principal directions.

    Attributes
    ----------
    directions
        Orthonormal columns on the features, (p, r).
    shared
        Loadings of z, (k, r); ``intercept`` (r,) of the centred surface.
    variance
        Private variance of each direction, (r,), falling; ``outside`` of all others.
    excess
        What of the variance is the prior's and in no measurement, (r,).
    effects
        Technical effects, (q, r).
    n_active
        Leading private directions that stand out of the noise.
    n_rest
        Further ones that w holds without showing them.
    n_found
        Private directions that stand out, whether there is room for them or not.
    rotated
        Whether the model sees the directions in place of the features.
    """

    directions: Tensor
    shared: Tensor
    intercept: Tensor
    variance: Tensor
    outside: float
    excess: Tensor
    effects: Tensor | None
    n_active: int
    n_rest: int
    rotated: bool
    n_found: int

    @property
    def order(self) -> Tensor:
        """Directions by how much of the view lies along them, falling."""
        return (self.variance + self.shared.square().sum(0)).argsort(descending=True)


AxesByView = dict[str, ViewAxes]


@torch.no_grad()
def axes_of(climbed: Climbed, cohort: Cohort, n_private: int, rank: str) -> AxesByView:
    """How each view of normal noise is to be seen by the model."""
    return {
        name: _axes(climbed, m, cohort.matrices[name], n_private, rank)
        for m, name in enumerate(climbed.names)
        if likelihood_of(cohort.matrices[name]).gaussian
    }


def _axes(climbed: Climbed, m: int, view: CohortView, n_private: int, rank: str) -> ViewAxes:
    model = climbed.model
    scores, psi, k = model.views[m], model.private[m], model.k
    values, turn = torch.linalg.eigh(psi.dense().double())
    values, turn = values.flip(0).clamp_min(MIN_VARIANCE), turn.flip(1)
    own = psi.loadings @ turn
    directions = scores.directions @ turn.to(scores.directions.dtype)
    outside = model.empty_variance(m)
    excess = (turn.square().T @ model.ridges[m].double()) / scores.n
    effects = None
    if climbed.effects is not None:
        on_features = climbed.effects[m].loc.detach()
        extra = _beyond(on_features, directions)  # what sites do outside of what patients span
        directions = torch.cat([directions, extra.to(directions.dtype)], 1)
        values = torch.cat([values, values.new_full((extra.shape[1],), outside)])
        own = torch.cat([own, own.new_zeros(len(own), extra.shape[1])], 1)
        excess = torch.cat([excess, excess.new_full((extra.shape[1],), outside)])
        effects = on_features @ directions
    residual = (scores.values - model.predict(m, climbed.latent))[scores.present]
    residual = even_rows(residual, RANK_ROWS)
    found = private_rank(residual @ scores.directions.T, len(values))
    active = min(found, n_private, len(values))
    rest = 0
    if view.observed is not None:
        floor = values[min(n_private + MAX_REST, len(values) - 1)]
        spare = int((values > STANDS_OUT * floor).sum()) - n_private
        rest = max(0, min(spare, MAX_REST, len(values) - n_private - 1))
    shift = (scores.centre @ directions).double()
    return ViewAxes(
        directions,
        own[:k].float(),
        (own[k] + shift).float(),
        values.float(),
        outside,
        excess.float(),
        effects,
        n_private if rank == "full" else active,
        rest,
        view.observed is None,
        found,
    )


def _beyond(rows: Tensor, directions: Tensor) -> Tensor:
    """Orthonormal directions (p, e) of rows (q, p) outside the span of others."""
    left = rows - rows @ directions @ directions.T
    _, size, right = torch.linalg.svd(left.double(), full_matrices=False)
    kept = size > 1e-4 * max(float(torch.linalg.matrix_norm(rows, 2)), 1e-12)
    room = directions.shape[0] - directions.shape[1]
    extra: Tensor = right[kept][:room].T
    return extra


def basis_of(axes: ViewAxes, centre: Tensor, weights: Tensor) -> Basis:
    """The basis in which the model sees a complete view of normal noise."""
    return Basis(centre, axes.directions[:, axes.order].contiguous(), True, weights)


def view_design(name: str, view: CohortView, n_private: int, axes: ViewAxes | None) -> ViewDesign:
    """Design of a view of the rotated cohort."""
    design = ViewDesign.of(name, view, n_private)
    if axes is None:
        return replace(design, reads_surface=True)
    return replace(design, noise="feature", n_private=n_private + axes.n_rest, n_rest=axes.n_rest)


@torch.no_grad()
def install(vae: StructuredVAE, climbed: Climbed, by_view: AxesByView) -> None:
    """Give a model what the closed-form fit found, in place.

    Views of other than normal noise get the expert of their surface; their decoders are fitted
    elsewhere.
    """
    k = climbed.model.k
    vae.active[k:] = False
    if climbed.groups is not None:
        vae.technical_variance.copy_(climbed.groups.variance)
    for m, (name, part) in enumerate(vae.items):
        if name in by_view:
            _install_normal(part, climbed, m, by_view[name])
        elif isinstance(part.expert, SurfaceExpert):
            _install_surface(part.expert, climbed, m)


class _Rows(NamedTuple):
    """What a decoder and its noise take, on directions or on features."""

    shared: Tensor
    private: Tensor
    left: Tensor
    intercept: Tensor
    excess: Tensor
    effects: Tensor | None


def _install_normal(part: ViewPart, climbed: Climbed, m: int, axes: ViewAxes) -> None:
    decoder, weights = part.decoder, climbed.weights[m]
    private, left, excess = _split(part, axes)
    shared = torch.zeros(decoder.shared.shape[0], len(left), dtype=left.dtype)
    shared[: len(axes.shared)] = axes.shared
    rows = _Rows(shared, private, left, axes.intercept, excess, axes.effects)
    if axes.rotated:
        rows = _in_order(rows, axes.order)
        part.log_volume.fill_(float(weights.double().log().sum()))
    else:
        rows = _on_features(rows, axes, weights, climbed.centres[m])
    decoder.shared.copy_(rows.shared)
    decoder.private.copy_(rows.private)
    decoder.intercept.copy_(rows.intercept)
    part.active[axes.n_active : part.design.n_shown] = False
    cast(Normal, part.likelihood).set_variance(rows.left)
    part.outside_variance.fill_(axes.outside)
    part.excess.copy_(rows.excess)
    if part.effects is not None and rows.effects is not None and climbed.effects is not None:
        part.effects.loc.copy_(rows.effects)
        part.effects.prior_sd.copy_(climbed.effects[m].prior_sd)
        part.effects.energy.copy_(climbed.effects[m].energy)


def _split(part: ViewPart, axes: ViewAxes) -> tuple[Tensor, Tensor, Tensor]:
    """Private loadings (d, r), and the variance and the excess (r,) that they leave to the noise.

    How far patients differ along each loading in truth goes to the view, in place.
    """
    design, variance = part.design, axes.variance
    shown, active = design.n_shown, axes.n_active
    order = variance.argsort(descending=True)
    chosen = order[: active + design.n_rest]
    measured = torch.maximum(variance - axes.excess, MIN_MEASURED * variance)
    floor = measured[order[min(len(chosen), len(order) - 1)]]
    private = torch.zeros(design.n_private, len(variance), dtype=variance.dtype)
    rows = [*range(active), *range(shown, shown + design.n_rest)][: len(chosen)]
    own = (variance[chosen] - torch.minimum(floor, measured[chosen])).clamp_min(0.0)
    private[rows, chosen] = own.sqrt()
    # what patients differ by in truth, where the prior's part of the covariance is in w as well
    part.private_sd[rows] = (
        (measured[chosen] - floor).clamp_min(0.0) / own.clamp_min(1e-12)
    ).sqrt()
    excess = axes.excess.clone()
    excess[chosen] = 0.0
    return private, variance - private.square().sum(0), excess


def _in_order(rows: _Rows, order: Tensor) -> _Rows:
    """Rows on the directions as the basis of the view has them."""
    shared, private, left, intercept, excess = (row[..., order] for row in rows[:5])
    effects = None if rows.effects is None else rows.effects[:, order]
    return _Rows(shared, private, left, intercept, excess, effects)


def _on_features(rows: _Rows, axes: ViewAxes, weights: Tensor, centre: Tensor) -> _Rows:
    """Rows on the features, which have noise of all directions."""
    lift, square = axes.directions.T, axes.directions.square()
    left = square @ rows.left + (1 - square.sum(1)).clamp_min(0.0) * axes.outside
    return _Rows(
        rows.shared @ lift / weights,
        rows.private @ lift / weights,
        left / weights.square(),
        rows.intercept @ lift / weights + centre,
        square @ rows.excess / weights.square(),
        None if rows.effects is None else rows.effects @ lift / weights,
    )


def _install_surface(expert: SurfaceExpert, climbed: Climbed, m: int) -> None:
    model, k = climbed.model, climbed.model.k
    scores, psi = model.views[m], model.private[m]
    width = expert.pull.shape[1]
    weights = climbed.weights[m]
    pull = nn.functional.pad(scores.directions @ psi.pull[:, :k].float(), (0, width - k))
    precision = nn.functional.pad(psi.precision[:k, :k].float(), (0, width - k, 0, width - k))
    shift = expert.shift.new_zeros(len(expert.shift), width)
    shift[0, :k] = psi.precision[:k, k].float()
    shift[0] += scores.centre @ pull
    if climbed.effects is not None:
        shift[1:] = climbed.effects[m].loc.detach() @ pull
    expert.learn(pull * weights[:, None], shift, precision, climbed.centres[m])
