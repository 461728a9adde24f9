"""From the signal of each feature to what is measured: one function a kind of view.

Each draws the parameters of its features where they are not known yet, and always the patients:
``(signal n × p, spec, draws, known) -> measured n × p, parameters, exposure (n,) or None``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from mvlatent.sim._cohort.mixing import SEGMENT
from mvlatent.sim._cohort.spec import ViewSpec

__all__ = ["MEASURED_AS", "Measurement", "Sources"]

CUTS = (-1.9, -0.9, 0.9, 1.9)  # copy-number states −2..2 on a standardised scale
ORDINAL_SPREAD = 2.3  # sd of shared and private signal with logistic noise, both of sd 1 and π/√3
MAX_LOG_MEAN = 11.0


class Sources(NamedTuple):
    """Sources of randomness: of the parameters of features, and of what happens to patients."""

    features: np.random.Generator
    patients: np.random.Generator


@dataclass(frozen=True)
class Measurement:
    """Parameters of a kind; see :class:`~mvlatent.sim.ViewTruth`."""

    noise: np.ndarray
    offset: np.ndarray
    scale: np.ndarray
    likelihood: Mapping[str, np.ndarray] = field(default_factory=dict)


Measured = tuple[np.ndarray, Measurement, np.ndarray | None]


def _around(median: float, p: int, rng: np.random.Generator, *, sd: float = 0.25) -> np.ndarray:
    """Log-normal values around a median, one a feature."""
    return median * np.exp(sd * rng.standard_normal(p))


def _natural_scale(
    p: int, spec: ViewSpec, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if not spec.natural_scale:
        return np.zeros(p), np.ones(p)
    scale = np.exp(rng.standard_normal(p))
    return scale * rng.uniform(3, 9, size=p), scale


def _normal(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> Measured:
    n, p = signal.shape
    noise = _around(spec.noise, p, draws.features) if known is None else known.noise
    g = signal + noise * draws.patients.standard_normal((n, p))
    if known is None:
        known = Measurement(noise, *_natural_scale(p, spec, draws.features))
    return known.offset + known.scale * g, known, None


def _studentt(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> Measured:
    n, p = signal.shape
    if known is None:
        noise = _around(spec.noise, p, draws.features)
        offset, scale = _natural_scale(p, spec, draws.features)
        known = Measurement(noise, offset, scale, {"df": np.full(p, spec.df)})
    tails = draws.patients.standard_t(known.likelihood["df"], size=(n, p))
    return known.offset + known.scale * (signal + known.noise * tails), known, None


def _copy_number(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> Measured:
    n, p = signal.shape
    segments = -(-p // SEGMENT)
    noise = _around(spec.noise, p, draws.features) if known is None else known.noise
    # Most of the noise belongs to a segment: neighbours on a chromosome are lost together.
    along = np.repeat(draws.patients.standard_normal((n, segments)), SEGMENT, axis=1)[:, :p]
    own = draws.patients.standard_normal((n, p))
    g = signal + noise * (0.9 * along + np.sqrt(1 - 0.9**2) * own)
    if known is None:
        moments = {"centre": g.mean(axis=0), "spread": np.maximum(g.std(axis=0), 1e-9)}
        known = Measurement(noise, np.zeros(p), np.ones(p), moments)
    standardised = (g - known.likelihood["centre"]) / known.likelihood["spread"]
    return np.digitize(standardised, CUTS) - 2, known, None


def _intercepts(logits: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Intercept of each feature for which the mean probability is its rate, by bisection."""
    low, high = np.full(len(rates), -30.0), np.full(len(rates), 30.0)
    for _ in range(50):
        middle = (low + high) / 2
        above = expit(logits + middle).mean(axis=0) > rates
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def _exposure(n: int, sd: float, draws: Sources) -> np.ndarray:
    """Log-normal exposures of median 1: library sizes, or mutation burdens."""
    return np.exp(sd * draws.patients.standard_normal(n))


