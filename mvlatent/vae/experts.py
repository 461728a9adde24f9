"""Experts: what one view says of the shared latent, and of its own private one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from mvlatent.vae.affine import Affine
from mvlatent.vae.decoders import Linear as LinearDecoder
from mvlatent.vae.decoders import residual_network
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.likelihoods import Likelihood
from mvlatent.vae.likelihoods.base import MIN_WEIGHT
from mvlatent.vae.modes import Mode, ViewPosterior, find_mode

__all__ = ["EXPERTS", "Amortised", "Expert", "Network", "Seen", "Tied"]

MAX_PRECISION = 1e4


def _each(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply the vectors (..., n, a) by one matrix (1, b, a), or by one a patient (n, b, a)."""
    if matrices.shape[0] == 1:
        return vectors @ matrices[0].mT
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)


@dataclass(frozen=True)
class Seen:
    """What an expert may look at: its view's rows, the entries observed, and the technical part.

    ``offset`` is ``b + E[sB]``, (n, p) or (p,): known before any latent is; an `Affine` where the
    likelihood takes it so. The exposure, (n,), comes on top of it. ``start``, (n, k+d), is where a
    search for the mode of [z, w] may begin: at what was found with earlier loadings.
    """

    x: Tensor
    observed: Tensor | None
    technical: Tensor
    offset: Tensor | Affine
    exposure: Tensor | None = None
    start: Tensor | None = None

    @property
    def predictor(self) -> Any:
        """Linear predictor at z = 0 and w = 0."""
        offset: Any = self.offset
        return offset if self.exposure is None else offset + self.exposure[:, None]


class Expert(nn.Module):
    """A view's evidence on z, and the posterior of its private latent given z."""

    def __init__(
        self,
        decoder: LinearDecoder,
        likelihood: Likelihood,
        *,
        n_technical: int,
        n_hidden: int,
        top_down: bool = True,
    ) -> None:
        super().__init__()
        self.top_down = top_down  # whether w is told z
        self._tied = [decoder, likelihood]  # in a list: owned and saved by the model, not by us

    @property
    def decoder(self) -> LinearDecoder:
        """The decoder of the view."""
        return self._tied[0]  # type: ignore[return-value]

    @property
    def likelihood(self) -> Likelihood:
        """The likelihood of the view."""
        return self._tied[1]  # type: ignore[return-value]

    def forward(self, seen: Seen) -> Evidence:
        """Evidence of the view on z, and on w given z."""
        raise NotImplementedError


