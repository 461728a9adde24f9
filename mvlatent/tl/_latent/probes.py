"""Probes: out-of-fold predictions of target blocks from a block of latents, all at once."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np

__all__ = ["PROBES", "KernelProbe", "Probe", "RidgeProbe", "make_folds", "make_probe", "r_squared"]

TINY = 1e-12


class Probe(Protocol):
    """Regression whose penalty is chosen within the training rows of each fold."""

    name: ClassVar[str]

    def out_of_fold(
        self, x: np.ndarray, targets: Sequence[np.ndarray], folds: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Prediction of every row by a fit that has not seen its fold.

        Parameters
        ----------
        x
            n × d.
        targets
            Blocks, n × k each; a penalty is chosen for each block and fold.
        folds
            Rows of each fold; together all rows, each once.

        Returns
        -------
        list of ndarray
            One n × k array a block.
        """
        ...


def make_folds(n: int, n_splits: int, seed: int) -> list[np.ndarray]:
    """Shuffled rows of each fold, the folds of scikit-learn's ``KFold``.

    Raises
    ------
    ValueError
        If there are fewer than two folds, or more folds than half the rows.
    """
    from sklearn.model_selection import KFold

    if not 2 <= n_splits <= n // 2:
        raise ValueError(f"{n_splits} folds of {n} rows: give 2 to {n // 2}.")
    split = KFold(n_splits, shuffle=True, random_state=seed).split(np.zeros(n))
    return [test for _, test in split]


def make_probe(kind: "str | Probe") -> "Probe":
    """Probe of a name, or the one given.

    Raises
    ------
    ValueError
        If there is no probe of that name.

    Examples
    --------
    >>> make_probe("ridge").name
    'ridge'
    """
    if not isinstance(kind, str):
        return kind
    if kind not in PROBES:
        raise ValueError(f"unknown probe {kind!r}; choose from {', '.join(PROBES)}.")
    return PROBES[kind]()


def r_squared(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """R² of each column about its mean; a constant column scores 0."""
    total = np.square(truth - truth.mean(0)).sum(0)
    error = np.square(truth - predicted).sum(0)
    return np.where(total > TINY, 1 - error / np.maximum(total, TINY), 0.0)


class _Choice:
    """Keeps, for every fold and block, the prediction of the penalty with the least error."""

    def __init__(self, targets: Sequence[np.ndarray], folds: Sequence[np.ndarray]) -> None:
        edges = np.cumsum([0, *(t.shape[1] for t in targets)])
        self.blocks = [slice(a, b) for a, b in pairwise(edges)]
        self.y = np.hstack(targets)
        self.folds = folds
        spread = self.y.var(0)
        # Columns count alike, whatever their units: what is minimised is 1 − mean R².
        self.weight = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > TINY)
        self.predicted = np.zeros_like(self.y)
        self._least = np.full((len(folds), len(self.blocks)), np.inf)

    def offer(self, fold: int, left_out: np.ndarray, predicted: np.ndarray) -> None:
        """Take a candidate: its left-out residuals in training, its predictions of the fold."""
        error = np.einsum("ij,ij->j", left_out, left_out) * self.weight
        for b, block in enumerate(self.blocks):
            score = error[block].sum()
            if score < self._least[fold, b]:
                self._least[fold, b] = score
                self.predicted[self.folds[fold], block] = predicted[:, block]

    def result(self) -> list[np.ndarray]:
        return [self.predicted[:, block] for block in self.blocks]


