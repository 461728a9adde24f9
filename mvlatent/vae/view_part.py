"""What the model holds of one view: decoder, likelihood, technical effects and expert."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from mvlatent.data.cohort import CohortView
from mvlatent.vae.affine import Affine
from mvlatent.vae.decoders import DECODERS
from mvlatent.vae.design import Design, ViewDesign
from mvlatent.vae.effects import TechnicalEffects
from mvlatent.vae.experts import EXPERTS, Evidence, Expert, Seen
from mvlatent.vae.exposure import ExposureOfAbsent, exposed
from mvlatent.vae.likelihoods import LIKELIHOODS, Normal
from mvlatent.vae.loadings import LOADINGS

__all__ = ["ViewPart"]


class ViewPart(nn.Module):
    """Decoder, likelihood, technical effects and expert of one view."""

    active: Tensor

    def __init__(self, view: ViewDesign, design: Design) -> None:
        super().__init__()
        q = design.n_technical
        self.design = view
        self.decoder = DECODERS[design.decoder](
            design.n_shared, view.n_private, q, view.n_features, n_hidden=design.n_hidden
        )
        if design.loadings != "point":
            width = design.n_shared + view.n_private
            self.decoder.spread = LOADINGS[design.loadings](width, view.n_features)
        self.likelihood = LIKELIHOODS[view.likelihood](
            view.n_features, noise=view.noise, levels=view.levels
        )
        self.effects = TechnicalEffects(q, view.n_features, kind=design.effects) if q else None
        self.expert = EXPERTS[design.encoder_kind](
            self.decoder,
            self.likelihood,
            n_technical=q,
            n_hidden=design.n_hidden,
            top_down=design.top_down,
        )
        self.power = design.powers.get(view.name, 1.0)
        self.exposure = ExposureOfAbsent(design.n_shared, q) if view.exposed else None
        self.register_buffer("active", torch.ones(view.n_private, dtype=torch.bool))

    def weight(self) -> Tensor:
        """Working weight of each feature at the intercept, (p,)."""
        at = self.decoder.intercept
        return self.likelihood.working(at[None], at)[1]

    def noise_variance(self) -> Tensor:
        """Noise variance of each feature of a normal view, (p,)."""
        return cast(Normal, self.likelihood).scale.square()

    def expected_effect(self) -> Tensor:
        """Posterior mean of the technical effects, (q, p)."""
        if self.effects is None:
            return self.decoder.intercept.new_zeros(0, self.design.n_features)
        return self.effects.loc

    def read(
        self,
        view: CohortView,
        technical: Tensor,
        expert: Expert | None = None,
        *,
        start: Tensor | None = None,
    ) -> Evidence:
        """What the view says of z and of w, by its own expert or by another.

        A large sparse view is read some rows at a time. ``start``, (n, k + d), is the ``mode`` of
        an earlier reading of the same patients, near which another is found sooner.
        """
        expert = expert or self.expert
        rows = list(view.chunks())
        if len(rows) <= 1:
            return self._read(view.dense(), technical, expert, start)
        starts = [None if start is None else start[some] for some in rows]
        parts = [
            self._read(view.subset(some).dense(), technical[some], expert, at)
            for some, at in zip(rows, starts, strict=True)
        ]
        return Evidence.joined(parts)

    def _read(
        self, view: CohortView, technical: Tensor, expert: Expert, start: Tensor | None
    ) -> Evidence:
        effect, intercept = self.expected_effect(), self.decoder.intercept
        if self.takes_affine(view):
            offset: Tensor | Affine = Affine(technical, effect, intercept)
        else:
            offset = self.decoder.offset(technical, effect)
        return expert(Seen(view.values, view.observed, technical, offset, view.exposure, start))

    def predictor(
        self,
        view: CohortView,
        z: Tensor,
        w: Tensor,
        technical: Tensor,
        effect: Tensor | None,
        loadings: Tensor | None = None,
    ) -> Tensor | Affine:
        """Linear predictor of the view, (n, p), multiplied out only where it has to be."""
        if self.takes_affine(view):
            return self.decoder.affine(z, w, technical, effect, loadings)
        return exposed(self.decoder(z, w, technical, effect, loadings), view.exposure)

    def evidence_precision(self) -> Tensor:
        """Precision that the complete view of a patient at the intercept puts on z, (k, k)."""
        at = self.likelihood.mean(self.decoder.intercept)[None]
        at = at.round() if self.design.likelihood == "ordinal" else at  # a level
        present = torch.ones(1, dtype=torch.bool, device=at.device)
        view = CohortView(at, present, None, self.design.likelihood, self.design.noise, ())
        n_technical = 0 if self.effects is None else self.effects.loc.shape[0]
        return self.read(view, at.new_zeros(1, n_technical)).precision[0]

    def takes_affine(self, view: CohortView) -> bool:
        """Whether decoder, likelihood and complete rows let the predictor stay in factors."""
        complete = view.observed is None
        return complete and self.decoder.is_affine and self.likelihood.takes_affine

    def outside(self, view: CohortView) -> Tensor:
        """Log density of what lies outside a rotated basis, (n,)."""
        variance = self.noise_variance()[0]
        constant = 0.5 * self.design.n_hidden * (variance.log() + math.log(2 * math.pi))
        return -constant - 0.5 * cast(Tensor, view.residual) / variance
