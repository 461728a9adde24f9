"""Priors of the shared latent: one small class each, in one registry."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Distribution,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    constraints,
)

from mvlatent.process import seeded
from mvlatent.vae.gaussian import Patients, StandardNormal

__all__ = [
    "PRIORS",
    "Clusters",
    "Flow",
    "LearntPrior",
    "Mixture",
    "NormalPrior",
    "Prior",
    "Same",
    "Vamp",
]

RANK = 2  # of a component's covariance beyond its diagonal
MIN_SD = 0.05  # of a component: it never closes on one patient
MIN_SHARE = 1e-4  # of the evidence of a pseudo-patient
MAX_HIDDEN = 32  # units of a flow's networks
MOMENT_DRAWS = 8192  # where moments have no closed form


class Same(Patients):
    r"""One distribution of z, the same for each of ``n`` patients.

    It has no analytic KL and says so: ``kl_by_draw`` lets the bound take
    :math:`\log q(z) - \log p(z)` at the drawn z.

    Parameters
    ----------
    n
        Number of patients (batch shape).
    base
        Distribution of one patient's z, event (k,), no batch.
    """

    support = constraints.real_vector
    has_rsample = False
    kl_by_draw = True

    def __init__(self, n: int, base: Distribution) -> None:
        self.base = base
        super().__init__(torch.Size([n]), base.event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.base.log_prob(value)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        with torch.no_grad():
            return self.base.sample(torch.Size(sample_shape) + self.batch_shape)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean (k,) and covariance (k, k) of one patient's z.

        Exact for mixtures; of seeded draws for a flow.
        """
        if isinstance(self.base, MixtureSameFamily):
            weights = self.base.mixture_distribution.probs
            parts: Any = self.base.component_distribution
            mean = weights @ parts.mean
            centred = parts.mean - mean
            between = torch.einsum("c,ci,cj->ij", weights, centred, centred)
            return mean, between + torch.einsum("c,cij->ij", weights, parts.covariance_matrix)
        with seeded(0), torch.no_grad():  # the same answer every time it is asked for
            z = self.base.sample(torch.Size([MOMENT_DRAWS]))
        return z.mean(0), torch.cov(z.T).reshape(z.shape[1], z.shape[1])


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters of the started latents, none of fewer than five patients.

    Attributes
    ----------
    weight
        Share of each cluster, (C,).
    mean, variance
        Moments of z within each, posterior spread included, (C, k).
    complete_mean
        Posterior mean of z of a patient who has every view, each with the mean potential of the
        cluster's patients that have it, (C, k).
    """

    weight: Tensor
    mean: Tensor
    variance: Tensor
    complete_mean: Tensor


class Prior(nn.Module):
    """A prior of z.

    Parameters
    ----------
    n_shared
        Dimensions ``k`` of z.
    n_components
        Components, where the family has any.
    n_hidden
        Width of networks, where it has any.
    evidence
        Returns the precision that all views together put on z, (k, k): what the guide adds to its
        anchor for a patient with complete views.
    """

    analytic = False  # whether the KL of the guide has a closed form
    decay = 0.0  # of its matrices, in multiples of the plan's weight decay

    def __init__(
        self,
        n_shared: int,
        *,
        n_components: int = 8,
        n_hidden: int = 64,
        evidence: Callable[[], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.n_shared = n_shared

    def distribution(self, n: int, like: Tensor) -> TorchDistribution:
        """Prior of z of ``n`` patients, batch (n,) and event (k,), on the device of ``like``."""
        raise NotImplementedError

    def start(self, clusters: Clusters) -> None:
        """Start from the clusters of the started latents; nothing where there are no components."""


class NormalPrior(Prior):
    r"""The standard normal :math:`N(0, I)`, with analytic KL and no parameter.

    Examples
    --------
    >>> NormalPrior(2).distribution(3, torch.zeros(1)).sample().shape
    torch.Size([3, 2])
    """

    analytic = True

    def distribution(self, n: int, like: Tensor) -> StandardNormal:
        return StandardNormal(n, self.n_shared, like)


class LearntPrior(Prior):
    """A prior with parameters; its KL is estimated by the drawn z."""

    def base(self) -> Distribution:
        """Distribution of one patient's z, event (k,), no batch."""
        raise NotImplementedError

    def distribution(self, n: int, like: Tensor) -> Same:
        return Same(n, self.base())


class Mixture(LearntPrior):
    r"""A mixture of Gaussians, :math:`\sum_c \pi_c N(\mu_c, \mathrm{diag}\,d_c + U_c U_c')`.

    Means, weights, diagonals and low-rank parts (rank 2, fewer for a small z) are learnt.
    Components start at clusters of the started latents, with :math:`U_c` near 0.

    Examples
    --------
    >>> Mixture(2, n_components=4).distribution(3, torch.zeros(1)).sample().shape
    torch.Size([3, 2])
    """

    def __init__(self, n_shared: int, *, n_components: int = 8, **unused: Any) -> None:
        super().__init__(n_shared)
        rank = min(RANK, n_shared)
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(torch.randn(n_components, n_shared))
        self.log_scale = nn.Parameter(torch.zeros(n_components, n_shared))
        self.low_rank = nn.Parameter(0.01 * torch.randn(n_components, n_shared, rank))

    def base(self) -> MixtureSameFamily:
        diagonal = self.log_scale.exp().square() + MIN_SD**2
        parts = LowRankMultivariateNormal(self.means, self.low_rank, diagonal, validate_args=False)
        weights = Categorical(logits=self.logits, validate_args=False)
        return MixtureSameFamily(weights, parts, validate_args=False)

    @torch.no_grad()
    def start(self, clusters: Clusters) -> None:
        self.logits.copy_(clusters.weight.log())
        self.means.copy_(clusters.mean)
        variance = (clusters.variance - MIN_SD**2).clamp_min(MIN_SD**2)
        self.log_scale.copy_(0.5 * variance.log())


