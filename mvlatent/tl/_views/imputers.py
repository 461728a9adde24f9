"""Plain ways to predict one view from others, each choosing its own settings on training rows."""

from typing import ClassVar, Protocol

import numpy as np

from mvlatent.process import quiet
from mvlatent.tl._latent.probes import make_folds

__all__ = ["IMPUTERS", "Imputer"]


class Imputer(Protocol):
    """Predicts y (m × q) from x (m × p) after a fit to complete n × p and n × q."""

    name: ClassVar[str]

    def fit(self, x: np.ndarray, y: np.ndarray, seed: int) -> "Imputer":
        """Learn, choosing settings within these rows."""
        ...

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Predict new rows."""
        ...


class MeanImputer:
    """The mean of the training rows."""

    name: ClassVar[str] = "mean"

    def fit(self, x: np.ndarray, y: np.ndarray, seed: int) -> "MeanImputer":
        self.mean = y.mean(0)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.mean, (len(x), len(self.mean)))


class RidgeImputer:
    """Ridge regression with one penalty for the view, chosen by leaving one out."""

    name: ClassVar[str] = "ridge"
    strengths: ClassVar[np.ndarray] = np.logspace(-3, 4, 15)  # in mean eigenvalues of the kernel

    def fit(self, x: np.ndarray, y: np.ndarray, seed: int) -> "RidgeImputer":
        self.centre, self.mean = x.mean(0), y.mean(0)
        x, y = x - self.centre, y - self.mean
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        projected, u2, s2 = u.T @ y, u**2, s**2
        least = np.inf
        for alpha in self.strengths * s2.mean():
            shrunk = s2 / (s2 + alpha) if alpha > 0 else np.zeros_like(s2)
            leverage = np.minimum(1 / len(x) + u2 @ shrunk, 1 - 1e-6)
            error = np.square((y - u @ (shrunk[:, None] * projected)) / (1 - leverage)[:, None])
            if error.sum() < least:
                least, best = error.sum(), np.divide(shrunk, s, out=0 * s, where=s > 0)
        self.slope = vt.T @ (best[:, None] * projected)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.mean + (x - self.centre) @ self.slope


class PLSImputer:
    """Partial least squares; the number of components is chosen by three inner folds."""

    name: ClassVar[str] = "pls"
    most: ClassVar[int] = 15

    def fit(self, x: np.ndarray, y: np.ndarray, seed: int) -> "PLSImputer":
        # Components are the same in any orthonormal basis: thin ones are much faster.
        self.centre, self.mean = x.mean(0), y.mean(0)
        self.x_basis, x = _thin(x - self.centre)
        self.y_basis, y = _thin(y - self.mean)
        error: np.ndarray | float = 0.0
        for test in make_folds(len(x), 3, seed):
            train = np.setdiff1d(np.arange(len(x)), test)
            offset, slopes = self._slopes(x[train], y[train])
            x0 = x[test] - x[train].mean(0)
            sums = [np.square(y[test] - offset - x0 @ slope).sum() for slope in slopes]
            error = error + np.array(sums + [sums[-1]] * (self.most - len(sums)))
        self.offset, slopes = self._slopes(x, y)
        self.slope = slopes[min(int(np.argmin(error)), len(slopes) - 1)]
        return self

    def _slopes(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Mean of y, and slopes with 1, 2, ... components (they are nested)."""
        from sklearn.cross_decomposition import PLSRegression

        most = min(self.most, len(x) - 2, x.shape[1])
        with quiet():  # y is fitted exactly before the last component
            fitted = PLSRegression(most, scale=False).fit(x, y)
        rotations, loadings = fitted.x_rotations_, fitted.y_loadings_
        slopes = [rotations[:, :k] @ loadings[:, :k].T for k in range(1, most + 1)]
        return y.mean(0), slopes

    def predict(self, x: np.ndarray) -> np.ndarray:
        scores = (x - self.centre) @ self.x_basis.T
        return self.mean + (self.offset + scores @ self.slope) @ self.y_basis


class NeighbourImputer:
    """Mean of the nearest training rows; their number is chosen by leaving one out."""

    name: ClassVar[str] = "knn"
    sizes: ClassVar[tuple[int, ...]] = (1, 3, 5, 10, 20, 40, 80)

    def fit(self, x: np.ndarray, y: np.ndarray, seed: int) -> "NeighbourImputer":
        self.x, self.y = x, y
        distance = _distances(x, x)
        np.fill_diagonal(distance, np.inf)
        errors = {k: np.square(y - self._mean(distance, k)).sum() for k in self.sizes if k < len(x)}
        self.size = min(errors, key=errors.__getitem__)
        return self

    def _mean(self, distance: np.ndarray, k: int) -> np.ndarray:
        nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
        weight = np.zeros_like(distance)
        np.put_along_axis(weight, nearest, 1 / k, axis=1)
        return weight @ self.y

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self._mean(_distances(x, self.x), self.size)


IMPUTERS: dict[str, type] = {
    imputer.name: imputer for imputer in (MeanImputer, RidgeImputer, PLSImputer, NeighbourImputer)
}


def _thin(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis of the rows (r × p) and the scores in it (n × r)."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    keep = s > 1e-8 * max(s[0], 1e-12)
    return vt[keep], u[:, keep] * s[keep]


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
