"""Outcomes: a kind owns its whole way, from what the user says to what is predicted."""

from mvlatent.outcomes.bound import BoundLikelihood, Curvature
from mvlatent.outcomes.competing import Competing, CompetingTarget, cumulative_incidence
from mvlatent.outcomes.continuous import Continuous
from mvlatent.outcomes.cox import Cox
from mvlatent.outcomes.discrete import DiscreteHazard
from mvlatent.outcomes.labels import LABELS, Categorical
from mvlatent.outcomes.likelihood import Likelihood
from mvlatent.outcomes.likelihoods import LIKELIHOODS, TARGETS, outcome_likelihood, outcome_target
from mvlatent.outcomes.ordinal import Ordinal
from mvlatent.outcomes.piecewise import PiecewiseExponential
from mvlatent.outcomes.survival import SURVIVAL, survival_curves
from mvlatent.outcomes.weibull import Weibull

__all__ = [
    "LABELS",
    "LIKELIHOODS",
    "SURVIVAL",
    "TARGETS",
    "BoundLikelihood",
    "Categorical",
    "Competing",
    "CompetingTarget",
    "Continuous",
    "Cox",
    "Curvature",
    "DiscreteHazard",
    "Likelihood",
    "Ordinal",
    "PiecewiseExponential",
    "Weibull",
    "cumulative_incidence",
    "outcome_likelihood",
    "outcome_target",
    "survival_curves",
]
