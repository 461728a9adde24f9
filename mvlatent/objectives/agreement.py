"""Agreement: what all views say of z should not be news to each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import kl_divergence

from mvlatent.objectives.base import Scene, Term

__all__ = ["Agreement"]


@dataclass(frozen=True, kw_only=True)
class Agreement(Term):
    r"""Minus the divergence of the joint posterior of z from those of single views.

    .. math:: -\sum_{m \in O} a_m\, \mathrm{KL}\big(q(z \mid x_O) \,\|\, q(z \mid x_m)\big) \le 0

    in nats a patient: it charges z for what one view alone knows. The shares :math:`a_m` sum to
    one over a patient's views and are proportional to the shared signal of each: the part of z's
    prior variance that the view resolves by itself,
    :math:`1 - \mathrm{tr}\,\mathrm{Cov}(z \mid x_m) / k` (held while gradients are taken). A sparse
    mutation view that resolves 2 % so counts a thirtieth of an expression view that resolves 60 %,
    and does not drag z to the prior. A patient with one view adds nothing.

    Parameters
    ----------
    weight, schedule
        As in `Term`.

    References
    ----------
    Hwang et al. (2021), Multi-view representation learning via total correlation objective.

    Examples
    --------
    >>> Agreement(weight=0.1).to_dict()["name"]
    'agreement'
    """

    name: ClassVar[str] = "agreement"

    def value(self, scene: Scene, state: Any) -> Tensor:
        presence = scene.presence
        several = presence & (presence.sum(1, keepdim=True) > 1)
        alone = list(scene.alone.values())
        kls = torch.stack([kl_divergence(scene.together, q) for q in alone], 1)
        resolved = torch.stack([1 - q.variance.mean(-1) for q in alone], 1).detach()
        share = torch.where(several, resolved.clamp_min(1e-8), 0.0)
        share = share / share.sum(1, keepdim=True).clamp_min(1e-8)
        return -torch.where(several, share * kls, 0.0).sum(1).mean()
