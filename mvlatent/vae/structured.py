"""The generative model and its guide: one page that reads like the model's description."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import pyro
import torch
from pyro import poutine
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.vae.affine import Affine
from mvlatent.vae.decoders import DECODERS
from mvlatent.vae.effects import TechnicalEffects
from mvlatent.vae.experts import EXPERTS, Evidence, Expert, Seen
from mvlatent.vae.exposure import ExposureOfAbsent, exposed
from mvlatent.vae.gaussian import PrecisionNormal, StandardNormal
from mvlatent.vae.likelihoods import LIKELIHOODS, Normal
from mvlatent.vae.loadings import LOADINGS
from mvlatent.vae.marginal import has_closed_form, log_marginal
from mvlatent.vae.priors import PRIORS

__all__ = ["Design", "StructuredVAE", "ViewDesign"]

MAX_LISTED = 5  # views whose patterns of presence are all listed


@dataclass(frozen=True)
class ViewDesign:
    """Shape of one view's part of the model."""

    name: str
    likelihood: str
    noise: str
    n_features: int
    n_hidden: int = 0
    n_private: int = 8
    levels: tuple[int, ...] = ()
    exposed: bool = False

    @classmethod
    def of(cls, name: str, view: CohortView, n_private: int) -> ViewDesign:
        """Design for a view of a cohort."""
        n_features, hidden = view.x.shape[1], view.n_hidden
        return cls(
            name,
            view.likelihood,
            view.noise,
            n_features,
            hidden,
            n_private,
            view.levels,
            view.exposure is not None,
        )


@dataclass(frozen=True)
class Design:
    """Everything needed to build the model again with the same parameters.

    Parameters
    ----------
    views
        One `ViewDesign` a view, in the order of the cohort.
    n_shared
        Dimensions of z.
    technical_groups
        ``(start, stop)`` of the technical columns that share one effect variance.
    n_technical
        Columns of the technical design.
    decoder, encoder, effects
        Names in the registries; ``encoder="auto"`` is exact where the decoder is linear and an MLP
        elsewhere.
    n_hidden
        Width of networks.
    prior, n_components
        Name of the prior of z in its registry, and its components where it has any.
    loadings
        Posterior of the loadings, a name in its registry, or ``"point"`` for none.
    top_down
        Whether the guide of w is told z; without, w is read from its view alone.
    """

    views: tuple[ViewDesign, ...]
    n_shared: int = 16
    technical_groups: tuple[tuple[int, int], ...] = ()
    n_technical: int = 0
    decoder: str = "linear"
    encoder: str = "auto"
    effects: str = "random"
    n_hidden: int = 64
    powers: dict[str, float] = field(default_factory=dict)
    prior: str = "normal"
    n_components: int = 8
    loadings: str = "point"
    top_down: bool = True

    @property
    def encoder_kind(self) -> str:
        """The encoder that is built."""
        if self.encoder != "auto":
            return self.encoder
        return "exact" if self.decoder == "linear" else "mlp"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Design:
        """Inverse of `to_dict`."""
        views = tuple(
            ViewDesign(**{**v, "levels": tuple(v.get("levels", ()))}) for v in state["views"]
        )
        groups = tuple((int(a), int(b)) for a, b in state["technical_groups"])
        return cls(**{**state, "views": views, "technical_groups": groups})


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

    def read(self, view: CohortView, technical: Tensor, expert: Expert | None = None) -> Evidence:
        """What the view says of z and of w, by its own expert or by another.

        A large sparse view is read some rows at a time.
        """
        expert = expert or self.expert
        rows = list(view.chunks())
        if len(rows) <= 1:
            return self._read(view.dense(), technical, expert)
        parts = [self._read(view.subset(some).dense(), technical[some], expert) for some in rows]
        return Evidence.joined(parts)

    def _read(self, view: CohortView, technical: Tensor, expert: Expert) -> Evidence:
        effect, intercept = self.expected_effect(), self.decoder.intercept
        if self.takes_affine(view):
            offset: Tensor | Affine = Affine(technical, effect, intercept)
        else:
            offset = self.decoder.offset(technical, effect)
        return expert(Seen(view.values, view.observed, technical, offset, view.exposure))

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


