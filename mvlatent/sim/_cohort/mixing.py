"""From factors to the signal of each feature: linear loadings and random networks."""

from dataclasses import dataclass

import numpy as np

from mvlatent.sim._cohort.spec import ViewSpec

__all__ = ["MixingNetwork", "draw_loadings", "draw_network", "private_scales"]

SEGMENT = 12  # features of one copy-number segment share their loadings
WIDTH = 32


@dataclass(frozen=True)
class MixingNetwork:
    """A random two-layer tanh network with p outputs, standardised over the population.

    Attributes
    ----------
    first
        Factors × 32.
    bias
        (32,).
    second
        32 × p.
    centre, scale
        Mean of each output before, and factor to the wanted sd, (p,) each; from the population
        and not from a sample, so the function is the same for any patients.
    """

    first: np.ndarray
    bias: np.ndarray
    second: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    def hidden(self, factors: np.ndarray) -> np.ndarray:
        """Hidden units, n × 32."""
        return np.tanh(factors @ self.first + self.bias)

    def __call__(self, factors: np.ndarray) -> np.ndarray:
        """Signal, n × p, of factors n × k."""
        return self.scale * (self.hidden(factors) @ self.second - self.centre)

    def slopes(self, factors: np.ndarray) -> np.ndarray:
        """Best linear approximation on these factors, p × k."""
        hidden = self.hidden(factors)
        centred = factors - factors.mean(axis=0)
        slopes = np.linalg.lstsq(centred, hidden - hidden.mean(axis=0), rcond=None)[0]
        return (slopes @ self.second * self.scale).T


def draw_network(
    reference: np.ndarray, target_sd: float, p: int, rng: np.random.Generator
) -> MixingNetwork:
    """Draw a network whose outputs have mean 0 and a given sd on the reference factors.

    Parameters
    ----------
    reference
        Factors of a large draw from the population, n × k.
    target_sd
        Sd of each output.
    p
        Number of outputs.
    rng
        Source of randomness.
    """
    k = reference.shape[1]
    first = rng.standard_normal((k, WIDTH)) * 1.5 / np.sqrt(k)
    second = rng.standard_normal((WIDTH, p)) / np.sqrt(WIDTH)
    bias = 0.5 * rng.standard_normal(WIDTH)
    hidden = np.tanh(reference @ first + bias)
    # The moments of the outputs follow from those of the 32 units: no n × p array is needed.
    covariance = np.atleast_2d(np.cov(hidden, rowvar=False))
    sd = np.sqrt(np.einsum("hp,hg,gp->p", second, covariance, second, optimize=True))
    return MixingNetwork(first, bias, second, hidden.mean(axis=0) @ second, target_sd / sd)


def draw_loadings(p: int, k: int, spec: ViewSpec, rng: np.random.Generator) -> np.ndarray:
    """Gaussian loadings with unit signal variance; constant along copy-number segments."""
    if spec.kind == "copy_number":
        segments = -(-p // SEGMENT)
        drawn = np.repeat(rng.standard_normal((segments, k)), SEGMENT, axis=0)[:p]
    else:
        drawn = rng.standard_normal((p, k))
    return drawn / np.sqrt(max(k, 1))


def private_scales(spec: ViewSpec) -> np.ndarray:
    """Scale of each private factor, (``n_private``,); its mean square is ``private_scale``²."""
    falling = np.arange(1.0, spec.n_private + 1) ** -spec.private_decay
    rms = np.sqrt(np.mean(falling**2)) if spec.n_private else 1.0
    return spec.private_scale * (falling / rms)
