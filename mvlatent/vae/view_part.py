"""What the model holds of a matrix: decoder, likelihood, technical effects and expert."""

from __future__ import annotations

import math
from typing import cast

import pyro
import torch
from pyro import poutine
from torch import Tensor

from mvlatent.data.cohort import CohortView
from mvlatent.vae.affine import Affine
from mvlatent.vae.decoders import DECODERS
from mvlatent.vae.design import Design, ViewDesign
from mvlatent.vae.effects import TechnicalEffects
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.experts import EXPERTS, Expert, Seen
from mvlatent.vae.exposure import ExposureOfAbsent, exposed
from mvlatent.vae.likelihoods import LIKELIHOODS, Normal
from mvlatent.vae.loadings import LOADINGS
from mvlatent.vae.marginal import has_closed_form, log_marginal
from mvlatent.vae.parts import Part
from mvlatent.vae.surface_expert import SurfaceExpert

__all__ = ["ViewPart"]

Drawn = tuple[Tensor | None, Tensor | None]  # effects B and loadings, where they are random

MIN_SHARE = 1e-3  # of the noise variance, that a measurement has at least


class ViewPart(Part):
    """Decoder, likelihood, technical effects and expert of one matrix."""

    design_class = ViewDesign

    excess: Tensor  # of the noise variance over what a new measurement has, (p,)
    log_volume: Tensor  # log density that the weights of a rotated basis add
    outside_variance: Tensor  # of a direction outside a rotated basis; 0: as the first one's

    def __init__(self, view: ViewDesign, design: Design) -> None:
        super().__init__(view, design)
        q = design.n_technical
        self.affine = design.encoder_kind == "exact"
        self.design = view
        self.decoder = DECODERS[design.decoder](
            design.n_shared, view.n_private, q, view.n_features, n_hidden=design.n_hidden
        )
        if design.loadings != "point":
            width = design.n_shared + view.n_private
            self.decoder.random_loadings = LOADINGS[design.loadings](width, view.n_features)
        self.likelihood = LIKELIHOODS[view.likelihood](
            view.n_features, noise=view.noise, levels=view.levels
        )
        self.effects = TechnicalEffects(q, view.n_features, kind=design.effects) if q else None
        expert = SurfaceExpert if view.reads_surface else EXPERTS[design.encoder_kind]
        self.expert = expert(
            self.decoder,
            self.likelihood,
            n_technical=q,
            n_hidden=design.n_hidden,
            top_down=design.top_down,
        )
        self.power = design.powers.get(view.name, 1.0)
        self.exposure = ExposureOfAbsent(design.n_shared, q) if view.exposed else None
        self.register_buffer("excess", torch.zeros(view.n_features))
        self.register_buffer("outside_variance", torch.zeros(()))
        self.register_buffer("log_volume", torch.zeros(()))

    def draw(self, eta: Tensor) -> Tensor:
        """One new measurement an entry, same shape as ``eta``."""
        if self.likelihood.gaussian:
            return eta + self.predictive_variance().sqrt() * torch.randn_like(eta)
        return self.likelihood.draw(eta)

    def weight(self) -> Tensor:
        """Working weight of each feature at the intercept, (p,)."""
        at = self.decoder.intercept
        return self.likelihood.working(at[None], at)[1]

    def noise_variance(self) -> Tensor:
        """Noise variance of each feature of a normal view, (p,)."""
        return cast(Normal, self.likelihood).scale.square()

    def predictive_variance(self) -> Tensor:
        """Variance of a new measurement around its predictor, (p,), of a normal view.

        The noise by which evidence is weighed holds the ridge of the private covariance as well:
        what is not known of hundreds of directions, and is in no measurement.
        """
        variance = self.noise_variance()
        return torch.maximum(variance - self.excess, MIN_SHARE * variance)

    def outside_predictive(self) -> Tensor:
        """Variance of a new measurement along a direction outside a rotated basis."""
        own = self.outside_variance
        return torch.where(own > 0, torch.zeros_like(own), self.noise_variance()[0])

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
        seen = Seen(view.values, view.observed, technical, offset, view.exposure, start)
        found: Evidence = expert(seen)
        return found

    def prior_sites(self) -> Drawn:
        """Sites of the technical effects and of random loadings, and their values."""
        effects = self.effects
        effect = None if effects is None else pyro.sample(f"effect:{self.name}", effects.prior())
        return effect, self.decoder.drawn_loadings(self.name)

    def guide_sites(self) -> None:
        """The same sites in the guide."""
        if self.effects is not None:
            pyro.sample(f"effect:{self.name}", self.effects.posterior(self.weight()))
        self.decoder.draw_loadings(self.name)

    def observe(
        self,
        rows: CohortView,
        z: Tensor,
        w: Tensor,
        technical: Tensor,
        drawn: Drawn,
        *,
        clamped: bool = False,
    ) -> None:
        """``x ~ p(x | g(z, w, s))``; with a clamped w its integral, where that is closed."""
        effect, loadings = drawn
        if clamped and has_closed_form(self):
            pyro.factor(f"x:{self.name}", log_marginal(self, rows, z, technical, effect))
            return
        eta = self.predictor(rows, z, w, technical, effect, loadings)
        with poutine.scale(scale=self.power):
            x = self.likelihood.distribution(eta, rows.observed)
            pyro.sample(f"x:{self.name}", x, obs=rows.values)
            if rows.residual is not None:
                pyro.factor(f"outside:{self.name}", self.outside(rows))

    @torch.no_grad()
    def hold_inactive(self, active: Tensor) -> None:
        """Keep loadings of factors that are off where they are."""
        both = ((self.decoder.shared, active), (self.decoder.private, self.active))
        for loadings, kept in both:
            if loadings.grad is not None:
                loadings.grad.mul_(kept[:, None])

    @property
    def technical_energy(self) -> Tensor | None:
        """Patients behind the effect of each technical column, (q,)."""
        return None if self.effects is None else self.effects.energy

    def technical_pull(self, column: int) -> Tensor | None:
        """Precision that the effects' prior puts on a shift of z along a column, (k, k)."""
        if self.effects is None:
            return None
        loadings = self.decoder.shared / self.effects.prior_sd[column]
        return loadings @ loadings.T

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
        at = self.likelihood.typical(self.decoder.intercept)[None]
        present = torch.ones(1, dtype=torch.bool, device=at.device)
        view = CohortView(at, present, None, self.design.likelihood, self.design.noise, ())
        return self.read(view, at.new_zeros(1, self.n_technical)).precision[0]

    def takes_affine(self, view: CohortView) -> bool:
        """Whether decoder, likelihood and complete rows let the predictor stay in factors."""
        complete = view.observed is None
        return complete and self.decoder.is_affine and self.likelihood.takes_affine

    def outside(self, view: CohortView) -> Tensor:
        """Log density of what lies outside a rotated basis, and of its weights, (n,)."""
        own = self.outside_variance
        variance = torch.where(own > 0, own, self.noise_variance()[0])
        constant = 0.5 * self.design.n_outside * (variance.log() + math.log(2 * math.pi))
        return self.log_volume - constant - 0.5 * cast(Tensor, view.residual) / variance
