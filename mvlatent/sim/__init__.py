"""Simulated cohorts with a known truth, and what could at best be known of them.

=============  ====================================================================================
Cohorts        `cohort` draws one: a name of `PRESETS`, with options of `CohortSpec` and `ViewSpec`
Truth          `Truth`, and of each view `ViewTruth`: factors, parameters, hazards
At best known  of factors: `oracle`, `oracle_posterior`, `supervised_ceiling`;
               of risks: `oracle_concordance`;
               of views: `oracle_prediction`, `probe_prediction`, judged by `cross_view_r2`
=============  ====================================================================================
"""

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

__all__ = [  # cohorts
    "PRESETS",
    "CohortSpec",
    "Truth",
    "ViewSpec",
    "ViewTruth",
    "cohort",
]
__all__ += [  # what is at best possible
    "OraclePosterior",
    "cross_view_r2",
    "oracle",
    "oracle_concordance",
    "oracle_posterior",
    "oracle_prediction",
    "probe_prediction",
    "supervised_ceiling",
]
