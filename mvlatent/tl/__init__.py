"""Tools that judge latents, risks and survival curves: arrays and tables in, numbers out."""

from mvlatent.tl.brier import brier, integrated_brier
from mvlatent.tl.calibration import DCalibration, d_calibration
from mvlatent.tl.concordance import Interval, bootstrap_interval, concordance
from mvlatent.tl.coverage import coverage
from mvlatent.tl.paired import PairedDifference, paired_difference
from mvlatent.tl.recovery import block_recovery, disentanglement, leakage
from mvlatent.tl.site import SiteAudit, site_audit

__all__ = [
    "DCalibration",
    "Interval",
    "PairedDifference",
    "SiteAudit",
    "block_recovery",
    "bootstrap_interval",
    "brier",
    "concordance",
    "coverage",
    "d_calibration",
    "disentanglement",
    "integrated_brier",
    "leakage",
    "paired_difference",
    "site_audit",
]
