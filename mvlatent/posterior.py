"""Posterior of a block of latents: means, standard deviations, draws and intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.gaussian import PrecisionNormal, StandardNormal
from mvlatent.vae.moments import private_slope
from mvlatent.vae.own_noise import OwnNoise
from mvlatent.vae.shift import with_shift
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.unseen import PriorWhereUnseen

__all__ = ["Latents", "Posterior", "block_names"]

N_DRAWS = 256  # where a private marginal has no closed form


def block_names(block: str, views: Iterable[str]) -> list[str]:
    """Names of the latent blocks that ``block`` stands for.

    Raises
    ------
    KeyError
        If there is no such block.

    Examples
    --------
    >>> block_names("all", ["rna", "img"])
    ['shared', 'private:rna', 'private:img']
    """
    known = ["shared", *(f"private:{name}" for name in views)]
    if block == "all":
        return known
    if block not in known:
        raise KeyError(f"no block {block!r}; the blocks are {', '.join(known)} and all.")
    return [block]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior of a block of latents for n patients, as `MVLatent.posterior` returns it.

    Attributes
    ----------
    mean, sd
        Posterior means and standard deviations, (n, d), without units: a latent has mean 0 and
        standard deviation 1 before anything is measured.
    obs_names
        The patients, in the order of the rows.

    Examples
    --------
    >>> found = model.posterior(block="private:rna")
    >>> found.mean.shape
    (80, 2)
    >>> low, high = found.interval(0.9)
    >>> bool((low < high).all())
    True
    >>> found.sample(5, seed=0).shape
    (5, 80, 2)
    """

    mean: np.ndarray
    sd: np.ndarray
    obs_names: tuple[str, ...]
    _sampler: Callable[[int, int], np.ndarray]

    def sample(self, n: int, *, seed: int = 0) -> np.ndarray:
        """Draw from the posterior.

        Parameters
        ----------
        n
            Number of draws.
        seed
            Same seed, same draws.

        Returns
        -------
        array
            Draws, (n, patients, d); a draw is one of all patients and factors jointly.

        Examples
        --------
        >>> model.posterior().sample(5).shape
        (5, 80, 3)
        """
        return self._sampler(n, seed)

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the central credible interval of every patient and factor.

        Parameters
        ----------
        level
            Probability of the interval, e.g. 0.9.

        Returns
        -------
        tuple
            Lower and upper ends, (patients, d) each.

        Raises
        ------
        ValueError
            If ``level`` is not strictly between 0 and 1.

        Examples
        --------
        >>> low, high = model.posterior().interval(0.9)
        >>> low.shape
        (80, 3)
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, not {level!r}.")
        width = norm.ppf(0.5 + level / 2) * self.sd
        return self.mean - width, self.mean + width


