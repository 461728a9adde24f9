"""How much of known factors can be read from latents."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["block_recovery", "disentanglement", "leakage"]

PROBES = ("ridge", "kernel")


def _probe(kind: str) -> Any:
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == "ridge":
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15)))
    if kind == "kernel":
        grid = {"alpha": [0.03, 0.3, 3.0], "gamma": [0.01, 0.03, 0.1]}
        return make_pipeline(StandardScaler(), GridSearchCV(KernelRidge(kernel="rbf"), grid, cv=3))
    raise ValueError(f"unknown probe {kind!r}; choose from {', '.join(PROBES)}")


def block_recovery(
    latent: Any, truth: Any, *, probe: str = "ridge", n_splits: int = 5, seed: int = 0
) -> float:
    """Out-of-fold R² of true factors predicted from a block of latents, mean over factors.

    Rotation of either side does not matter to the ridge probe. Below 0 means worse than the mean.

    Parameters
    ----------
    latent
        n × d.
    truth
        n × k, rows as in ``latent``.
    probe
        ``"ridge"``, or ``"kernel"``: Gaussian-kernel ridge, which also finds what is coded
        nonlinearly.
    n_splits
        Folds.
    seed
        Seed of the folds.

    Raises
    ------
    ValueError
        If the numbers of rows differ or the probe is unknown.

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((100, 2))
    >>> block_recovery(z, z @ [[1.0, 2.0], [0.0, 1.0]]) > 0.99
    True
    """
    from sklearn.metrics import r2_score
    from sklearn.model_selection import KFold, cross_val_predict

    x, y = np.asarray(latent, float), np.asarray(truth, float)
    y = y[:, None] if y.ndim == 1 else y
    if x.ndim != 2 or len(x) != len(y):
        raise ValueError(f"rows differ: latent {x.shape}, truth {y.shape}")
    if x.shape[1] == 0 or y.shape[1] == 0:
        return 0.0
    folds = KFold(n_splits, shuffle=True, random_state=seed)
    return float(r2_score(y, cross_val_predict(_probe(probe), x, y, cv=folds)))


def leakage(
    latent: Any, private: Mapping[str, Any], *, probe: str = "ridge", seed: int = 0
) -> float:
    """R² of the views' private factors read from the shared latents, mean over views: 0 is right.

    Parameters
    ----------
    latent
        Shared latents, n × d.
    private
        View to its true private factors, n × k.
    probe, seed
        As in :func:`block_recovery`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z, w = rng.standard_normal((2, 200, 3))
    >>> abs(leakage(z, {"rna": w})) < 0.1
    True
    """
    return float(
        np.mean([block_recovery(latent, w, probe=probe, seed=seed) for w in private.values()])
    )


def disentanglement(
    blocks: Mapping[str, Any], truth: Mapping[str, Any], *, probe: str = "ridge", seed: int = 0
) -> pd.DataFrame:
    """R² of each true block read from each latent block.

    Parameters
    ----------
    blocks
        Name of a latent block (``"shared"``, ``"private:rna"``, ...) to n × d.
    truth
        Name of a true block to n × k.
    probe, seed
        As in :func:`block_recovery`.

    Returns
    -------
    DataFrame
        Latent blocks × true blocks; right is near 1 where the names agree and near 0 elsewhere.

    Examples
    --------
    >>> z, w = np.random.default_rng(0).standard_normal((2, 200, 3))
    >>> truth = {"shared": z, "private:rna": w}
    >>> float(disentanglement(truth, truth).loc["shared", "shared"].round(2))
    1.0
    """
    rows = {
        name: {key: block_recovery(z, y, probe=probe, seed=seed) for key, y in truth.items()}
        for name, z in blocks.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")
