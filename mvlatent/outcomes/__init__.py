"""Outcomes: a kind owns its whole way, from what the user says to what is predicted."""

from mvlatent.outcomes.bound import BoundLikelihood, Curvature
from mvlatent.outcomes.competing import BoundCompeting, Competing, cumulative_incidence
from mvlatent.outcomes.continuous import Continuous
from mvlatent.outcomes.cox import Cox
from mvlatent.outcomes.curves import survival_curves
from mvlatent.outcomes.discrete import DiscreteHazard
from mvlatent.outcomes.labels import LABELS, CategoricalOutcome
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.outcomes.likelihoods import SURVIVAL, TARGETS, bind_outcome, outcome_likelihood
from mvlatent.outcomes.ordinal import OrdinalOutcome
from mvlatent.outcomes.piecewise import PiecewiseExponential
from mvlatent.outcomes.role import OutcomeRole, Reading, role_of
from mvlatent.outcomes.weibull import Weibull

__all__ = [
    "LABELS",
    "SURVIVAL",
    "TARGETS",
    "BoundCompeting",
    "BoundLikelihood",
    "CategoricalOutcome",
    "Competing",
    "Continuous",
    "Cox",
    "Curvature",
    "DiscreteHazard",
    "OrdinalOutcome",
    "OutcomeLikelihood",
    "OutcomeRole",
    "PiecewiseExponential",
    "Reading",
    "Weibull",
    "bind_outcome",
    "cumulative_incidence",
    "outcome_likelihood",
    "role_of",
    "survival_curves",
]