class StructuredVAE(nn.Module):
    """A shared latent, one private latent a view, and technical effects.

    Parameters
    ----------
    design
        Sizes and families.
    heads
        Outcome heads: modules called as ``head(z, cohort)`` inside the model.

    Examples
    --------
    >>> design = Design((ViewDesign("rna", "normal", "feature", 20),), n_shared=3)
    >>> sorted(name for name, _ in StructuredVAE(design).named_children())
    ['heads', 'parts', 'prior']
    """

    active: Tensor  # shared factors that are not switched off, (k,)
    spread: Tensor  # variance of the means of z along each technical column, (q,)

    def __init__(self, design: Design, heads: Iterable[nn.Module] = ()) -> None:
        super().__init__()
        self.design = design
        self.names = tuple(view.name for view in design.views)
        self.parts = nn.ModuleList(ViewPart(view, design) for view in design.views)
        self.prior = PRIORS[design.prior](
            design.n_shared,
            n_components=design.n_components,
            n_hidden=design.n_hidden,
            evidence=self.evidence_precision,
        )
        self.heads = nn.ModuleList(heads)
        self.register_buffer("active", torch.ones(design.n_shared, dtype=torch.bool))
        self.register_buffer("spread", torch.zeros(design.n_technical))

    @torch.no_grad()
    def hold_inactive(self) -> None:
        """Keep shared factors that were switched off at zero: drop their gradients."""
        for _, part in self.items:
            for loadings, active in (
                (part.decoder.shared, self.active),
                (part.decoder.private, part.active),
            ):
                if loadings.grad is not None:
                    loadings.grad.mul_(active[:, None])

    def part(self, name: str) -> ViewPart:
        """The part of the model that belongs to a view."""
        return self.parts[self.names.index(name)]  # type: ignore[return-value]

    @property
    def items(self) -> list[tuple[str, ViewPart]]:
        """Views and their parts, in the order of the design."""
        return [(name, self.part(name)) for name in self.names]

    @property
    def groups(self) -> Sequence[slice]:
        """Technical columns that share one effect variance."""
        return [slice(a, b) for a, b in self.design.technical_groups]

    # --- the generative model ---------------------------------------------------------------

    def model(
        self,
        cohort: Cohort,
        n_total: int,
        kl_weight: float = 1.0,
        *,
        detached: bool = False,
        clamped: bool = False,
    ) -> None:
        """``B``, random ``A``; for each patient ``z``, ``w_m``, then ``x_m`` and the outcomes.

        With ``detached`` the views are decoded from a z that they cannot teach; with ``clamped``
        every w stays at its prior, over which it is integrated where that has a closed form.
        """
        n = len(cohort)
        like = cohort.technical
        effects = [
            None if part.effects is None else pyro.sample(f"effect:{name}", part.effects.prior())
            for name, part in self.items
        ]
        loadings = [part.decoder.drawn_loadings(name) for name, part in self.items]
        with pyro.plate("patients", n_total, subsample=torch.arange(n, device=like.device)):
            with poutine.scale(scale=kl_weight):
                z = pyro.sample("z", self.prior.distribution(n, like))
            for (name, part), effect, drawn in zip(self.items, effects, loadings, strict=True):
                view = cohort.views[name]
                with poutine.mask(mask=cast(Any, view.present)):
                    with poutine.scale(scale=kl_weight):
                        w = pyro.sample(f"w:{name}", StandardNormal(n, part.design.n_private, like))
                    seen_z = z.detach() if detached else z
                    if clamped and has_closed_form(part):
                        marginal = log_marginal(part, view, seen_z, cohort.technical, effect)
                        pyro.factor(f"x:{name}", marginal)
                        continue
                    eta = part.predictor(view, seen_z, w, cohort.technical, effect, drawn)
                    with poutine.scale(scale=part.power):
                        x = part.likelihood.distribution(eta, view.observed)
                        pyro.sample(f"x:{name}", x, obs=view.values)
                        if part.design.n_hidden:
                            pyro.factor(f"outside:{name}", part.outside(view))
        for head in self.heads:
            head(z, cohort, n_total)

    # --- the guide ----------------------------------------------------------------------------

    def guide(
        self,
        cohort: Cohort,
        n_total: int,
        kl_weight: float = 1.0,
        *,
        detached: bool = False,
        clamped: bool = False,
        evidence: dict[str, Evidence] | None = None,
    ) -> None:
        """``q(B) q(A) q(z | x_O) Π q(w_m | x_m, z, s)``: outcomes are never looked at.

        With ``detached`` no w teaches z; with ``clamped`` every w stays at its prior. ``evidence``
        spares reading the views where that was done already.
        """
        n = len(cohort)
        evidence = self.evidence(cohort) if evidence is None else evidence
        for name, part in self.items:
            if part.effects is not None:
                pyro.sample(f"effect:{name}", part.effects.posterior(part.weight()))
            part.decoder.draw_loadings(name)
        device = cohort.technical.device
        with pyro.plate("patients", n_total, subsample=torch.arange(n, device=device)):
            with poutine.scale(scale=kl_weight):
                z = pyro.sample("z", self.product(evidence, cohort.presence))
            for name in self.names:
                present = cast(Any, cohort.views[name].present)
                with poutine.mask(mask=present), poutine.scale(scale=kl_weight):
                    w = evidence[name].private(z.detach() if detached else z)
                    pyro.sample(f"w:{name}", _prior_like(w) if clamped else w)

    def evidence(self, cohort: Cohort) -> dict[str, Evidence]:
        """What each view says of z, and of its w given z."""
        return {name: part.read(cohort.views[name], cohort.technical) for name, part in self.items}

    def evidence_precision(self) -> Tensor:
        """Precision that all views together put on z, (k, k)."""
        return torch.stack([part.evidence_precision() for _, part in self.items]).sum(0)

    def product(
        self, evidence: dict[str, Evidence], presence: Tensor, *, listed: bool = False
    ) -> PrecisionNormal:
        """Product of the prior and of the experts of the views that are present.

        With ``listed`` every pattern of views is factorised, present or not, if they are few: no
        look at the data then holds a device up.
        """
        k = self.design.n_shared
        eye = torch.eye(k, dtype=torch.get_default_dtype(), device=presence.device)
        potential = torch.zeros(len(presence), k, device=presence.device)
        for seen, name in zip(presence.T, self.names, strict=True):
            potential = potential + torch.where(seen[:, None], evidence[name].potential, 0.0)
        precisions = [evidence[name].precision for name in self.names]
        if all(len(p) == 1 for p in precisions):
            listed = listed and len(self.names) <= MAX_LISTED
            patterns, group = _all_patterns(presence) if listed else _patterns(presence)
            stacked = torch.stack([p[0] for p in precisions])
            precision = eye + torch.einsum("gm,mkl->gkl", patterns.to(stacked.dtype), stacked)
            return PrecisionNormal(potential, precision, group)
        precision = eye.expand(len(presence), k, k)
        for seen, p in zip(presence.T, precisions, strict=True):
            precision = precision + torch.where(seen[:, None, None], p, 0.0)
        return PrecisionNormal(potential, precision)

    def posterior(self, cohort: Cohort) -> tuple[PrecisionNormal, dict[str, Evidence]]:
        """``q(z | x_O)`` of every patient and the evidence it was made of."""
        evidence = self.evidence(cohort)
        return self.product(evidence, cohort.presence), evidence


def _prior_like(w: PrecisionNormal) -> StandardNormal:
    """The prior of the latents whose posterior is ``w``."""
    return StandardNormal(w.batch_shape[-1], w.event_shape[0], w.mean)


def _all_patterns(presence: Tensor) -> tuple[Tensor, Tensor]:
    """All 2^M rows that ``presence`` could hold, and which of them each patient has."""
    bits = 2 ** torch.arange(presence.shape[1], device=presence.device)
    codes = torch.arange(2 ** presence.shape[1], device=presence.device)
    return (codes[:, None] & bits) > 0, presence.long() @ bits


def _patterns(presence: Tensor) -> tuple[Tensor, Tensor | None]:
    """Distinct rows of ``presence``, (g, M), and which of them each patient has (None: the one)."""
    if bool(presence.all()):
        return presence[:1], None
    bits = 2 ** torch.arange(presence.shape[1], device=presence.device)
    codes, group = torch.unique(presence.long() @ bits, return_inverse=True)
    return (codes[:, None] & bits) > 0, group
