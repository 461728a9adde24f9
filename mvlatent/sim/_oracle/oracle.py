"""What a model that knows the parameters would say of the factors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mvlatent.sim._cohort.patients import standardised_purity
from mvlatent.sim._cohort.truth import Truth

__all__ = [
    "OraclePosterior",
    "block_loadings",
    "check_views",
    "oracle",
    "oracle_concordance",
    "oracle_posterior",
    "technical_shift",
]

ORACLE_PRIORS = ("normal", "mixture")


@dataclass(frozen=True)
class OraclePosterior:
    """Posterior of every factor of every patient with known parameters: a mixture of normals.

    Attributes
    ----------
    obs_names
        Names of the N patients.
    columns
        Name of a block to its columns among the d factors.
    weights
        N × components; one component with the prior N(0, I), one a subtype with the mixture.
    component_means
        N × components × d.
    covariances
        Patterns × d × d: covariance within any component, one a pattern of views.
    pattern
        (N,): which pattern a patient has.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, truth = sim.cohort("easy", n=50)
    >>> posterior = sim.oracle_posterior(truth)
    >>> posterior.mean("private:rna").shape, bool(posterior.sd().max() < 1)
    ((50, 3), True)
    """

    obs_names: pd.Index
    columns: dict[str, slice]
    weights: np.ndarray
    component_means: np.ndarray
    covariances: np.ndarray
    pattern: np.ndarray

    def _columns(self, block: str) -> slice:
        if block not in self.columns:
            raise ValueError(f"unknown block {block!r}; choose from {', '.join(self.columns)}.")
        return self.columns[block]

    def mean(self, block: str = "shared") -> np.ndarray:
        """Posterior means, N × k."""
        own = self.component_means[..., self._columns(block)]
        return np.einsum("nc,nck->nk", self.weights, own)

    def covariance(self, block: str = "shared") -> np.ndarray:
        """Posterior covariances, N × k × k."""
        columns = self._columns(block)
        within = self.covariances[:, columns, columns][self.pattern]
        away = self.component_means[..., columns] - self.mean(block)[:, None]
        return within + np.einsum("nc,nck,ncl->nkl", self.weights, away, away)

    def sd(self, block: str = "shared") -> np.ndarray:
        """Posterior sds, N × k."""
        return np.sqrt(np.diagonal(self.covariance(block), axis1=1, axis2=2))

    def interval(
        self, level: float = 0.9, *, block: str = "shared"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of the central interval of each factor, N × k each.

        Parameters
        ----------
        level
            Probability within, in (0, 1).
        block
            A key of ``columns``.

        Raises
        ------
        ValueError
            If the level or the block is wrong.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must lie within (0, 1), got {level}.")
        tail = (1 - level) / 2
        return self._quantile(tail, block), self._quantile(1 - tail, block)

    def _quantile(self, probability: float, block: str) -> np.ndarray:
        """Quantile of a mixture of normals, between those of its components, by bisection."""
        from scipy.special import ndtr, ndtri

        columns = self._columns(block)
        means = self.component_means[..., columns]
        within = np.diagonal(self.covariances, axis1=1, axis2=2)[:, columns]
        sd = np.sqrt(within)[self.pattern][:, None]
        ends = means + sd * ndtri(probability)
        low, high = ends.min(axis=1), ends.max(axis=1)
        for _ in range(50 if means.shape[1] > 1 else 0):
            middle = (low + high) / 2
            reached = ndtr((middle[:, None] - means) / sd)
            above = np.einsum("nc,nck->nk", self.weights, reached) > probability
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return (low + high) / 2


def check_views(truth: Truth, given: Sequence[str] | None) -> list[str]:
    """Views to look at; all normal ones for ``None``. Raises where there is no closed form."""
    if truth.spec.mixing != "linear":
        raise ValueError(
            "the oracle is known for linear mixing only; for others, see probe_prediction."
        )
    normal = [name for name, view in truth.spec.views.items() if view.kind == "normal"]
    chosen = normal if given is None else list(given)
    unusable = sorted(set(chosen) - set(normal))
    if unusable or not chosen:
        raise ValueError(f"cannot use views {unusable or 'none'}; choose from {normal}.")
    return chosen


def _columns(truth: Truth) -> dict[str, slice]:
    edges = np.cumsum([0, *(block.shape[1] for block in truth.blocks.values())])
    return {
        name: slice(int(start), int(stop))
        for name, start, stop in zip(truth.blocks, edges[:-1], edges[1:], strict=True)
    }


def block_loadings(truth: Truth, view: str) -> np.ndarray:
    """Loadings of one view on all factors, p × d, blocks in the order of ``truth.blocks``."""
    values, columns = truth.parameters[view], _columns(truth)
    own = {"shared": values.loadings, **values.pairwise_loadings}
    own[f"private:{view}"] = values.private_loadings
    joint = np.zeros((len(values.noise), max(part.stop for part in columns.values())))
    for name, loadings in own.items():
        joint[:, columns[name]] = loadings
    return joint


def technical_shift(truth: Truth, view: str) -> np.ndarray:
    """What site and purity add to the signal of each feature, N × p."""
    values = truth.parameters[view]
    shift = values.site_effects[:, truth.site_codes].T
    if truth.purity is None:
        return shift
    return shift + np.outer(standardised_purity(truth.purity), values.purity_effects)


def _prior(truth: Truth, prior: str, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log weights N × components, means components × d, and the precision they share, d × d."""
    n, k = truth.shared.shape
    precision = np.eye(d)
    if prior == "normal":
        return np.zeros((n, 1)), np.zeros((1, d)), precision
    if prior != "mixture":
        raise ValueError(f"unknown prior {prior!r}; choose from {', '.join(ORACLE_PRIORS)}.")
    population = truth.population
    means = np.zeros((len(population.weights), d))
    means[:, :k] = population.subtype_means
    precision[:k, :k] = np.linalg.inv(population.subtype_covariance)
    weights = population.subtype_given_site[truth.site_codes]
    return np.log(np.maximum(weights, 1e-300)), means, precision


