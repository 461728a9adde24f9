"""What is optimised: the ELBO, and the terms that may stand beside it."""

from mvlatent.objectives.agreement import Agreement
from mvlatent.objectives.alignment import Alignment
from mvlatent.objectives.base import Term
from mvlatent.objectives.cross_view import CrossView
from mvlatent.objectives.separation import Separation
from mvlatent.objectives.terms import TERMS

__all__ = ["TERMS", "Agreement", "Alignment", "CrossView", "Separation", "Term"]
