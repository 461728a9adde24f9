"""Outcome heads inside the model while it is trained: thin modules that emit Pyro sites."""

from __future__ import annotations

import pyro
import torch
from pyro import poutine
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort
from mvlatent.outcomes.labels import Categorical
from mvlatent.outcomes.survival import survival_likelihood
from mvlatent.specs import Survival

__all__ = ["LabelHead", "SurvivalHead", "TrainingHead"]

PRIOR_SD = 1.0  # of the in-training coefficients; the reported head learns its own


class TrainingHead(nn.Module):
    """A linear predictor of z and of the clinical covariates, with a weight that is balanced.

    ``weight`` multiplies the outcome's log-likelihood in the objective; the reported head is fitted
    at weight 1 whatever it was.
    """

    site: str
    weight: Tensor

    def __init__(self, n_shared: int, n_clinical: int, n_outputs: int) -> None:
        super().__init__()
        self.shared = nn.Parameter(torch.zeros(n_shared, n_outputs))
        self.clinical = nn.Parameter(torch.zeros(n_clinical, n_outputs))
        nn.init.normal_(self.shared, std=0.01)
        self.register_buffer("weight", torch.ones(()))

    def predictor(self, z: Tensor, cohort: Cohort) -> Tensor:
        """Linear predictor, (n, C)."""
        return z @ self.shared + cohort.clinical @ self.clinical

    def log_prior(self) -> Tensor:
        """Log prior of the coefficients, up to a constant."""
        squares = self.shared.square().sum() + self.clinical.square().sum()
        return -0.5 * squares / PRIOR_SD**2

    def add_prior(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """Terms of the objective with the prior of this head."""
        return {**terms, f"prior:{self.site}": self.weight * self.log_prior()}


class SurvivalHead(TrainingHead):
    """The survival likelihood as a site of the model."""

    site = "outcome:survival"

    def __init__(self, n_shared: int, cohort: Cohort, spec: Survival) -> None:
        if cohort.survival is None:
            raise ValueError("the cohort has no survival outcome.")
        likelihood = survival_likelihood(cohort.survival, spec)
        super().__init__(n_shared, cohort.clinical.shape[1], likelihood.n_outputs)
        self.likelihood = likelihood
        self.competing = spec.kind == "competing"

    def forward(self, z: Tensor, cohort: Cohort, n_total: int) -> None:
        """Score the outcomes of the patients of a batch."""
        data = cohort.survival
        if data is None:
            return
        eta = self.predictor(z, cohort)
        log_prob = self.likelihood.log_prob(
            eta if self.competing else eta[:, 0],
            data.time,
            data.outcome,
            data.observed,
            entry=data.entry,
            stratum=data.stratum,
        )
        with poutine.scale(scale=self.weight * n_total / len(cohort)):
            pyro.factor(self.site, log_prob.sum())

    def log_prior(self) -> Tensor:
        return super().log_prior() + self.likelihood.log_prior()


class LabelHead(TrainingHead):
    """The class likelihood as a site of the model."""

    site = "outcome:labels"

    def __init__(self, n_shared: int, cohort: Cohort) -> None:
        labels = cohort.labels
        if labels is None:
            raise ValueError("the cohort has no labels.")
        super().__init__(n_shared, cohort.clinical.shape[1], len(labels.categories))
        self.likelihood = Categorical.from_data(labels.codes, len(labels.categories))

    def forward(self, z: Tensor, cohort: Cohort, n_total: int) -> None:
        """Score the labels of the patients of a batch."""
        if cohort.labels is None:
            return
        log_prob = self.likelihood.log_prob(self.predictor(z, cohort), cohort.labels.codes)
        with poutine.scale(scale=self.weight * n_total / len(cohort)):
            pyro.factor(self.site, log_prob.sum())

    def log_prior(self) -> Tensor:
        return super().log_prior() + self.likelihood.log_prior()
