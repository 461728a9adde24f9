"""Whether refits find the same latents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import align
from mvlatent.tl._model import latent_blocks

__all__ = ["Stability", "stability"]

SIMILARITIES = ("procrustes", "subspace", "cka", "axes")


@dataclass(frozen=True, eq=False)
class Stability:
    """Result of :func:`stability`.

    Attributes
    ----------
    pairs
        One row a block and pair of fits: ``block``, ``a``, ``b``, ``n``, the measures, and
        ``chance`` (what ``subspace`` is for independent latents).

    Examples
    --------
    >>> from mvlatent import tl
    >>> z = np.random.default_rng(0).standard_normal((50, 2))
    >>> found = tl.stability({"seed 0": z, "seed 1": -z})
    >>> found.table["procrustes"].round(6).tolist()
    [0.0]
    """

    pairs: pd.DataFrame

    @property
    def table(self) -> pd.DataFrame:
        """Blocks × measures, mean over pairs."""
        return self.pairs.groupby("block", sort=False)[[*SIMILARITIES, "chance"]].mean()


def stability(latents_by_seed: Mapping[Any, Any] | Sequence[Any]) -> Stability:
    """Compare the latents of fits that differ in their seed, block by block and pair by pair.

    - ``procrustes``: disparity after the best shift, scale and rotation of one block onto the
      other; 0 is the same, 1 is unrelated. Directions count by their variance.
    - ``subspace``: mean squared canonical correlation of the smaller block; 1 is the same span.
      Every direction counts alike, so spare dimensions that hold noise pull it down.
    - ``cka``: linear centred kernel alignment, 1 is the same; large directions dominate.
    - ``axes``: mean absolute correlation of single axes, matched one to one. Far below the others
      where axes are found up to rotation only.

    Parameters
    ----------
    latents_by_seed
        Seed to latents: an n × d array, blocks by name (:func:`latent_blocks`), or a fitted model;
        or a list of them. Rows are the same patients, in the same order where they bear no names;
        those with a NaN in either fit take no part.

    Returns
    -------
    Stability
        ``pairs``, and ``table``, their mean a block.

    Raises
    ------
    ValueError
        If fewer than two fits are given, or rows differ.

    References
    ----------
    Gower, Psychometrika 1975 (Procrustes); Björck and Golub, Mathematics of Computation 1973
    (angles of subspaces); Kornblith et al., ICML 2019 (CKA).

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((200, 3))
    >>> turned = z @ np.linalg.qr(np.ones((3, 3)) + np.eye(3))[0]
    >>> found = stability({0: z, 1: turned}).table.loc["latent"]
    >>> bool(found["procrustes"] < 1e-9), bool(found["subspace"] > 1 - 1e-9)
    (True, True)
    """
    if not isinstance(latents_by_seed, Mapping):
        latents_by_seed = dict(enumerate(latents_by_seed))
    if len(latents_by_seed) < 2:
        raise ValueError(f"at least two fits are compared, got {len(latents_by_seed)}; give more.")
    fits = {seed: _blocks(found) for seed, found in latents_by_seed.items()}
    rows = [
        {"block": block, "a": a, "b": b, **_compare(fits[a][block], fits[b][block], block)}
        for block in next(iter(fits.values()))
        for a, b in combinations(fits, 2)
        if block in fits[a] and block in fits[b]
    ]
    return Stability(pd.DataFrame(rows))


def _blocks(found: Any) -> Mapping[str, Any]:
    if isinstance(found, Mapping):
        return found
    return latent_blocks(found) if hasattr(found, "latents") else {"latent": found}


def _compare(a: Any, b: Any, block: str) -> dict[str, float]:
    a, b = align([(f"block {block!r}", a), (f"block {block!r} of another fit", b)])
    x, y = np.asarray(a, float), np.asarray(b, float)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ValueError(
            f"block {block!r}: rows differ, {x.shape} and {y.shape}; give the same patients."
        )
    known = ~(np.isnan(x).any(1) | np.isnan(y).any(1))
    x, y = x[known] - x[known].mean(0), y[known] - y[known].mean(0)
    n = int(known.sum())
    cross = x.T @ y
    energy_x, energy_y = np.square(x).sum(), np.square(y).sum()
    if n < 3 or energy_x == 0 or energy_y == 0:
        nothing = dict.fromkeys([*SIMILARITIES, "chance"], float("nan"))
        return {"n": n, **nothing}
    nuclear = np.linalg.svd(cross, compute_uv=False).sum()
    u, v = _span(x), _span(y)
    smaller = min(u.shape[1], v.shape[1])
    alike = np.square(cross).sum()
    alike /= np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return {
        "n": n,
        "procrustes": float(max(0.0, 1 - nuclear**2 / (energy_x * energy_y))),
        "subspace": float(np.square(u.T @ v).sum() / smaller),
        "cka": float(alike),
        "axes": _matched_axes(x, y),
        "chance": max(u.shape[1], v.shape[1]) / (n - 1),
    }


def _span(x: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the columns."""
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    return u[:, s > 1e-8 * s[0]]


def _matched_axes(x: np.ndarray, y: np.ndarray) -> float:
    from scipy.optimize import linear_sum_assignment

    sizes = np.linalg.norm(x, axis=0)[:, None] * np.linalg.norm(y, axis=0)
    correlation = np.abs(np.divide(x.T @ y, sizes, out=np.zeros_like(sizes), where=sizes > 0))
    return float(correlation[linear_sum_assignment(-correlation)].mean())
