"""Plots: each function draws one result, takes ``ax=``, returns the Axes and never shows them."""

from mvlatent.pl.calibration import d_calibration, horizon_calibration
from mvlatent.pl.curves import cumulative_incidence, survival_curves, time_dependent_auc
from mvlatent.pl.forest import forest, ledger
from mvlatent.pl.history import history
from mvlatent.pl.labels import reliability, risk_coverage
from mvlatent.pl.latent import latent
from mvlatent.pl.survival import kaplan_meier
from mvlatent.pl.variance import variance_explained

__all__ = [
    "cumulative_incidence",
    "d_calibration",
    "forest",
    "history",
    "horizon_calibration",
    "kaplan_meier",
    "latent",
    "ledger",
    "reliability",
    "risk_coverage",
    "survival_curves",
    "time_dependent_auc",
    "variance_explained",
]
