"""Simulated cohorts with a known truth."""

from mvlatent.sim.cohort import cohort
from mvlatent.sim.oracle import oracle
from mvlatent.sim.presets import PRESETS, CohortSpec, ViewSpec
from mvlatent.sim.truth import Truth
from mvlatent.sim.views import ViewTruth

__all__ = ["PRESETS", "CohortSpec", "Truth", "ViewSpec", "ViewTruth", "cohort", "oracle"]