class Tied(Expert):
    r"""The expert that follows from a linear decoder, with no parameter of its own.

    With weights P (the inverse noise variance; the Fisher information of other likelihoods) and
    working response r, w integrated out:

    .. math:: \Lambda = A(P^{-1} + V'V)^{-1}A', \quad h = A(P^{-1} + V'V)^{-1} r .

    Exact for normal noise. The others bend: their log density is expanded at the mode of the
    view's own posterior of [z, w] (Laplace's approximation), a weight an entry. Where the loadings
    are random, their products are expected ones: that of the means plus the variances on the
    diagonal.

    References
    ----------
    Rue, Martino & Chopin (2009), Approximate Bayesian inference for latent Gaussian models.
    """

    def _weighted(self, seen: Seen) -> tuple[Tensor, Tensor, Tensor | None]:
        """Gram matrix (1 or n, k+d, k+d) and projection (n, k+d) of the stacked loadings; mode."""
        if not self.likelihood.gaussian:
            return self._expanded(seen)
        loadings = self.decoder.loadings
        response, weight = self.likelihood.working(seen.x, seen.predictor)
        weighted = loadings * weight
        spread = self.decoder.spread
        if seen.observed is None:
            gram = weighted @ loadings.mT
            if spread is not None:
                gram = gram + torch.diag(spread.variance @ weight)
            return gram[None], response @ weighted.mT, None
        seen_entries = seen.observed.to(response.dtype)
        outer = (weighted[:, None] * loadings[None]).flatten(0, 1)  # ((k+d)², p)
        m = loadings.shape[0]
        gram = (seen_entries @ outer.mT).unflatten(-1, (m, m))
        if spread is not None:
            gram = gram + torch.diag_embed(seen_entries @ (spread.variance * weight).mT)
        return gram, (response * seen_entries) @ weighted.mT, None

    def _expanded(self, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
        """The same of the quadratic that meets the log density at its mode.

        Where the expansion is made does not matter to first order, so that gradients go through
        the loadings alone.
        """
        loadings, spread = self.decoder.loadings, self.decoder.spread
        posterior, mode = self._search(seen)
        gram, projection = posterior.quadratic(mode, loadings)
        if spread is not None:
            gram = gram + torch.diag_embed(mode.weight @ spread.variance.mT)
        return gram, projection, mode.latents

    def mode(self, seen: Seen) -> Mode:
        """Mode of the view's own posterior of [z, w], the loadings at their mean."""
        return self._search(seen)[1]

    @torch.no_grad()
    def _search(self, seen: Seen) -> tuple[ViewPosterior, Mode]:
        """The posterior and its mode. A factor that is off stays at 0, and costs nothing."""
        loadings = self.decoder.loadings
        posterior = ViewPosterior.of(
            self.likelihood, seen.x, seen.observed, seen.predictor, loadings
        )
        on = (loadings != 0).any(1)
        start = self._first(seen, loadings[on]) if seen.start is None else seen.start[:, on]
        found = find_mode(posterior.along(on), start)
        latents = found.latents.new_zeros(len(seen.x), len(loadings))
        latents[:, on] = found.latents
        return posterior, replace(found, latents=latents)

    def _first(self, seen: Seen, loadings: Tensor) -> Tensor:
        """Latents (n, k+d) by one linear step on the surface of the view, which is robust."""
        likelihood, at = self.likelihood, self.decoder.intercept
        weighted = loadings * likelihood.information(at).clamp_min(MIN_WEIGHT)
        to_latents = (weighted / likelihood.slope(at)).mT
        surface = likelihood.surface(seen.x, seen.exposure)
        expected = likelihood.expected_surface(cast(Tensor, seen.offset))
        if seen.observed is None:  # without technical effects there is one expectation for all
            projection = surface @ to_latents - expected @ to_latents
        else:
            projection = torch.where(seen.observed, surface - expected, 0.0) @ to_latents
        precision = weighted @ loadings.mT
        precision.diagonal().add_(1.0)
        return torch.linalg.solve(precision, projection.mT).mT

    def forward(self, seen: Seen) -> Evidence:
        gram, projection, mode = self._weighted(seen)
        k = self.decoder.shared.shape[0]
        eye = torch.eye(gram.shape[-1] - k, dtype=gram.dtype, device=gram.device)
        cross, private_precision = gram[:, :k, k:], gram[:, k:, k:] + eye
        # explain away what the private block can: Schur complement of the joint precision
        factor = torch.linalg.cholesky(private_precision)
        gain = torch.cholesky_solve(cross.mT, factor).mT
        precision = gram[:, :k, :k] - gain @ cross.mT
        potential = projection[:, :k] - _each(gain, projection[:, k:])
        if not self.top_down:
            return Evidence(potential, precision, self._marginal(gram, projection), mode)

        def private(z: Tensor) -> PrecisionNormal:
            potential = projection[:, k:] - _each(cross.mT, z)
            return PrecisionNormal(potential, private_precision, cholesky=factor)

        return Evidence(potential, precision, private, mode)

    def _marginal(self, gram: Tensor, projection: Tensor) -> Callable[[Tensor], PrecisionNormal]:
        """Posterior of w given its view alone, z integrated out: the same for every z."""
        k = self.decoder.shared.shape[0]
        eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        joint, cross = gram + eye, gram[:, :k, k:]
        gain = torch.cholesky_solve(cross, torch.linalg.cholesky(joint[:, :k, :k])).mT
        precision = joint[:, k:, k:] - gain @ cross
        potential = projection[:, k:] - _each(gain, projection[:, :k])
        factor = torch.linalg.cholesky(precision)

        def private(z: Tensor) -> PrecisionNormal:
            wide = potential.expand(*z.shape[:-1], potential.shape[-1])
            return PrecisionNormal(wide, precision, cholesky=factor)

        return private


class Amortised(Expert):
    """A linear encoder with diagonal precision, started from the tied expert.

    The shared part does not see the technical covariates but takes the view as it is; the
    private one sees the view, z and the technical covariates.
    """

    network = False

    def __init__(
        self,
        decoder: LinearDecoder,
        likelihood: Likelihood,
        *,
        n_technical: int,
        n_hidden: int,
        top_down: bool = True,
    ) -> None:
        super().__init__(
            decoder, likelihood, n_technical=n_technical, n_hidden=n_hidden, top_down=top_down
        )
        k, p = decoder.shared.shape
        d = decoder.private.shape[0]
        self.to_shared = nn.Linear(p, k)
        self.log_precision = nn.Parameter(torch.zeros(k))
        self.to_private = nn.Linear(p + k + n_technical, d)
        self.log_private_precision = nn.Parameter(torch.zeros(d))
        if self.network:
            self.bend_shared = residual_network(p, n_hidden, 2 * k)
            self.bend_private = residual_network(p + k + n_technical, n_hidden, 2 * d)

    def _surface(self, seen: Seen) -> Tensor:
        """The surface of the view, unobserved entries where the intercept expects them."""
        x = self.likelihood.surface(seen.x, seen.exposure)
        if seen.observed is None:
            return x
        centre = self.likelihood.expected_surface(self.decoder.intercept)
        return torch.where(seen.observed, x, centre)

    def forward(self, seen: Seen) -> Evidence:
        x = self._surface(seen)
        mean, log_precision = self.to_shared(x), self.log_precision.expand(len(x), -1)
        if self.network:
            shift, scale = self.bend_shared(x).chunk(2, -1)
            mean, log_precision = mean + shift, log_precision + scale
        precision = log_precision.exp().clamp_max(MAX_PRECISION)
        return Evidence(mean * precision, torch.diag_embed(precision), self._private(x, seen))

    def _private(self, x: Tensor, seen: Seen) -> Callable[[Tensor], PrecisionNormal]:
        """Posterior of w given z; what the view adds is worked out once for all draws of z."""
        first = [self.to_private]
        if self.network:
            first.append(cast(nn.Linear, self.bend_private[0]))
        p, k = x.shape[1], self.to_shared.out_features
        fixed = [x @ m.weight[:, :p].mT + seen.technical @ m.weight[:, p + k :].mT for m in first]
        fixed = [f + m.bias for f, m in zip(fixed, first, strict=True)]
        of_z = [m.weight[:, p : p + k] * self.top_down for m in first]

        def private(z: Tensor) -> PrecisionNormal:
            at_z = [f + z @ c.mT for f, c in zip(fixed, of_z, strict=True)]
            mean = at_z[0]
            log_precision = self.log_private_precision.expand_as(mean)
            if self.network:
                shift, scale = self.bend_private[1:](at_z[1]).chunk(2, -1)
                mean, log_precision = mean + shift, log_precision + scale
            precision = 1.0 + log_precision.exp().clamp_max(MAX_PRECISION)
            if precision.dim() > 2:  # several draws of z: the mean of their precisions serves all
                precision = precision.mean(tuple(range(precision.dim() - 2)))
            return PrecisionNormal(mean * precision, torch.diag_embed(precision))

        return private

    @torch.no_grad()
    def start(self) -> None:
        """Start at the tied expert's linear map, with the diagonal of its precision."""
        at, likelihood = self.decoder.intercept, self.likelihood
        loadings = torch.cat([self.decoder.shared, self.decoder.private])
        k, p = self.decoder.shared.shape
        weighted = loadings * likelihood.information(at).clamp_min(MIN_WEIGHT)
        gram = weighted @ loadings.mT
        inverse = torch.linalg.inv(gram[k:, k:] + torch.eye(len(gram) - k))
        left = gram[:k, :k] - gram[:k, k:] @ inverse @ gram[k:, :k]
        diagonal = left.diagonal().clamp_min(1e-3)
        shared_map = weighted[:k] - gram[:k, k:] @ inverse @ weighted[k:]
        slope, origin = likelihood.slope(at).reciprocal(), likelihood.expected_surface(at)
        self._set(self.to_shared, shared_map / diagonal[:, None], slope, origin)
        self.log_precision.copy_(diagonal.log())
        private_gram, private_map = gram[k:, k:], weighted[k:]
        if not self.top_down:  # z is not told: integrate it out
            gain = torch.linalg.solve(gram[:k, :k] + torch.eye(k), gram[:k, k:]).mT
            private_gram = private_gram - gain @ gram[:k, k:]
            private_map = private_map - gain @ weighted[:k]
            inverse = torch.linalg.inv(private_gram + torch.eye(len(gram) - k))
        self._set(self.to_private, inverse @ private_map, slope, origin)
        self.to_private.weight[:, p : p + k] = -inverse @ gram[k:, :k]
        self.to_private.weight[:, p + k :] = 0.0
        self.log_private_precision.copy_(private_gram.diagonal().clamp_min(1e-3).log())

    @staticmethod
    def _set(layer: nn.Linear, linear_map: Tensor, slope: Tensor, origin: Tensor) -> None:
        """Make a layer the map of ``slope * (surface - origin)``."""
        layer.weight[:, : linear_map.shape[1]] = linear_map * slope
        layer.bias.copy_(-linear_map @ (slope * origin))


class Network(Amortised):
    """The linear encoder plus a network that starts at zero."""

    network = True


EXPERTS: dict[str, type[Expert]] = {"exact": Tied, "linear": Amortised, "mlp": Network}
