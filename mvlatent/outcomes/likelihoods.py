"""Likelihoods of all outcomes by name, made for a cohort's outcome and bound to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mvlatent.data.outcome_data import OutcomeData
from mvlatent.outcomes.bound import BaselineShape
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.outcomes.role import role_of
from mvlatent.specs import OutcomeSpec
from mvlatent.specs.implementation import Implementations, implementation_of
from mvlatent.specs.outcomes import (
    KINDS_OF_SURVIVAL,
    KINDS_OF_TARGET,
    OUTCOME_ROLES,
)

__all__ = ["SURVIVAL", "TARGETS", "baseline_of", "bind_outcome", "outcome_likelihood"]

Kinds = Mapping[str, type[OutcomeLikelihood[Any]]]
SURVIVAL: Kinds = Implementations(KINDS_OF_SURVIVAL, "likelihood")
TARGETS: Kinds = Implementations(KINDS_OF_TARGET, "likelihood")


def outcome_likelihood(data: OutcomeData, spec: OutcomeSpec) -> OutcomeLikelihood[Any]:
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
    return role_of(spec).likelihood(data)


def bind_outcome(data: OutcomeData, spec: OutcomeSpec) -> Any:
    """Likelihood bound to the patients' outcomes, for `mvlatent.outcomes.fit_head`."""
    return outcome_likelihood(data, spec).bind(data)


def baseline_of(kind: str) -> type[BaselineShape]:
    """Return the class of a baseline, of any role's likelihood, that a saved head names.

    Raises
    ------
    ValueError
        If no likelihood that is registered has such a baseline.

    Examples
    --------
    >>> baseline_of("cutpoints").__name__
    'Cutpoints'
    """
    for role in OUTCOME_ROLES.values():
        # a baseline is known once its likelihood is loaded
        dict(implementation_of(role.role).likelihoods)
    for found in _below(BaselineShape):  # type: ignore[type-abstract]
        if vars(found).get("kind") == kind:
            return found
    raise ValueError(f"no likelihood has a baseline {kind!r}; register the kind that it is of.")


def _below(base: type[BaselineShape]) -> Iterator[type[BaselineShape]]:
    """Every class that is made of another, the latest first."""
    for kind in reversed(base.__subclasses__()):
        yield kind
        yield from _below(kind)
