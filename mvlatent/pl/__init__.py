"""Plots: each function draws one result, takes ``ax=``, returns the Axes and never shows them."""

from mvlatent.pl.calibration import d_calibration, horizon_calibration
from mvlatent.pl.cross_view import cross_view
from mvlatent.pl.curves import cumulative_incidence, survival_curves, time_dependent_auc
from mvlatent.pl.factors import factor_metrics
from mvlatent.pl.forest import forest, ledger
from mvlatent.pl.history import history
from mvlatent.pl.intervals import interval_calibration
from mvlatent.pl.labels import reliability, risk_coverage
from mvlatent.pl.latent import latent
from mvlatent.pl.leakage import leakage_matrix, view_leakage
from mvlatent.pl.path import path
from mvlatent.pl.retrieval import retrieval
from mvlatent.pl.stability import stability
from mvlatent.pl.survival import kaplan_meier
from mvlatent.pl.variance import variance_explained

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
