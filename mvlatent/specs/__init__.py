"""What the user says of a cohort, frozen and self-checking; nothing here needs torch."""

from mvlatent.specs.labels import Labels
from mvlatent.specs.likelihoods import LIKELIHOODS, OFFSETS, SCALINGS, Declaration
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
from mvlatent.specs.views import NOISES, View

__all__ = [
    "CAUSE_HAZARDS",
    "LIKELIHOODS",
    "NOISES",
    "OFFSETS",
    "SCALINGS",
    "STRATIFIED_KINDS",
    "SURVIVAL_KINDS",
    "TARGET_KINDS",
    "TIES",
    "Declaration",
    "Labels",
    "OutcomeSpec",
    "Roles",
    "Survival",
    "Target",
    "View",
    "join_times_line",
]
