"""Tools that judge latents, risks and survival curves: arrays and tables in, numbers out."""

from mvlatent.tl._intervals.conformal import conformalize
from mvlatent.tl._intervals.conformal_labels import ConformalLabels, conformal_labels
from mvlatent.tl._intervals.conformal_survival import ConformalSurvival, conformal_survival
from mvlatent.tl._intervals.coverage import coverage
from mvlatent.tl._intervals.intervals import (
    imputation_calibration,
    interval_calibration,
    latent_calibration,
)
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
from mvlatent.tl._latent.stability import Stability, stability
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
from mvlatent.tl._sites.separation import LeakageMatrix, leakage_matrix
from mvlatent.tl._sites.site import SiteAudit, site_audit
from mvlatent.tl._views.cross_view import cross_view
from mvlatent.tl._views.variance import variance_explained
from mvlatent.tl._views.view_leakage import ViewLeakage, view_leakage

__all__ = [
    "DCI",
    "ConformalLabels",
    "ConformalSurvival",
    "DCalibration",
    "Difference",
    "FactorMetrics",
    "HorizonCalibration",
    "Interval",
    "LeakageMatrix",
    "PairedDifference",
    "Retrieval",
    "RiskCoverage",
    "SiteAudit",
    "Stability",
    "ViewLeakage",
    "block_recovery",
    "bootstrap",
    "bootstrap_difference",
    "bootstrap_interval",
    "brier",
    "concordance",
    "conformal_labels",
    "conformal_survival",
    "conformalize",
    "coverage",
    "cross_view",
    "d_calibration",
    "dci",
    "disentanglement",
    "expected_calibration_error",
    "factor_metrics",
    "horizon_calibration",
    "imputation_calibration",
    "integrated_auc",
    "integrated_brier",
    "interval_calibration",
    "latent_blocks",
    "latent_calibration",
    "leakage",
    "leakage_matrix",
    "log_likelihood",
    "mig",
    "modularity",
    "paired_difference",
    "reliability",
    "retrieval",
    "risk_coverage",
    "sap",
    "scaled_views",
    "site_audit",
    "stability",
    "time_dependent_auc",
    "variance_explained",
    "view_leakage",
    "view_retrieval",
]
