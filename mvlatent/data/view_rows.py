"""What a cohort asks of a view: the seam for views that are no matrices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self

import torch
from torch import Tensor

__all__ = ["ViewRows"]


class ViewRows(Protocol):
    """What a cohort asks of a view of N patients, whatever it is made of.

    A matrix is one kind, `mvlatent.data.cohort.CohortView`; only the part of the model that reads
    it knows more.

    Attributes
    ----------
    present
        Whether the patient has the view, (N,) bool.
    """

    @property
    def present(self) -> Tensor: ...

    def subset(self, rows: Tensor) -> Self:
        """Return the view of the rows given by integer index (or bool mask)."""

    def where(self, kept: Tensor) -> Self:
        """Return the view, absent for patients who are not kept, (N,) bool."""

    def absent(self) -> Self:
        """Return the view as if no patient had it; no value is left in it."""

    def dense(self) -> Self:
        """Return the view as a batch holds it; itself if it is so already."""

    def chunks(self) -> Iterator[Tensor]:
        """Yield row numbers, as many at a time as may be read at once."""

    def to(self, device: torch.device | str) -> Self:
        """Return the view on another device."""