def _bernoulli(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> Measured:
    n, p = signal.shape
    logits, burden = spec.link * signal, None
    if spec.burden_sd > 0:
        burden = _exposure(n, spec.burden_sd, draws)
        logits = logits + np.log(burden)[:, None]
    if known is None:
        low, high = np.log(spec.base_rate)
        rates = np.exp(draws.features.uniform(float(low), float(high), size=p))
        known = Measurement(np.zeros(p), _intercepts(logits, rates), np.full(p, spec.link))
    return draws.patients.random((n, p)) < expit(logits + known.offset), known, burden


def _log_means(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> tuple[np.ndarray, Measurement, np.ndarray]:
    """Log mean counts, the parameters so far, and the library sizes."""
    n, p = signal.shape
    if known is None:
        low, high = np.log(spec.base_mean)
        offset = np.asarray(draws.features.uniform(float(low), float(high), size=p))
        known = Measurement(np.zeros(p), offset, np.full(p, spec.link))
    library = _exposure(n, spec.library_sd, draws)
    log_mean = known.offset + known.scale * signal + np.log(library)[:, None]
    return np.minimum(log_mean, MAX_LOG_MEAN), known, library


def _poisson(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> Measured:
    log_mean, known, library = _log_means(signal, spec, draws, known)
    return draws.patients.poisson(np.exp(log_mean)), known, library


def _nb(signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None) -> Measured:
    log_mean, known, library = _log_means(signal, spec, draws, known)
    if "dispersion" not in known.likelihood:
        theta = _around(spec.dispersion, signal.shape[1], draws.features, sd=0.5)
        known = replace(known, likelihood={"dispersion": theta})
    theta = known.likelihood["dispersion"]
    rates = draws.patients.gamma(np.broadcast_to(theta, log_mean.shape)) * np.exp(log_mean) / theta
    return draws.patients.poisson(rates), known, library


def _zinb(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> Measured:
    counts, known, library = _nb(signal, spec, draws, known)
    if "dropout" not in known.likelihood:
        p = signal.shape[1]
        dropout = expit(logit(spec.dropout) + 0.5 * draws.features.standard_normal(p))
        known = replace(known, likelihood={**known.likelihood, "dropout": dropout})
    kept = draws.patients.random(signal.shape) >= known.likelihood["dropout"]
    return counts * kept, known, library


def _beta(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> Measured:
    p = signal.shape[1]
    if known is None:
        offset = np.asarray(1.2 * draws.features.standard_normal(p))
        precision = _around(spec.concentration, p, draws.features)
        known = Measurement(
            np.zeros(p), offset, np.full(p, spec.link), {"concentration": precision}
        )
    mean = np.clip(expit(known.offset + known.scale * signal), 1e-3, 1 - 1e-3)
    precision = known.likelihood["concentration"]
    shares = draws.patients.beta(mean * precision, (1 - mean) * precision)
    return np.clip(shares, 1e-4, 1 - 1e-4), known, None


def _ordinal(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> Measured:
    n, p = signal.shape
    if known is None:
        stretch = ORDINAL_SPREAD * _around(1.0, p, draws.features, sd=0.15)
        cuts = stretch[:, None] * np.asarray(CUTS)
        known = Measurement(np.zeros(p), np.zeros(p), np.full(p, spec.link), {"cuts": cuts})
    propensity = known.scale * signal + draws.patients.logistic(size=(n, p))
    states = (propensity[..., None] > known.likelihood["cuts"]).sum(axis=-1)
    return states - len(CUTS) // 2, known, None


def _categorical(
    signal: np.ndarray, spec: ViewSpec, draws: Sources, known: Measurement | None
) -> Measured:
    p = signal.shape[1]
    if known is None:
        intercepts = 0.5 * draws.features.standard_normal((p, spec.n_levels))
        slopes = draws.features.standard_normal((p, spec.n_levels))
        slopes -= slopes.mean(axis=1, keepdims=True)
        known = Measurement(
            np.zeros(p),
            np.zeros(p),
            np.full(p, spec.link),
            {"intercepts": intercepts, "slopes": slopes},
        )
    logits = (known.scale * signal)[..., None] * known.likelihood["slopes"]
    logits = logits + known.likelihood["intercepts"]
    return (logits + draws.patients.gumbel(size=logits.shape)).argmax(axis=-1), known, None


MEASURED_AS: dict[str, Callable[[np.ndarray, ViewSpec, Sources, Measurement | None], Measured]] = {
    "normal": _normal,
    "studentt": _studentt,
    "bernoulli": _bernoulli,
    "poisson": _poisson,
    "nb": _nb,
    "zinb": _zinb,
    "beta": _beta,
    "ordinal": _ordinal,
    "copy_number": _copy_number,
    "categorical": _categorical,
}
