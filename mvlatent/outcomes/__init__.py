"""Outcomes: one class pairs a likelihood with its prediction, and the reported head."""

from .causes import CauseHeads, Head, fit_head, head_from_state
from .competing import Competing, CompetingTarget, cumulative_incidence
from .continuous import Continuous
from .cox import Cox
from .discrete import DiscreteHazard
from .head import BlockHead
from .labels import LABELS, Categorical
from .likelihood import Likelihood
from .likelihoods import LIKELIHOODS, TARGETS, outcome_likelihood, outcome_target
from .ordinal import Ordinal
from .piecewise import PiecewiseExponential
from .survival import SURVIVAL, survival_curves
from .target import Curvature, Target
from .weibull import Weibull

__all__ = [
    "LABELS",
    "LIKELIHOODS",
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
    "Likelihood",
    "Ordinal",
    "PiecewiseExponential",
    "Target",
    "Weibull",
    "cumulative_incidence",
    "fit_head",
    "head_from_state",
    "outcome_likelihood",
    "outcome_target",
    "survival_curves",
]
