"""Outcome heads inside the model while it is trained: thin modules that emit Pyro sites."""

from __future__ import annotations

import pyro
import torch
from pyro import poutine
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort
from mvlatent.outcomes.likelihoods import outcome_likelihood
from mvlatent.specs import OutcomeSpec, Roles

__all__ = ["TrainingHead", "training_heads"]

PRIOR_SD = 1.0  # of the in-training coefficients; the reported head learns its own


class TrainingHead(nn.Module):
    """A linear predictor of z and of the clinical covariates, scored as a site of the model.

    Parameters
    ----------
    n_shared
        Size of z.
    cohort
        The patients, whose outcomes start the likelihood.
    spec
        The outcome. Its weight is kept as ``importance``: what the outcome's pull on z is to be,
        relative to that of other outcomes.
    site
        Name of the site; ``None`` is ``"outcome:"`` and the role.

    Attributes
    ----------
    weight
        Multiplies the outcome's log-likelihood in the objective, which balances it; the reported
        head is fitted at weight 1 whatever it was.

    Raises
    ------
    ValueError
        If the cohort has no such outcome.
    """

    weight: Tensor

    def __init__(
        self,
        n_shared: int,
        cohort: Cohort,
        spec: OutcomeSpec,
        *,
        site: str | None = None,
    ) -> None:
        super().__init__()
        self.name = spec.name
        self.site, self.importance = site or f"outcome:{spec.role}", spec.weight
        if self.name not in cohort.outcomes:
            raise ValueError(f"the cohort has no outcome {self.name!r}.")
        data = cohort.outcomes[self.name]
        likelihood = outcome_likelihood(data, spec)
        self.shared = nn.Parameter(torch.zeros(n_shared, likelihood.n_outputs))
        n_clinical = cohort.clinical.shape[1]
        self.clinical = nn.Parameter(torch.zeros(n_clinical, likelihood.n_outputs))
        nn.init.normal_(self.shared, std=0.01)
        self.register_buffer("weight", torch.ones(()))
        self.likelihood = likelihood

    def forward(self, z: Tensor, cohort: Cohort, n_total: int) -> None:
        """Score the outcomes of the patients of a batch."""
        data = cohort.outcomes.get(self.name)
        if data is None:
            return
        eta = self.predictor(z, cohort)
        log_prob = self.likelihood.log_prob(eta if self.likelihood.several else eta[:, 0], data)
        with poutine.scale(scale=self.weight * n_total / len(cohort)):
            pyro.factor(self.site, log_prob.sum())

    def predictor(self, z: Tensor, cohort: Cohort) -> Tensor:
        """Linear predictor, (n, C)."""
        return z @ self.shared + cohort.clinical @ self.clinical

    def log_prior(self) -> Tensor:
        """Log prior of coefficients and likelihood, up to a constant."""
        squares = self.shared.square().sum() + self.clinical.square().sum()
        return -0.5 * squares / PRIOR_SD**2 + self.likelihood.log_prior()

    def add_prior(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Terms of the objective with the prior of this head."""
        return {**terms, f"prior:{self.site}": self.weight * self.log_prior()}


def training_heads(n_shared: int, cohort: Cohort, roles: Roles) -> list[TrainingHead]:
    """In-training heads of every outcome whose weight is not 0.

    Their terms are ``"outcome:survival"`` and so on by role, those of further outcomes of a role
    ``"outcome:survival:<name>"``.
    """
    heads = []
    for spec in roles.outcome_specs:
        if spec.weight:
            more = f":{spec.name}" if roles.suffix(spec.name) else ""
            site = f"outcome:{spec.role}{more}"
            heads.append(TrainingHead(n_shared, cohort, spec, site=site))
    return heads
