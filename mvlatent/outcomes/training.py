"""Outcome heads inside the model while it is trained: thin modules that emit Pyro sites."""

from __future__ import annotations

import pyro
import torch
from pyro import poutine
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort
from mvlatent.data.outcome_data import LabelData, SurvivalData, TargetData
from mvlatent.outcomes.labels import Categorical
from mvlatent.outcomes.survival import survival_likelihood
from mvlatent.outcomes.targets import target_likelihood
from mvlatent.specs import Labels, Roles, Survival, Target

__all__ = ["LabelHead", "SurvivalHead", "TargetHead", "TrainingHead", "training_heads"]

PRIOR_SD = 1.0  # of the in-training coefficients; the reported head learns its own


class TrainingHead(nn.Module):
    """A linear predictor of z and of the clinical covariates, with a weight that is balanced.

    ``weight`` multiplies the outcome's log-likelihood in the objective; the reported head is fitted
    at weight 1 whatever it was. ``importance`` is what the outcome's pull on z is to be, relative
    to that of other outcomes. ``name`` is the outcome's in the cohort; ``None`` is the first of its
    kind.
    """

    site: str
    weight: Tensor

    def __init__(
        self,
        n_shared: int,
        n_clinical: int,
        n_outputs: int,
        *,
        name: str | None,
        site: str,
        importance: float = 1.0,
    ) -> None:
        super().__init__()
        self.name, self.site, self.importance = name, site, importance
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

    def __init__(
        self,
        n_shared: int,
        cohort: Cohort,
        spec: Survival,
        *,
        name: str | None = None,
        site: str = "outcome:survival",
    ) -> None:
        data = cohort.outcome(SurvivalData, name)
        if data is None:
            raise ValueError("the cohort has no survival outcome.")
        likelihood = survival_likelihood(data, spec)
        super().__init__(
            n_shared,
            cohort.clinical.shape[1],
            likelihood.n_outputs,
            name=name,
            site=site,
            importance=spec.weight,
        )
        self.likelihood = likelihood
        self.competing = spec.kind == "competing"

    def forward(self, z: Tensor, cohort: Cohort, n_total: int) -> None:
        """Score the outcomes of the patients of a batch."""
        data = cohort.outcome(SurvivalData, self.name)
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

    def __init__(
        self,
        n_shared: int,
        cohort: Cohort,
        *,
        name: str | None = None,
        site: str = "outcome:labels",
        importance: float = 1.0,
    ) -> None:
        labels = cohort.outcome(LabelData, name)
        if labels is None:
            raise ValueError("the cohort has no labels.")
        super().__init__(
            n_shared,
            cohort.clinical.shape[1],
            len(labels.categories),
            name=name,
            site=site,
            importance=importance,
        )
        self.likelihood = Categorical.from_data(labels.codes, len(labels.categories))

    def forward(self, z: Tensor, cohort: Cohort, n_total: int) -> None:
        """Score the labels of the patients of a batch."""
        labels = cohort.outcome(LabelData, self.name)
        if labels is None:
            return
        log_prob = self.likelihood.log_prob(self.predictor(z, cohort), labels.codes)
        with poutine.scale(scale=self.weight * n_total / len(cohort)):
            pyro.factor(self.site, log_prob.sum())

    def log_prior(self) -> Tensor:
        return super().log_prior() + self.likelihood.log_prior()


class TargetHead(TrainingHead):
    """The likelihood of an ordinal or continuous target as a site of the model."""

    def __init__(
        self,
        n_shared: int,
        cohort: Cohort,
        spec: Target,
        *,
        name: str | None = None,
        site: str = "outcome:target",
    ) -> None:
        data = cohort.outcome(TargetData, name)
        if data is None:
            raise ValueError("the cohort has no target.")
        likelihood = target_likelihood(data, spec)
        super().__init__(
            n_shared,
            cohort.clinical.shape[1],
            likelihood.n_outputs,
            name=name,
            site=site,
            importance=spec.weight,
        )
        self.likelihood = likelihood

    def forward(self, z: Tensor, cohort: Cohort, n_total: int) -> None:
        """Score the values of the patients of a batch."""
        data = cohort.outcome(TargetData, self.name)
        if data is None:
            return
        eta = self.predictor(z, cohort)[:, 0]
        log_prob = self.likelihood.log_prob(eta, data.value, data.observed)
        with poutine.scale(scale=self.weight * n_total / len(cohort)):
            pyro.factor(self.site, log_prob.sum())

    def log_prior(self) -> Tensor:
        return super().log_prior() + self.likelihood.log_prior()


def training_heads(n_shared: int, cohort: Cohort, roles: Roles) -> list[TrainingHead]:
    """In-training heads of every outcome whose weight is not 0.

    Their terms are ``"outcome:survival"``, ``"outcome:labels"`` and ``"outcome:target"``, those of
    further outcomes of a kind ``"outcome:survival:<name>"`` and so on.
    """
    heads: list[TrainingHead] = []
    for spec in roles.outcome_specs:
        if spec.weight == 0:
            continue
        more = f":{spec.name}" if roles.suffix(spec.name) else ""
        known = {"name": spec.name, "site": f"outcome:{spec.role}{more}"}
        if isinstance(spec, Survival):
            heads.append(SurvivalHead(n_shared, cohort, spec, **known))
        elif isinstance(spec, Labels):
            heads.append(LabelHead(n_shared, cohort, importance=spec.weight, **known))
        else:
            heads.append(TargetHead(n_shared, cohort, spec, **known))
    return heads
