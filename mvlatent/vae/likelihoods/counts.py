"""Counts: Poisson, negative binomial and zero-inflated, with the log library size as an offset."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mvlatent.vae.likelihoods.base import MIN_SLOPE, Likelihood

__all__ = ["NegativeBinomial", "Poisson", "ZeroInflated", "rate"]

MAX_LOG_RATE = 20.0
LOG_DISPERSION = (-4.0, 8.0)
DISPERSION_GRID = 13  # starting values that are tried


def rate(eta: Tensor) -> Tensor:
    """``exp(eta)``, linear from exp(20) on, so that nothing overflows and gradients go on."""
    capped = eta.clamp_max(MAX_LOG_RATE)
    return capped.exp() * (1 + (eta - capped))


class Poisson(Likelihood):
    r"""Counts, :math:`x_j \sim \mathrm{Poisson}(e^{\eta_j})`; η holds the log library size.

    Examples
    --------
    >>> Poisson(2).mean(torch.zeros(1, 2)).tolist()
    [[1.0, 1.0]]
    """

    bends = True

    def log_prob(self, x: Tensor, eta: Tensor, observed: Tensor | None) -> Tensor:
        if observed is not None:
            x = torch.where(observed, x, self.fill)
        varying = self.varying(x, eta)
        if observed is not None:
            varying = torch.where(observed, varying, 0.0)
        rows, columns = (x > 0).nonzero(as_tuple=True)
        constant = self._of_positive(x[rows, columns], columns)
        # in rows of zeros nothing is left to add; wide sparse views are mostly that
        return varying.sum(-1) + constant.new_zeros(len(x)).index_add(0, rows, constant)

    def entries(self, x: Tensor, eta: Tensor) -> Tensor:
        columns = torch.arange(self.n_features, device=x.device).expand(x.shape)
        constant = self._of_positive(x, columns)
        return self.varying(x, eta) + torch.where(x > 0, constant, 0.0)

    def varying(self, x: Tensor, eta: Tensor) -> Tensor:
        return x * eta - rate(eta)

    def _of_positive(self, x: Tensor, columns: Tensor) -> Tensor:
        """The rest, for positive counts of the columns named: it is 0 for x = 0."""
        return -torch.lgamma(x + 1)

    def mean(self, eta: Tensor) -> Tensor:
        return rate(eta)

    def variance(self, eta: Tensor) -> Tensor:
        return rate(eta)

    def draw(self, eta: Tensor) -> Tensor:
        return torch.poisson(rate(eta))

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(1e-6).log()

    @staticmethod
    def surface(x: Tensor, exposure: Tensor | None = None) -> Tensor:
        return torch.log1p(x if exposure is None else x * (-exposure).exp().unsqueeze(-1))

    def expected_surface(self, eta: Tensor) -> Tensor:
        return torch.log1p(self.mean(eta))

    def slope(self, eta: Tensor) -> Tensor:
        mean = self.mean(eta)
        return (mean / (1 + mean)).clamp_min(MIN_SLOPE)

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        mean = rate(eta)
        return x - mean, mean

    def information(self, eta: Tensor) -> Tensor:
        return rate(eta)

    def intercept(self, x: Tensor, exposure: Tensor | None, seen: Tensor) -> Tensor:
        weights = seen.to(x.dtype).expand_as(x)
        expected = weights if exposure is None else weights * exposure.exp()[:, None]
        total = (x * weights).sum(0)
        return self.link((total + 0.1) / expected.sum(0).clamp_min(1))


class NegativeBinomial(Poisson):
    r"""Overdispersed counts with mean :math:`\mu_j = e^{\eta_j}`, variance μ + μ²/θ, θ a feature.

    References
    ----------
    Lopez et al. (2018), Deep generative modeling for single-cell transcriptomics.

    Examples
    --------
    >>> bool((NegativeBinomial(3).dispersion > 0).all())
    True
    """

    def __init__(
        self, n_features: int, *, noise: str = "feature", levels: tuple[int, ...] = ()
    ) -> None:
        super().__init__(n_features, noise=noise, levels=levels)
        self.log_dispersion = self._per_feature(0.0)

    @property
    def dispersion(self) -> Tensor:
        """Inverse dispersion θ, (p,): the variance is ``μ + μ²/θ``."""
        return self.log_dispersion.clamp(*LOG_DISPERSION).exp().expand(self.n_features)

    def varying(self, x: Tensor, eta: Tensor) -> Tensor:
        dispersion = self.log_dispersion.clamp(*LOG_DISPERSION)
        return _NegativeBinomial.apply(x, eta, dispersion)  # type: ignore[no-untyped-call]

    def _of_positive(self, x: Tensor, columns: Tensor) -> Tensor:
        theta = self.dispersion[columns]
        return torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)

    def variance(self, eta: Tensor) -> Tensor:
        mean = rate(eta)
        return mean + mean.square() / self.dispersion

    def draw(self, eta: Tensor) -> Tensor:
        shape = self.dispersion.expand_as(eta)
        return torch.poisson(torch._standard_gamma(shape.contiguous()) * rate(eta) / shape)

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        theta = self.dispersion
        share = (eta - theta.log()).sigmoid()  # μ / (μ + θ)
        total = (x + theta) * share
        return x - total, total * (1 - share)

    def expansion(self, known: tuple[Tensor, ...], eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (x,), theta = known, self.dispersion
        logit = eta - theta.log()
        # nothing large cancels here, whereas in `varying` it does: a search sees small rises
        height = torch.addcmul(x * F.logsigmoid(logit), theta, F.softplus(logit), value=-1)
        return height, *self.curvature(x, eta)

    def information(self, eta: Tensor) -> Tensor:
        theta = self.dispersion
        return theta * (eta - theta.log()).sigmoid()

    @torch.no_grad()
    def settle(self, x: Tensor, eta: Tensor, seen: Tensor) -> None:
        """Take the dispersion of the largest likelihood on a grid, refined by a parabola."""
        low, high = -3.0, 6.0
        grid = torch.linspace(low, high, DISPERSION_GRID)
        x = torch.where(seen, x, self.fill)
        rows, columns = (x > 0).nonzero(as_tuple=True)
        positive = x[rows, columns]
        heights = []
        for value in grid:
            self.log_dispersion.data.fill_(float(value))
            height = torch.where(seen, self.varying(x, eta), 0.0).sum(0)
            constant = self._of_positive(positive, columns)
            heights.append(self._pooled(height.index_add(0, columns, constant)))
        self.log_dispersion.data.copy_(_top(grid, torch.stack(heights)))


class _NegativeBinomial(torch.autograd.Function):
    """``x l - (x + θ) softplus(l)`` with ``l = η - log θ``, its gradients worked out by hand.

    Wide views spend most of their time here, and what autograd would keep is several times x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eta: Tensor, log_theta: Tensor) -> Tensor:
        logit = eta - log_theta
        ctx.save_for_backward(x, logit, log_theta)
        return torch.addcmul(x * logit, x + log_theta.exp(), F.softplus(logit), value=-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor | None]:
        x, logit, log_theta = ctx.saved_tensors
        theta = log_theta.exp()
        by_eta = torch.addcmul(x, x + theta, logit.sigmoid(), value=-1).mul_(grads[0])
        by_theta = None
        if ctx.needs_input_grad[2]:
            spent = (F.softplus(logit) * grads[0]).reshape(-1, logit.shape[-1]).sum(0) * theta
            by_theta = -by_eta.reshape(-1, logit.shape[-1]).sum(0) - spent
            by_theta = by_theta.sum_to_size(log_theta.shape)
        return None, by_eta, by_theta


