"""Short forms of outcomes: ``survival=("months", "event")``, ``labels=["grade", "subtype"]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mvlatent.specs.checks import listed, shown
from mvlatent.specs.implementation import implementation_of
from mvlatent.specs.outcomes import OUTCOME_ROLES, OutcomeSpec

__all__ = ["as_outcomes"]


def as_outcomes(
    survival: Any = None, labels: Any = None, targets: Any = None, outcomes: Any = ()
) -> list[OutcomeSpec]:
    """Return the outcomes of what was typed, in that order.

    Parameters
    ----------
    survival
        ``(time, event)``, a `Survival`, several of them in a list, or a mapping from names.
    labels
        A column, a `Labels`, several of them in a list, or a mapping from names.
    targets
        A column (continuous), a `Target`, several of them in a list, or a mapping from columns to
        kinds (or from names to `Target`).
    outcomes
        More of any kind.

    Raises
    ------
    ValueError
        If something typed is no outcome.

    Examples
    --------
    >>> found = as_outcomes({"OS": ("t", "dead")}, ["subtype"], {"stage": "ordinal"})
    >>> [outcome.name for outcome in found]
    ['OS', 'subtype', 'stage']
    """
    found: list[OutcomeSpec] = []
    for role, typed in (("survival", survival), ("labels", labels), ("target", targets)):
        if typed is not None:
            found += _read(implementation_of(OUTCOME_ROLES[role].spec), typed)
    several = [] if outcomes is None else listed(outcomes)
    more = [outcomes] if several is None else several
    for outcome in more:
        if not isinstance(outcome, OutcomeSpec):
            raise ValueError(
                "an outcome is mv.Survival(...), mv.Labels(...) or mv.Target(...), "
                f"not {shown(outcome)}."
            )
    return found + more


def _read(kind: type[OutcomeSpec], typed: Any) -> list[OutcomeSpec]:
    """Outcomes of one role: one, several, or several by name."""
    if isinstance(typed, Mapping):
        return [kind.typed(each, str(name)) for name, each in typed.items()]
    held = listed(typed)
    if held == []:
        return []
    if held is None or kind.is_one(held):
        ordered = isinstance(typed, list | tuple) or held is None
        return [kind.typed(typed if ordered else held)]
    return [kind.typed(each) for each in held]
