"""Outcomes: one class pairs a likelihood with its prediction, and the reported head."""

from .causes import CauseHeads, Head, fit_head, head_from_state
from .competing import Competing, CompetingTarget, cumulative_incidence
from .continuous import Continuous
from .cox import Cox
from .discrete import DiscreteHazard
from .head import BlockHead
from .labels import LABELS, Categorical
from .ordinal import Ordinal
from .piecewise import PiecewiseExponential
from .survival import SURVIVAL, survival_curves, survival_likelihood, survival_target
from .target import Curvature, Target
from .targets import TARGETS, target_likelihood, value_target
from .weibull import Weibull

__all__ = [
    "LABELS",
    "SURVIVAL",
    "TARGETS",
    "BlockHead",
    "Categorical",
    "CauseHeads",
    "Competing",
    "CompetingTarget",
    "Continuous",
    "Cox",
    "Curvature",
    "DiscreteHazard",
    "Head",
    "Ordinal",
    "PiecewiseExponential",
    "Target",
    "Weibull",
    "cumulative_incidence",
    "fit_head",
    "head_from_state",
    "survival_curves",
    "survival_likelihood",
    "survival_target",
    "target_likelihood",
    "value_target",
]
