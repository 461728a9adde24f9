"""Random loadings: a Gaussian posterior under priors that switch factors off in a view."""

from __future__ import annotations

import math
from typing import Any

import pyro
import pyro.distributions as dist
import torch
import torch.nn.functional as F
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import HalfCauchy, constraints

__all__ = ["LOADINGS", "Ard", "Horseshoe", "LogHalfCauchy", "RandomLoadings"]

GAMMA = (1e-3, 1e-3)  # shape and rate of an ARD precision's prior
START_SD = 1e-3  # until the loadings themselves are started
SLAB = 2.0  # sd beyond which the horseshoe shrinks after all, in units of the linear predictor
NONZERO = 0.1  # guess of the share of a view's features on a factor
SCALE_SD = 0.5  # posterior sd of a log scale at the start
MAX_PRECISION = 1e6  # of a loading that is off
PACE = 5.0  # log scales have further to go than Adam's steps of one lr would take them


class RandomLoadings(nn.Module):
    r"""Loadings :math:`A_{jf} \sim q = N(m_{jf}, s_{jf}^2)` of m factors on p features.

    The means are the decoder's own parameters; the sd are kept here. As sites
    ``"loadings:<view>"`` and those of their scales they stand outside of the patients' plate:
    their KL is counted once for the whole data set.

    Parameters
    ----------
    n_factors
        Shared factors followed by the view's private ones.
    n_features
        Features of the view.
    """

    def __init__(self, n_factors: int, n_features: int) -> None:
        super().__init__()
        self.log_sd = nn.Parameter(torch.full((n_factors, n_features), math.log(START_SD)))

    @property
    def sd(self) -> Tensor:
        """Posterior sd, (m, p)."""
        return self.log_sd.exp()

    @property
    def variance(self) -> Tensor:
        """Posterior variances, (m, p)."""
        return (2.0 * self.log_sd).exp()

    def model(self, view: str) -> Tensor:
        """Draw scales and loadings from their prior, as sites; loadings (m, p)."""
        sd = self.prior_sd(view).expand_as(self.log_sd)
        prior = dist.Normal(torch.zeros_like(self.log_sd), sd).to_event(2)
        return pyro.sample(f"loadings:{view}", prior)

    def guide(self, view: str, mean: Tensor) -> None:
        """Draw scales and loadings from their posterior, as sites."""
        self.guide_scales(view, mean)
        pyro.sample(f"loadings:{view}", dist.Normal(mean, self.sd).to_event(2))

    def prior_sd(self, view: str) -> Tensor:
        """Draw the scales as sites of the model; the prior sd that follows, (m, 1) or (m, p)."""
        raise NotImplementedError

    def guide_scales(self, view: str, mean: Tensor) -> None:
        """Draw the scales as sites of the guide."""
        raise NotImplementedError

    @torch.no_grad()
    def start(self, mean: Tensor, weight: Tensor, energy: Tensor) -> None:
        """Start at the conditional posterior of started loadings.

        Parameters
        ----------
        mean
            Loadings, (m, p).
        weight
            Working weight of each feature, (p,).
        energy
            Sum of squares of each factor over the patients, posterior spread included, (m,).
        """
        for _ in range(5):
            precision = self.expected_precision(mean) + energy[:, None] * weight
            self.log_sd.copy_(-0.5 * precision.log())
            self.refresh(mean)

    def precision(self, mean: Tensor) -> dist.Independent:
        """Posterior of one precision a factor, one event (m,): conjugate to a Gamma prior."""
        shape = torch.full_like(mean[:, 0], GAMMA[0] + 0.5 * mean.shape[1])
        rate = GAMMA[1] + 0.5 * (mean.square() + self.variance).sum(1)
        return dist.Gamma(shape, rate).to_event(1)

    def factor_precision(self, mean: Tensor) -> Tensor:
        """MacKay's update of the same, (m, 1): its fixed point too, reached sooner."""
        usual = self.precision(mean).mean
        determined = (1.0 - usual[:, None] * self.variance).clamp_min(0.0).sum(1)
        quick = determined / mean.square().sum(1).clamp_min(1e-12)
        return torch.maximum(usual, quick).clamp_max(MAX_PRECISION)[:, None]

    def expected_precision(self, mean: Tensor) -> Tensor:
        """Expected precision of the loadings under their prior, (m, 1) or (m, p)."""
        raise NotImplementedError

    def refresh(self, mean: Tensor) -> None:
        """Update the scales to loadings of this mean, where they are not in closed form already."""

    @torch.no_grad()
    def widen(self, factor: Tensor) -> None:
        """Multiply the loadings of each factor, (m,): what the means were multiplied by."""
        self.log_sd.add_(factor.log()[:, None])

    @torch.no_grad()
    def determined(self, mean: Tensor) -> Tensor:
        r"""Share :math:`\sum_f m_{jf}^2 / \sum_f (m_{jf}^2 + s_{jf}^2)` of each factor, (m,).

        Near 1 where the data speak, near 0 where nothing is left but the prior.

        References
        ----------
        MacKay (1992), Bayesian interpolation: well-determined parameters.
        """
        signal = mean.square().sum(1)
        return signal / (signal + self.variance.sum(1)).clamp_min(1e-30)


