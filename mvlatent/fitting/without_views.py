"""The fit of a model without views: z has no dimension, and heads take clinical columns alone."""

from __future__ import annotations

from mvlatent.data.cohort import Cohort
from mvlatent.fitting.fitted import FitResult, Fitted
from mvlatent.vae.design import Design
from mvlatent.vae.structured import StructuredVAE

__all__ = ["fit_without_views"]


def fit_without_views(everyone: Cohort) -> FitResult:
    """What either way of fitting gives, where there is no view to be fitted."""
    design = Design(
        (),
        n_shared=0,
        technical_groups=tuple(
            (g.columns.start, g.columns.stop) for g in everyone.technical_groups
        ),
        n_technical=everyone.technical.shape[1],
    )
    fitted = Fitted([{"epoch": 0, "elbo": 0.0}], 0, "converged")
    fitted.said.append("no view was asked for: heads take columns of obs alone")
    return FitResult({}, StructuredVAE(design), fitted, None, everyone)
