"""Simulated cohorts with a known truth, and what could at best be known of them."""

from mvlatent.sim.ceiling import supervised_ceiling
from mvlatent.sim.cohort import cohort
from mvlatent.sim.cross_view import cross_view_r2, oracle_prediction, probe_prediction
from mvlatent.sim.oracle import OraclePosterior, oracle, oracle_concordance, oracle_posterior
from mvlatent.sim.presets import PRESETS
from mvlatent.sim.spec import CohortSpec, ViewSpec
from mvlatent.sim.truth import Truth
from mvlatent.sim.views import ViewTruth

__all__ = [
    "PRESETS",
    "CohortSpec",
    "OraclePosterior",
    "Truth",
    "ViewSpec",
    "ViewTruth",
    "cohort",
    "cross_view_r2",
    "oracle",
    "oracle_concordance",
    "oracle_posterior",
    "oracle_prediction",
    "probe_prediction",
    "supervised_ceiling",
]
