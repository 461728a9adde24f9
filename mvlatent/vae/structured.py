"""The generative model and its guide: one page that reads like the model's description."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import pyro
import torch
from pyro import poutine
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort
from mvlatent.vae.design import Design, ViewDesign
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.gaussian import PrecisionNormal, StandardNormal
from mvlatent.vae.parts import Part, part_class
from mvlatent.vae.priors import PRIORS
from mvlatent.vae.view_part import ViewPart

__all__ = ["Design", "StructuredVAE", "ViewDesign"]

MAX_LISTED = 5  # views whose patterns of presence are all listed


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
    technical_variance: Tensor  # variance of the means of z along each technical column, (q,)
    caution: Tensor  # factor by which evidence on z is weakened when z is read
    doubt: Tensor  # covariance of z that comes of what is not known of the parameters, (k, k)

    def __init__(self, design: Design, heads: Iterable[nn.Module] = ()) -> None:
        super().__init__()
        self.design = design
        self.names = tuple(view.name for view in design.views)
        self.parts = nn.ModuleList(part_class(view.kind)(view, design) for view in design.views)
        self.prior = PRIORS[design.prior](
            design.n_shared,
            n_components=design.n_components,
            n_hidden=design.n_hidden,
            evidence=self.evidence_precision,
        )
        self.heads = nn.ModuleList(heads)
        self.register_buffer("active", torch.ones(design.n_shared, dtype=torch.bool))
        self.register_buffer("technical_variance", torch.zeros(design.n_technical))
        self.register_buffer("caution", torch.ones(()))
        self.register_buffer("doubt", torch.zeros(design.n_shared, design.n_shared))

    @torch.no_grad()
    def hold_inactive(self) -> None:
        """Keep shared factors that were switched off at zero: drop their gradients."""
        for _, part in self.members:
            part.hold_inactive(self.active)

    def member(self, name: str) -> Part:
        """The part of the model that belongs to a view."""
        return self.parts[self.names.index(name)]  # type: ignore[return-value]

    @property
    def members(self) -> list[tuple[str, Part]]:
        """Views and their parts, in the order of the design."""
        return [(name, self.member(name)) for name in self.names]

    def part(self, name: str) -> ViewPart:
        """The part that belongs to a view which is a matrix.

        Raises
        ------
        TypeError
            If the view is of another kind.
        """
        part = self.member(name)
        if not isinstance(part, ViewPart):
            raise TypeError(f"view {name!r} is no matrix; it has no decoder of features.")
        return part

    @property
    def items(self) -> list[tuple[str, ViewPart]]:
        """Views that are matrices and their parts, in the order of the design."""
        return [(name, part) for name, part in self.members if isinstance(part, ViewPart)]

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
        drawn = [part.prior_sites() for _, part in self.members]
        with pyro.plate("patients", n_total, subsample=torch.arange(n, device=like.device)):
            with poutine.scale(scale=kl_weight):
                z = pyro.sample("z", self.prior.distribution(n, like))
            seen_z = z.detach() if detached else z
            for (name, part), own in zip(self.members, drawn, strict=True):
                rows = cohort.views[name]
                with poutine.mask(mask=cast(Any, rows.present)):
                    with poutine.scale(scale=kl_weight):
                        w = pyro.sample(f"w:{name}", StandardNormal(n, part.n_private, like))
                    part.observe(rows, seen_z, w, cohort.technical, own, clamped=clamped)
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
        for _, part in self.members:
            part.guide_sites()
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
        technical = cohort.technical
        return {name: part.read(cohort.views[name], technical) for name, part in self.members}

    def evidence_precision(self) -> Tensor:
        """Precision that all views together put on z, (k, k)."""
        k = self.design.n_shared
        of_views = [part.evidence_precision() for _, part in self.members]
        return torch.stack(of_views).sum(0) if of_views else torch.zeros(k, k)

    def product(
        self, evidence: dict[str, Evidence], presence: Tensor, *, listed: bool = False
    ) -> PrecisionNormal:
        """Product of the prior and of the experts of the views that are present.

        With ``listed`` every pattern of views is factorised, present or not, if they are few: no
        look at the data then holds a device up.
        """
        k = self.design.n_shared
        eye = torch.eye(k, dtype=torch.get_default_dtype(), device=presence.device)
        active = self.active.to(eye.dtype)  # an amortised expert may speak of factors that are off
        potential = torch.zeros(len(presence), k, device=presence.device)
        if not self.names:
            return PrecisionNormal(potential, eye[None], None)
        for seen, name in zip(presence.T, self.names, strict=True):
            potential = potential + torch.where(seen[:, None], evidence[name].potential, 0.0)
        potential = potential * active
        off = active * active[:, None]
        precisions = [evidence[name].precision * off for name in self.names]
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
