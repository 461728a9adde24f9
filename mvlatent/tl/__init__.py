"""Tools that judge latents, risks and survival curves: arrays, tables or a model in, numbers out.

==========  ==================================================================================
Outcomes    order of risks: `concordance`, `bootstrap_interval`, `time_dependent_auc`,
            `integrated_auc`; survival curves: `brier`, `integrated_brier`, `log_likelihood`;
            calibration: `d_calibration`, `horizon_calibration`;
            labels: `reliability`, `expected_calibration_error`, `risk_coverage`
Two models  any metric: `bootstrap`, `bootstrap_difference`; fold by fold: `paired_difference`
Intervals   that hold: `conformalize`, `conformal_survival`, `conformal_labels`;
            whether they hold: `coverage`, `interval_calibration`, `latent_calibration`,
            `imputation_calibration`
Latents     against a truth: `block_recovery`, `disentanglement`, `leakage`, `leakage_matrix`;
            single axes: `dci`, `mig`, `sap`, `modularity`, `factor_metrics`;
            without a truth: `view_leakage`, `stability`, `retrieval`, `view_retrieval`;
            what they go with: `factor_covariates`
Views       `cross_view`, `variance_explained`
Sites       `site_audit`
Of a model  what the tools read of it: `latent_blocks`, `scaled_views`
==========  ==================================================================================

Where two arguments carry an index of patients, they are aligned to the first by its labels, or
refused where the labels are others; arrays go by position.

What returns several numbers returns a small object of its own: `SiteAudit`, `Stability`, ...
`mvlatent.pl` draws most of them, under the same name.
"""

from mvlatent.tl._intervals.conformal import conformalize
from mvlatent.tl._intervals.conformal_labels import ConformalLabels, conformal_labels
from mvlatent.tl._intervals.conformal_survival import ConformalSurvival, conformal_survival
from mvlatent.tl._intervals.coverage import coverage
from mvlatent.tl._intervals.intervals import (
    imputation_calibration,
    interval_calibration,
    latent_calibration,
)
from mvlatent.tl._latent.covariates import factor_covariates
from mvlatent.tl._latent.factors import (
    DCI,
    FactorMetrics,
    dci,
    factor_metrics,
    mig,
    modularity,
    sap,
)
from mvlatent.tl._latent.recovery import block_recovery, disentanglement, leakage
from mvlatent.tl._latent.retrieval import Retrieval, retrieval, view_retrieval
from mvlatent.tl._latent.separation import LeakageMatrix, leakage_matrix
from mvlatent.tl._latent.stability import Stability, stability
from mvlatent.tl._latent.view_leakage import ViewLeakage, view_leakage
from mvlatent.tl._model import latent_blocks, scaled_views
from mvlatent.tl._outcomes.auc import integrated_auc, time_dependent_auc
from mvlatent.tl._outcomes.brier import brier, integrated_brier
from mvlatent.tl._outcomes.calibration import DCalibration, d_calibration
from mvlatent.tl._outcomes.concordance import bootstrap_interval, concordance
from mvlatent.tl._outcomes.horizon import HorizonCalibration, horizon_calibration
from mvlatent.tl._outcomes.loglik import log_likelihood
from mvlatent.tl._outcomes.paired import PairedDifference, paired_difference
from mvlatent.tl._outcomes.reliability import (
    RiskCoverage,
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from mvlatent.tl._outcomes.resampling import Difference, Interval, bootstrap, bootstrap_difference
from mvlatent.tl._sites.site import SiteAudit, site_audit
from mvlatent.tl._views.cross_view import cross_view
from mvlatent.tl._views.variance import variance_explained

__all__ = [  # outcomes
    "DCalibration",
    "HorizonCalibration",
    "RiskCoverage",
    "bootstrap_interval",
    "brier",
    "concordance",
    "d_calibration",
    "expected_calibration_error",
    "horizon_calibration",
    "integrated_auc",
    "integrated_brier",
    "log_likelihood",
    "reliability",
    "risk_coverage",
    "time_dependent_auc",
]
__all__ += [  # two models compared
    "Difference",
    "Interval",
    "PairedDifference",
    "bootstrap",
    "bootstrap_difference",
    "paired_difference",
]
__all__ += [  # intervals
    "ConformalLabels",
    "ConformalSurvival",
    "conformal_labels",
    "conformal_survival",
    "conformalize",
    "coverage",
    "imputation_calibration",
    "interval_calibration",
    "latent_calibration",
]
__all__ += [  # latents
    "DCI",
    "FactorMetrics",
    "LeakageMatrix",
    "Retrieval",
    "Stability",
    "ViewLeakage",
    "block_recovery",
    "dci",
    "disentanglement",
    "factor_covariates",
    "factor_metrics",
    "leakage",
    "leakage_matrix",
    "mig",
    "modularity",
    "retrieval",
    "sap",
    "stability",
    "view_leakage",
    "view_retrieval",
]
__all__ += [  # views
    "cross_view",
    "variance_explained",
]
__all__ += [  # sites
    "SiteAudit",
    "site_audit",
]
__all__ += [  # what a model holds
    "latent_blocks",
    "scaled_views",
]