def _top(grid: Tensor, heights: Tensor) -> Tensor:
    """Place of each column's maximum, (p,), for heights (g, p) on an even grid."""
    best = heights.argmax(0).clamp(1, len(grid) - 2)
    below, at, above = (heights.gather(0, (best + k)[None])[0] for k in (-1, 0, 1))
    bend = (below - 2 * at + above).clamp_max(-1e-6)
    shift = (0.5 * (below - above) / bend).clamp(-1, 1)
    return grid[best] + shift * (grid[1] - grid[0])


class ZeroInflated(NegativeBinomial):
    r"""A negative binomial with more zeros: with probability :math:`\pi_j` a count is 0 anyway.

    References
    ----------
    Lopez et al. (2018), Deep generative modeling for single-cell transcriptomics.

    Examples
    --------
    >>> bool((ZeroInflated(3).mean(torch.zeros(1, 3)) < 1).all())
    True
    """

    def __init__(
        self, n_features: int, *, noise: str = "feature", levels: tuple[int, ...] = ()
    ) -> None:
        super().__init__(n_features, noise=noise, levels=levels)
        self.gate = self._per_feature(-3.0)

    @property
    def inflation(self) -> Tensor:
        """Probability π of a zero beyond the negative binomial's, (p,)."""
        return self.gate.sigmoid().expand(self.n_features)

    def _zero(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """Log probability of a zero, and the part of it that is the negative binomial's."""
        theta = self.dispersion
        counted = F.logsigmoid(-self.gate) - theta * F.softplus(eta - theta.log())
        return torch.logaddexp(F.logsigmoid(self.gate), counted), counted

    def varying(self, x: Tensor, eta: Tensor) -> Tensor:
        counted = F.logsigmoid(-self.gate) + super().varying(x, eta)
        return torch.where(x > 0, counted, self._zero(eta)[0])

    def mean(self, eta: Tensor) -> Tensor:
        return (1 - self.inflation) * rate(eta)

    def variance(self, eta: Tensor) -> Tensor:
        mean, kept = rate(eta), 1 - self.inflation
        return kept * (mean + mean.square() * (1 / self.dispersion + self.inflation))

    def draw(self, eta: Tensor) -> Tensor:
        return super().draw(eta) * torch.bernoulli((1 - self.inflation).expand_as(eta))

    def link(self, mean: Tensor) -> Tensor:
        return super().link(mean / (1 - self.inflation))

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        score, information = super().curvature(x, eta)
        zero, counted = self._zero(eta)
        counts = torch.where(x > 0, 1.0, (counted - zero).exp())  # that an entry was counted at all
        return score * counts, information * counts

    def expansion(self, known: tuple[Tensor, ...], eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, score, weight = super().expansion(known, eta)
        return torch.where(known[0] > 0, height, self._zero(eta)[0]), score, weight

    def information(self, eta: Tensor) -> Tensor:
        return (1 - self.inflation) * super().information(eta)

    @torch.no_grad()
    def settle(self, x: Tensor, eta: Tensor, seen: Tensor) -> None:
        """Start the inflation at the zeros that the negative binomial leaves over."""
        self.gate.data.fill_(-3.0)
        super().settle(x, eta, seen)
        theta = self.dispersion
        expected = torch.exp(-theta * F.softplus(eta - theta.log()))
        counted = self._pooled(seen.to(eta.dtype).expand_as(eta).sum(0)).clamp_min(1)
        zeros = self._pooled(((x == 0) & seen).to(eta.dtype).sum(0)) / counted
        free = self._pooled((expected * seen).sum(0)) / counted
        excess = ((zeros - free) / (1 - free).clamp_min(1e-3)).clamp(0.02, 0.9)
        self.gate.data.copy_(torch.logit(excess))
