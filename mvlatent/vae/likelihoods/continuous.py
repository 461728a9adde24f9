"""Continuous values: normal and heavy-tailed noise, and shares between 0 and 1."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvlatent.vae.affine import Affine, Residual
from mvlatent.vae.likelihoods.base import MIN_SLOPE, Likelihood, Predictive, Units

__all__ = ["SCALE_FLOOR", "Beta", "Normal", "StudentT"]

SCALE_FLOOR = 0.02  # in units of a scaled feature's sd; keeps a constant-like feature from σ → 0
SHARE_FLOOR = 1e-3  # shares are kept this far inside (0, 1)
MAX_SURFACE = math.log(1 / SHARE_FLOOR - 1)
MAX_LOGIT = 12.0
LOG_PRECISION = (-2.0, 8.0)


class Normal(Likelihood):
    r"""Gaussian noise, :math:`x_j \sim N(\eta_j, \sigma_j^2)`, with a floor under σ.

    Examples
    --------
    >>> view = Normal(5)
    >>> view.distribution(torch.zeros(2, 5)).log_prob(torch.zeros(2, 5)).shape
    torch.Size([2])
    """

    takes_affine = True
    measures = True
    gaussian = True

    def __init__(
        self, n_features: int, *, noise: str = "feature", levels: tuple[int, ...] = ()
    ) -> None:
        super().__init__(n_features, noise=noise, levels=levels)
        self.log_scale = self._per_feature(0.0)

    @property
    def scale(self) -> Tensor:
        """Noise sd σ, (p,)."""
        return (SCALE_FLOOR + self.log_scale.exp()).expand(self.n_features)

    def log_prob(self, x: Tensor, eta: Tensor | Affine, observed: Tensor | None) -> Tensor:
        scale = self.scale
        constant = scale.log() + 0.5 * math.log(2 * math.pi)
        half_precision = 0.5 / scale.square()
        if isinstance(eta, Affine) and observed is None:
            return -Residual(x, eta).weighted_squares(half_precision) - constant.sum()
        squared = (x - (eta.dense() if isinstance(eta, Affine) else eta)).square()
        if observed is None:
            return -(squared @ half_precision) - constant.sum()
        seen = observed.to(x.dtype)
        return -((squared * seen) @ half_precision) - seen @ constant

    def mean(self, eta: Tensor) -> Tensor:
        return eta

    def unsurface(self, surface: Tensor) -> Tensor:
        return surface

    def variance(self, eta: Tensor) -> Tensor:
        return self.scale.square().expand_as(eta)

    def draw(self, eta: Tensor) -> Tensor:
        return eta + self.scale * torch.randn_like(eta)

    def working(self, x: Tensor, eta: Tensor | Affine) -> tuple[Any, Tensor]:
        response = Residual(x, eta) if isinstance(eta, Affine) else x - eta
        return response, self.scale.square().reciprocal()

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        information = self.information(eta)
        return (x - eta) * information, information

    def information(self, eta: Tensor) -> Tensor:
        return self.scale.square().reciprocal().expand_as(eta)

    def start(self, residual_variance: Tensor) -> None:
        if self.noise == "view":
            residual_variance = residual_variance.mean(0, keepdim=True)
        sd = residual_variance.sqrt().clamp_min(2 * SCALE_FLOOR)
        self.log_scale.data.copy_((sd - SCALE_FLOOR).log())

    @torch.no_grad()
    def set_variance(self, variance: Tensor) -> None:
        """Set the noise variance of each feature, (p,), down to the floor of its scale."""
        self.log_scale.copy_((variance.sqrt() - SCALE_FLOOR).clamp_min(1e-6).log())


class StudentT(Normal):
    r"""Heavy-tailed noise, :math:`x_j \sim t_\nu(\eta_j, \sigma_j)`, ν > 2 learnt for the view.

    Examples
    --------
    >>> bool(StudentT(3).df > 2)
    True
    """

    takes_affine = False
    gaussian = False
    quantiles = "linear"

    def __init__(
        self, n_features: int, *, noise: str = "feature", levels: tuple[int, ...] = ()
    ) -> None:
        super().__init__(n_features, noise=noise, levels=levels)
        self.raw_df = nn.Parameter(torch.tensor(3.0))

    @property
    def df(self) -> Tensor:
        """Degrees of freedom ν, a scalar above 2."""
        return 2.0 + F.softplus(self.raw_df)

    def _distribution(self, eta: Tensor) -> torch.distributions.StudentT:
        return torch.distributions.StudentT(self.df, eta, self.scale, validate_args=False)

    def log_prob(self, x: Tensor, eta: Any, observed: Tensor | None) -> Tensor:
        return Likelihood.log_prob(self, x, eta, observed)

    def entries(self, x: Tensor, eta: Tensor) -> Tensor:
        return self._distribution(eta).log_prob(x)

    def varying(self, x: Tensor, eta: Tensor) -> Tensor:
        df, precision = self.df, self.scale.square().reciprocal()
        return -0.5 * (df + 1) * torch.log1p((x - eta).square() * (precision / df))

    def variance(self, eta: Tensor) -> Tensor:
        return (self.scale.square() * self.df / (self.df - 2)).expand_as(eta)

    def draw(self, eta: Tensor) -> Tensor:
        return self._distribution(eta).sample()

    def predictive(self, eta: Tensor, units: Units, level: float | None) -> Predictive:
        """Scaling bends, and tails reach far: every draw goes to the user's units."""
        values = self._drawn(eta, units)
        bounds = (None, None) if level is None else self._interval(values, level)
        return values.mean(0), values.std(0), *bounds

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        df, precision = self.df, self.scale.square().reciprocal()
        residual = x - eta
        weight = (df + 1) * precision / (df + residual.square() * precision)
        return weight * residual, weight  # of a scale mixture: outliers weigh little

    def information(self, eta: Tensor) -> Tensor:
        df = self.df
        return (self.scale.square().reciprocal() * (df + 1) / (df + 3)).expand_as(eta)

    def working(self, x: Tensor, eta: Any) -> tuple[Tensor, Tensor]:
        return Likelihood.working(self, x, eta)

    def start(self, residual_variance: Tensor) -> None:
        df = float(self.df)
        super().start(residual_variance * (df - 2) / df)


