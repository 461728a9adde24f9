"""The expert that reads a view's surface with a private covariance of all its directions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mvlatent.vae.evidence import Evidence
from mvlatent.vae.expert import Seen
from mvlatent.vae.tied import Tied

__all__ = ["SurfaceExpert"]


class SurfaceExpert(Tied):
    r"""Evidence on z from the surface of a view, taken as Gaussian around :math:`zA + sB + b`.

    A decoder of counts, levels or zeros and ones has few private factors, and an expert that
    follows from it alone would lay at the door of z whatever else patients have in common. This one
    knows the covariance :math:`\Psi` of all that z leaves of the surface,

    .. math:: \Lambda = A \Psi^{-1} A', \quad h = A \Psi^{-1} (y - b - sB),

    as it was found in closed form; w is still told z, and expanded on the view's own likelihood.
    Where entries are missing the others stand for what is seen of the precision.
    """

    pull: Tensor
    shift: Tensor
    precision: Tensor
    share: Tensor
    centre: Tensor

    def __init__(self, *args: Any, n_technical: int, **options: Any) -> None:
        super().__init__(*args, n_technical=n_technical, **options)
        k, p = self.decoder.shared.shape
        self.register_buffer("pull", torch.zeros(p, k))
        self.register_buffer("shift", torch.zeros(1 + n_technical, k))
        self.register_buffer("precision", torch.zeros(k, k))
        self.register_buffer("share", torch.full((p,), 1.0 / p))
        self.register_buffer("centre", torch.zeros(p))

    def forward(self, seen: Seen) -> Evidence:
        """Evidence of the surface on z, and of the view on w given z."""
        private = super().forward(seen)
        surface = self.likelihood.surface(seen.x, seen.exposure) - self.centre
        precision = self.precision[None]
        shift = self.shift[:1] + seen.technical @ self.shift[1:]
        if seen.observed is None:
            return replace(private, potential=surface @ self.pull - shift, precision=precision)
        kept = (seen.observed.to(surface.dtype) @ self.share)[:, None]
        potential = (surface * seen.observed) @ self.pull - kept * shift
        return replace(private, potential=potential, precision=kept[..., None] * precision)

    @torch.no_grad()
    def turn(self, root: Tensor) -> None:
        """Speak of z whose loadings are ``root @ A``, for a symmetric root (k, k)."""
        self.pull.copy_(self.pull @ root)
        self.shift.copy_(self.shift @ root)
        self.precision.copy_(root @ self.precision @ root)

    @torch.no_grad()
    def learn(self, pull: Tensor, shift: Tensor, precision: Tensor, centre: Tensor) -> None:
        r"""Take what the closed-form fit found.

        Parameters
        ----------
        pull
            :math:`\Psi^{-1}A'` on the features, (p, k).
        shift
            Potential of the intercept and of each technical column, (1 + q, k).
        precision
            :math:`A\Psi^{-1}A'`, (k, k).
        centre
            Mean of the surface, (p,).
        """
        self.pull.copy_(pull)
        self.shift.copy_(shift)
        self.precision.copy_(precision)
        self.centre.copy_(centre)
        size = pull.square().sum(1)
        self.share.copy_(size / size.sum().clamp_min(1e-30))
