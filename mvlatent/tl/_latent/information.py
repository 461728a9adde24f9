"""Mutual information of latents and factors, from equal-mass bins."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import align

__all__ = ["indicator_columns", "information", "latent_and_factors"]


def latent_and_factors(latent: Any, factors: Any) -> tuple[np.ndarray, pd.DataFrame]:
    """Latents as finite floats, n × d, and factors as a table of n rows, aligned by name.

    Raises
    ------
    ValueError
        If a shape is wrong, rows differ, a value is missing or not finite, or a factor does not
        vary.
    """
    if isinstance(factors, Mapping):
        named = [(f"factor {name!r}", values) for name, values in factors.items()]
        latent, *columns = align([("latent", latent), *named])
        factors = dict(zip(factors, map(_unnamed, columns), strict=True))
    else:
        latent, factors = align([("latent", latent), ("factors", factors)])
    z = _latent_table(latent)
    return z, _factor_table(factors, len(z))


def _unnamed(values: Any) -> Any:
    """Values without their index, which would align a table a second time."""
    return values.reset_index(drop=True) if isinstance(values, pd.Series) else values


def _latent_table(latent: Any) -> np.ndarray:
    """Latents as finite floats, n × d.

    Raises
    ------
    ValueError
        If the shape is another or a value is not finite.
    """
    z = np.asarray(latent, float)
    if z.ndim != 2 or not z.shape[1]:
        raise ValueError(f"latent must be n × d, got shape {z.shape}.")
    if not np.isfinite(z).all():
        raise ValueError("latent holds values that are not finite; leave those patients out.")
    return z


def _factor_table(factors: Any, n: int) -> pd.DataFrame:
    """Factors as a table of n rows; numbers are continuous, all else are levels.

    Raises
    ------
    ValueError
        If rows differ, a value is missing, or a factor does not vary.
    """
    if isinstance(factors, pd.DataFrame | Mapping):
        table = pd.DataFrame(factors).reset_index(drop=True)
    else:
        values = np.asarray(factors)
        table = pd.DataFrame(values[:, None] if values.ndim == 1 else values)
        table.columns = [f"factor_{j}" for j in range(table.shape[1])]
    if len(table) != n:
        raise ValueError(
            f"rows differ: {n} of latents, {len(table)} of factors; give the same patients."
        )
    if table.isna().to_numpy().any():
        raise ValueError("factors hold missing values; leave those patients out.")
    flat = [str(name) for name in table if table[name].nunique() < 2]
    if flat:
        raise ValueError(f"factors that do not vary: {', '.join(flat)}; leave them out.")
    return table


def is_continuous(factor: pd.Series) -> bool:
    """Whether a factor is a number (and not a truth value)."""
    kind = factor.dtype
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def indicator_columns(factor: pd.Series) -> np.ndarray:
    """A continuous factor as one standardised column, levels as an indicator each, n × c."""
    if is_continuous(factor):
        values = factor.to_numpy(float)[:, None]
    else:
        values = pd.get_dummies(factor).to_numpy(float)
    return (values - values.mean(0)) / values.std(0)


def information(
    latent: np.ndarray, factors: pd.DataFrame, bins: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mutual information of every latent axis with every factor, and the factors' entropies.

    Values are cut into ``bins`` of equal mass (by default √(n/5), from 4 to 20, so that a cell of
    the joint table holds some five patients). Entropies carry the Miller–Madow correction, which
    takes most of the upward bias of mutual information away.

    Returns
    -------
    tuple of ndarray
        d × K and (K,), nats, not below 0.
    """
    n = len(latent)
    bins = int(np.clip(np.sqrt(n / 5), 4, 20)) if bins is None else bins
    if bins < 2:
        raise ValueError(f"at least 2 bins are needed, got {bins}.")
    axes = [_bin(z, bins) for z in latent.T]
    codes = [
        _bin(factor.to_numpy(float), bins) if is_continuous(factor) else pd.factorize(factor)[0]
        for _, factor in factors.items()
    ]
    own = np.array([_entropy(code) for code in axes])
    entropy = np.array([_entropy(code) for code in codes])
    joint = np.array([[_entropy(a * (code.max() + 1) + code) for code in codes] for a in axes])
    return np.maximum(own[:, None] + entropy - joint, 0.0), entropy


def _bin(values: np.ndarray, bins: int) -> np.ndarray:
    """Bin of each value; equal values share a bin."""
    edges = np.quantile(values, np.arange(1, bins) / bins)
    return np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)[1]


def _entropy(codes: np.ndarray) -> float:
    counts = np.bincount(codes)
    counts = counts[counts > 0]
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum() + (len(counts) - 1) / (2 * counts.sum()))
