"""How many private directions of a view stand out of its noise."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["private_rank"]

N_FLIPS, POWER_STEPS = 3, 20


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
