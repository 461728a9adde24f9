"""Outcomes as they are typed on the command line: ``OS=months dead``, ``stage=ordinal``."""

from __future__ import annotations

from collections.abc import Sequence

from mvlatent.specs import SURVIVAL_KINDS, Labels, OutcomeSpec, Survival, Target

__all__ = ["parse_labels", "parse_survival", "parse_targets"]


def parse_survival(
    columns: Sequence[str],
    *,
    kinds: Sequence[str] = (),
    strata: Sequence[str] = (),
    entries: Sequence[str] = (),
) -> list[OutcomeSpec]:
    """Survival outcomes of columns of time and event, one after the other.

    Parameters
    ----------
    columns
        ``time, event, time, event, ...``; ``NAME=time`` names the outcome.
    kinds, strata, entries
        Kind, column of strata and column of entry times: of every outcome, or as ``NAME=value`` of
        that one.

    Raises
    ------
    ValueError
        If the last time has no event, an option names no outcome or is given twice.

    Examples
    --------
    >>> typed = ["OS=months", "dead", "relapse", "back"]
    >>> os, other = parse_survival(typed, kinds=["cox"], strata=["OS=ward"])
    >>> (os.name, os.time, os.kind, os.strata), (other.name, other.strata)
    (('OS', 'months', 'cox', 'ward'), ('back', None))
    """
    if len(columns) % 2:
        raise ValueError(f"--survival {columns[-1]}: give two columns, those of time and event.")
    pairs = [
        (*_named(time), event) for time, event in zip(columns[::2], columns[1::2], strict=True)
    ]
    names = [name or event for name, _, event in pairs]
    kind = _of_each("--survival-kind", kinds, names)
    stratum = _of_each("--strata", strata, names)
    entry = _of_each("--entry", entries, names)
    return [
        Survival(
            time,
            event,
            name=name,
            kind=kind.get(name, SURVIVAL_KINDS[0]),
            strata=stratum.get(name),
            entry=entry.get(name),
        )
        for name, (_, time, event) in zip(names, pairs, strict=True)
    ]


def parse_labels(labels: Sequence[str]) -> list[OutcomeSpec]:
    """Labels of ``column`` or ``NAME=column``.

    Examples
    --------
    >>> [(label.name, label.column) for label in parse_labels(["grade", "type=pam50"])]
    [('grade', 'grade'), ('type', 'pam50')]
    """
    return [Labels(column, name=name) for name, column in map(_named, labels)]


def parse_targets(targets: Sequence[str]) -> list[OutcomeSpec]:
    """Targets of ``column=kind`` or ``column`` (continuous).

    Examples
    --------
    >>> [target.kind for target in parse_targets(["purity", "stage=ordinal"])]
    ['continuous', 'ordinal']
    """
    named = [text.partition("=") for text in targets]
    return [Target(column, kind=kind or "continuous") for column, _, kind in named]


def _named(text: str) -> tuple[str, str]:
    """``NAME=value`` in two; the name is empty where there is none."""
    name, equals, value = text.partition("=")
    return (name, value) if equals else ("", text)


def _of_each(option: str, texts: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Value of an option by the name of the outcome, of all of them where it names none."""
    found: dict[str, str] = {}
    typed = [(*_named(text), text) for text in texts]
    for named in (False, True):  # what is said of one outcome goes before what is said of all
        seen: set[str] = set()
        for name, value, text in typed:
            if bool(name) != named:
                continue
            if not names or (name and name not in names):
                choices = ", ".join(map(repr, names)) or "none"
                what = f"outcome {name!r}" if name else "outcome"
                raise ValueError(f"{option} {text}: no survival {what}; there are {choices}.")
            if name in seen:
                raise ValueError(f"{option} {text}: given twice; name the outcome, NAME={value}.")
            seen.add(name)
            found |= dict.fromkeys([name] if name else names, value)
    return found
