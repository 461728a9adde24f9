"""Evidence: what one view says of the shared latent, and of its own private one given that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvlatent.vae.gaussian import PrecisionNormal

__all__ = ["Evidence"]


@dataclass(frozen=True)
class Evidence:
    """What a view says.

    ``potential`` (n, k) and ``precision`` (1 or n, k, k) are its natural parameters on z;
    ``private`` maps draws of z, (..., n, k), to the top-down posterior of w. ``mode``, (n, k+d), is
    where the log density was expanded, if it had to be.
    """

    potential: Tensor
    precision: Tensor
    private: Callable[[Tensor], PrecisionNormal]
    mode: Tensor | None = None

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """Evidence of all patients from that of consecutive ones."""
        if len(parts) == 1:
            return parts[0]
        sizes = [len(part.potential) for part in parts]

        def private(z: Tensor) -> PrecisionNormal:
            pieces = zip(parts, z.split(sizes, dim=-2), strict=True)
            return PrecisionNormal.joined([part.private(piece) for part, piece in pieces])

        shared = all(len(part.precision) == 1 for part in parts)
        precision = [p.precision for p in parts] if not shared else [parts[0].precision]
        modes = [part.mode for part in parts if part.mode is not None]
        mode = torch.cat(modes) if modes else None
        return cls(torch.cat([p.potential for p in parts]), torch.cat(precision), private, mode)
