"""Likelihoods of a view: one small class each, in one registry."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import constraints

from mvlatent.vae.affine import Affine, Residual

__all__ = ["LIKELIHOODS", "Bernoulli", "Likelihood", "Normal", "StudentT"]

SCALE_FLOOR = 0.02  # in units of a scaled feature's sd; keeps a constant-like feature from σ → 0


class Rows(TorchDistribution):
    """Independent features of a patient as one event, masked entries contributing nothing.

    Parameters
    ----------
    likelihood
        The likelihood that knows the density of an entry.
    eta
        Linear predictor, (..., n, p); not multiplied out where the likelihood takes it so.
    observed
        Which entries were seen, (n, p) bool; ``None`` means all.
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012
    support = constraints.real_vector
    has_rsample = False

    def __init__(
        self, likelihood: Likelihood, eta: Tensor | Affine, observed: Tensor | None = None
    ) -> None:
        self.likelihood, self.eta, self.observed = likelihood, eta, observed
        super().__init__(eta.shape[:-1], eta.shape[-1:], validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Rows:
        return (
            self
            if torch.Size(batch_shape) == self.batch_shape
            else Rows(self.likelihood, self.eta.expand(*batch_shape, -1), self.observed)
        )

    def log_prob(self, value: Tensor) -> Tensor:
        eta: Any = self.eta  # only a likelihood that takes an `Affine` is given one
        return self.likelihood.log_prob(value, eta, self.observed)

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        eta = self.eta.dense() if isinstance(self.eta, Affine) else self.eta
        with torch.no_grad():
            return self.likelihood.draw(eta.expand(self._extended_shape(sample_shape)))


class Likelihood(nn.Module):
    """What every likelihood offers to the decoder, the experts and the reader.

    Parameters
    ----------
    n_features
        Number of features ``p`` of the view, as the model sees it.
    noise
        ``"feature"``: a scale a feature; ``"view"``: one scale for the view.
    """

    takes_affine = False  # whether a complete view's predictor may stay an `Affine`

    def __init__(self, n_features: int, *, noise: str = "feature") -> None:
        super().__init__()
        self.n_features, self.noise = n_features, noise

    def distribution(self, eta: Tensor | Affine, observed: Tensor | None = None) -> Rows:
        """Distribution of the rows of a view given the linear predictor ``eta``, (..., n, p)."""
        return Rows(self, eta, observed)

    def log_prob(self, x: Tensor, eta: Tensor, observed: Tensor | None) -> Tensor:
        """Log density of the rows, (..., n); unobserved entries contribute exactly 0."""
        raise NotImplementedError

    def mean(self, eta: Tensor) -> Tensor:
        """Expected value of an entry, same shape as ``eta``."""
        raise NotImplementedError

    def draw(self, eta: Tensor) -> Tensor:
        """One random draw an entry, same shape as ``eta``."""
        raise NotImplementedError

    def link(self, mean: Tensor) -> Tensor:
        """Linear predictor whose mean is ``mean``: where an intercept starts."""
        return mean

    def slope(self, mean: Tensor) -> Tensor:
        """Derivative of the mean by the linear predictor at ``mean``, for starting values."""
        return torch.ones_like(mean)

    def working(self, x: Tensor, eta: Tensor, *, at: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Fisher-scoring response ``r`` (n, p) around ``eta`` and its weight (p,).

        The quadratic ``-½ w (r - δ)²`` is the Gaussian that meets the log-likelihood of
        ``eta + δ`` in slope and in expected curvature at δ = 0: exact for the normal. Patients
        whose ``eta`` differ share the weight at ``at`` (p,), lest it depend on who else is read.
        """
        raise NotImplementedError

    def start(self, residual_variance: Tensor) -> None:
        """Set the noise from residual variances (p,) of a starting fit."""


class Normal(Likelihood):
    r"""Gaussian noise, :math:`x_j \sim N(\eta_j, \sigma_j^2)`, with a floor under σ.

    Examples
    --------
    >>> view = Normal(5)
    >>> view.distribution(torch.zeros(2, 5)).log_prob(torch.zeros(2, 5)).shape
    torch.Size([2])
    """

    takes_affine = True

    def __init__(self, n_features: int, *, noise: str = "feature") -> None:
        super().__init__(n_features, noise=noise)
        self.log_scale = nn.Parameter(torch.zeros(1 if noise == "view" else n_features))

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

    def draw(self, eta: Tensor) -> Tensor:
        return eta + self.scale * torch.randn_like(eta)

    def working(
        self, x: Tensor, eta: Tensor | Affine, *, at: Tensor | None = None
    ) -> tuple[Any, Tensor]:
        response = Residual(x, eta) if isinstance(eta, Affine) else x - eta
        return response, self.scale.square().reciprocal()

    def start(self, residual_variance: Tensor) -> None:
        if self.noise == "view":
            residual_variance = residual_variance.mean(0, keepdim=True)
        sd = residual_variance.sqrt().clamp_min(2 * SCALE_FLOOR)
        self.log_scale.data.copy_((sd - SCALE_FLOOR).log())


class StudentT(Normal):
    r"""Heavy-tailed noise, :math:`x_j \sim t_\nu(\eta_j, \sigma_j)`, ν > 2 learnt for the view.

    Examples
    --------
    >>> bool(StudentT(3).df > 2)
    True
    """

    takes_affine = False

    def __init__(self, n_features: int, *, noise: str = "feature") -> None:
        super().__init__(n_features, noise=noise)
        self.raw_df = nn.Parameter(torch.tensor(3.0))

    @property
    def df(self) -> Tensor:
        """Degrees of freedom ν, a scalar above 2."""
        return 2.0 + F.softplus(self.raw_df)

    def _distribution(self, eta: Tensor) -> torch.distributions.StudentT:
        return torch.distributions.StudentT(self.df, eta, self.scale, validate_args=False)

    def log_prob(self, x: Tensor, eta: Any, observed: Tensor | None) -> Tensor:
        entries = self._distribution(eta).log_prob(x)
        return (entries if observed is None else entries * observed).sum(-1)

    def draw(self, eta: Tensor) -> Tensor:
        return self._distribution(eta).sample()

    def working(self, x: Tensor, eta: Any, *, at: Tensor | None = None) -> tuple[Tensor, Tensor]:
        df, precision = self.df, self.scale.square().reciprocal()
        residual = x - eta
        score = (df + 1) * residual * precision / (df + residual.square() * precision)
        weight = precision * (df + 1) / (df + 3)  # expected information of the location
        return score / weight, weight

    def start(self, residual_variance: Tensor) -> None:
        df = float(self.df)
        super().start(residual_variance * (df - 2) / df)


class Bernoulli(Likelihood):
    r"""Zeros and ones, :math:`x_j \sim \mathrm{Bernoulli}(\mathrm{logistic}(\eta_j))`.

    Examples
    --------
    >>> Bernoulli(2).mean(torch.zeros(1, 2)).tolist()
    [[0.5, 0.5]]
    """

    def log_prob(self, x: Tensor, eta: Tensor, observed: Tensor | None) -> Tensor:
        entries = x * eta - F.softplus(eta)
        return (entries if observed is None else entries * observed).sum(-1)

    def mean(self, eta: Tensor) -> Tensor:
        return eta.sigmoid()

    def draw(self, eta: Tensor) -> Tensor:
        return torch.bernoulli(eta.sigmoid())

    def link(self, mean: Tensor) -> Tensor:
        return torch.logit(mean.clamp(1e-3, 1 - 1e-3))

    def slope(self, mean: Tensor) -> Tensor:
        return (mean * (1 - mean)).clamp_min(0.05)  # rare features start at rest

    def working(self, x: Tensor, eta: Tensor, *, at: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean = eta.sigmoid()
        centre = mean if at is None else at.sigmoid()
        weight = (centre * (1 - centre)).reshape(-1, self.n_features).mean(0).clamp_min(1e-4)
        return (x - mean) / weight, weight


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "normal": Normal,
    "studentt": StudentT,
    "bernoulli": Bernoulli,
}
