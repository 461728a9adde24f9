"""From the closed-form fit to the generative model: bases, sizes, weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.fitting.climb import Climbed
from mvlatent.fitting.start.rank import private_rank
from mvlatent.fitting.surfaces import spread_rows
from mvlatent.vae.basis import Basis
from mvlatent.vae.design import ViewDesign
from mvlatent.vae.likelihoods import Normal, likelihood_of
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.surface_expert import SurfaceExpert
from mvlatent.vae.view_part import ViewPart

__all__ = ["Plans", "ViewPlan", "install", "plans_of"]

MAX_REST = 40  # directions of w that are not shown, of a view with missing entries
STANDS_OUT = 1.5  # times the floor of the private covariance, for a direction to be one of them
MIN_VARIANCE = 1e-6
RANK_ROWS = 2000  # patients whose private directions are counted, at most
MIN_MEASURED = 1e-3  # of a direction's private variance, that measurements have at least


@dataclass(frozen=True, eq=False)
class ViewPlan:
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


Plans = dict[str, ViewPlan]


@torch.no_grad()
def plans_of(climbed: Climbed, cohort: Cohort, n_private: int, rank: str) -> Plans:
    """How each view of normal noise is to be seen by the model."""
    return {
        name: _plan(climbed, m, cohort.matrices[name], n_private, rank)
        for m, name in enumerate(climbed.names)
        if likelihood_of(cohort.matrices[name]).gaussian
    }


def _plan(climbed: Climbed, m: int, view: CohortView, n_private: int, rank: str) -> ViewPlan:
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
    residual = spread_rows(residual, RANK_ROWS)
    found = private_rank(residual @ scores.directions.T, len(values))
    active = min(found, n_private, len(values))
    rest = 0
    if view.observed is not None:
        floor = values[min(n_private + MAX_REST, len(values) - 1)]
        spare = int((values > STANDS_OUT * floor).sum()) - n_private
        rest = max(0, min(spare, MAX_REST, len(values) - n_private - 1))
    shift = (scores.centre @ directions).double()
    return ViewPlan(
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
    return right[kept][:room].T


def basis_of(plan: ViewPlan, centre: Tensor, weights: Tensor) -> Basis:
    """The basis in which the model sees a complete view of normal noise."""
    return Basis(centre, plan.directions[:, plan.order].contiguous(), True, weights)


def view_design(name: str, view: CohortView, n_private: int, plan: ViewPlan | None) -> ViewDesign:
    """Design of a view of the rotated cohort."""
    design = ViewDesign.of(name, view, n_private)
    if plan is None:
        return replace(design, reads_surface=True)
    return replace(design, noise="feature", n_private=n_private + plan.n_rest, n_rest=plan.n_rest)


@torch.no_grad()
def install(vae: StructuredVAE, climbed: Climbed, plans: Plans) -> None:
    """Give a model what the closed-form fit found, in place.

    Views of other than normal noise get the expert of their surface; their decoders are fitted
    elsewhere.
    """
    k = climbed.model.k
    vae.active[k:] = False
    if climbed.groups is not None:
        vae.spread.copy_(climbed.groups.variance)
    for m, (name, part) in enumerate(vae.items):
        if name in plans:
            _install_normal(part, climbed, m, plans[name])
        elif isinstance(part.expert, SurfaceExpert):
            _install_surface(part.expert, climbed, m)


def _install_normal(part: ViewPart, climbed: Climbed, m: int, plan: ViewPlan) -> None:
    decoder, design = part.decoder, part.design
    k, d = plan.shared.shape[0], design.n_private
    shown, active = design.n_shown, plan.n_active
    variance = plan.variance.clone()
    order = variance.argsort(descending=True)
    chosen = order[: active + design.n_rest]
    measured = torch.maximum(variance - plan.excess, MIN_MEASURED * variance)
    floor = measured[order[min(len(chosen), len(order) - 1)]]
    private = torch.zeros(d, len(variance), dtype=variance.dtype)
    rows = [*range(active), *range(shown, shown + design.n_rest)][: len(chosen)]
    own = (variance[chosen] - torch.minimum(floor, measured[chosen])).clamp_min(0.0)
    private[rows, chosen] = own.sqrt()
    # what patients differ by in truth, where the prior's part of the covariance is in w as well
    part.private_sd[rows] = (
        (measured[chosen] - floor).clamp_min(0.0) / own.clamp_min(1e-12)
    ).sqrt()
    left = variance - private.square().sum(0)
    excess = plan.excess.clone()
    excess[chosen] = 0.0
    shared = torch.zeros(decoder.shared.shape[0], len(variance), dtype=variance.dtype)
    shared[:k] = plan.shared
    effects, intercept = plan.effects, plan.intercept
    if plan.rotated:
        place = plan.order
        shared, private, left, intercept = (
            shared[:, place],
            private[:, place],
            left[place],
            intercept[place],
        )
        effects = None if effects is None else effects[:, place]
    else:
        lift = plan.directions.T
        square = plan.directions.square()
        left = square @ left + (1 - square.sum(1)).clamp_min(0.0) * plan.outside
        shared, private = shared @ lift, private @ lift
        weights = climbed.weights[m]
        left = left / weights.square()
        shared, private = shared / weights, private / weights
        intercept = intercept @ lift / weights + climbed.centres[m]
        effects = None if effects is None else effects @ lift / weights
    decoder.shared.copy_(shared)
    decoder.private.copy_(private)
    decoder.intercept.copy_(intercept)
    part.active[active:shown] = False
    cast(Normal, part.likelihood).set_variance(left)
    part.outside_variance.fill_(plan.outside)
    if plan.rotated:
        part.excess.copy_(excess[plan.order])
        part.log_volume.fill_(float(climbed.weights[m].double().log().sum()))
    else:
        on_features = plan.directions.square() @ excess
        part.excess.copy_(on_features / climbed.weights[m].square())
    if part.effects is not None and effects is not None and climbed.effects is not None:
        part.effects.loc.copy_(effects)
        part.effects.prior_sd.copy_(climbed.effects[m].prior_sd)
        part.effects.energy.copy_(climbed.effects[m].energy)


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
