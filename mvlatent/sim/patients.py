"""Who the patients are: subtype, shared factors, site, age, sex, and which views they have."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from mvlatent.sim.presets import CohortSpec

__all__ = ["Patients", "draw_patients", "draw_presence"]


class Patients(NamedTuple):
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


def draw_patients(n: int, spec: CohortSpec, rng: np.random.Generator) -> Patients:
    """Draw subtype, shared factors (mean 0, covariance I), site given subtype, age and sex.

    Parameters
    ----------
    n
        Number of patients.
    spec
        The cohort's specification.
    rng
        Source of randomness.

    Returns
    -------
    Patients
        ``subtype`` and ``site`` are codes; ``shared`` is n × ``n_shared``; ``age`` is in years.
    """
    weights = _weights(spec.subtype_weights, len(spec.subtypes))
    centres = spec.separation / np.sqrt(2) * _directions(len(weights), spec.n_shared, rng)
    subtype = rng.choice(len(weights), size=n, p=weights)
    mean, whiten = _whitening(centres, weights)
    shared = (centres[subtype] - mean + rng.standard_normal((n, spec.n_shared))) @ whiten
    cumulative = _site_given_subtype(spec).cumsum(axis=1)[subtype]
    site = (rng.random((n, 1)) > cumulative[:, :-1]).sum(axis=1)
    age = np.clip(np.round(60 + 11 * rng.standard_normal(n), 1), 25, 90)
    is_female = (rng.random(n) < spec.female_share).astype(int)
    return Patients(subtype, shared, site, age, is_female)


def draw_presence(
    n: int, views: list[str], missing: float | Mapping[str, float], rng: np.random.Generator
) -> np.ndarray:
    """Which patient has which view: bool array n × views, no row empty.

    A patient who would lose every view gets one back, chosen at random. A single ``missing`` is
    the expected share after that; rates given by view are those before it.
    """
    if isinstance(missing, Mapping):
        rates = np.array([missing.get(view, 0.0) for view in views])
    else:
        count = len(views)
        top = 1 - 1 / count
        rate = 1.0 if missing >= top else brentq(lambda q: q - q**count / count - missing, 0, 1)
        rates = np.full(count, rate)
    present = rng.random((n, len(views))) >= rates
    rescued = rng.integers(len(views), size=n)
    empty = ~present.any(axis=1)
    present[empty, rescued[empty]] = True
    return present
