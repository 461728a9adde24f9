"""Whether single latent axes stand for single known factors: MIG, SAP, modularity, DCI."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._latent.information import (
    indicator_columns,
    information,
    is_continuous,
    latent_and_factors,
)
from mvlatent.tl._latent.probes import make_folds, make_probe, r_squared

__all__ = ["DCI", "FactorMetrics", "dci", "factor_metrics", "mig", "modularity", "sap"]

REGRESSORS = ("lasso", "boosting")
UNREAD = 0.02  # R² up to which a factor counts as not read: its importances would be noise


def mig(latent: Any, factors: Any, *, bins: int | None = None) -> float:
    """Mutual information gap: how far one axis knows each factor better than the next axis does.

    The difference of the two largest mutual informations, as a share of the factor's entropy (of
    its bins, where it is continuous), mean over factors. 1: each factor lies on one axis alone; 0:
    two axes know it equally, as after a rotation.

    Parameters
    ----------
    latent
        n × d.
    factors
        Known factors, n × K; columns of a DataFrame that are not numbers are levels.
    bins
        Bins of equal mass of continuous values; ``None``: by n.

    Returns
    -------
    float
        In [0, 1], 1 at best.

    Raises
    ------
    ValueError
        If rows differ, values are missing, or a factor does not vary.

    References
    ----------
    Chen et al., NeurIPS 2018 (Isolating sources of disentanglement in VAEs).

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((1000, 3))
    >>> mig(z, z) > 0.9, mig(z @ [[1, 1, 0], [1, -1, 0], [0, 0, 1]], z[:, :2]) < 0.1
    (True, True)
    """
    z, table = latent_and_factors(latent, factors)
    known, entropy = information(z, table, bins)
    return float((_gap(known) / entropy).mean())


def sap(latent: Any, factors: Any) -> float:
    """Separated attribute predictability: the gap of the two best axes in R² of each factor.

    The squared correlation of axis and factor, or for levels the share of the axis' variance
    between them (η²); mean over factors.

    Parameters
    ----------
    latent, factors
        As in :func:`mig`.

    Returns
    -------
    float
        In [0, 1], 1 at best.

    References
    ----------
    Kumar, Sattigeri and Balakrishnan, ICLR 2018 (Variational inference of disentangled latent
    concepts).

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((1000, 3))
    >>> sap(z, z) > 0.98
    True
    """
    z, table = latent_and_factors(latent, factors)
    scores = np.column_stack([_axis_r2(z, factor) for _, factor in table.items()])
    return float(_gap(scores).mean())


def modularity(latent: Any, factors: Any, *, bins: int | None = None) -> float:
    """Modularity: whether each axis knows one factor only. Several axes may know the same one.

    ``1 − Σ_{f ≠ f*} I(axis, f)² / (I(axis, f*)² (K − 1))``, f* being the factor the axis knows
    best, mean over axes that know anything (5 % of a factor's entropy). 1 with a single factor;
    NaN if no axis knows any. Lenient: the squares forgive a factor that is known half as well.

    Parameters
    ----------
    latent, factors, bins
        As in :func:`mig`.

    Returns
    -------
    float
        In [0, 1], 1 at best.

    References
    ----------
    Ridgeway and Mozer, NeurIPS 2018 (Learning deep disentangled embeddings with the F-statistic
    loss).

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((1000, 3))
    >>> modularity(z[:, [0, 0, 1, 2]], z) > 0.98
    True
    """
    z, table = latent_and_factors(latent, factors)
    known, entropy = information(z, table, bins)
    active = (known / entropy).max(1) > 0.05
    if not active.any():
        return float("nan")
    if known.shape[1] == 1:
        return 1.0
    squared = known[active] ** 2
    best = squared.max(1)
    others = squared.sum(1) - best
    return float((1 - others / (best * (known.shape[1] - 1))).mean())


@dataclass(frozen=True, eq=False)
class DCI:
    """Result of :func:`dci`.

    Attributes
    ----------
    disentanglement
        Whether each axis matters to one factor only, axes weighted by how much they matter.
    completeness
        Whether each factor needs one axis only, mean over factors.
    informativeness
        Out-of-fold R² of each factor from all axes, mean over factors.
    importance
        d × K; columns sum to 1, or are 0 where the factor is not read (R² up to 0.02).

    Examples
    --------
    >>> from mvlatent import tl
    >>> z = np.random.default_rng(0).standard_normal((300, 2))
    >>> tl.dci(z, {"a": z[:, 0], "b": z[:, 1]}).importance.round(1).values.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: pd.DataFrame


def dci(latent: Any, factors: Any, *, regressor: str = "lasso", seed: int = 0) -> DCI:
    """Disentanglement, completeness and informativeness from regressions of factors on axes.

    Parameters
    ----------
    latent, factors
        As in :func:`mig`.
    regressor
        ``"lasso"``: importance is ``|coefficient|``, informativeness that of a ridge probe.
        ``"boosting"``: importance is that of gradient-boosted trees, informativeness that of the
        kernel probe; for axes that code factors nonlinearly.
    seed
        Seed of folds and trees.

    Returns
    -------
    DCI
        The three numbers, and the ``importance`` of each axis for each factor.

    Raises
    ------
    ValueError
        As :func:`mig`, or if the regressor is unknown.

    References
    ----------
    Eastwood and Williams, ICLR 2018 (A framework for the quantitative evaluation of disentangled
    representations).

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((300, 3))
    >>> found = dci(z, z)
    >>> found.disentanglement > 0.95, found.informativeness > 0.99
    (True, True)
    """
    if regressor not in REGRESSORS:
        raise ValueError(f"unknown regressor {regressor!r}; choose from {', '.join(REGRESSORS)}.")
    z, table = latent_and_factors(latent, factors)
    z = (z - z.mean(0)) / np.where(z.std(0) > 0, z.std(0), 1.0)
    targets = [indicator_columns(factor) for _, factor in table.items()]
    fit = _lasso if regressor == "lasso" else _boosting
    raw = np.column_stack([sum(fit(z, y, seed) for y in block.T) for block in targets])
    probe = make_probe("ridge" if regressor == "lasso" else "kernel")
    read = probe.out_of_fold(z, targets, make_folds(len(z), 5, seed))
    r2 = np.array([r_squared(y, p).mean() for y, p in zip(targets, read, strict=True)])
    total = np.where(r2 > UNREAD, raw.sum(0), 0.0)
    share = np.divide(raw, total, out=np.zeros_like(raw), where=total > 0)
    weight, by_axis = share.sum(1), _one_hotness(share)
    return DCI(
        disentanglement=float(np.average(by_axis, weights=weight)) if weight.any() else 0.0,
        completeness=float(np.where(total > 0, _one_hotness(share.T), 0.0).mean()),
        informativeness=float(r2.mean()),
        importance=pd.DataFrame(
            share, [f"axis_{j}" for j in range(z.shape[1])], [str(name) for name in table]
        ),
    )


@dataclass(frozen=True)
class FactorMetrics:
    """Result of :func:`factor_metrics`: six numbers, 1 is best in each.

    Attributes
    ----------
    mig, sap, modularity
        As :func:`mig`, :func:`sap` and :func:`modularity` return them.
    disentanglement, completeness, informativeness
        As in `DCI`.

    Examples
    --------
    >>> found = FactorMetrics(0.5, 0.4, 0.9, 0.7, 0.6, 0.8)
    >>> float(found.to_series()["modularity"])
    0.9
    """

    mig: float
    sap: float
    modularity: float
    disentanglement: float
    completeness: float
    informativeness: float

    def to_series(self) -> pd.Series:
        """The numbers by name."""
        return pd.Series(asdict(self))


def factor_metrics(
    latent: Any, factors: Any, *, regressor: str = "lasso", bins: int | None = None, seed: int = 0
) -> FactorMetrics:
    """All metrics of single axes against known factors.

    A rotation of the latents changes all but ``informativeness``. Axes of a model with a standard
    normal prior and dense loadings are identified up to rotation only, so judge blocks first.

    Parameters
    ----------
    latent, factors, bins
        As in :func:`mig`.
    regressor, seed
        As in :func:`dci`.

    Returns
    -------
    FactorMetrics
        Six numbers, ``to_series()`` by name.

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((500, 2))
    >>> factor_metrics(z, z).to_series().min() > 0.9
    np.True_
    """
    parts = dci(latent, factors, regressor=regressor, seed=seed)
    return FactorMetrics(
        mig=mig(latent, factors, bins=bins),
        sap=sap(latent, factors),
        modularity=modularity(latent, factors, bins=bins),
        disentanglement=parts.disentanglement,
        completeness=parts.completeness,
        informativeness=parts.informativeness,
    )


def _gap(scores: np.ndarray) -> np.ndarray:
    """Best minus second best axis of each factor; the best alone with a single axis."""
    ordered = np.sort(np.vstack([scores, np.zeros((1, scores.shape[1]))]), axis=0)
    return ordered[-1] - ordered[-2]


def _axis_r2(z: np.ndarray, factor: pd.Series) -> np.ndarray:
    centred = z - z.mean(0)
    total = np.square(centred).sum(0)
    if is_continuous(factor):
        y = indicator_columns(factor)[:, 0]
        explained = (y @ centred) ** 2 / len(y)
    else:
        means = pd.DataFrame(centred).groupby(factor.to_numpy()).transform("mean").to_numpy()
        explained = np.square(means).sum(0)
    return np.divide(explained, total, out=np.zeros_like(total), where=total > 0)


def _one_hotness(share: np.ndarray) -> np.ndarray:
    """1 − entropy of each row in units of its maximum; 1 where a row has one entry."""
    if share.shape[1] == 1:
        return np.ones(len(share))
    total = share.sum(1, keepdims=True)
    p = np.divide(share, total, out=np.zeros_like(share), where=total > 0)
    log = np.log(p, out=np.zeros_like(p), where=p > 0)
    return 1 + (p * log).sum(1) / np.log(share.shape[1])


def _lasso(z: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.linear_model import LassoCV
    from sklearn.model_selection import KFold

    folds = KFold(5, shuffle=True, random_state=seed)
    return np.abs(LassoCV(alphas=np.logspace(-3, 0, 20), cv=folds, max_iter=5000).fit(z, y).coef_)


def _boosting(z: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import GradientBoostingRegressor

    trees = GradientBoostingRegressor(max_depth=3, subsample=0.7, random_state=seed)
    return trees.fit(z, y).feature_importances_
