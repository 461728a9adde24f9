"""Latents of patients without any view: the prior's, whatever the guide is anchored on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.priors import Same

__all__ = ["PriorWhereUnseen"]


class PriorWhereUnseen:
    r"""The guide's posterior of z, with the learnt prior for patients that lack every view.

    The guide's anchor :math:`N(0, I)` is all that is left of it for such a patient, who has the
    prior itself for a posterior.

    Parameters
    ----------
    q
        Posterior of the guide, n patients.
    prior
        Learnt prior of n patients.
    unseen
        Who has no view, (n,) bool.
    """

    def __init__(self, q: PrecisionNormal, prior: Same, unseen: Tensor) -> None:
        self.q, self.prior, self.unseen = q, prior, unseen
        self._moments = prior.moments()

    @property
    def mean(self) -> Tensor:
        """Means, (n, k)."""
        return torch.where(self.unseen[:, None], self._moments[0], self.q.mean)

    @property
    def covariance(self) -> Tensor:
        """Covariance of each patient, (n, k, k)."""
        return torch.where(self.unseen[:, None, None], self._moments[1], self.q.covariance)

    @property
    def variance(self) -> Tensor:
        """Marginal variances, (n, k)."""
        return torch.where(self.unseen[:, None], self._moments[1].diagonal(), self.q.variance)

    @property
    def sd(self) -> Tensor:
        """Marginal standard deviations, (n, k)."""
        return self.variance.sqrt()

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        """Draws, (..., n, k)."""
        draws = self.q.rsample(sample_shape)
        return torch.where(self.unseen[:, None], self.prior.sample(sample_shape), draws)
