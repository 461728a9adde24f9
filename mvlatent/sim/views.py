"""From factors to measured views."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from mvlatent.sim.presets import ViewSpec

__all__ = ["ViewTruth", "draw_view"]

SEGMENT = 12  # features of one copy-number segment share their loadings
CUTS = (-1.9, -0.9, 0.9, 1.9)  # copy-number states −2..2 on a standardised scale
MLP_WIDTH = 32

Measured = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # x, noise, offset, scale


@dataclass(frozen=True)
class ViewTruth:
    """The parameters that made one view: g = A z + V w + B[site] + noise, x = offset + scale g.

    Attributes
    ----------
    loadings
        A, p × ``n_shared``. For a nonlinear mixing, its best linear approximation.
    private_loadings
        V, p × ``n_private``; likewise.
    site_effects
        B, p × sites.
    noise
        Noise sd of each feature, (p,); 0 for mutations, whose noise is the coin.
    offset, scale
        To the measured units, (p,) each; the intercept of the logit for mutations.
    """

    loadings: np.ndarray
    private_loadings: np.ndarray
    site_effects: np.ndarray
    noise: np.ndarray
    offset: np.ndarray
    scale: np.ndarray


def _loadings(p: int, k: int, spec: ViewSpec, rng: np.random.Generator) -> np.ndarray:
    """Gaussian loadings with unit signal variance; constant along copy-number segments."""
    if spec.kind == "copy_number":
        segments = -(-p // SEGMENT)
        drawn = np.repeat(rng.standard_normal((segments, k)), SEGMENT, axis=0)[:p]
    else:
        drawn = rng.standard_normal((p, k))
    return drawn / np.sqrt(max(k, 1))


def _mlp_signal(
    factors: np.ndarray, target_sd: float, p: int, rng: np.random.Generator
) -> np.ndarray:
    """Pass the factors through a random two-layer tanh network with p standardised outputs."""
    k = factors.shape[1]
    first = rng.standard_normal((k, MLP_WIDTH)) * 1.5 / np.sqrt(k)
    second = rng.standard_normal((MLP_WIDTH, p)) / np.sqrt(MLP_WIDTH)
    signal = np.tanh(factors @ first + 0.5 * rng.standard_normal(MLP_WIDTH)) @ second
    return target_sd * (signal - signal.mean(axis=0)) / signal.std(axis=0)


def _linear_part(
    signal: np.ndarray, shared: np.ndarray, private: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    design = np.column_stack([shared, private])
    slopes = np.linalg.lstsq(design - design.mean(axis=0), signal, rcond=None)[0].T
    return slopes[:, : shared.shape[1]], slopes[:, shared.shape[1] :]


def _intercepts(logits: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Intercept of each feature for which the mean probability is its rate, by bisection."""
    low, high = np.full(len(rates), -30.0), np.full(len(rates), 30.0)
    for _ in range(50):
        middle = (low + high) / 2
        above = expit(logits + middle).mean(axis=0) > rates
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def draw_view(
    shared: np.ndarray,
    site: np.ndarray,
    n_sites: int,
    spec: ViewSpec,
    rng: np.random.Generator,
    *,
    mixing: str,
    site_sd: float,
) -> tuple[np.ndarray, np.ndarray, ViewTruth]:
    """Draw one view of every patient.

    Parameters
    ----------
    shared
        Shared factors, n × k.
    site
        Site codes, (n,), below ``n_sites``.
    spec
        The view.
    rng
        Source of randomness.
    mixing
        ``"linear"`` or ``"mlp"``.
    site_sd
        Sd of a site's shift of a feature, before the view's ``site_scale``.

    Returns
    -------
    tuple
        The measured n × p array, the private factors n × ``n_private``, and the parameters.
    """
    n, p = len(shared), spec.n_features
    private = rng.standard_normal((n, spec.n_private))
    if mixing == "linear":
        loadings = _loadings(p, shared.shape[1], spec, rng)
        private_loadings = spec.private_scale * _loadings(p, spec.n_private, spec, rng)
        signal = shared @ loadings.T + private @ private_loadings.T
    else:
        factors = np.column_stack([shared, spec.private_scale * private])
        signal = _mlp_signal(factors, np.hypot(1, spec.private_scale), p, rng)
        loadings, private_loadings = _linear_part(signal, shared, private)
    site_effects = spec.site_scale * site_sd * rng.standard_normal((p, n_sites))
    site_effects -= site_effects.mean(axis=1, keepdims=True)
    signal = signal + site_effects[:, site].T
    measured, noise, offset, scale = _MEASURE[spec.kind](signal, spec, rng)
    truth = ViewTruth(loadings, private_loadings, site_effects, noise, offset, scale)
    return measured.astype(np.float32), private, truth


def _noise_sd(p: int, spec: ViewSpec, rng: np.random.Generator) -> np.ndarray:
    return spec.noise * np.exp(0.25 * rng.standard_normal(p))


def _measure_normal(signal: np.ndarray, spec: ViewSpec, rng: np.random.Generator) -> Measured:
    n, p = signal.shape
    noise = _noise_sd(p, spec, rng)
    g = signal + noise * rng.standard_normal((n, p))
    offset, scale = np.zeros(p), np.ones(p)
    if spec.natural_scale:
        scale = np.exp(rng.standard_normal(p))
        offset = scale * rng.uniform(3, 9, size=p)
    return offset + scale * g, noise, offset, scale


def _measure_copy_number(signal: np.ndarray, spec: ViewSpec, rng: np.random.Generator) -> Measured:
    n, p = signal.shape
    segments = -(-p // SEGMENT)
    noise = _noise_sd(p, spec, rng)
    # Most of the noise belongs to a segment: neighbours on a chromosome are lost together.
    along = np.repeat(rng.standard_normal((n, segments)), SEGMENT, axis=1)[:, :p]
    g = signal + noise * (0.9 * along + np.sqrt(1 - 0.9**2) * rng.standard_normal((n, p)))
    states = np.digitize((g - g.mean(axis=0)) / g.std(axis=0), CUTS) - 2
    return states, noise, np.zeros(p), np.ones(p)


def _measure_bernoulli(signal: np.ndarray, spec: ViewSpec, rng: np.random.Generator) -> Measured:
    n, p = signal.shape
    low, high = np.log(spec.base_rate)
    rates = np.exp(rng.uniform(float(low), float(high), size=p))
    intercepts = _intercepts(signal, rates)
    mutated = rng.random((n, p)) < expit(signal + intercepts)
    return mutated, np.zeros(p), intercepts, np.ones(p)


_MEASURE = {
    "normal": _measure_normal,
    "copy_number": _measure_copy_number,
    "bernoulli": _measure_bernoulli,
}
