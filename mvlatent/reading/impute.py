"""One view predicted from others, with intervals that hold a new measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.units import Prediction, through
from mvlatent.heads.view_head import ViewHeads
from mvlatent.posterior import Latents
from mvlatent.reading.by_head import by_head
from mvlatent.reading.linear import decode, linear_view
from mvlatent.vae.basis import Basis
from mvlatent.vae.moments import joint_covariance
from mvlatent.vae.own_noise import OwnNoise

__all__ = ["Prediction", "predict_view"]

MAX_ELEMENTS = 6_000_000  # of a chunk of drawn views: larger ones wait for fresh memory


def predict_view(
    latents: Latents,
    name: str,
    basis: Basis,
    inverse: Callable[[np.ndarray], np.ndarray],
    *,
    level: float | None = None,
    n_samples: int = 200,
    seed: int = 0,
    heads: ViewHeads | None = None,
    latent: bool = False,
) -> Prediction:
    """Predictive mean, sd and central interval of a view's entries in the units of ``inverse``.

    Parameters
    ----------
    latents
        Posterior given the views that may be looked at.
    name
        View to predict.
    basis
        Its basis.
    inverse
        From scaled values (n, p) to the units wanted.
    level
        Level of the interval, ``None`` for none.
    n_samples
        Draws, where no closed form exists.
    seed
        Seed of the draws.
    heads
        Heads of the views, which add what others know beyond z, and how far held-out patients were.
    latent
        Whether z alone predicts.

    Notes
    -----
    With a linear decoder and normal noise the predictive distribution is Gaussian in scaled units:
    its quantiles go through the inverse transform, and its moments are integrated by Gauss-Hermite
    quadrature; where a patient has no view and the prior of z is learnt, draws take over. Elsewhere
    latents (and the exposure of an absent view) are drawn, and the likelihood says what new entries
    they make: in general expected values, and quantiles of drawn entries, so that those of counts
    and levels are counts and levels. A Bernoulli interval is that of the probability; the mean of a
    categorical view is its most probable level.
    """
    options: dict[str, Any] = {"level": level, "n_samples": n_samples, "seed": seed}
    found = [
        (rows, _alike(latents.subset(rows), name, basis, inverse, heads, latent, **options))
        for rows in _groups(latents, name)
    ]
    if len(found) == 1:
        return found[0][1]
    order = np.concatenate([rows for rows, _ in found]).argsort()

    def whole(field: str) -> Any:
        parts = [getattr(prediction, field) for _, prediction in found]
        return None if parts[0] is None else np.concatenate(parts)[order]

    return Prediction(whole("mean"), whole("sd"), whole("lower"), whole("upper"))


def _groups(latents: Latents, name: str) -> list[np.ndarray]:
    """Rows that are predicted in one way: a patient's way does not hang on the others."""
    sort = latents.cohort.matrices[name].present.int()
    if latents.unseen_from_prior:
        sort = sort + 2 * (~latents.cohort.presence.any(1)).int()
    return [(sort == s).nonzero()[:, 0].numpy() for s in sort.unique()]


def _alike(
    latents: Latents,
    name: str,
    basis: Basis,
    inverse: Callable[[np.ndarray], np.ndarray],
    heads: ViewHeads | None,
    latent: bool,
    *,
    level: float | None,
    n_samples: int,
    seed: int,
) -> Prediction:
    """`predict_view` of patients who all have the view, or all lack it."""
    part = latents.vae.part(name)
    headed = heads is not None and name in heads.heads and not latents.unseen_from_prior
    if headed and not bool(latents.cohort.matrices[name].present.any()):
        mean, variance = by_head(latents, name, basis, cast(ViewHeads, heads), latent=latent)

        def units(x: np.ndarray) -> np.ndarray:
            values = part.likelihood.unsurface(torch.from_numpy(x))
            return inverse(values.numpy())

        return through(mean.numpy(), variance.sqrt().numpy(), units, level)
    gaussian = part.decoder.is_linear and part.likelihood.gaussian
    if gaussian and not latents.unseen_from_prior:
        mean, variance = _gaussian(latents, name, basis)
        return through(mean.numpy(), variance.sqrt().numpy(), inverse, level)
    return Prediction(
        *_gathered(
            _by_draws(latents, name, basis, inverse, level, n_samples, seed), len(latents.cohort)
        )
    )


