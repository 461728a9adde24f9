"""Experts that are learnt: a linear encoder, and one with a network beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from mvlatent.vae.decoders import Linear as LinearDecoder
from mvlatent.vae.decoders import residual_network
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.expert import Expert, Seen
from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.likelihoods import Likelihood
from mvlatent.vae.likelihoods.base import MIN_WEIGHT

__all__ = ["Amortised", "Network"]

MAX_PRECISION = 1e4


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