class Ard(RandomLoadings):
    r"""Automatic relevance determination: one precision a factor and view.

    :math:`A_{jf} \sim N(0, \alpha_j^{-1})`, :math:`\alpha_j \sim \mathrm{Gamma}(10^{-3}, 10^{-3})`;
    the posterior of :math:`\alpha_j` is conjugate and follows from that of the loadings.

    References
    ----------
    Bishop (1999), Variational principal components; Virtanen et al. (2012), Bayesian group factor
    analysis.

    Examples
    --------
    >>> Ard(2, 5).sd.shape
    torch.Size([2, 5])
    """

    def prior_sd(self, view: str) -> Tensor:
        one = torch.ones_like(self.log_sd[:, 0])
        prior = dist.Gamma(GAMMA[0] * one, GAMMA[1] * one).to_event(1)
        return pyro.sample(f"precision:{view}", prior).rsqrt()[:, None]

    def guide_scales(self, view: str, mean: Tensor) -> None:
        pyro.sample(f"precision:{view}", self.precision(mean))

    def expected_precision(self, mean: Tensor) -> Tensor:
        return self.factor_precision(mean)


class LogHalfCauchy(TorchDistribution):
    r"""Log of a half-Cauchy variable, one event of any shape.

    With :math:`u = \log x - \log s` the density is :math:`1 / (\pi\cosh u)`. It has no analytic
    KL and says so.

    Parameters
    ----------
    scale
        Scale ``s`` of the half-Cauchy, a scalar.
    like
        Tensor whose shape, dtype and device the event takes.

    Examples
    --------
    >>> prior = LogHalfCauchy(torch.ones(()), torch.zeros(4))
    >>> prior.sample().shape, prior.log_prob(torch.zeros(4)).shape
    (torch.Size([4]), torch.Size([]))
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012
    support = constraints.real
    has_rsample = False
    kl_by_draw = True

    def __init__(self, scale: Tensor, like: Tensor) -> None:
        self.scale, self.like = scale, like.detach()
        super().__init__(torch.Size([]), like.shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> LogHalfCauchy:
        if len(batch_shape):
            raise ValueError(f"one event cannot be expanded to {tuple(batch_shape)}.")
        return self

    def log_prob(self, value: Tensor) -> Tensor:
        u = (value - self.scale.log()).abs()
        entries = math.log(2.0 / math.pi) - u - F.softplus(-2.0 * u)
        return entries.flatten(value.dim() - self.event_dim).sum(-1)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        return HalfCauchy(self.scale.expand_as(self.like)).sample(torch.Size(sample_shape)).log()


class Horseshoe(RandomLoadings):
    r"""Regularised horseshoe: a scale a factor and view, and one a feature within it.

    .. math:: A_{jf} \sim N\Big(0, \big(\tfrac{1}{\tau_j^2\lambda_{jf}^2} + \tfrac{1}{c^2}\big)^{-1}
              \Big), \quad \lambda_{jf} \sim C^+(0, 1), \quad \tau_j \sim C^+(0, \tau_0),

    with the slab held at c = 2 and :math:`\tau_0 = \tfrac{0.1}{0.9} / \sqrt n`, the authors' guess
    where a tenth of the features are on a factor. The scales have independent log-normal
    posteriors; their KL is estimated by the draw.

    References
    ----------
    Piironen & Vehtari (2017), Sparsity information and regularization in the horseshoe and other
    shrinkage priors.

    Examples
    --------
    >>> Horseshoe(2, 5).sd.shape
    torch.Size([2, 5])
    """

    global_scale: Tensor

    def __init__(self, n_factors: int, n_features: int) -> None:
        super().__init__(n_factors, n_features)
        start = math.log(SCALE_SD)
        self.register_buffer("global_scale", torch.tensor(NONZERO))
        self.local_loc = nn.Parameter(torch.zeros(n_factors, n_features))
        self.local_log_sd = nn.Parameter(torch.full((n_factors, n_features), start))
        self.global_loc = nn.Parameter(torch.full((n_factors,), math.log(NONZERO) / PACE))
        self.global_log_sd = nn.Parameter(torch.full((n_factors,), start))

    def prior_sd(self, view: str) -> Tensor:
        overall = LogHalfCauchy(self.global_scale, self.global_loc)
        local = LogHalfCauchy(torch.ones_like(self.global_scale), self.local_loc)
        log_global = pyro.sample(f"global:{view}", overall)
        log_local = pyro.sample(f"local:{view}", local)
        return _regularised(log_global[:, None] + log_local)

    def guide_scales(self, view: str, mean: Tensor) -> None:
        overall = dist.Normal(PACE * self.global_loc, self.global_log_sd.exp()).to_event(1)
        local = dist.Normal(PACE * self.local_loc, self.local_log_sd.exp()).to_event(2)
        pyro.sample(f"global:{view}", overall)
        pyro.sample(f"local:{view}", local)

    def expected_precision(self, mean: Tensor) -> Tensor:
        loc = PACE * (self.global_loc[:, None] + self.local_loc)
        spread = self.global_log_sd.exp().square()[:, None] + self.local_log_sd.exp().square()
        return (2.0 * (spread - loc)).clamp_max(math.log(MAX_PRECISION)).exp() + SLAB**-2

    @torch.no_grad()
    def start(self, mean: Tensor, weight: Tensor, energy: Tensor) -> None:
        n = energy.max().clamp_min(1.0)  # factors have unit variance
        self.global_scale.copy_(NONZERO / (1 - NONZERO) / n.sqrt())
        super().start(mean, weight, energy)

    @torch.no_grad()
    def refresh(self, mean: Tensor) -> None:
        """Inverse-gamma updates of the half-Cauchy scales (the slab apart), as log-normals.

        References
        ----------
        Makalic & Schmidt (2016), A simple sampler for the horseshoe estimator.
        """
        square = mean.square() + self.variance
        local_var = self.local_log_sd.exp().square()
        global_var = self.global_log_sd.exp().square()
        local = (2.0 * (local_var - PACE * self.local_loc)).exp()  # E[1/λ²]
        overall = (2.0 * (global_var - PACE * self.global_loc)).exp()  # E[1/τ²]
        for _ in range(3):
            local = 1.0 / (1.0 / (1.0 + local) + 0.5 * square * overall[:, None])
            rate = 1.0 / (self.global_scale**-2 + overall) + 0.5 * (square * local).sum(1)
            overall = 0.5 * (1 + square.shape[1]) / rate
        self.local_loc.copy_((local_var - 0.5 * local.log()) / PACE)
        self.global_loc.copy_((global_var - 0.5 * overall.log()) / PACE)

    @torch.no_grad()
    def widen(self, factor: Tensor) -> None:
        super().widen(factor)
        self.global_loc.add_(factor.log() / PACE)


def _regularised(log_scale: Tensor) -> Tensor:
    """Prior sd of scale ``τλ`` under the slab."""
    return ((-2.0 * log_scale.clamp_min(-12.0)).exp() + SLAB**-2).rsqrt()


LOADINGS: dict[str, type[RandomLoadings]] = {"ard": Ard, "horseshoe": Horseshoe}