class Latents:
    """Posterior of z and of every private latent, for one cohort.

    Parameters
    ----------
    vae
        Fitted model.
    cohort
        Patients as the model sees them (rotated where it was fitted so).

    Notes
    -----
    ``z`` is the guide's posterior, anchored on N(0, I); patients without any view have the learnt
    prior where there is one.
    """

    z: PrecisionNormal | PriorWhereUnseen

    def __init__(self, vae: StructuredVAE, cohort: Cohort) -> None:
        self.vae, self.cohort = vae, cohort
        with torch.no_grad():
            z, self.evidence = vae.posterior(cohort)
            self.z = with_shift(vae, z, cohort.technical)
            unseen = ~cohort.presence.any(1)
            self.unseen_from_prior = not vae.prior.analytic and bool(unseen.any())
            if self.unseen_from_prior:
                prior: Any = vae.prior.distribution(len(cohort), cohort.technical)
                self.z = PriorWhereUnseen(self.z, prior, unseen)

    def subset(self, rows: slice | np.ndarray) -> Latents:
        """Posterior of some of the patients; of all of them this one."""
        index = np.arange(len(self.cohort))[rows]
        if np.array_equal(index, np.arange(len(self.cohort))):
            return self
        return Latents(self.vae, self.cohort.subset(index))

    def private_given(
        self, name: str, z: Tensor
    ) -> tuple[PrecisionNormal | StandardNormal, Tensor]:
        """Posterior of w given z, and who has the view: the others keep the prior."""
        evidence: Evidence = self.evidence[name]
        return evidence.private(z), self.cohort.views[name].present

    @torch.no_grad()
    def private_mean(self, name: str) -> Tensor:
        """Posterior mean of w, (n, d), at the mean of z (exact where w is linear in z)."""
        given, present = self.private_given(name, self.z.mean)
        return torch.where(present[:, None], given.mean, 0.0)

    @torch.no_grad()
    def private_sd(self, name: str) -> Tensor:
        """Posterior sd of w with z integrated out, (n, d); 1 where the view is missing."""
        given, present = self.private_given(name, self.z.mean)
        if self.vae.member(name).affine:
            slope = self.private_slope(name)  # (n, d, k)
            spread = torch.einsum("ndk,nkl,ndl->nd", slope, self.z.covariance, slope)
        else:
            with OwnNoise(self.cohort.obs_names, 0, f"sd:{name}"):  # the same answer every time
                z = self.z.rsample(torch.Size([N_DRAWS]))
            spread = self.evidence[name].private(z).mean.var(0)
        variance = given.variance + spread
        return torch.where(present[:, None], variance, 1.0).sqrt()

    @torch.no_grad()
    def private_slope(self, name: str) -> Tensor:
        """Derivative of the mean of w by z, (n, d, k), where the mean is affine in z."""
        return private_slope(self.evidence[name], self.z.mean)

    @torch.no_grad()
    def draw(self, n: int, generator_seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Joint draws of z, (n, N, k), and each w, (n, N, d); the prior where a view is missing.

        Those of a patient hang on the patient's name and the seed, not on who else is there.
        """
        patients = self.cohort.obs_names
        with OwnNoise(patients, generator_seed, "z"):
            z = self.z.rsample(torch.Size([n]))
        private = {}
        for name in self.vae.names:
            given, present = self.private_given(name, z)
            with OwnNoise(patients, generator_seed, f"w:{name}"):
                w = given.rsample()
                unseen = self.vae.member(name).private_sd * torch.randn_like(w)
            private[name] = torch.where(present[:, None], w, unseen)
        return z, private

    @cached_property
    def private_means(self) -> dict[str, Tensor]:
        """Posterior means of every private latent."""
        return {name: self.private_mean(name) for name in self.vae.names}

    def shown(self, name: str, w: Tensor) -> Tensor:
        """The columns of w (..., d) that are shown: its leading directions."""
        return w[..., : self.vae.member(name).n_shown]

    def blocks(self, block: str) -> list[str]:
        """Names of the latent blocks that ``block`` stands for."""
        return block_names(block, self.vae.names)

    def posterior(self, block: str, views: Iterable[str] | None = None) -> Posterior:
        """Posterior of a block, or of all side by side, in the order of the views if given."""
        names = self.blocks(block) if views is None else block_names(block, views)
        parts = [self._moments(name) for name in names]

        def sampler(n: int, seed: int) -> np.ndarray:
            z, private = self.draw(n, seed)
            views = [b.removeprefix("private:") for b in names]
            drawn = [z if v == "shared" else self.shown(v, private[v]) for v in views]
            return torch.cat(drawn, -1).numpy()

        mean = torch.cat([m for m, _ in parts], 1).numpy()
        sd = torch.cat([s for _, s in parts], 1).numpy()
        return Posterior(mean, sd, self.cohort.obs_names, sampler)

    def _moments(self, block: str) -> tuple[Tensor, Tensor]:
        if block == "shared":
            return self.z.mean, self.z.sd
        name = block.removeprefix("private:")
        return self.shown(name, self.private_means[name]), self.shown(name, self.private_sd(name))