class RidgeProbe:
    """Ridge regression on standardised latents; the penalty is chosen by leaving one out.

    Parameters
    ----------
    alphas
        Penalties to choose from, in units of squared singular values of the n × d latents.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((60, 3))
    >>> y = x @ rng.standard_normal((3, 2))
    >>> [found] = RidgeProbe().out_of_fold(x, [y], make_folds(60, 5, 0))
    >>> found.shape
    (60, 2)
    """

    name: ClassVar[str] = "ridge"

    def __init__(self, alphas: Any = None) -> None:
        self.alphas = np.logspace(-3, 4, 15) if alphas is None else np.asarray(alphas, float)

    def out_of_fold(
        self, x: np.ndarray, targets: Sequence[np.ndarray], folds: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        choice = _Choice(targets, folds)
        for f, test in enumerate(folds):
            train = np.setdiff1d(np.arange(len(x)), test)
            mean, spread = x[train].mean(0), x[train].std(0)
            scale = np.where(spread > TINY, spread, 1.0)
            centre = choice.y[train].mean(0)
            y = choice.y[train] - centre
            u, s, vt = np.linalg.svd((x[train] - mean) / scale, full_matrices=False)
            projected, u2 = u.T @ y, u**2
            ahead = ((x[test] - mean) / scale) @ vt.T
            for alpha in self.alphas:
                shrunk = s**2 / (s**2 + alpha)
                leverage = 1 / len(train) + u2 @ shrunk
                left_out = (y - u @ (shrunk[:, None] * projected)) / (1 - leverage)[:, None]
                slope = (s / (s**2 + alpha))[:, None] * projected
                choice.offer(f, left_out, centre + ahead @ slope)
        return choice.result()


class KernelProbe:
    r"""Gaussian-kernel ridge regression, which also finds what is coded nonlinearly.

    Parameters
    ----------
    alphas
        Penalties to choose from.
    gammas
        Kernel widths to choose from: :math:`\exp(-\gamma\lVert x - x'\rVert^2)` of standardised
        latents.

    Notes
    -----
    With :math:`M = (K + \alpha I)^{-1}` over all rows, the residuals of rows S predicted without
    them are :math:`M_{SS}^{-1} (M y)_S`, and the M of the rows that remain is a Schur complement
    of M. So one inverse a pair of (γ, α) holds every fold and, within its training rows, every
    left-out row that chooses the pair. A constant in the kernel stands for the intercept. Latents
    are standardised once over all rows, which looks at no target.

    References
    ----------
    Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.2.

    Examples
    --------
    >>> x = np.linspace(-3, 3, 80)[:, None]
    >>> [found] = KernelProbe().out_of_fold(x, [np.cos(x)], make_folds(80, 5, 0))
    >>> bool(r_squared(np.cos(x), found)[0] > 0.9)
    True
    """

    name: ClassVar[str] = "kernel"
    intercept: ClassVar[float] = 100.0  # prior variance of the intercept, against 1 of the function

    def __init__(
        self, alphas: Any = (0.03, 0.3, 3.0, 30.0), gammas: Any = (0.01, 0.03, 0.1)
    ) -> None:
        self.alphas, self.gammas = np.asarray(alphas, float), np.asarray(gammas, float)

    def out_of_fold(
        self, x: np.ndarray, targets: Sequence[np.ndarray], folds: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        choice = _Choice(targets, folds)
        offset = choice.y.mean(0)
        y = choice.y - offset
        distance = _squared_distances(x)
        for gamma in self.gammas:
            kernel = np.exp(-gamma * distance) + self.intercept
            for alpha in self.alphas:
                inverse = _inverse(kernel, alpha)
                weighted = inverse @ y
                for f, test in enumerate(folds):
                    left_out, residual = _without(inverse, weighted, test)
                    choice.offer(f, left_out, y[test] - residual + offset)
        return choice.result()


PROBES: dict[str, type] = {probe.name: probe for probe in (RidgeProbe, KernelProbe)}


def _squared_distances(x: np.ndarray) -> np.ndarray:
    spread = x.std(0)
    x = (x - x.mean(0)) / np.where(spread > TINY, spread, 1.0)
    norm = np.einsum("ij,ij->i", x, x)
    return np.maximum(norm[:, None] + norm - 2 * x @ x.T, 0.0)


def _inverse(kernel: np.ndarray, alpha: float) -> np.ndarray:
    """``(K + αI)⁻¹`` by Cholesky, full and symmetric."""
    from scipy.linalg import cholesky, lapack

    shifted = kernel + alpha * np.eye(len(kernel))
    factor = cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
    lower, _ = lapack.dpotri(factor, lower=True, overwrite_c=True)
    lower = np.tril(lower)
    return lower + np.tril(lower, -1).T


def _without(
    inverse: np.ndarray, weighted: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Left-out residuals of the rows outside ``test``, and of ``test`` predicted by them."""
    from scipy.linalg import cholesky, solve_triangular

    train = np.setdiff1d(np.arange(len(inverse)), test)
    factor = cholesky(inverse[np.ix_(test, test)], lower=True, check_finite=False)
    both = np.hstack([inverse[np.ix_(test, train)], weighted[test]])
    solved = solve_triangular(factor, both, lower=True, check_finite=False)
    bridge, own = solved[:, : len(train)], solved[:, len(train) :]
    precision = inverse[train, train] - np.einsum("ij,ij->j", bridge, bridge)
    left_out = (weighted[train] - bridge.T @ own) / precision[:, None]
    residual = solve_triangular(factor, own, lower=True, trans="T", check_finite=False)
    return left_out, residual
