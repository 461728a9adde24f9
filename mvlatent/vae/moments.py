"""Joint posterior of the shared and the private latent of a view whose w is affine in z."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mvlatent.vae.evidence import Evidence

__all__ = ["Joint", "joint_covariance", "joint_posterior", "private_slope", "second_moments"]


class Joint(NamedTuple):
    """Posterior of u = [z, w]: means (n, k + d) and covariances (n, k + d, k + d)."""

    mean: Tensor
    covariance: Tensor


def private_slope(evidence: Evidence, z: Tensor) -> Tensor:
    """Derivative of the mean of w by z, (n, d, k): exact differences of an affine map."""
    steps = torch.eye(z.shape[1], dtype=z.dtype)[:, None]  # one a dimension
    return (evidence.private(z + steps).mean - evidence.private(z).mean).permute(1, 2, 0)


def joint_covariance(covariance: Tensor, given: Tensor, slope: Tensor) -> Tensor:
    """Covariance of [z, w], (n, k + d, k + d).

    Parameters
    ----------
    covariance, given
        Of z, (n, k, k), and of w given z, (n, d, d).
    slope
        Derivative of the mean of w by z, (n, d, k).
    """
    cross = slope @ covariance
    own = given + cross @ slope.mT
    return torch.cat([torch.cat([covariance, cross.mT], 2), torch.cat([cross, own], 2)], 1)


def joint_posterior(z: Tensor, covariance: Tensor, evidence: Evidence, seen: Tensor) -> Joint:
    """Posterior of [z, w] of the patients that have the view.

    Parameters
    ----------
    z, covariance
        Means (N, k) and covariances (N, k, k) of z.
    evidence
        What the view says.
    seen
        Who has it, (N,) bool.
    """
    given, slope = evidence.private(z), private_slope(evidence, z)
    spread = joint_covariance(covariance[seen], given.covariance[seen], slope[seen])
    return Joint(torch.cat([z, given.mean], 1)[seen], spread)


def second_moments(joint: Joint, weight: Tensor | None) -> Tensor:
    """Sum of E[uu'] over patients, (m, m), or a feature over those seen, (p, m, m).

    Parameters
    ----------
    joint
        Posterior of u.
    weight
        1 where an entry was observed, else 0, (n, p); ``None``: all were.
    """
    u = joint.mean
    if weight is None:
        return u.T @ u + joint.covariance.sum(0)
    each = u[:, :, None] * u[:, None, :] + joint.covariance
    return (weight.T @ each.flatten(1)).unflatten(1, each.shape[1:])
