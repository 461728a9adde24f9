"""Who the patients are: subtype, shared factors, site, age and sex."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mvlatent.sim._cohort.spec import CohortSpec, pairwise_blocks

__all__ = ["Population", "SimulatedPatients", "draw_population"]

PURITY = (0.65, 0.15)  # mean and sd


class SimulatedPatients(NamedTuple):
    """Latent and recorded facts of n patients; one row each."""

    subtype: np.ndarray
    shared: np.ndarray
    site: np.ndarray
    age: np.ndarray
    is_female: np.ndarray


def _weights(weights: tuple[float, ...] | None, n: int) -> np.ndarray:
    values = np.ones(n) if weights is None else np.asarray(weights, float)
    return values / values.sum()


def _directions(n: int, dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n unit vectors: orthogonal, so equally far apart, where the space has room for it."""
    drawn = rng.standard_normal((n, dimensions))
    if n <= dimensions:
        return np.linalg.qr(drawn.T)[0].T
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def _whitening(centres: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and inverse square root of the covariance of the mixture with unit spread within."""
    mean = weights @ centres
    spread = (centres - mean).T * weights @ (centres - mean)
    values, vectors = np.linalg.eigh(np.eye(centres.shape[1]) + spread)
    return mean, (vectors / np.sqrt(values)) @ vectors.T


def _site_given_subtype(spec: CohortSpec) -> np.ndarray:
    """Subtypes × sites: each site prefers one subtype, to the degree of ``confounding``."""
    n_subtypes, n_sites = len(spec.subtypes), len(spec.sites)
    marginal = _weights(spec.site_weights, n_sites)
    table = np.tile(marginal, (n_subtypes, 1))
    for k in range(n_subtypes):
        own = np.arange(n_sites) % n_subtypes == k
        if not own.any():
            own = np.arange(n_sites) == k % n_sites
        preferred = marginal * own / (marginal * own).sum()
        table[k] = (1 - spec.confounding) * marginal + spec.confounding * preferred
    return table


@dataclass(frozen=True)
class Population:
    """Where patients come from: z is a mixture of subtypes, with mean 0 and covariance I overall.

    Attributes
    ----------
    spec
        The cohort's specification.
    weights
        Proportions of the subtypes, (subtypes,).
    centres
        Centres before whitening, subtypes × ``n_shared``.
    mean, whiten
        z = (centre + e − mean) whiten with e ~ N(0, I).
    site_given_subtype
        Subtypes × sites, rows sum to 1.
    """

    spec: CohortSpec
    weights: np.ndarray
    centres: np.ndarray
    mean: np.ndarray
    whiten: np.ndarray
    site_given_subtype: np.ndarray

    @property
    def subtype_means(self) -> np.ndarray:
        """Means of z of each subtype, subtypes × ``n_shared``."""
        return (self.centres - self.mean) @ self.whiten

    @property
    def subtype_covariance(self) -> np.ndarray:
        """Covariance of z within any subtype."""
        return self.whiten @ self.whiten

    @property
    def site_shares(self) -> np.ndarray:
        """Proportions of the sites among patients, (sites,)."""
        return self.weights @ self.site_given_subtype

    @property
    def subtype_given_site(self) -> np.ndarray:
        """Sites × subtypes, rows sum to 1 (the proportions of all, for a site without patients)."""
        joint = (self.weights[:, None] * self.site_given_subtype).T
        total = joint.sum(axis=1, keepdims=True)
        return np.where(total > 0, joint / np.where(total > 0, total, 1), self.weights)

    def draw(self, n: int, rng: np.random.Generator) -> SimulatedPatients:
        """Draw n patients: ``subtype`` and ``site`` are codes, ``age`` is in years."""
        spec = self.spec
        subtype = rng.choice(len(self.weights), size=n, p=self.weights)
        spread = rng.standard_normal((n, spec.n_shared))
        shared = (self.centres[subtype] - self.mean + spread) @ self.whiten
        cumulative = self.site_given_subtype.cumsum(axis=1)[subtype]
        site = (rng.random((n, 1)) > cumulative[:, :-1]).sum(axis=1)
        age = np.clip(np.round(60 + 11 * rng.standard_normal(n), 1), 25, 90)
        is_female = (rng.random(n) < spec.female_share).astype(int)
        return SimulatedPatients(subtype, shared, site, age, is_female)

    def draw_pairwise(self, n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw the pairwise-shared factors, n × k a block, N(0, I)."""
        blocks = pairwise_blocks(self.spec)
        return {name: rng.standard_normal((n, count)) for name, (_, count) in blocks.items()}

    def draw_purity(self, n: int, rng: np.random.Generator) -> np.ndarray | None:
        """Draw purities within (0, 1), (n,); ``None`` where the cohort has no such nuisance."""
        if self.spec.purity_sd == 0:
            return None
        return np.clip(PURITY[0] + PURITY[1] * rng.standard_normal(n), 0.1, 0.99)


def standardised_purity(purity: np.ndarray) -> np.ndarray:
    """Purity in sd from its mean: what shifts the features."""
    return (purity - PURITY[0]) / PURITY[1]


def draw_population(spec: CohortSpec, rng: np.random.Generator) -> Population:
    """Draw where the subtypes lie.

    Parameters
    ----------
    spec
        The cohort's specification.
    rng
        Source of randomness; the patients may be drawn from the same.
    """
    weights = _weights(spec.subtype_weights, len(spec.subtypes))
    centres = spec.separation / np.sqrt(2) * _directions(len(weights), spec.n_shared, rng)
    mean, whiten = _whitening(centres, weights)
    return Population(spec, weights, centres, mean, whiten, _site_given_subtype(spec))
