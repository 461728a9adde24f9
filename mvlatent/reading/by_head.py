"""A continuous view predicted from others: through z and the head beside it."""

from __future__ import annotations

import torch
from torch import Tensor

from mvlatent.heads.view_head import ErrorSize, ViewHead, ViewHeads
from mvlatent.posterior import Latents
from mvlatent.reading.linear import linear_view
from mvlatent.vae.basis import Basis, surface_of

__all__ = ["by_head"]


@torch.no_grad()
def by_head(
    latents: Latents, name: str, basis: Basis, heads: ViewHeads, *, latent: bool
) -> tuple[Tensor, Tensor]:
    """Mean and variance of a new measurement of an unseen view, (n, p), on its surface.

    Parameters
    ----------
    latents
        Posterior given the views that may be looked at.
    name, basis
        The view and its basis.
    heads
        Heads of all views.
    latent
        Whether z alone predicts.
    """
    head, cohort = heads.heads[name], latents.cohort
    z, reader = latents.z.mean, heads.readers[name]
    normal = latents.vae.part(name).likelihood.gaussian
    if normal:
        linear = linear_view(latents.vae, name, basis)
        shared = linear.shared
        mean = linear.intercept + cohort.technical @ linear.effects
    else:  # its decoder is on another scale
        shared = reader.expected[:-1] @ head.onto
        mean = head.base + (reader.expected[-1] + cohort.technical @ head.shift) @ head.onto
    scores = {} if latent else _scores(latents, head, heads)
    change = (z @ head.damping) @ head.onto
    through_z = z @ shared + (basis.lift(change) if normal else change)
    variance = torch.empty_like(mean)
    for given, rows in _patterns(latents, head):
        if given:
            mean[rows] += head.part_of_z(given, latent=latent) * through_z[rows]
        if given and not latent:
            added = head.addition(given, {source: x[rows] for source, x in scores.items()})
            if added is not None:
                more = added @ head.onto
                mean[rows] += basis.lift(more) if normal else more
        size = _error_size(latents, head, shared, given, rows, latent=latent)
        effects = head.uncertain_effects(cohort.technical[rows], size.variance)
        variance[rows] = size.scale**2 * (size.variance + effects)
    return mean, variance


def _scores(latents: Latents, head: ViewHead, heads: ViewHeads) -> dict[str, Tensor]:
    """Scores of every source: as measured, or as z expects where it is not known."""
    found = {}
    for source in head.sources:
        view, reader = latents.cohort.matrices[source], heads.readers[source]
        expected = reader.expect(latents.z.mean)
        if not bool(view.present.any()):
            found[source] = expected
            continue
        parts = []
        for rows in view.chunks():
            some = view.subset(rows)
            technical = latents.cohort.technical[rows]
            parts.append(reader.read(surface_of(some), technical, some.observed))
        found[source] = torch.where(view.present[:, None], torch.cat(parts), expected)
    return found


def _patterns(latents: Latents, head: ViewHead) -> list[tuple[list[str], Tensor]]:
    """Which sources are known, and of which patients."""
    views = latents.cohort.views
    presence = torch.stack([views[s].present for s in head.sources], 1)
    kinds, group = torch.unique(presence, dim=0, return_inverse=True)
    return [
        ([s for s, known in zip(head.sources, kind, strict=True) if known], group == g)
        for g, kind in enumerate(kinds)
    ]


def _error_size(
    latents: Latents,
    head: ViewHead,
    shared: Tensor,
    given: list[str],
    rows: Tensor,
    *,
    latent: bool,
) -> ErrorSize:
    """How far from the prediction a measurement is, for patients of one pattern.

    Held-out patients said so of all other views together, of each alone and of none; in between,
    what is less certain of z is added to the first.
    """
    known = head.held_out_errors(latent=latent)
    if not given or not known:
        return head.total
    if len(given) == 1 and given[0] in known:
        return known[given[0]]
    if "" not in known:
        return head.total
    size = known[""]
    if len(given) == len(head.sources):
        return size
    vae = latents.vae
    presence = torch.zeros(1, len(vae.names), dtype=torch.bool)
    presence[0, [vae.names.index(s) for s in head.sources]] = True
    everyone = vae.product(latents.evidence, presence.expand(len(latents.cohort), -1))
    first = int(rows.nonzero()[0, 0])
    wider = latents.z.covariance[first] - everyone.covariance[first]
    more = ((wider @ shared) * shared).sum(0).clamp_min(0.0)
    return ErrorSize(torch.minimum(size.variance + more, head.total.variance), size.scale)
