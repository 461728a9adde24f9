"""From factors to measured views."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from mvlatent.sim._cohort.kinds import MEASURED_AS, Measurement, Sources
from mvlatent.sim._cohort.mixing import MixingNetwork, draw_loadings, draw_network, private_scales
from mvlatent.sim._cohort.spec import CohortSpec, ViewSpec

__all__ = ["Factors", "SimulatedView", "ViewTruth", "draw_view", "measure_view"]


class Factors(NamedTuple):
    """What acts on one view: n rows each, and site codes below ``n_sites``."""

    shared: np.ndarray
    pairwise: Mapping[str, np.ndarray]  # the blocks that this view shares in
    site: np.ndarray
    purity: np.ndarray | None  # standardised


@dataclass(frozen=True)
class ViewTruth:
    """The parameters that made one view.

    The signal of a feature is g = A z + Σ C u + V w + B[site] + c·purity, with z shared, u
    pairwise-shared and w private factors. Normal, studentt and copy_number add noise to it; then
    x = offset + scale g (normal, studentt), or offset + scale g is the log mean (counts), the
    logit (bernoulli, beta) or the propensity (ordinal).

    Attributes
    ----------
    loadings
        A, p × ``n_shared``. Where the mixing of a block is a network, its best linear
        approximation over the population.
    private_loadings
        V, p × ``n_private``; likewise.
    site_effects
        B, p × sites.
    noise
        Noise sd of each feature, (p,); for studentt the scale. 0 where the kind brings its own.
    offset, scale
        To the measured units or to the link, (p,) each.
    purity_effects
        c, (p,): shift a sd of purity.
    pairwise_loadings
        Name of a pairwise block of this view to its C, p × k.
    likelihood
        What else the kind needs, by name: ``df``, ``dispersion``, ``dropout``, ``concentration``
        (p,); ``cuts`` p × 4; ``intercepts``, ``slopes`` p × levels; ``centre``, ``spread`` (p,) of
        copy number before it is cut into states.
    network
        The network of shared and pairwise factors (``"additive"``) or of all (``"mlp"``); ``None``
        where the mixing is linear.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, truth = sim.cohort("easy", n=50)
    >>> rna = truth.parameters["rna"]
    >>> rna.loadings.shape, rna.private_loadings.shape
    ((200, 5), (200, 3))
    """

    loadings: np.ndarray
    private_loadings: np.ndarray
    site_effects: np.ndarray
    noise: np.ndarray
    offset: np.ndarray
    scale: np.ndarray
    purity_effects: np.ndarray
    pairwise_loadings: Mapping[str, np.ndarray] = field(default_factory=dict)
    likelihood: Mapping[str, np.ndarray] = field(default_factory=dict)
    network: MixingNetwork | None = None

    @property
    def measurement(self) -> Measurement:
        """The parameters that turn signal into measurements."""
        names = [field.name for field in fields(Measurement)]
        return Measurement(**{name: getattr(self, name) for name in names})


class SimulatedView(NamedTuple):
    """One view of n patients: measurements, private factors, exposures, and what made them."""

    measured: np.ndarray
    private: np.ndarray
    exposure: np.ndarray | None
    truth: ViewTruth


class _Mixing(NamedTuple):
    loadings: np.ndarray
    pairwise: dict[str, np.ndarray]
    private: np.ndarray
    network: MixingNetwork | None


def _stack(
    view: ViewSpec, shared: np.ndarray, pairwise: Mapping[str, np.ndarray], *private: np.ndarray
) -> np.ndarray:
    """Inputs of a network: factors, each block scaled as its signal would be."""
    bent = [view.pairwise_scale * u for u in pairwise.values()]
    return np.column_stack([shared, *bent, *(private_scales(view) * w for w in private)])


def _draw_mixing(
    spec: CohortSpec,
    view: ViewSpec,
    pairwise_sizes: Mapping[str, int],
    reference: np.ndarray | None,
    rng: np.random.Generator,
) -> _Mixing:
    """Draw loadings or a network; ``reference``: shared factors of a large draw."""
    p, pairs_rng = view.n_features, rng.spawn(1)[0]
    if spec.mixing == "linear":
        loadings = draw_loadings(p, spec.n_shared, view, rng)
        private = private_scales(view) * draw_loadings(p, view.n_private, view, rng)
        pairs = {
            name: view.pairwise_scale * draw_loadings(p, k, view, pairs_rng)
            for name, k in pairwise_sizes.items()
        }
        return _Mixing(loadings, pairs, private, None)
    assert reference is not None
    n = len(reference)
    others = {name: rng.standard_normal((n, k)) for name, k in pairwise_sizes.items()}
    variance = 1 + len(others) * view.pairwise_scale**2
    linear_private = private_scales(view) * draw_loadings(p, view.n_private, view, rng)
    privates = []
    if spec.mixing == "mlp":
        privates = [rng.standard_normal((n, view.n_private))]
        variance += view.private_scale**2 if view.n_private else 0.0
    inputs = _stack(view, reference, others, *privates)
    network = draw_network(inputs, np.sqrt(variance), p, rng)
    slopes = network.slopes(inputs)
    edges = np.cumsum([spec.n_shared, *pairwise_sizes.values()])
    blocks = np.split(slopes, edges, axis=1)
    pairs = {
        name: view.pairwise_scale * block
        for name, block in zip(pairwise_sizes, blocks[1:-1], strict=True)
    }
    private = private_scales(view) * blocks[-1] if spec.mixing == "mlp" else linear_private
    return _Mixing(blocks[0], pairs, private, network)


def _signal(
    mixing: str, view: ViewSpec, known: _Mixing, factors: Factors, private: np.ndarray
) -> np.ndarray:
    if known.network is None:
        signal = factors.shared @ known.loadings.T + private @ known.private.T
        for name, block in factors.pairwise.items():
            signal = signal + block @ known.pairwise[name].T
        return signal
    if mixing == "mlp":
        return known.network(_stack(view, factors.shared, factors.pairwise, private))
    return known.network(_stack(view, factors.shared, factors.pairwise)) + private @ known.private.T


def draw_view(
    spec: CohortSpec,
    view: ViewSpec,
    factors: Factors,
    rng: np.random.Generator,
    *,
    reference: np.ndarray | None = None,
) -> SimulatedView:
    """Draw the parameters of one view, and the view of every patient.

    Parameters
    ----------
    spec
        The cohort.
    view
        The view.
    factors
        What acts on it.
    rng
        Source of randomness.
    reference
        Shared factors of a large draw from the population, n × k; networks are standardised on it.
    """
    # Linear cohorts take patients and features from one stream, in this order, as they always did;
    # with networks the features have a stream of their own, so that n does not change the function.
    features = rng if spec.mixing == "linear" else rng.spawn(1)[0]
    effects_rng = features.spawn(1)[0]
    p = view.n_features
    private = rng.standard_normal((len(factors.shared), view.n_private))
    sizes = {name: block.shape[1] for name, block in factors.pairwise.items()}
    mixing = _draw_mixing(spec, view, sizes, reference, features)
    signal = _signal(spec.mixing, view, mixing, factors, private)
    site_effects = view.site_scale * spec.site_sd * features.standard_normal((p, len(spec.sites)))
    site_effects -= site_effects.mean(axis=1, keepdims=True)
    purity_effects = view.site_scale * spec.purity_sd * effects_rng.standard_normal(p)
    signal = _shift(signal, factors, site_effects, purity_effects)
    measured, values, exposure = MEASURED_AS[view.kind](signal, view, Sources(features, rng), None)
    truth = ViewTruth(
        loadings=mixing.loadings,
        private_loadings=mixing.private,
        site_effects=site_effects,
        noise=values.noise,
        offset=values.offset,
        scale=values.scale,
        purity_effects=purity_effects,
        pairwise_loadings=mixing.pairwise,
        likelihood=values.likelihood,
        network=mixing.network,
    )
    return SimulatedView(measured.astype(np.float32), private, exposure, truth)


def _shift(
    signal: np.ndarray, factors: Factors, site_effects: np.ndarray, purity_effects: np.ndarray
) -> np.ndarray:
    signal = signal + site_effects[:, factors.site].T
    return signal if factors.purity is None else signal + np.outer(factors.purity, purity_effects)


def measure_view(
    spec: CohortSpec, view: ViewSpec, truth: ViewTruth, factors: Factors, rng: np.random.Generator
) -> SimulatedView:
    """Draw one view of further patients, with parameters that are known.

    Parameters
    ----------
    spec, view, factors, rng
        As in :func:`draw_view`.
    truth
        The parameters.
    """
    private = rng.standard_normal((len(factors.shared), view.n_private))
    mixing = _Mixing(
        truth.loadings, dict(truth.pairwise_loadings), truth.private_loadings, truth.network
    )
    signal = _signal(spec.mixing, view, mixing, factors, private)
    signal = _shift(signal, factors, truth.site_effects, truth.purity_effects)
    known = truth.measurement
    measured, _, exposure = MEASURED_AS[view.kind](signal, view, Sources(rng, rng), known)
    return SimulatedView(measured.astype(np.float32), private, exposure, truth)
