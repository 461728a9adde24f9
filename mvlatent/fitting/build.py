"""An unfitted model of a cohort's shape."""

from __future__ import annotations

from mvlatent.data.cohort import Cohort
from mvlatent.fitting.options import Options
from mvlatent.outcomes.training import training_heads
from mvlatent.process import seeded
from mvlatent.specs import Roles
from mvlatent.vae.design import Design, ViewDesign
from mvlatent.vae.structured import StructuredVAE

__all__ = ["build", "design_of"]


def build(
    cohort: Cohort,
    roles: Roles,
    options: Options,
    seed: int,
    views: tuple[ViewDesign, ...] | None = None,
) -> StructuredVAE:
    """An unfitted model of the cohort's shape, with its in-training heads."""
    with seeded(seed):
        heads = training_heads(options.n_shared, cohort, roles) if options.rho > 0 else []
        return StructuredVAE(design_of(cohort, options, views), heads)


def design_of(
    cohort: Cohort, options: Options, views: tuple[ViewDesign, ...] | None = None
) -> Design:
    """Design of a model of the cohort; of its views as they are, unless others are given."""
    if others := [name for name in cohort.views if name not in cohort.matrices]:
        raise TypeError(
            f"views {', '.join(map(repr, others))} are no matrices, and a fit from a cohort takes "
            "matrices alone; build the Design with their parts."
        )
    if views is None:
        views = tuple(ViewDesign.of(k, v, options.n_private) for k, v in cohort.matrices.items())
    return Design(
        views,
        n_shared=options.n_shared,
        technical_groups=tuple((g.columns.start, g.columns.stop) for g in cohort.technical_groups),
        n_technical=cohort.technical.shape[1],
        decoder=options.decoder,
        encoder=options.encoder,
        effects=options.effects,
        n_hidden=options.n_hidden,
        powers=dict(options.likelihood_power or {}),
        prior=options.prior,
        n_components=options.n_components,
        loadings=options.loadings,
        top_down=options.top_down,
    )
