"""What is optimised: the ELBO, and the terms that may stand beside it.

A term is one file with one class (see `Term`), and stands in `TERMS` by its name.
"""

from mvlatent.objectives.agreement import Agreement
from mvlatent.objectives.alignment import Alignment
from mvlatent.objectives.base import Term
from mvlatent.objectives.cross_view import CrossView
from mvlatent.objectives.separation import Separation

__all__ = ["TERMS", "Agreement", "Alignment", "CrossView", "Separation", "Term"]

TERMS: dict[str, type[Term]] = {
    kind.name: kind for kind in (CrossView, Agreement, Alignment, Separation)
}
