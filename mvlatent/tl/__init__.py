"""Tools that judge latents, risks and survival curves: arrays and tables in, numbers out."""

from mvlatent.tl._model import latent_blocks, scaled_views
from mvlatent.tl.brier import brier, integrated_brier
from mvlatent.tl.calibration import DCalibration, d_calibration
from mvlatent.tl.concordance import Interval, bootstrap_interval, concordance
from mvlatent.tl.coverage import coverage
from mvlatent.tl.cross_view import cross_view
from mvlatent.tl.factors import DCI, FactorMetrics, dci, factor_metrics, mig, modularity, sap
from mvlatent.tl.intervals import imputation_calibration, interval_calibration, latent_calibration
from mvlatent.tl.paired import PairedDifference, paired_difference
from mvlatent.tl.recovery import block_recovery, disentanglement, leakage
from mvlatent.tl.retrieval import Retrieval, retrieval, view_retrieval
from mvlatent.tl.separation import LeakageMatrix, leakage_matrix
from mvlatent.tl.site import SiteAudit, site_audit
from mvlatent.tl.stability import Stability, stability
from mvlatent.tl.variance import variance_explained
from mvlatent.tl.view_leakage import ViewLeakage, view_leakage

__all__ = [
    "DCI",
    "DCalibration",
    "FactorMetrics",
    "Interval",
    "LeakageMatrix",
    "PairedDifference",
    "Retrieval",
    "SiteAudit",
    "Stability",
    "ViewLeakage",
    "block_recovery",
    "bootstrap_interval",
    "brier",
    "concordance",
    "coverage",
    "cross_view",
    "d_calibration",
    "dci",
    "disentanglement",
    "factor_metrics",
    "imputation_calibration",
    "integrated_brier",
    "interval_calibration",
    "latent_blocks",
    "latent_calibration",
    "leakage",
    "leakage_matrix",
    "mig",
    "modularity",
    "paired_difference",
    "retrieval",
    "sap",
    "scaled_views",
    "site_audit",
    "stability",
    "variance_explained",
    "view_leakage",
    "view_retrieval",
]
