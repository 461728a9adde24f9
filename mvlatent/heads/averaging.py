"""A head's posterior averaged over points of its block sds."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from mvlatent.heads.mixture import Component, LaplaceMixture
from mvlatent.heads.scaling import BlockScaling
from mvlatent.heads.sds import SdPoint
from mvlatent.heads.spaces import Space
from mvlatent.outcomes.bound import Baseline, BaselineShape, BoundLikelihood, ProfiledBaseline

__all__ = ["averaged", "joint_baseline"]

SPOKEN_OF = 1e-2  # share of prior variance taken off a direction below which it is not kept


def averaged(
    points: Iterable[SdPoint],
    space: Space,
    bound: BoundLikelihood,
    x: Tensor,
    scaling: BlockScaling,
    reference: BaselineShape,
) -> LaplaceMixture:
    """Laplace posteriors at weighted points of the block sds.

    Parameters
    ----------
    points
        Points, whose factorisation ``space`` holds while each is out.
    space, bound
        Where they come from.
    x
        Scaled columns of the training rows, (n, P).
    scaling
        The blocks.
    reference
        Baseline that the coordinates of all points deviate from.
    """
    parts = []
    for point in points:
        sd = scaling.by_column(point.tau)
        profiled = bound.profiled(point.mode.eta)
        joint = joint_baseline(profiled, x * sd, space)
        moved = profiled.baseline.coordinates - reference.coordinates
        joint = Baseline(joint.shift + moved, joint.gain, joint.factor)
        mode = space.coefficients(point.mode.coord)
        parts.append(Component(point.weight, sd, mode, space.shrinkage(SPOKEN_OF), joint))
    return LaplaceMixture(parts)


def joint_baseline(profiled: ProfiledBaseline, standard: Tensor, space: Space) -> Baseline:
    """Couple a baseline to the coefficients through the training rows ``standard``, (n, P).

    The shift is of second order and keeps the average hazard where the data have it: a group's
    expected events ``sum_i w_i exp(eta_i)`` grow with the spread of the draws of eta in the group.
    Without it S(t) is too low by some 0.04 where the predictors are uncertain.
    """
    weights = profiled.weights
    gain = -weights @ standard
    shift = gain.new_zeros(gain.shape[1])
    if profiled.baseline.hazard:
        bend = weights[0] if profiled.bend is None else profiled.bend[0]
        centre = weights[0] if profiled.centre is None else profiled.centre[0]
        covariance = space.covariance()
        with_mean = centre @ covariance
        # variance of a row's predictor around the mean of its group, (K, n)
        spread = covariance.diagonal() + (with_mean * centre).sum(1)[:, None] - 2 * with_mean
        shift = -0.5 * (bend * spread).sum(1)
    return Baseline(shift, gain, profiled.baseline.factor)
