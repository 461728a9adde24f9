"""What the user says of a cohort, frozen and self-checking; nothing here needs torch."""

from mvlatent.specs.labels import Labels
from mvlatent.specs.outcomes import OutcomeSpec
from mvlatent.specs.roles import Roles
from mvlatent.specs.survival import (
    CAUSE_HAZARDS,
    STRATIFIED_KINDS,
    SURVIVAL_KINDS,
    TIES,
    Survival,
    join_times_line,
)
from mvlatent.specs.target import TARGET_KINDS, Target
from mvlatent.specs.views import COUNTS, LIKELIHOODS, NOISES, OFFSETS, SCALINGS, View

__all__ = [
    "CAUSE_HAZARDS",
    "COUNTS",
    "LIKELIHOODS",
    "NOISES",
    "OFFSETS",
    "SCALINGS",
    "STRATIFIED_KINDS",
    "SURVIVAL_KINDS",
    "TARGET_KINDS",
    "TIES",
    "Labels",
    "OutcomeSpec",
    "Roles",
    "Survival",
    "Target",
    "View",
    "join_times_line",
]
