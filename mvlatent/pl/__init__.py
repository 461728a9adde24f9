"""Plots: each function draws one result, takes ``ax=``, returns the Axes and never shows them.

=========  ======================================================================================
Outcomes   patients: `kaplan_meier`, `survival_curves`, `cumulative_incidence`;
           what drives a risk: `forest`, `ledger`;
           how good it is: `time_dependent_auc`, `d_calibration`, `horizon_calibration`;
           labels: `reliability`, `risk_coverage`
Intervals  `interval_calibration`
Latents    `latent`, `weights`, `factor_covariates`;
           `factor_metrics`, `leakage_matrix`, `view_leakage`, `retrieval`, `stability`
Views      `overview`, `cross_view`, `variance_explained`
Fits       `history`, `path`
=========  ======================================================================================
"""

from mvlatent.pl._fits.history import history
from mvlatent.pl._fits.path import path
from mvlatent.pl._intervals.intervals import interval_calibration
from mvlatent.pl._latent.covariates import factor_covariates
from mvlatent.pl._latent.factors import factor_metrics
from mvlatent.pl._latent.latent import latent
from mvlatent.pl._latent.leakage import leakage_matrix, view_leakage
from mvlatent.pl._latent.retrieval import retrieval
from mvlatent.pl._latent.stability import stability
from mvlatent.pl._latent.weights import weights
from mvlatent.pl._outcomes.calibration import d_calibration, horizon_calibration
from mvlatent.pl._outcomes.curves import cumulative_incidence, survival_curves, time_dependent_auc
from mvlatent.pl._outcomes.forest import forest, ledger
from mvlatent.pl._outcomes.labels import reliability, risk_coverage
from mvlatent.pl._outcomes.survival import kaplan_meier
from mvlatent.pl._views.cross_view import cross_view
from mvlatent.pl._views.overview import overview
from mvlatent.pl._views.variance import variance_explained

__all__ = [  # outcomes
    "cumulative_incidence",
    "d_calibration",
    "forest",
    "horizon_calibration",
    "kaplan_meier",
    "ledger",
    "reliability",
    "risk_coverage",
    "survival_curves",
    "time_dependent_auc",
]
__all__ += [  # intervals
    "interval_calibration",
]
__all__ += [  # latents
    "factor_covariates",
    "factor_metrics",
    "latent",
    "leakage_matrix",
    "retrieval",
    "stability",
    "view_leakage",
    "weights",
]
__all__ += [  # views
    "cross_view",
    "overview",
    "variance_explained",
]
__all__ += [  # fits
    "history",
    "path",
]
