"""Plots: each function draws one result, takes ``ax=``, returns the Axes and never shows them."""

from mvlatent.pl._fits.history import history
from mvlatent.pl._fits.path import path
from mvlatent.pl._latent.factors import factor_metrics
from mvlatent.pl._latent.latent import latent
from mvlatent.pl._latent.retrieval import retrieval
from mvlatent.pl._latent.stability import stability
from mvlatent.pl._outcomes.calibration import d_calibration, horizon_calibration
from mvlatent.pl._outcomes.curves import cumulative_incidence, survival_curves, time_dependent_auc
from mvlatent.pl._outcomes.forest import forest, ledger
from mvlatent.pl._outcomes.labels import reliability, risk_coverage
from mvlatent.pl._outcomes.survival import kaplan_meier
from mvlatent.pl._views.cross_view import cross_view
from mvlatent.pl._views.intervals import interval_calibration
from mvlatent.pl._views.leakage import leakage_matrix, view_leakage
from mvlatent.pl._views.variance import variance_explained

__all__ = [
    "cross_view",
    "cumulative_incidence",
    "d_calibration",
    "factor_metrics",
    "forest",
    "history",
    "horizon_calibration",
    "interval_calibration",
    "kaplan_meier",
    "latent",
    "leakage_matrix",
    "ledger",
    "path",
    "reliability",
    "retrieval",
    "risk_coverage",
    "stability",
    "survival_curves",
    "time_dependent_auc",
    "variance_explained",
    "view_leakage",
]
