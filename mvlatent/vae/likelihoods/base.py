"""What a likelihood is: the density, the draws and the linear approximations of a view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import constraints

from mvlatent.vae.affine import Affine

__all__ = ["MIN_SLOPE", "MIN_WEIGHT", "Likelihood", "Rows"]

Array = np.ndarray[Any, Any]
Units = Callable[[Array], Array]
Predictive = tuple[Array, Array, Array | None, Array | None]
QuantileMethod = Literal["inverted_cdf", "linear"]

MIN_SLOPE = 0.05  # rare features start at rest
MIN_WEIGHT = 1e-4


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

    A likelihood knows a view's linear predictor ``eta`` with the exposure added, if it has one.
    The *surface* of a view is the scale on which its values are nearly linear in ``eta``: the
    values themselves for normal noise, the log-normalised counts, the logit of a share. Singular
    vectors, starting values and explained shares are taken there.

    A new one defines `entries`, `mean`, `variance`, `draw`, `link`, `curvature` and `information`;
    where its surface is not its values, `surface`, `expected_surface` and `slope` too, and with
    ``measures`` `unsurface`. What it declares to those without torch is in
    `mvlatent.specs.likelihoods`.

    Parameters
    ----------
    n_features
        Number of columns ``p`` of the view, as the model sees it.
    noise
        ``"feature"``: a scale (dispersion, precision, set of cutpoints) a feature; ``"view"``: one
        for the view.
    levels
        Numbers of levels, of views that have levels.
    """

    takes_affine = False  # whether a complete view's predictor may stay an `Affine`
    gaussian = False  # whether it is normal noise of one `scale` a feature: closed forms hold
    measures = False  # whether values are measurements, any real number on their surface
    bends = False  # whether the surface of an expected value differs from the expected surface
    quantiles: QuantileMethod = "inverted_cdf"  # of new entries: values that were drawn
    fill = 0.0  # a value inside the support, for entries that were not observed

    def __init__(
        self, n_features: int, *, noise: str = "feature", levels: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        self.n_features, self.noise, self.levels = n_features, noise, tuple(levels)

    def distribution(self, eta: Tensor | Affine, observed: Tensor | None = None) -> Rows:
        """Distribution of the rows of a view given the linear predictor ``eta``, (..., n, p)."""
        return Rows(self, eta, observed)

    # --- density and draws --------------------------------------------------------------------

    def log_prob(self, x: Tensor, eta: Tensor, observed: Tensor | None) -> Tensor:
        """Log density of the rows, (..., n); unobserved entries contribute exactly 0."""
        if observed is None:
            return self.entries(x, eta).sum(-1)
        entries = self.entries(torch.where(observed, x, self.fill), eta)
        return torch.where(observed, entries, 0.0).sum(-1)

    def entries(self, x: Tensor, eta: Tensor) -> Tensor:
        """Log density of every entry, (..., n, p)."""
        raise NotImplementedError

    def varying(self, x: Tensor, eta: Tensor) -> Tensor:
        """The same but for what does not depend on the predictor."""
        return self.entries(x, eta)

    def mean(self, eta: Tensor) -> Tensor:
        """Expected value of an entry, same shape as ``eta``."""
        raise NotImplementedError

    def variance(self, eta: Tensor) -> Tensor:
        """Variance of an entry, same shape as ``eta``."""
        raise NotImplementedError

    def draw(self, eta: Tensor) -> Tensor:
        """One random draw an entry, same shape as ``eta``."""
        raise NotImplementedError

    def typical(self, eta: Tensor) -> Tensor:
        """A value of the support near what is expected, same shape as ``eta``."""
        return self.mean(eta)

    def link(self, mean: Tensor) -> Tensor:
        """Linear predictor whose mean is ``mean``: where an intercept starts."""
        return mean

    # --- new entries in the user's units ------------------------------------------------------

    def predictive(self, eta: Tensor, units: Units, level: float | None) -> Predictive:
        """Mean, sd and central interval of new entries, (n, p) arrays.

        Parameters
        ----------
        eta
            Drawn predictors, (S, n, p).
        units
            From scaled values (n, p) to the units wanted; the sd stays in scaled ones.
        level
            Of the interval; ``None``: no interval.
        """
        expected = self.mean(eta)
        mean, variance = expected.mean(0), self.variance(eta).mean(0) + expected.var(0)
        if level is None:
            return units(mean.numpy()), variance.sqrt().numpy(), None, None
        lower, upper = self._interval(self.draw(eta).numpy(), level)
        return units(mean.numpy()), variance.sqrt().numpy(), units(lower), units(upper)

    def _drawn(self, eta: Tensor, units: Units) -> Array:
        """New entries, (S, n, p), each draw in the units wanted."""
        return np.stack([units(x.numpy()) for x in self.draw(eta)])

    def _interval(self, values: Array, level: float) -> tuple[Array, Array]:
        """Central interval of draws (S, n, p)."""
        ends = [0.5 - level / 2, 0.5 + level / 2]
        lower, upper = np.quantile(values, ends, axis=0, method=self.quantiles)
        return lower, upper

    # --- the surface --------------------------------------------------------------------------

    @staticmethod
    def surface(x: Tensor, exposure: Tensor | None = None) -> Tensor:
        """Values on the scale that is nearly linear in the predictor, same shape as ``x``."""
        return x

    def unsurface(self, surface: Tensor) -> Tensor:
        """Values of a surface, of likelihoods whose values are measurements."""
        raise NotImplementedError

    def expected_surface(self, eta: Tensor) -> Tensor:
        """What the surface is expected to be for a predictor without its exposure."""
        return self.mean(eta)

    def slope(self, eta: Tensor) -> Tensor:
        """Derivative of `expected_surface` by the predictor, with a floor."""
        return torch.ones_like(eta)

    # --- Gaussian approximations ----------------------------------------------------------------

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        """Derivative of the log density by ``eta`` and minus its second one, (n, p) each.

        Where the latter may be negative, a bound or its expectation is in its place.
        """
        raise NotImplementedError

    def known(self, x: Tensor) -> tuple[Tensor, ...]:
        """What `expansion` needs of the values, (n, p) each: once for many predictors."""
        return (x,)

    def expansion(self, known: tuple[Tensor, ...], eta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log density but for what does not depend on ``eta``, and its `curvature`; (n, p) each."""
        (x,) = known
        return self.varying(x, eta), *self.curvature(x, eta)

    def coupling(
        self, known: tuple[Tensor, ...], score: Tensor, left: Tensor, right: Tensor
    ) -> Tensor | None:
        """What the curvature has beside its diagonal, ``L C R'`` a patient, (n, m, m).

        ``None`` where no entry bends with another. ``score`` (n, p) and what is known are 0 where
        an entry was not observed; the loadings to both sides are (m, p).
        """
        return None

    def information(self, eta: Tensor) -> Tensor:
        """Fisher information of the predictor in an entry, same shape as ``eta``."""
        raise NotImplementedError

    def working(self, x: Tensor, eta: Tensor) -> tuple[Any, Tensor]:
        """Fisher-scoring response ``r`` (n, p) around ``eta`` and its weight (p,).

        The quadratic ``-½ w (r - δ)²`` is the Gaussian that meets the log-likelihood of
        ``eta + δ`` in slope and in expected curvature at δ = 0: exact for the normal.
        """
        information = self.information(eta)
        weight = information.reshape(-1, self.n_features).mean(0).clamp_min(MIN_WEIGHT)
        return self.curvature(x, eta)[0] / weight, weight

    # --- starting values ------------------------------------------------------------------------

    def intercept(self, x: Tensor, exposure: Tensor | None, seen: Tensor) -> Tensor:
        """Predictor of an average patient, (p,), from rows ``x`` (n, p) and who was seen."""
        weights = seen.to(x.dtype)
        return self.link((x * weights).sum(0) / weights.expand_as(x).sum(0).clamp_min(1))

    def start(self, residual_variance: Tensor) -> None:
        """Set the noise from residual variances (p,) of a starting fit of the surface."""

    def settle(self, x: Tensor, eta: Tensor, seen: Tensor) -> None:
        """Set what is no location to what fits best, given a starting predictor (n, p)."""

    def _per_feature(self, value: float) -> nn.Parameter:
        """A parameter a feature, or one for the view."""
        return nn.Parameter(torch.full((1 if self.noise == "view" else self.n_features,), value))

    def _pooled(self, per_feature: Tensor) -> Tensor:
        """Sums of the features that share a parameter."""
        return per_feature.sum(-1, keepdim=True) if self.noise == "view" else per_feature