class Vamp(LearntPrior):
    r"""VampPrior: a mixture of the guide's own posteriors at learnt pseudo-patients.

    A pseudo-patient has every view. It is not kept as rows of the views, which could grow into
    somebody's values, but as the point :math:`u_c` of z that its evidence is for: its natural
    potential is :math:`h_c = \Lambda u_c`, where :math:`\Lambda = \sum_m \Lambda_m` is the
    precision that the experts give to complete views. It may be measured less sharply than a
    patient: a learnt share :math:`0 < t_c \le 1` of the evidence is counted,

    .. math:: p(z) = \sum_c \pi_c N\big((I + t_c\Lambda)^{-1} t_c\Lambda u_c,
                     (I + t_c\Lambda)^{-1}\big),

    which is the original at :math:`t_c = 1`; with thousands of features that alone would be a
    handful of spikes. Experts whose precision depends on the values (networks) give that of a
    patient at the intercept.

    References
    ----------
    Tomczak & Welling (2018), VAE with a VampPrior.

    Examples
    --------
    >>> Vamp(2, evidence=lambda: torch.eye(2)).distribution(3, torch.zeros(1)).sample().shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        n_shared: int,
        *,
        n_components: int = 8,
        evidence: Callable[[], Tensor] | None = None,
        **unused: Any,
    ) -> None:
        super().__init__(n_shared)
        if evidence is None:
            raise ValueError("the vamp prior needs the precision of the views' evidence.")
        self._evidence = evidence
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.pseudo = nn.Parameter(torch.randn(n_components, n_shared))
        self.share = nn.Parameter(torch.zeros(n_components))  # logit of t

    def base(self) -> MixtureSameFamily:
        evidence = self.share.sigmoid()[:, None, None] * self._evidence()
        eye = torch.eye(self.n_shared, dtype=evidence.dtype, device=evidence.device)
        precision = eye + evidence
        potential = evidence @ self.pseudo[..., None]
        mean = torch.cholesky_solve(potential, torch.linalg.cholesky(precision))[..., 0]
        parts = MultivariateNormal(mean, precision_matrix=precision, validate_args=False)
        weights = Categorical(logits=self.logits, validate_args=False)
        return MixtureSameFamily(weights, parts, validate_args=False)

    @torch.no_grad()
    def start(self, clusters: Clusters) -> None:
        """Start at complete pseudo-patients of the clusters, as sharp as the clusters are wide."""
        evidence = self._evidence()
        eye = torch.eye(self.n_shared, dtype=evidence.dtype)
        shares = torch.logspace(math.log10(MIN_SHARE), math.log10(0.99), 60)
        widths = torch.stack([torch.linalg.inv(eye + t * evidence).trace() for t in shares])
        target = clusters.variance.sum(1)
        at = (widths[None] - target[:, None]).abs().argmin(1)
        share = shares[at]
        self.logits.copy_(clusters.weight.log())
        self.share.copy_(torch.logit(share))
        weighted = share[:, None, None] * evidence
        aim = (eye + weighted) @ clusters.complete_mean[..., None]
        self.pseudo.copy_((torch.linalg.pinv(weighted, rtol=1e-3, hermitian=True) @ aim)[..., 0])


class Flow(LearntPrior):
    """A neural spline flow from the standard normal, the identity at its start.

    Two autoregressive rational-quadratic transforms of eight bins on [-5, 5], in opposite orders,
    by networks of at most 32 hidden units. A strong weight decay pulls it back to the identity:
    without, it fits the chance shapes of a few hundred patients and loses nats on held-out ones.

    References
    ----------
    Durkan et al. (2019), Neural spline flows.

    Examples
    --------
    >>> Flow(2).distribution(3, torch.zeros(1)).sample().shape
    torch.Size([3, 2])
    """

    decay = 10.0

    def __init__(self, n_shared: int, *, n_hidden: int = 64, **unused: Any) -> None:
        from zuko.flows import NSF

        super().__init__(n_shared)
        self.flow = NSF(
            n_shared, bins=8, transforms=2, hidden_features=(min(n_hidden, MAX_HIDDEN),)
        )
        for transform in self.flow.transform.transforms:
            last = transform.hyper[-1] if n_shared > 1 else transform
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def base(self) -> Distribution:
        return self.flow()


PRIORS: dict[str, type[Prior]] = {
    "normal": NormalPrior,
    "mixture": Mixture,
    "vamp": Vamp,
    "flow": Flow,
}
