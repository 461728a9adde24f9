"""Likelihoods of ordinal and continuous targets by name, bound to a cohort's values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .continuous import Continuous
from .ordinal import Ordinal

if TYPE_CHECKING:
    from mvlatent.data.outcome_data import TargetData
    from mvlatent.specs import Target

__all__ = ["TARGETS", "TargetLikelihood", "target_likelihood", "value_target"]

TargetLikelihood = Continuous | Ordinal

TARGETS: dict[str, type[TargetLikelihood]] = {"continuous": Continuous, "ordinal": Ordinal}


def target_likelihood(data: TargetData, spec: Target) -> TargetLikelihood:
    """Likelihood of a target, started on the patients whose value is observed.

    Raises
    ------
    ValueError
        If no value is observed.
    """
    return TARGETS[spec.kind].from_data(data.value, data.observed, len(data.levels))


def value_target(data: TargetData, spec: Target) -> Any:
    """Likelihood bound to the patients' values, for `mvlatent.outcomes.fit_head`."""
    return target_likelihood(data, spec).target(data.value, data.observed)
