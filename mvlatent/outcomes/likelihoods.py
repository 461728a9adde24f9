"""Likelihoods of all outcomes by name, made for a cohort's outcome and bound to it."""

from __future__ import annotations

from typing import Any

from mvlatent.data.outcome_data import OutcomeData, TargetData
from mvlatent.outcomes.continuous import Continuous
from mvlatent.outcomes.labels import LABELS
from mvlatent.outcomes.likelihood import Likelihood
from mvlatent.outcomes.ordinal import Ordinal
from mvlatent.outcomes.survival import SURVIVAL
from mvlatent.specs import Labels, OutcomeSpec

__all__ = ["LIKELIHOODS", "TARGETS", "outcome_likelihood", "outcome_target"]

TARGETS: dict[str, type[Likelihood[TargetData]]] = {"continuous": Continuous, "ordinal": Ordinal}
LIKELIHOODS: dict[str, type[Likelihood[Any]]] = {**SURVIVAL, **LABELS, **TARGETS}


def outcome_likelihood(data: OutcomeData, spec: OutcomeSpec) -> Likelihood[Any]:
    """Likelihood of an outcome, started on the patients whose outcome is observed.

    Raises
    ------
    ValueError
        If there is nothing to learn from: no event, or no value.

    Examples
    --------
    >>> import torch
    >>> from mvlatent.data.cohort import SurvivalData
    >>> from mvlatent.specs import Survival
    >>> data = SurvivalData(torch.tensor([1.0, 2.0]), torch.ones(2))
    >>> type(outcome_likelihood(data, Survival("t", "e", kind="weibull"))).__name__
    'Weibull'
    """
    kind = "categorical" if isinstance(spec, Labels) else spec.kind
    return LIKELIHOODS[kind].from_data(data, spec)


def outcome_target(data: OutcomeData, spec: OutcomeSpec) -> Any:
    """Likelihood bound to the patients' outcomes, for `mvlatent.outcomes.fit_head`."""
    return outcome_likelihood(data, spec).target(data)
