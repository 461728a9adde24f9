"""Experts: what one view says of the shared latent, and of its own private one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mvlatent.vae.affine import Affine
from mvlatent.vae.decoders import Linear as LinearDecoder
from mvlatent.vae.decoders import residual_network
from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.likelihoods import Likelihood

__all__ = ["EXPERTS", "Amortised", "Evidence", "Expert", "Network", "Seen", "Tied"]

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
    likelihood takes it so.
    """

    x: Tensor
    observed: Tensor | None
    technical: Tensor
    offset: Tensor | Affine


@dataclass(frozen=True)
class Evidence:
    """What a view says.

    ``potential`` (n, k) and ``precision`` (1 or n, k, k) are its natural parameters on z;
    ``private`` maps draws of z, (..., n, k), to the top-down posterior of w.
    """

    potential: Tensor
    precision: Tensor
    private: Callable[[Tensor], PrecisionNormal]


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

    Exact for normal noise, one Fisher-scoring step from the intercept for the others. Where the
    loadings are random, their products are expected ones: that of the means plus the variances
    on the diagonal.
    """

    def _weighted(self, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
        """Gram matrix (g, k+d, k+d) and projection (n, k+d) of the stacked loadings."""
        loadings = torch.cat([self.decoder.shared, self.decoder.private])
        at = self.decoder.intercept
        offset: Any = seen.offset
        response, weight = self.likelihood.working(seen.x, offset, at=at)
        weighted = loadings * weight
        spread = self.decoder.spread
        if seen.observed is None:
            gram = weighted @ loadings.mT
            if spread is not None:
                gram = gram + torch.diag(spread.variance @ weight)
            return gram[None], response @ weighted.mT, loadings
        seen_entries = seen.observed.to(response.dtype)
        outer = (weighted[:, None] * loadings[None]).flatten(0, 1)  # ((k+d)², p)
        m = loadings.shape[0]
        gram = (seen_entries @ outer.mT).unflatten(-1, (m, m))
        if spread is not None:
            gram = gram + torch.diag_embed(seen_entries @ (spread.variance * weight).mT)
        return gram, (response * seen_entries) @ weighted.mT, loadings

    def forward(self, seen: Seen) -> Evidence:
        gram, projection, _ = self._weighted(seen)
        k = self.decoder.shared.shape[0]
        eye = torch.eye(gram.shape[-1] - k, dtype=gram.dtype, device=gram.device)
        cross, private_precision = gram[:, :k, k:], gram[:, k:, k:] + eye
        # explain away what the private block can: Schur complement of the joint precision
        factor = torch.linalg.cholesky(private_precision)
        gain = torch.cholesky_solve(cross.mT, factor).mT
        precision = gram[:, :k, :k] - gain @ cross.mT
        potential = projection[:, :k] - _each(gain, projection[:, k:])
        if not self.top_down:
            return Evidence(potential, precision, self._marginal(gram, projection))

        def private(z: Tensor) -> PrecisionNormal:
            potential = projection[:, k:] - _each(cross.mT, z)
            return PrecisionNormal(potential, private_precision, cholesky=factor)

        return Evidence(potential, precision, private)

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
            self.bend_shared: nn.Module = residual_network(p, n_hidden, 2 * k)
            self.bend_private: nn.Module = residual_network(p + k + n_technical, n_hidden, 2 * d)

    def _x(self, seen: Seen) -> Tensor:
        """The view with unobserved entries at the intercept's mean."""
        if seen.observed is None:
            return seen.x
        centre = self.likelihood.mean(self.decoder.intercept)
        return torch.where(seen.observed, seen.x, centre)

    def forward(self, seen: Seen) -> Evidence:
        x = self._x(seen)
        mean, log_precision = self.to_shared(x), self.log_precision.expand(len(x), -1)
        if self.network:
            shift, scale = self.bend_shared(x).chunk(2, -1)
            mean, log_precision = mean + shift, log_precision + scale
        precision = log_precision.exp().clamp_max(MAX_PRECISION)
        return Evidence(
            mean * precision,
            torch.diag_embed(precision),
            lambda z: self._private(x, seen.technical, z),
        )

    def _private(self, x: Tensor, technical: Tensor, z: Tensor) -> PrecisionNormal:
        wide = (*z.shape[:-1], -1)
        z = z if self.top_down else torch.zeros_like(z)
        features = torch.cat([x.expand(wide), z, technical.expand(wide)], -1)
        mean = self.to_private(features)
        log_precision = self.log_private_precision.expand_as(mean)
        if self.network:
            shift, scale = self.bend_private(features).chunk(2, -1)
            mean, log_precision = mean + shift, log_precision + scale
        precision = 1.0 + log_precision.exp().clamp_max(MAX_PRECISION)
        if precision.dim() > 2:  # several draws of z: the mean of their precisions serves all
            precision = precision.mean(tuple(range(precision.dim() - 2)))
        return PrecisionNormal(mean * precision, torch.diag_embed(precision))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Start at the tied expert's linear map, with the diagonal of its precision."""
        offset = self.decoder.intercept
        tied = Tied(self.decoder, self.likelihood, n_technical=0, n_hidden=0)
        zero = Seen(self.likelihood.mean(offset)[None], None, x.new_zeros(1, 0), offset)
        gram, _, loadings = tied._weighted(zero)
        evidence = tied(zero)
        k = evidence.precision.shape[-1]
        diagonal = evidence.precision[0].diagonal().clamp_min(1e-3)
        _, weight = self.likelihood.working(zero.x, offset)
        eye = torch.eye(loadings.shape[0] - k)
        inverse = torch.linalg.inv(gram[0, k:, k:] + eye)
        weighted = loadings * weight
        shared_map = weighted[:k] - gram[0, :k, k:] @ inverse @ weighted[k:]
        # the working response is affine in x for every likelihood here but Student's t
        response_at_zero, _ = self.likelihood.working(x.new_zeros(1, loadings.shape[1]), offset)
        response_at_one, _ = self.likelihood.working(x.new_ones(1, loadings.shape[1]), offset)
        slope = (response_at_one - response_at_zero)[0]
        self._set(self.to_shared, shared_map / diagonal[:, None], slope, response_at_zero[0])
        self.log_precision.copy_(diagonal.log())
        private_gram, private_map = gram[0, k:, k:], weighted[k:]
        if not self.top_down:  # z is not told: integrate it out
            gain = torch.linalg.solve(gram[0, :k, :k] + torch.eye(k), gram[0, :k, k:]).mT
            private_gram = private_gram - gain @ gram[0, :k, k:]
            private_map = private_map - gain @ weighted[:k]
            inverse = torch.linalg.inv(private_gram + eye)
        self._set(self.to_private, inverse @ private_map, slope, response_at_zero[0])
        self.to_private.weight[:, loadings.shape[1] : loadings.shape[1] + k] = (
            -inverse @ gram[0, k:, :k]
        )
        self.to_private.weight[:, loadings.shape[1] + k :] = 0.0
        self.log_private_precision.copy_(private_gram.diagonal().clamp_min(1e-3).log())

    @staticmethod
    def _set(layer: nn.Linear, linear_map: Tensor, slope: Tensor, at_zero: Tensor) -> None:
        layer.weight[:, : linear_map.shape[1]] = linear_map * slope
        layer.bias.copy_(linear_map @ at_zero)


class Network(Amortised):
    """The linear encoder plus a network that starts at zero."""

    network = True


EXPERTS: dict[str, type[Expert]] = {"exact": Tied, "linear": Amortised, "mlp": Network}