class Beta(Likelihood):
    r"""Shares in (0, 1), :math:`x_j \sim \mathrm{Beta}(m\varphi_j, (1 - m)\varphi_j)`.

    The mean is :math:`m = \mathrm{logistic}(\eta_j)`, the precision φ a parameter of the feature.
    Values at the ends of the interval are moved inside it.

    References
    ----------
    Ferrari & Cribari-Neto (2004), Beta regression for modelling rates and proportions.

    Examples
    --------
    >>> Beta(2).mean(torch.zeros(1, 2)).tolist()
    [[0.5, 0.5]]
    """

    fill = 0.5
    measures = True
    quantiles = "linear"

    def __init__(
        self, n_features: int, *, noise: str = "feature", levels: tuple[int, ...] = ()
    ) -> None:
        super().__init__(n_features, noise=noise, levels=levels)
        self.log_precision = self._per_feature(2.0)

    @property
    def precision(self) -> Tensor:
        """Precision φ, (p,): the variance is ``m (1 - m) / (1 + φ)``."""
        return self.log_precision.clamp(*LOG_PRECISION).exp().expand(self.n_features)

    def _shapes(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        eta = eta.clamp(-MAX_LOGIT, MAX_LOGIT)
        return eta.sigmoid() * self.precision, (-eta).sigmoid() * self.precision

    def entries(self, x: Tensor, eta: Tensor) -> Tensor:
        a, b = self._shapes(eta)
        x = x.clamp(SHARE_FLOOR, 1 - SHARE_FLOOR)
        normaliser = torch.lgamma(self.precision) - torch.lgamma(a) - torch.lgamma(b)
        return (a - 1) * x.log() + (b - 1) * torch.log1p(-x) + normaliser

    def mean(self, eta: Tensor) -> Tensor:
        return eta.sigmoid()

    def unsurface(self, surface: Tensor) -> Tensor:
        return surface.sigmoid()

    def variance(self, eta: Tensor) -> Tensor:
        mean = eta.sigmoid()
        return mean * (1 - mean) / (1 + self.precision)

    def draw(self, eta: Tensor) -> Tensor:
        return torch.distributions.Beta(*self._shapes(eta), validate_args=False).sample()

    def link(self, mean: Tensor) -> Tensor:
        return torch.logit(mean.clamp(SHARE_FLOOR, 1 - SHARE_FLOOR))

    @staticmethod
    def surface(x: Tensor, exposure: Tensor | None = None) -> Tensor:
        return torch.logit(x.clamp(SHARE_FLOOR, 1 - SHARE_FLOOR))

    def expected_surface(self, eta: Tensor) -> Tensor:
        a, b = self._shapes(eta)
        return (torch.digamma(a) - torch.digamma(b)).clamp(-MAX_SURFACE, MAX_SURFACE)

    def slope(self, eta: Tensor) -> Tensor:
        a, b = self._shapes(eta)
        spread = torch.polygamma(1, a) + torch.polygamma(1, b)
        return (a * b / self.precision * spread).clamp_min(MIN_SLOPE)

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self._shapes(eta)
        by_mean = a * b / self.precision  # φ m (1 - m)
        surprise = self.surface(x) - torch.digamma(a) + torch.digamma(b)
        return by_mean * surprise, self.information(eta)

    def information(self, eta: Tensor) -> Tensor:
        a, b = self._shapes(eta)
        spread = torch.polygamma(1, a) + torch.polygamma(1, b)
        return (a * b / self.precision).square() * spread

    def settle(self, x: Tensor, eta: Tensor, seen: Tensor) -> None:
        mean = eta.sigmoid()
        squares = self._pooled(((x - mean).square() * seen).sum(0))
        expected = self._pooled((mean * (1 - mean) * seen).sum(0))
        precision = expected / squares.clamp_min(1e-6) - 1
        self.log_precision.data.copy_(precision.clamp_min(0.5).log().clamp(*LOG_PRECISION))
