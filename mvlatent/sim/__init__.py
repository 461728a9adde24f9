"""Simulated cohorts with a known truth, and what could at best be known of them."""

from mvlatent.sim._cohort.cohort import cohort
from mvlatent.sim._cohort.presets import PRESETS
from mvlatent.sim._cohort.spec import CohortSpec, ViewSpec
from mvlatent.sim._cohort.truth import Truth
from mvlatent.sim._cohort.views import ViewTruth
from mvlatent.sim._oracle.ceiling import supervised_ceiling
from mvlatent.sim._oracle.cross_view import cross_view_r2, oracle_prediction, probe_prediction
from mvlatent.sim._oracle.oracle import (
    OraclePosterior,
    oracle,
    oracle_concordance,
    oracle_posterior,
)

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
