"""Tools that judge latents, risks and survival curves: arrays and tables in, numbers out."""

from mvlatent.tl.auc import integrated_auc, time_dependent_auc
from mvlatent.tl.brier import brier, integrated_brier
from mvlatent.tl.calibration import DCalibration, d_calibration
from mvlatent.tl.concordance import bootstrap_interval, concordance
from mvlatent.tl.conformal import conformalize
from mvlatent.tl.conformal_labels import ConformalLabels, conformal_labels
from mvlatent.tl.conformal_survival import ConformalSurvival, conformal_survival
from mvlatent.tl.coverage import coverage
from mvlatent.tl.horizon import HorizonCalibration, horizon_calibration
from mvlatent.tl.loglik import log_likelihood
from mvlatent.tl.paired import PairedDifference, paired_difference
from mvlatent.tl.recovery import block_recovery, disentanglement, leakage
from mvlatent.tl.reliability import (
    RiskCoverage,
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from mvlatent.tl.resampling import Difference, Interval, bootstrap, bootstrap_difference
from mvlatent.tl.site import SiteAudit, site_audit

__all__ = [
    "ConformalLabels",
    "ConformalSurvival",
    "DCalibration",
    "Difference",
    "HorizonCalibration",
    "Interval",
    "PairedDifference",
    "RiskCoverage",
    "SiteAudit",
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
    "d_calibration",
    "disentanglement",
    "expected_calibration_error",
    "horizon_calibration",
    "integrated_auc",
    "integrated_brier",
    "leakage",
    "log_likelihood",
    "paired_difference",
    "reliability",
    "risk_coverage",
    "site_audit",
    "time_dependent_auc",
]
