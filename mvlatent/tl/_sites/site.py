"""Whether the site can be read from the latents, beyond what biology explains."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import aligned

__all__ = ["SiteAudit", "site_audit"]


@dataclass(frozen=True)
class SiteAudit:
    """Result of :func:`site_audit`.

    Attributes
    ----------
    accuracy
        Balanced accuracy of the cross-validated probe for site.
    permuted
        The same after permuting site within biology, mean over permutations: what knowing the
        biology alone gives.
    excess
        ``accuracy − permuted``. 0 is right, above 0 the site is in the latents, below 0 biology
        was removed with it.
    excess_sd
        Sd of the permuted accuracies: how far ``excess`` strays by chance.
    chance
        1 / number of sites.
    n, n_sites
        Patients and sites that took part.
    dropped
        Sites left out for having fewer patients than folds.
    inseparable
        Sites that hold one kind of biology only: there site and biology cannot be told apart.

    Examples
    --------
    >>> from mvlatent import tl
    >>> rng = np.random.default_rng(0)
    >>> found = tl.site_audit(rng.standard_normal((90, 2)), ["x", "y", "z"] * 30, n_permutations=2)
    >>> found.n_sites, round(found.chance, 2)
    (3, 0.33)
    """

    accuracy: float
    permuted: float
    excess: float
    excess_sd: float
    chance: float
    n: int
    n_sites: int
    dropped: tuple[str, ...]
    inseparable: tuple[str, ...]


def site_audit(
    latent: Any,
    site: Any,
    biology: Any = None,
    *,
    n_splits: int = 5,
    n_permutations: int = 20,
    probe: Any = None,
    seed: int = 0,
) -> SiteAudit:
    """Excess site accuracy: how well site is read from latents beyond known biology.

    Parameters
    ----------
    latent
        n × d.
    site
        Site of each patient, (n,); rows without one are left out.
    biology
        Subtype (or other strata) of each patient, (n,); rows without one are left out. ``None``:
        sites are permuted over all patients, and ``excess`` is over chance.
    n_splits
        Stratified folds.
    n_permutations
        Permutations of site within biology.
    probe
        A scikit-learn classifier; ``None``: logistic regression on standardised latents, classes
        weighted to balance.
    seed
        Seed of folds and permutations.

    Returns
    -------
    SiteAudit
        ``accuracy``, ``permuted`` and their difference, ``excess``.

    Raises
    ------
    ValueError
        If lengths differ, latents are not finite, or fewer than two sites have ``n_splits``
        patients.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> site = rng.choice(["x", "y"], size=200)
    >>> z = rng.standard_normal((200, 3)) + 3 * (site == "x")[:, None]
    >>> site_audit(z, site, n_permutations=5).excess > 0.3
    True
    """
    latent, site, biology = aligned(latent=latent, site=site, biology=biology)
    z, sites = np.asarray(latent, float), pd.Series(np.asarray(site, dtype=object))
    strata = pd.Series("all" if biology is None else np.asarray(biology, dtype=object), sites.index)
    if z.ndim != 2 or len(z) != len(sites):
        raise ValueError(
            f"rows differ: latent {z.shape}, site {len(sites)}; give the same patients."
        )
    if not np.isfinite(z).all():
        raise ValueError("latent holds values that are not finite; leave those patients out.")
    known = sites.notna() & strata.notna()
    size = sites[known].value_counts()
    dropped = size.index[size < n_splits]
    keep = (known & ~sites.isin(dropped)).to_numpy()
    if len(size) - len(dropped) < 2:
        raise ValueError(f"fewer than two sites have {n_splits} patients; take fewer n_splits.")
    z, codes = z[keep], pd.factorize(sites[keep], sort=True)[0]
    within = pd.factorize(strata[keep])[0]
    accuracy = _probe_accuracy(z, codes, probe, n_splits, seed)
    rng = np.random.default_rng(seed)
    permuted = [
        _probe_accuracy(z, _permute_within(codes, within, rng), probe, n_splits, seed)
        for _ in range(n_permutations)
    ]
    kinds = strata[keep].groupby(sites[keep]).nunique()
    return SiteAudit(
        accuracy=accuracy,
        permuted=float(np.mean(permuted)),
        excess=accuracy - float(np.mean(permuted)),
        excess_sd=float(np.std(permuted)),
        chance=1 / (len(size) - len(dropped)),
        n=int(keep.sum()),
        n_sites=len(size) - len(dropped),
        dropped=tuple(sorted(map(str, dropped))),
        inseparable=() if biology is None else tuple(map(str, kinds.index[kinds == 1])),
    )


def _permute_within(codes: np.ndarray, within: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    permuted = codes.copy()
    for stratum in np.unique(within):
        rows = np.flatnonzero(within == stratum)
        permuted[rows] = codes[rng.permutation(rows)]
    return permuted


def _probe_accuracy(
    z: np.ndarray, codes: np.ndarray, probe: Any, n_splits: int, seed: int
) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = LogisticRegression(class_weight="balanced", max_iter=1000)
    pipeline = make_pipeline(StandardScaler(), classifier if probe is None else probe)
    folds = StratifiedKFold(n_splits, shuffle=True, random_state=seed)
    return float(balanced_accuracy_score(codes, cross_val_predict(pipeline, z, codes, cv=folds)))
