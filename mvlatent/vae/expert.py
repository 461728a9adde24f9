"""What an expert is: one view's rows in, evidence on z and the posterior of w out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mvlatent.vae.affine import Affine
from mvlatent.vae.decoders import Linear as LinearDecoder
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.likelihoods import Likelihood

__all__ = ["Expert", "Seen"]


@dataclass(frozen=True)
class Seen:
    """What an expert may look at: its view's rows, the entries observed, and the technical part.

    ``offset`` is ``b + E[sB]``, (n, p) or (p,): known before any latent is; an `Affine` where the
    likelihood takes it so. The exposure, (n,), comes on top of it. ``start``, (n, k+d), is where a
    search for the mode of [z, w] may begin: at what was found with earlier loadings.
    """

    x: Tensor
    observed: Tensor | None
    technical: Tensor
    offset: Tensor | Affine
    exposure: Tensor | None = None
    start: Tensor | None = None

    @property
    def predictor(self) -> Any:
        """Linear predictor at z = 0 and w = 0."""
        offset: Any = self.offset
        return offset if self.exposure is None else offset + self.exposure[:, None]


class Expert(nn.Module):
    """A view's evidence on z, and the posterior of its private latent given z."""

    def __init__(
        self,
        decoder: LinearDecoder,
        likelihood: Likelihood,
        *,
        n_technical: int,
        n_hidden: int,
        top_down: bool = True,
    ) -> None:
        super().__init__()
        self.top_down = top_down  # whether w is told z
        self._tied = [decoder, likelihood]  # in a list: owned and saved by the model, not by us

    @property
    def decoder(self) -> LinearDecoder:
        """The decoder of the view."""
        return self._tied[0]  # type: ignore[return-value]

    @property
    def likelihood(self) -> Likelihood:
        """The likelihood of the view."""
        return self._tied[1]  # type: ignore[return-value]

    def forward(self, seen: Seen) -> Evidence:
        """Evidence of the view on z, and on w given z."""
        raise NotImplementedError
