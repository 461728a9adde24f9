"""What the user says of a cohort, frozen and self-checking; nothing here needs torch."""

from mvlatent.specs.outcomes import (
    CAUSE_HAZARDS,
    STRATIFIED_KINDS,
    SURVIVAL_KINDS,
    TARGET_KINDS,
    TIES,
    Labels,
    OutcomeSpec,
    Survival,
    Target,
    join_times_line,
)
from mvlatent.specs.roles import Roles
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
