"""The expert that follows from a linear decoder: exact, or expanded at the mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from mvlatent.vae.evidence import Evidence
from mvlatent.vae.expert import Expert, Seen
from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.likelihoods.base import MIN_WEIGHT
from mvlatent.vae.modes import Mode, ViewPosterior, find_mode

__all__ = ["Tied"]


def _each(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply the vectors (..., n, a) by one matrix (1, b, a), or by one a patient (n, b, a)."""
    if matrices.shape[0] == 1:
        return vectors @ matrices[0].mT
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)


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
        random = self.decoder.random_loadings
        if seen.observed is None:
            gram = weighted @ loadings.mT
            if random is not None:
                gram = gram + torch.diag(random.variance @ weight)
            return gram[None], response @ weighted.mT, None
        seen_entries = seen.observed.to(response.dtype)
        outer = (weighted[:, None] * loadings[None]).flatten(0, 1)  # ((k+d)², p)
        m = loadings.shape[0]
        gram = (seen_entries @ outer.mT).unflatten(-1, (m, m))
        if random is not None:
            gram = gram + torch.diag_embed(seen_entries @ (random.variance * weight).mT)
        return gram, (response * seen_entries) @ weighted.mT, None

    def _expanded(self, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
        """The same of the quadratic that meets the log density at its mode.

        Where the expansion is made does not matter to first order, so that gradients go through
        the loadings alone.
        """
        loadings, random = self.decoder.loadings, self.decoder.random_loadings
        posterior, mode = self._search(seen)
        gram, projection = posterior.quadratic(mode, loadings)
        if random is not None:
            gram = gram + torch.diag_embed(mode.weight @ random.variance.mT)
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
        solved: Tensor = torch.linalg.solve(precision, projection.mT)
        return solved.mT

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