def oracle_posterior(
    truth: Truth, *, given: Sequence[str] | None = None, prior: str = "normal"
) -> OraclePosterior:
    """Posterior of all factors when every parameter is known, in closed form.

    With g = L f + B[site] + noise, where f holds the shared, pairwise-shared and private factors of
    all views and L is zero where a block does not reach a view: the precision of f is
    P + Σ L'D⁻¹L over the views that a patient has and that may be looked at, with P that of the
    prior. Factors of other views keep their prior. The oracle knows the effects of site and purity.

    Parameters
    ----------
    truth
        The truth of a cohort with linear mixing, or of further patients.
    given
        Views to look at; ``None``: all normal ones.
    prior
        ``"normal"``: f ~ N(0, I), what a model of that prior could at best know, and the best
        linear estimate whatever the prior; ``"mixture"``: the true one, where the shared factors
        have one normal component a subtype and a site tells of its subtypes.

    Returns
    -------
    OraclePosterior
        With ``mean``, ``sd``, ``covariance`` and ``interval`` of each block.

    Raises
    ------
    ValueError
        If the mixing is not linear, a view is unknown or not normal, no view is left, or the prior
        is unknown.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning, 2006, section 2.3.3.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, truth = sim.cohort("easy", n=100, seed=1)
    >>> posterior = sim.oracle_posterior(truth, given=["rna"])
    >>> lower, upper = posterior.interval(0.9, block="private:rna")
    >>> bool(0.8 < np.mean((lower < truth.private["rna"]) & (truth.private["rna"] < upper)) < 1)
    True
    """
    chosen = check_views(truth, given)
    columns = _columns(truth)
    d = max(part.stop for part in columns.values())
    log_weights, means, precision = _prior(truth, prior, d)
    n = len(truth.obs_names)
    evidence, grams = np.zeros((n, d)), {}
    seen = truth.present[:, [[*truth.spec.views].index(view) for view in chosen]]
    for view, rows in zip(chosen, seen.T, strict=True):
        values, loadings = truth.parameters[view], block_loadings(truth, view)
        weighted = loadings / values.noise[:, None] ** 2
        g = (truth.complete[view] - values.offset) / values.scale - technical_shift(truth, view)
        evidence[rows] += g[rows] @ weighted
        grams[view] = loadings.T @ weighted
    patterns, pattern = np.unique(seen, axis=0, return_inverse=True)
    pattern = pattern.reshape(-1)
    covariances = np.stack(
        [
            np.linalg.inv(precision + sum(grams[v] for v, s in zip(chosen, p, strict=True) if s))
            for p in patterns
        ]
    )
    # N(x; component c) up to what all components share, since they share their covariance.
    pulls = evidence[:, None] + means @ precision
    component_means = np.einsum("nck,nkl->ncl", pulls, covariances[pattern])
    log_weights = log_weights + 0.5 * np.einsum("nck,nck->nc", pulls, component_means)
    log_weights = log_weights - 0.5 * np.einsum("ck,kl,cl->c", means, precision, means)
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return OraclePosterior(truth.obs_names, columns, weights, component_means, covariances, pattern)


def oracle(
    truth: Truth,
    *,
    given: Sequence[str] | None = None,
    block: str = "shared",
    prior: str = "normal",
) -> pd.DataFrame:
    """Posterior means of one block when every parameter is known.

    Parameters
    ----------
    truth, given, prior
        As in :func:`oracle_posterior`.
    block
        ``"shared"``, ``"shared:<a>+<b>"`` or ``"private:<view>"``.

    Returns
    -------
    DataFrame
        N × factors of the block, index = ``truth.obs_names``.

    Raises
    ------
    ValueError
        As :func:`oracle_posterior`, or if the block is unknown.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, truth = sim.cohort("easy", n=100, seed=1)
    >>> bool(np.corrcoef(sim.oracle(truth)[0], truth.shared[:, 0])[0, 1] > 0.95)
    True
    """
    posterior = oracle_posterior(truth, given=given, prior=prior)
    return pd.DataFrame(posterior.mean(block), index=truth.obs_names)


def oracle_concordance(truth: Truth, *, kind: str = "harrell") -> float:
    """Concordance of the true hazard on these very patients, censored as they are.

    Parameters
    ----------
    truth
        The truth of the patients on whom models are judged.
    kind
        ``"harrell"`` or ``"uno"``.

    Returns
    -------
    float
        In [0, 1]; no model can be expected to do better.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, train = sim.cohort("easy", n=100)
    >>> 0.6 < sim.oracle_concordance(train.new_patients(500)[1]) < 0.95
    True
    """
    return truth.concordance(kind=kind)
