"""How well the shared factors could be read from the views by someone who was shown them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mvlatent.sim._cohort.truth import Truth

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["supervised_ceiling"]

CEILING_PROBES = ("kernel", "ridge")
ALPHAS = np.logspace(-3, 3, 13)
WIDTHS = (0.1, 0.3, 1.0)  # kernel widths beside that of the median heuristic
TINY = 1e-12


def supervised_ceiling(
    mdata: "MuData",
    truth: Truth,
    *,
    n_components: int = 20,
    probe: str = "kernel",
    folds: int = 5,
    seed: int = 0,
) -> float:
    r"""Out-of-fold R² of the true shared factors, regressed on the views themselves.

    No model that is not shown the factors can be asked for much more, so what a model reaches where
    mixing bends and no posterior is known (:func:`mvlatent.tl.block_recovery`, the same R²) is best
    given as a share of it. It is a ceiling only where the components hold what is shared (with
    ``"rich_private"`` they do not) and few views are missing.

    The regression sees the leading principal components of each view and the site. Components,
    scales and the penalty are learnt on the training patients of each fold, the penalty by leaving
    one of them out; who lacks a view has it at the training mean.

    Parameters
    ----------
    mdata
        The simulated cohort, its site in ``obs["site"]``.
    truth
        Its truth.
    n_components
        Principal components of each view, of features that are standardised.
    probe
        ``"kernel"``: Gaussian-kernel ridge, its width by the median heuristic or a part of it;
        ``"ridge"``.
    folds
        Number of folds.
    seed
        Seed of the folds.

    Returns
    -------
    float
        R², mean over the shared and pairwise-shared factors.

    Raises
    ------
    ValueError
        If the probe is unknown, ``n_components`` is below 1, the patients are not those of the
        truth, or there are fewer than two folds or more than half the patients.

    Notes
    -----
    With the kernel K of the training patients, :math:`H = K (K + \alpha I)^{-1}` and centred y, the
    residual of patient i predicted without it is :math:`(y - H y)_i / (1 - H_{ii})`.

    References
    ----------
    Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.2.
    Garreau, Jitkrittum and Kanagawa, Large sample analysis of the median heuristic, 2017.

    Examples
    --------
    >>> from mvlatent import sim
    >>> mdata, truth = sim.cohort("nonlinear", n=200)
    >>> 0.7 < sim.supervised_ceiling(mdata, truth) < 1
    True
    """
    from mvlatent.tl._latent.probes import make_folds, r_squared

    if probe not in CEILING_PROBES:
        raise ValueError(f"unknown probe {probe!r}; choose from {', '.join(CEILING_PROBES)}.")
    if n_components < 1:
        raise ValueError(f"n_components must be at least 1, got {n_components}.")
    if not mdata.obs_names.equals(truth.obs_names):
        raise ValueError(
            "mdata and truth are of different patients; give the truth of these very ones."
        )
    y = np.column_stack([v for name, v in truth.blocks.items() if name.startswith("shared")])
    views = [_dense(mdata, name) for name in mdata.mod]
    sites = np.eye(len(truth.spec.sites))[truth.site_codes]
    predicted = np.empty_like(y)
    for test in make_folds(len(y), folds, seed):
        train = np.setdiff1d(np.arange(len(y)), test)
        parts = [_components(x, train, n_components) for x in views]
        x = np.column_stack([*parts, sites])
        x -= x[train].mean(axis=0)
        centre = y[train].mean(axis=0)
        guess = _best(probe, x[train], x[test], y[train] - centre)
        predicted[test] = centre + guess
    return float(r_squared(y, predicted).mean())


def _dense(mdata: "MuData", view: str) -> np.ndarray:
    """Values of a view, N × p, rows of NaN where a patient lacks it."""
    part: Any = mdata[view]
    x = np.full((mdata.n_obs, part.n_vars), np.nan)
    x[mdata.obs_names.get_indexer(part.obs_names)] = (
        part.X.toarray() if hasattr(part.X, "toarray") else part.X
    )
    return x


def _standardised(x: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Columns by the moments of the training rows, what is missing at their mean."""
    mean, sd = np.nanmean(x[train], axis=0), np.nanstd(x[train], axis=0)
    return np.nan_to_num((x - mean) / np.where(sd > TINY, sd, 1.0))


def _components(x: np.ndarray, train: np.ndarray, count: int) -> np.ndarray:
    """Scores on the leading components of the training rows, the first of these of sd 1."""
    x = _standardised(x, train)
    _, lengths, right = np.linalg.svd(x[train], full_matrices=False)
    return x @ right[:count].T * (np.sqrt(len(train)) / max(lengths[0], TINY))


def _best(probe: str, x: np.ndarray, new: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Predict new rows by the kernel and penalty that predict left-out rows best."""
    least, best = np.inf, np.zeros((len(new), y.shape[1]))
    for kernel, across in _kernels(probe, x, new):
        values, vectors = np.linalg.eigh(kernel)
        values, rotated = np.maximum(values, 0.0), vectors.T @ y
        for alpha in ALPHAS * values.mean():
            kept = values / (values + alpha)
            leverage = np.einsum("ij,j,ij->i", vectors, kept, vectors)
            left_out = (y - vectors @ (kept[:, None] * rotated)) / (1 - leverage)[:, None]
            error = float(np.sum(left_out**2))
            if error < least:
                dual = vectors @ (rotated / (values + alpha)[:, None])
                least, best = error, across @ dual
    return best


def _kernels(probe: str, x: np.ndarray, new: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Kernels of the training rows, and of new rows with them."""
    if probe == "ridge":
        yield x @ x.T, new @ x.T
        return
    within, across = _squared_distances(x, x), _squared_distances(new, x)
    median = np.median(within[np.triu_indices(len(x), 1)])
    for width in WIDTHS:
        yield np.exp(-width * within / median), np.exp(-width * across / median)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0.0)
