"""How terms are asked for: by name, with a weight or with options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from mvlatent.objectives import TERMS, Term
from mvlatent.specs.checks import did_you_mean, is_number, shown

__all__ = ["as_terms", "teachers", "term"]


def term(name: str, **options: Any) -> Term:
    """Build the term of that name.

    Raises
    ------
    KeyError
        If there is no such term.
    ValueError
        If an option is unknown or out of its range.

    Examples
    --------
    >>> term("alignment", kind="cca", weight=0.1).weight
    0.1
    """
    if name not in TERMS:
        hint = did_you_mean(name, TERMS)
        raise KeyError(f"no objective {shown(name)}; {hint}the objectives are {', '.join(TERMS)}.")
    kind = TERMS[name]
    known = [each.name for each in fields(kind)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{name}: no option {unknown[0]!r}; the options are {', '.join(known)}.")
    return kind(**options)


def as_terms(objectives: Any) -> tuple[Term, ...]:
    """Terms of what was typed: a mapping from names to weights or options, or a list of terms.

    Raises
    ------
    KeyError, ValueError
        As `term`, or if a term is named twice.

    Examples
    --------
    >>> [t.weight for t in as_terms({"cross_view": 1.0, "alignment": {"kind": "cosine"}})]
    [1.0, 1.0]
    """
    if isinstance(objectives, Mapping):
        found = [_of_name(name, options) for name, options in objectives.items()]
    elif isinstance(objectives, str | Term):
        found = [_of_item(objectives)]
    elif isinstance(objectives, Iterable):
        found = [_of_item(item) for item in objectives]
    elif objectives is None:
        found = []
    else:
        raise ValueError(
            f"objectives must be a mapping or a list of terms, not {shown(objectives)}."
        )
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"objective {name!r} is given twice; give it once.")
    return tuple(found)


def teachers() -> tuple[str, str]:
    """The terms from which z can learn by itself, in words, and how the first is asked for.

    Examples
    --------
    >>> teachers()
    ('the cross-view term', "objectives={'cross_view': 1.0}")
    """
    names = [name for name, kind in TERMS.items() if kind.teaches_z]
    words = " or ".join(name.replace("_", "-") for name in names)
    return f"the {words} term", f"objectives={{{names[0]!r}: 1.0}}"


def _of_name(name: str, options: Any) -> Term:
    if isinstance(options, Mapping):
        return term(name, **options)
    if not is_number(options):
        raise ValueError(f"{name}: give a weight or a mapping of options, not {shown(options)}.")
    return term(name, weight=float(options))


def _of_item(item: Any) -> Term:
    if isinstance(item, Term):
        return item
    if isinstance(item, str):
        return term(item)
    if isinstance(item, Mapping) and "name" in item:
        return term(**item)
    raise ValueError(f"an objective is a name or one of mv.objectives' terms, not {shown(item)}.")
