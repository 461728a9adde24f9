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
from mvlatent.vae.experts import EXPERTS, Evidence, Seen
from mvlatent.vae.exposure import ExposureOfAbsent, exposed
from mvlatent.vae.gaussian import PrecisionNormal, StandardNormal
from mvlatent.vae.likelihoods import LIKELIHOODS, Normal

__all__ = ["Design", "StructuredVAE", "ViewDesign"]


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

    def __init__(self, view: ViewDesign, design: Design) -> None:
        super().__init__()
        q = design.n_technical
        self.design = view
        self.decoder = DECODERS[design.decoder](
            design.n_shared, view.n_private, q, view.n_features, n_hidden=design.n_hidden
        )
        self.likelihood = LIKELIHOODS[view.likelihood](
            view.n_features, noise=view.noise, levels=view.levels
        )
        self.effects = TechnicalEffects(q, view.n_features, kind=design.effects) if q else None
        self.expert = EXPERTS[design.encoder_kind](
            self.decoder, self.likelihood, n_technical=q, n_hidden=design.n_hidden
        )
        self.power = design.powers.get(view.name, 1.0)
        self.exposure = ExposureOfAbsent(design.n_shared, q) if view.exposed else None

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

    def read(self, view: CohortView, technical: Tensor) -> Evidence:
        """What the view says of z and of w; of a large sparse view, some rows at a time."""
        rows = list(view.chunks())
        if len(rows) <= 1:
            return self._read(view.dense(), technical)
        parts = [self._read(view.subset(some).dense(), technical[some]) for some in rows]
        return Evidence.joined(parts)

    def _read(self, view: CohortView, technical: Tensor) -> Evidence:
        effect, intercept = self.expected_effect(), self.decoder.intercept
        if self.takes_affine(view):
            offset: Tensor | Affine = Affine(technical, effect, intercept)
        else:
            offset = self.decoder.offset(technical, effect)
        return self.expert(Seen(view.values, view.observed, technical, offset, view.exposure))

    def predictor(
        self, view: CohortView, z: Tensor, w: Tensor, technical: Tensor, effect: Tensor | None
    ) -> Tensor | Affine:
        """Linear predictor of the view, (n, p), multiplied out only where it has to be."""
        if self.takes_affine(view):
            return self.decoder.affine(z, w, technical, effect)
        return exposed(self.decoder(z, w, technical, effect), view.exposure)

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
    ['heads', 'parts']
    """

    def __init__(self, design: Design, heads: Iterable[nn.Module] = ()) -> None:
        super().__init__()
        self.design = design
        self.names = tuple(view.name for view in design.views)
        self.parts = nn.ModuleList(ViewPart(view, design) for view in design.views)
        self.heads = nn.ModuleList(heads)

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

    def model(self, cohort: Cohort, n_total: int, kl_weight: float = 1.0) -> None:
        """``B ~ p(B)``; for each patient ``z``, ``w_m``, then ``x_m`` and the outcomes."""
        n = len(cohort)
        like = cohort.technical
        effects = [
            None if part.effects is None else pyro.sample(f"effect:{name}", part.effects.prior())
            for name, part in self.items
        ]
        with pyro.plate("patients", n_total, subsample=torch.arange(n, device=like.device)):
            with poutine.scale(scale=kl_weight):
                z = pyro.sample("z", StandardNormal(n, self.design.n_shared, like))
            for (name, part), effect in zip(self.items, effects, strict=True):
                view = cohort.views[name]
                with poutine.mask(mask=cast(Any, view.present)):
                    with poutine.scale(scale=kl_weight):
                        w = pyro.sample(f"w:{name}", StandardNormal(n, part.design.n_private, like))
                    eta = part.predictor(view, z, w, cohort.technical, effect)
                    with poutine.scale(scale=part.power):
                        x = part.likelihood.distribution(eta, view.observed)
                        pyro.sample(f"x:{name}", x, obs=view.values)
                        if part.design.n_hidden:
                            pyro.factor(f"outside:{name}", part.outside(view))
        for head in self.heads:
            head(z, cohort, n_total)

    # --- the guide ----------------------------------------------------------------------------

    def guide(self, cohort: Cohort, n_total: int, kl_weight: float = 1.0) -> None:
        """``q(B) q(z | x_O) Π q(w_m | x_m, z, s)``: outcomes are never looked at."""
        n = len(cohort)
        evidence = self.evidence(cohort)
        for name, part in self.items:
            if part.effects is not None:
                pyro.sample(f"effect:{name}", part.effects.posterior(part.weight()))
        device = cohort.technical.device
        with pyro.plate("patients", n_total, subsample=torch.arange(n, device=device)):
            with poutine.scale(scale=kl_weight):
                z = pyro.sample("z", self.product(evidence, cohort.presence))
            for name in self.names:
                present = cast(Any, cohort.views[name].present)
                with poutine.mask(mask=present), poutine.scale(scale=kl_weight):
                    pyro.sample(f"w:{name}", evidence[name].private(z))

    def evidence(self, cohort: Cohort) -> dict[str, Evidence]:
        """What each view says of z, and of its w given z."""
        return {name: part.read(cohort.views[name], cohort.technical) for name, part in self.items}

    def product(self, evidence: dict[str, Evidence], presence: Tensor) -> PrecisionNormal:
        """Product of the prior and of the experts of the views that are present."""
        k = self.design.n_shared
        eye = torch.eye(k, dtype=torch.get_default_dtype(), device=presence.device)
        potential = torch.zeros(len(presence), k, device=presence.device)
        for seen, name in zip(presence.T, self.names, strict=True):
            potential = potential + torch.where(seen[:, None], evidence[name].potential, 0.0)
        precisions = [evidence[name].precision for name in self.names]
        if all(len(p) == 1 for p in precisions):
            patterns, group = _patterns(presence)
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


def _patterns(presence: Tensor) -> tuple[Tensor, Tensor | None]:
    """Distinct rows of ``presence``, (g, M), and which of them each patient has (None: the one)."""
    if bool(presence.all()):
        return presence[:1], None
    bits = 2 ** torch.arange(presence.shape[1], device=presence.device)
    codes, group = torch.unique(presence.long() @ bits, return_inverse=True)
    return (codes[:, None] & bits) > 0, group
