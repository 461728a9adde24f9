"""Short forms of outcomes: ``survival=("months", "event")``, ``labels=["grade", "subtype"]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mvlatent.specs.outcomes import Labels, OutcomeSpec, Survival, Target

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
    for typed, read in ((survival, _survival), (labels, _labels), (targets, _target)):
        if typed is None:
            continue
        if isinstance(typed, Mapping):
            found += [read(each, str(name)) for name, each in typed.items()]
        else:
            one = read is _survival and _is_pair(typed)
            several = isinstance(typed, Sequence) and not isinstance(typed, str) and not one
            if several and read is _survival and all(isinstance(each, str) for each in typed):
                read(typed)  # says what a survival is: a tuple of columns is no list of outcomes
            found += [read(each) for each in (typed if several else [typed])]
    outcomes = [outcomes] if isinstance(outcomes, OutcomeSpec) else list(outcomes)
    for outcome in outcomes:
        if not isinstance(outcome, OutcomeSpec):
            raise ValueError(
                "an outcome is mv.Survival(...), mv.Labels(...) or mv.Target(...), "
                f"not {outcome!r}."
            )
    return [*found, *outcomes]


def _is_pair(typed: Any) -> bool:
    """Whether something typed is time and event; the time may be wrong, `Survival` will say so."""
    several = isinstance(typed, Sequence) and not isinstance(typed, str)
    return several and len(typed) == 2 and isinstance(typed[1], str)


def _survival(typed: Any, name: str = "") -> OutcomeSpec:
    if isinstance(typed, Survival):
        return replace(typed, name=name) if name else typed
    if _is_pair(typed):
        return Survival(*typed, name=name)
    raise ValueError(f"survival is (time, event) or mv.Survival(time, event), not {typed!r}.")


def _labels(typed: Any, name: str = "") -> OutcomeSpec:
    if isinstance(typed, Labels):
        return replace(typed, name=name) if name else typed
    if isinstance(typed, str):
        return Labels(typed, name=name)
    raise ValueError(f"labels are a column or mv.Labels(column), not {typed!r}.")


def _target(typed: Any, name: str = "") -> OutcomeSpec:
    if isinstance(typed, Target):
        return replace(typed, name=name) if name else typed
    if isinstance(typed, str):
        return Target(name, kind=typed) if name else Target(typed)
    raise ValueError(f"a target is a column or mv.Target(column, kind=...), not {typed!r}.")
