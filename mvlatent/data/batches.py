"""Shuffled minibatches: tensors of row numbers, nothing else inside the loop."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["batches"]


def batches(
    n: int, size: int, generator: torch.Generator | None = None, *, drop_one_row: bool = True
) -> Iterator[Tensor]:
    """Yield shuffled row numbers of one epoch, at most ``size`` at a time.

    Parameters
    ----------
    n
        Number of rows.
    size
        Rows a batch.
    generator
        Source of the shuffle; the same state gives the same batches.
    drop_one_row
        Never end on a batch of one row: its row joins the batch before it (which then has
        ``size + 1``), so that no patient is lost.

    Yields
    ------
    Tensor
        Row numbers, int64; each row is in exactly one batch.

    Raises
    ------
    ValueError
        If ``n`` or ``size`` is not positive.

    Examples
    --------
    >>> [len(rows) for rows in batches(7, 3)]
    [3, 4]
    """
    if n < 1 or size < 1:
        raise ValueError(f"n and size must be positive, not {n} and {size}.")
    order = torch.randperm(n, generator=generator)
    parts = list(order.split(size))
    if drop_one_row and len(parts) > 1 and len(parts[-1]) == 1 and size > 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    yield from parts
