"""Where z begins: regularised generalized canonical correlation of all views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mvlatent.fitting.surfaces import Scores

__all__ = ["canonical_scores"]

OVERSAMPLED, ITERATIONS = 8, 20  # of the subspace iteration
MAX_GRAM = 500  # patients up to whom the gram matrix is decomposed as it is


def canonical_scores(
    views: Sequence[Scores],
    ridges: Sequence[Tensor],
    k: int,
    *,
    start: Tensor | None = None,
    iterations: int = ITERATIONS,
) -> Tensor:
    """Scores of MAXVAR generalized canonical correlation with a ridge a view, (N, k).

    Columns have unit variance over the patients with a view, and come in the order of how much
    views agree on them. Patients that lack a view are averaged over the views they have.

    Parameters
    ----------
    views
        Thin-SVD scores.
    ridges
        A ridge a view, (r,).
    k
        Number of scores.
    start
        Scores to begin from, (N, at least k).
    iterations
        Steps of the subspace iteration, for more patients than a gram matrix is made of.

    References
    ----------
    Kettenring (1971), Canonical analysis of several sets of variables;
    van de Velden & Takane (2012), Generalized canonical correlation analysis with missing values.
    """
    count = torch.stack([v.present for v in views], 1).sum(1)
    rows = count > 0
    root = count[rows].to(views[0].values.dtype).sqrt()[:, None]
    blocks = [
        v.values[rows] * v.present[rows, None] / (v.energy + ridge).sqrt() / root
        for v, ridge in zip(views, ridges, strict=True)
    ]
    n = int(rows.sum())
    most = min(k, n - 1)
    if n <= MAX_GRAM:
        gram = sum(b @ b.T for b in blocks)
        vectors: Tensor = torch.linalg.eigh(gram)[1].flip(1)[:, :most]
    else:
        vectors = _leading(blocks, most, start if start is None else start[rows], iterations)
    z: Tensor = vectors / root
    z = z - z.mean(0)
    z = z / z.square().mean(0).sqrt().clamp_min(1e-8)
    out = z.new_zeros(len(rows), k)
    out[rows, :most] = z
    return out


def _leading(blocks: list[Tensor], k: int, start: Tensor | None, iterations: int) -> Tensor:
    """Leading left singular vectors of blocks side by side, by subspace iteration."""
    n = len(blocks[0])
    width = min(k + OVERSAMPLED, n)
    generator = torch.Generator().manual_seed(0)
    guess = torch.randn(n, width, generator=generator, dtype=blocks[0].dtype)
    if start is not None:
        guess[:, : start.shape[1]] = start[:, :width]
    vectors = torch.linalg.qr(guess)[0]
    for _ in range(iterations):
        vectors = torch.linalg.qr(sum(b @ (b.T @ vectors) for b in blocks))[0]
    small = [b.T @ vectors for b in blocks]
    gram = sum((s.T @ s).double() for s in small)
    _, turn = torch.linalg.eigh(gram)
    leading: Tensor = vectors @ turn.flip(1)[:, :k].to(vectors.dtype)
    return leading