@torch.no_grad()
def _gaussian(latents: Latents, name: str, basis: Basis) -> tuple[Tensor, Tensor]:
    """Mean and variance of a new measurement, (n, p), scaled units."""
    part, cohort = latents.vae.part(name), latents.cohort
    linear = linear_view(latents.vae, name, basis)
    mean = linear.intercept + latents.z.mean @ linear.shared + cohort.technical @ linear.effects
    mean = mean + latents.private_means[name] @ linear.private
    noise = part.predictive_variance()
    variance = basis.variance(noise, part.outside_predictive()) if basis.rotated else noise
    loadings, covariance = _joint(latents, name, linear.shared, linear.private)
    of_latents = _quadratic(covariance, loadings)
    variance = variance + of_latents
    if part.decoder.random_loadings is not None:  # of the loadings around their means
        w = latents.private_means[name].square() + latents.private_sd(name).square()
        energy = torch.cat([latents.z.mean.square() + latents.z.variance, w], 1)
        variance = variance + energy @ part.decoder.random_loadings.variance
    if part.effects is not None:
        rows = part.effects.variance_of_rows(cohort.technical, latents.vae.groups, part.weight())
        mean_row = rows.mean(1, keepdim=True)
        lifted = basis.variance(rows, mean_row) if basis.rotated else rows
        variance = variance + lifted
    return mean, variance.expand_as(mean)


def _joint(latents: Latents, name: str, shared: Tensor, private: Tensor) -> tuple[Tensor, Tensor]:
    """Stacked loadings (k+d, p) and the joint posterior covariance of [z, w], (n, k+d, k+d)."""
    given, present = latents.private_given(name, latents.z.mean)
    covariance_z = latents.z.covariance
    n, k = latents.z.mean.shape
    d = private.shape[0]
    joint = torch.zeros(n, k + d, k + d)
    joint[:, :k, :k] = covariance_z
    joint[:, k:, k:] = torch.diag(latents.vae.part(name).private_sd.square())
    if bool(present.any()):
        own: Tensor = given.covariance[present]
        slope = latents.private_slope(name)[present]
        joint[present] = joint_covariance(covariance_z[present], own, slope)
    return torch.cat([shared, private]), joint


def _quadratic(covariance: Tensor, loadings: Tensor) -> Tensor:
    """``diag(L' C L)`` of every patient, (n, p)."""
    out = torch.empty(len(covariance), loadings.shape[1])
    for i, c in enumerate(covariance):
        out[i] = ((c @ loadings) * loadings).sum(0)
    return out.clamp_min(0.0)


def _gathered(parts: Iterator[tuple[np.ndarray | None, ...]], n: int) -> Any:
    """Results of consecutive chunks of n patients, one below the other.

    They go where they stay at once: results kept beside the draws would pin the memory of those.
    """
    stacks: list[np.ndarray | None] = []
    begin = 0
    for part in parts:
        if not stacks:
            stacks = [None if x is None else np.empty((n, *x.shape[1:]), x.dtype) for x in part]
        for stack, x in zip(stacks, part, strict=True):
            if stack is not None and x is not None:
                stack[begin : begin + len(x)] = x
        begin += len(part[0])  # type: ignore[arg-type]
    return stacks


def _by_draws(
    latents: Latents,
    name: str,
    basis: Basis,
    inverse: Callable[[np.ndarray], np.ndarray],
    level: float | None,
    n_samples: int,
    seed: int,
) -> Iterator[tuple[np.ndarray | None, ...]]:
    part = latents.vae.part(name)
    n_features = basis.centre.shape[0]
    step = max(1, MAX_ELEMENTS // (n_samples * n_features))
    for start in range(0, len(latents.cohort), step):
        rows = list(range(start, min(start + step, len(latents.cohort))))
        chunk = Latents(latents.vae, latents.cohort.subset(rows))
        view = chunk.cohort.matrices[name]
        z, private = chunk.draw(n_samples, seed)
        with OwnNoise(chunk.cohort.obs_names, seed, f"entries:{name}"), torch.no_grad():
            technical, effect = chunk.cohort.technical, part.expected_effect()
            exposure = view.exposure
            if part.exposure is not None and exposure is not None:
                exposure = torch.where(view.present, exposure, part.exposure.draw(z, technical))
            eta = decode(part, basis, z, private[name], technical, effect, exposure)
            found = part.likelihood.predictive(eta, inverse, level)
        yield found  # outside: whoever asks draws from a stream of their own
