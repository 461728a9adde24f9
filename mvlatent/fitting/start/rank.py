"""How many factors the data support: shared ones by held-out agreement, private ones by signs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy.stats import norm
from torch import Tensor

__all__ = ["RANK_WORDS", "SharedRank", "private_rank", "shared_rank"]

RANK_WORDS = ("auto", "full")
COMPONENTS = (8, 12, 24, 48, 96)  # of each view, from which held-out agreement chooses
FOLDS = 5
PATIENTS_A_COMPONENT = 3  # in training folds, for the fewest patients that have a view
MIN_BOTH = 15  # patients who have two views, for their agreement to count
ERROR = 0.01  # chance that a direction without agreement is counted
N_FLIPS, POWER_STEPS = 3, 20


class SharedRank(NamedTuple):
    """Shared factors that count, and the components of each view at which views agree best."""

    rank: int
    n_components: int


def shared_rank(centred: list[Tensor], presence: Tensor, n_shared: int) -> SharedRank:
    """Directions, at most ``n_shared``, along which views agree among patients not looked at.

    Generalized CCA is fitted on four fifths of the patients and each view's variates are computed
    for the others. A direction counts if those of some two views correlate beyond chance
    (one-sided, 1 % with all pairs of views taken together); the count ends at the first that does
    not. What one view alone knows has no partner and is left to its private latent. The number of
    components a view at which held-out agreement is greatest is chosen with it; at least one
    direction is kept.

    Parameters
    ----------
    centred
        Views without technical means, (n, p) each.
    presence
        Which patient has which view, (n, M).
    n_shared
        Most directions that may count.

    References
    ----------
    Kettenring (1971), Canonical analysis of several sets of variables;
    Owen & Perry (2009), Bi-cross-validation of the SVD and the nonnegative matrix factorization.
    """
    n, m = presence.shape
    order = torch.randperm(n)
    fewest = int(presence.sum(0).min()) * (FOLDS - 1) // FOLDS
    sizes = [r for r in COMPONENTS if r * PATIENTS_A_COMPONENT <= fewest] or [COMPONENTS[0]]
    widest = max(x.shape[1] for x in centred)
    found: dict[int, tuple[float, int]] = {}
    held: dict[int, list[Tensor]] = {r: [x.new_zeros(n, n_shared) for x in centred] for r in sizes}
    for fold in range(FOLDS):
        test = torch.zeros(n, dtype=torch.bool)
        test[order[fold::FOLDS]] = True
        bases = [
            _basis(x[~test & seen], sizes[-1]) for x, seen in zip(centred, presence.T, strict=True)
        ]
        for r in sizes:
            weights = _variates(bases, presence[~test], r, n_shared)
            for out, x, w in zip(held[r], centred, weights, strict=True):
                out[test, : w.shape[1]] = x[test] @ w
    level = float(norm.ppf(1.0 - ERROR / max(m * (m - 1) // 2, 1)))
    for r in sizes:
        correlation, strength = _agreement(held[r], presence)
        counted = int((strength > level).int().cumprod(0).sum())
        found[r] = (float(correlation.clamp_min(0).sum()), counted)
        if r >= widest:
            break
    best = max(found, key=lambda r: found[r][0])
    return SharedRank(max(1, found[best][1]), best)


class _Basis(NamedTuple):
    """Leading left vectors of a view's rows, (n_m, r), and the map to them, (p, r)."""

    left: Tensor
    right: Tensor


def _basis(x: Tensor, rank: int) -> _Basis:
    gram = (x @ x.T if len(x) <= x.shape[1] else x.T @ x).double()
    values, vectors = torch.linalg.eigh(gram)
    keep = values > 1e-9 * values[-1]
    values, vectors = values[keep].flip(0)[:rank], vectors[:, keep].flip(1)[:, :rank]
    if len(x) <= x.shape[1]:
        return _Basis(vectors.to(x.dtype), x.T @ (vectors / values).to(x.dtype))
    right = (vectors / values.sqrt()).to(x.dtype)
    return _Basis(x @ right, right)


def _variates(bases: list[_Basis], presence: Tensor, r: int, k: int) -> list[Tensor]:
    """Weights (p, k) of each view's canonical variates, from its ``r`` leading components."""
    blocks = []
    for basis, seen in zip(bases, presence.T, strict=True):
        block = basis.left.new_zeros(len(presence), min(r, basis.left.shape[1]))
        block[seen] = basis.left[:, :r]
        blocks.append(block)
    count = presence.sum(1).clamp_min(1).to(blocks[0].dtype).sqrt()[:, None]
    stacked = torch.cat(blocks, 1) / count
    _, vectors = torch.linalg.eigh((stacked.T @ stacked).double())
    weights = vectors.flip(1)[:, :k].to(stacked.dtype).split([b.shape[1] for b in blocks])
    return [basis.right[:, :r] @ w for basis, w in zip(bases, weights, strict=True)]


def _agreement(variates: list[Tensor], presence: Tensor) -> tuple[Tensor, Tensor]:
    """Mean correlation of each direction over pairs of views, and the largest one's z score."""
    k = variates[0].shape[1]
    total, strength = variates[0].new_zeros(k), variates[0].new_zeros(k)
    pairs = 0
    for a in range(len(variates)):
        for b in range(a):
            both = presence[:, a] & presence[:, b]
            size = int(both.sum())
            if size < MIN_BOTH:
                continue
            x, y = (v[both] - v[both].mean(0) for v in (variates[a], variates[b]))
            norms = (x.norm(dim=0) * y.norm(dim=0)).clamp_min(1e-12)
            correlation = (x * y).sum(0) / norms
            total, pairs = total + correlation, pairs + 1
            score = correlation.clamp(-0.999, 0.999).atanh() * (size - 3) ** 0.5
            strength = torch.maximum(strength, score)
    return total / max(pairs, 1), strength


def private_rank(residual: Tensor, n_private: int, *, seed: int = 0) -> int:
    """Directions of a view, at most ``n_private``, that stand out of its noise.

    Parallel analysis by random signs, which keep the variance of every entry but no correlation:
    a direction counts if its singular value is above the largest of the flipped views.

    Parameters
    ----------
    residual
        What the shared factors leave of a view, (n, p), columns centred.
    n_private
        Most directions that may count.
    seed
        Seed of the signs.

    References
    ----------
    Hong, Sheng & Dobriban (2023), Selecting the number of components in PCA via random signflips.
    """
    generator = torch.Generator().manual_seed(seed)
    limit = 0.0
    for _ in range(N_FLIPS):
        signs = torch.randint(2, residual.shape, generator=generator, dtype=torch.int8)
        flipped = torch.where(signs.bool(), residual, -residual)
        limit = max(limit, _largest(flipped, generator))
    gram = residual @ residual.T if len(residual) <= residual.shape[1] else residual.T @ residual
    strengths = torch.linalg.eigvalsh(gram.double()).flip(0)
    return min(int((strengths > limit).sum()), n_private)


def _largest(x: Tensor, generator: torch.Generator) -> float:
    """Largest squared singular value, by power iteration on a few vectors."""
    v = torch.randn(x.shape[1], 4, generator=generator, dtype=x.dtype)
    for _ in range(POWER_STEPS):
        v = torch.linalg.qr(x.T @ (x @ v))[0]
    return float(torch.linalg.svdvals(x @ v)[0].double().square())
