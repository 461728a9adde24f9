"""What is optimised: the ELBO, and the terms that may stand beside it.

============  =============================================================================
`CrossView`   what some views of a patient say of the others, through z alone
`Agreement`   what all views say of z should not be news to each of them
`Alignment`   the same patient, seen through two views, should lie at the same place in z
`Separation`  private latents should say nothing of z
============  =============================================================================

`Term` is what each of them is, one file with one class; `TERMS` holds them by name, as
`mvlatent.fit` takes them: ``objectives={"alignment": 0.1}``.
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
