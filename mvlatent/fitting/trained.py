"""Everything a fitted model consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mvlatent.data.cohort import Cohort
from mvlatent.data.known import are_known
from mvlatent.data.preparation import Preparation
from mvlatent.data.tables import Tables
from mvlatent.fitting.fitted import Fitted
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.heads.reported import Reported
from mvlatent.heads.view_head import ViewHeads
from mvlatent.posterior import Latents
from mvlatent.specs import Roles
from mvlatent.vae.basis import Basis, rotate
from mvlatent.vae.structured import StructuredVAE

__all__ = ["Trained", "without_technical"]


@dataclass
class Trained:
    """A fitted model without the data it was fitted to.

    Attributes
    ----------
    preparation
        Scaling and encoding learnt on the training rows.
    bases
        Thin singular value basis of each view.
    vae
        Generative model and guide.
    outcomes
        Reported heads by the outcome's name.
    fitted
        History of the run.
    options, plan
        How it was made.
    view_heads
        What predicts a view from the others beside z; ``None`` where there is nothing to judge by.
    """

    preparation: Preparation
    bases: dict[str, Basis]
    vae: StructuredVAE
    outcomes: dict[str, Reported]
    fitted: Fitted
    options: Options
    plan: Plan
    view_heads: ViewHeads | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the fit was in closed form, and shaped the model by its covariances."""
        weighted = any(basis.weights is not None for basis in self.bases.values())
        return weighted or any(view.reads_surface for view in self.vae.design.matrices)

    @property
    def roles(self) -> Roles:
        """Roles of columns and modalities."""
        return self.preparation.roles

    @property
    def survival(self) -> Reported | None:
        """Reported head of the first survival outcome, ``None`` without."""
        return self._first("survival")

    @property
    def labels(self) -> Reported | None:
        """Reported head of the first labels, ``None`` without."""
        return self._first("labels")

    def is_fitted(self, cohort: Cohort) -> np.ndarray:
        """Which patients bear names of patients that the model was fitted on, (n,)."""
        return are_known(cohort.obs_names, self.fitted.patients)

    def _first(self, role: str) -> Reported | None:
        named = self.roles.named
        return next((head for name, head in self.outcomes.items() if named[name] == role), None)

    def cohort(self, tables: Tables) -> Cohort:
        """Patients as the model sees them."""
        return self.see(self.preparation.transform(tables))

    def see(self, cohort: Cohort) -> Cohort:
        """A prepared cohort as the model sees it: rotated, without effects that are off."""
        return rotate(without_technical(cohort, self.options), self.bases)

    def latents(self, cohort: Cohort, given: Sequence[str] | str | None = None) -> Latents:
        """Posterior of the latents, looking at the views ``given`` (all by default)."""
        return Latents(self.vae, cohort if given is None else cohort.mask_views(given))


def without_technical(cohort: Cohort, options: Options) -> Cohort:
    """The cohort without technical columns if their effects are off."""
    if options.effects != "none":
        return cohort
    return replace(cohort, technical=cohort.technical[:, :0], technical_groups=())
