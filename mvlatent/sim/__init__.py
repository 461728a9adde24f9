"""Simulated cohorts with a known truth, and what could at best be known of them."""

from mvlatent.sim.cohort import cohort
from mvlatent.sim.oracle import oracle
from mvlatent.sim.presets import PRESETS
from mvlatent.sim.spec import CohortSpec, ViewSpec
from mvlatent.sim.truth import Truth
from mvlatent.sim.views import ViewTruth

__all__ = ["PRESETS", "CohortSpec", "Truth", "ViewSpec", "ViewTruth", "cohort", "oracle"]
