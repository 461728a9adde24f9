"""Whether a patient's latents from one view find the same patient's latents from another."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned
from mvlatent.tl._model import check_model

__all__ = ["Retrieval", "retrieval", "view_retrieval"]

DISTANCES = ("euclidean", "cosine")


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Result of :func:`retrieval`.

    Attributes
    ----------
    ranks
        n × 2, columns ``a_to_b`` and ``b_to_a``: rank of the same patient among all, 1 is found at
        once. Ties share their mean rank.
    table
        Index k; columns ``a_to_b`` and ``b_to_a`` (share of the patients ranked within k),
        ``mean`` of the two, and ``chance`` (k / n).

    Examples
    --------
    >>> from mvlatent import tl
    >>> z = np.random.default_rng(0).standard_normal((20, 3))
    >>> tl.retrieval(z, z).median_rank
    1.0
    """

    ranks: pd.DataFrame
    table: pd.DataFrame

    @property
    def median_rank(self) -> float:
        """Median over patients and directions; (n + 1) / 2 by chance."""
        return float(np.median(self.ranks))

    def curve(self) -> pd.Series:
        """Share found within k, mean of both directions, for every k from 1 to n."""
        n = len(self.ranks)
        ordered = np.sort(self.ranks.to_numpy().ravel())
        found = np.searchsorted(ordered, np.arange(1, n + 1), side="right") / ordered.size
        return pd.Series(found, pd.RangeIndex(1, n + 1, name="k"), name="found")


def retrieval(
    za: Any,
    zb: Any,
    *,
    k: Sequence[int] = (1, 5, 10),
    metric: str = "euclidean",
    standardise: bool = True,
) -> Retrieval:
    """Rank of each patient's own latents among everybody's, from one view to another and back.

    Parameters
    ----------
    za, zb
        Latents of the same patients from two views, n × d each, such as
        ``model.transform(given="rna")``. Patients with a NaN in either take no part.
    k
        Ranks within which a patient counts as found.
    metric
        ``"euclidean"`` or ``"cosine"``.
    standardise
        Bring every axis of either side to mean 0 and sd 1 first: a view that knows less shrinks
        its latents towards the prior.

    Returns
    -------
    Retrieval
        Ranks, and the shares found with their level by chance.

    Raises
    ------
    ValueError
        If shapes differ, fewer than two patients are known, or an option is unknown.

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal((50, 4))
    >>> retrieval(z, z, k=[1]).table.loc[1].tolist()
    [1.0, 1.0, 1.0, 0.02]
    """
    if metric not in DISTANCES:
        raise ValueError(f"unknown metric {metric!r}; choose from {', '.join(DISTANCES)}.")
    za, zb = aligned(za=za, zb=zb)
    a, b = np.asarray(za, float), np.asarray(zb, float)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(
            f"shapes differ: {a.shape}, {b.shape}; give the same patients and factors."
        )
    known = np.flatnonzero(~(np.isnan(a).any(1) | np.isnan(b).any(1)))
    if len(known) < 2:
        raise ValueError(
            "fewer than two patients have latents from both views; give more who have both."
        )
    wanted = [int(value) for value in k]
    if not wanted or min(wanted) < 1:
        raise ValueError(f"k must be positive ranks, got {list(k)}.")
    a, b = (_ready(x[known], metric, standardise) for x in (a, b))
    distance = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    index = pd.Index(known, name="row")
    ranks = pd.DataFrame({"a_to_b": _own_rank(distance), "b_to_a": _own_rank(distance.T)}, index)
    table = pd.DataFrame({value: (ranks <= value).mean() for value in wanted}).T
    table.index.name = "k"
    table["mean"] = table.mean(axis=1)
    table["chance"] = np.minimum(np.array(wanted) / len(known), 1.0)
    return Retrieval(ranks, table)


def view_retrieval(
    model: Any, mdata: Any = None, *, k: Sequence[int] = (1, 5, 10), **options: Any
) -> dict[str, Retrieval]:
    """:func:`retrieval` of the shared latents between every two views of a model.

    Parameters
    ----------
    model
        A fitted :class:`mvlatent.MVLatent`.
    mdata
        Patients, best ones that the model was not fitted to; the fitted ones by default. Each pair
        of views takes the patients who have both.
    k, **options
        As in :func:`retrieval`.

    Returns
    -------
    dict
        ``"rna–img"``, in the order of the views, to its Retrieval; pairs that fewer than two
        patients have are left out.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, truth = mv.sim.cohort("easy", n=100)
    >>> model = mv.fit(mdata, n_shared=5, n_private=3, max_epochs=2, progress=False)
    >>> found = mv.tl.view_retrieval(model)
    >>> [*found], bool(found["rna–img"].table.loc[1, "mean"] > 0.5)
    (['rna–cnv', 'rna–img', 'cnv–img'], True)
    """
    check_model(model)
    latents = {}
    for view in model.roles.views:
        found = model.latents(mdata, given=[view])
        present = found.cohort.views[view].present.numpy()
        latents[view] = np.where(present[:, None], found.z.mean.numpy(), np.nan)
    pairs = {}
    for a, b in combinations(latents, 2):
        both = ~(np.isnan(latents[a]).any(1) | np.isnan(latents[b]).any(1))
        if both.sum() >= 2:
            pairs[f"{a}–{b}"] = retrieval(latents[a], latents[b], k=k, **options)
    return pairs


def _ready(x: np.ndarray, metric: str, standardise: bool) -> np.ndarray:
    if standardise:
        x = x - x.mean(0)
        x = x / np.where(x.std(0) > 1e-12, x.std(0), 1.0)
    if metric == "cosine":
        size = np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.where(size > 0, size, 1.0)
    return x


def _own_rank(distance: np.ndarray) -> np.ndarray:
    """Rank of the diagonal in its row; ties, up to rounding, share their mean rank."""
    own = np.diag(distance)[:, None]
    slack = 1e-9 * (1 + np.abs(distance).max())
    closer = (distance < own - slack).sum(1)
    tied = (np.abs(distance - own) <= slack).sum(1)
    return closer + (tied + 1) / 2
