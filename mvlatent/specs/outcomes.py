"""What the user says about outcomes: survival, classes, and ordinal or continuous targets.

Frozen dataclasses of the standard library only; they check themselves, so a wrong name fails where
it is typed and the message lists the choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, fields
from typing import Any, ClassVar

__all__ = [
    "CAUSE_HAZARDS",
    "STRATIFIED_KINDS",
    "SURVIVAL_KINDS",
    "TARGET_KINDS",
    "TARGET_SCALINGS",
    "TIES",
    "Labels",
    "OutcomeSpec",
    "Survival",
    "Target",
    "check_choice",
    "check_name",
    "join_times_line",
    "known_fields",
    "outcome_from_dict",
    "outcome_to_dict",
]

SURVIVAL_KINDS: tuple[str, ...] = ("piecewise", "cox", "discrete", "weibull", "competing")
STRATIFIED_KINDS: tuple[str, ...] = ("piecewise", "cox", "discrete", "competing")
CAUSE_HAZARDS: tuple[str, ...] = ("piecewise", "cox")
TIES: tuple[str, ...] = ("efron", "breslow")
TARGET_KINDS: tuple[str, ...] = ("continuous", "ordinal")
TARGET_SCALINGS: tuple[str, ...] = ("zscore", "rank_normal", "log1p")


def check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ValueError if a value is not one of the choices."""
    if value not in choices:
        raise ValueError(f"{what} {value!r} is not one of {', '.join(map(repr, choices))}.")


def known_fields(kind: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a saved specification that this version knows."""
    return {name: state[name] for name in (f.name for f in fields(kind)) if name in state}


def check_name(what: str, value: object) -> None:
    """Raise ValueError if a value cannot be the name of a column."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} must be the name of a column, not {value!r}.")


def join_times_line(columns: tuple[str, ...] | list[str], new: str = "time") -> str:
    """Return the pandas line that makes one time column out of several.

    Examples
    --------
    >>> join_times_line(["death", "followup"])
    'mdata.obs["time"] = mdata.obs[["death", "followup"]].astype(float).bfill(axis=1).iloc[:, 0]'
    """
    names = ", ".join(f'"{c}"' for c in columns)
    return f'mdata.obs["{new}"] = mdata.obs[[{names}]].astype(float).bfill(axis=1).iloc[:, 0]'


@dataclass(frozen=True)
class Survival:
    """A censored time to event.

    Parameters
    ----------
    time
        Column of follow-up times (any unit, not negative).
    event
        Column that is 1 (or ``True``) where the event was seen at that time, 0 where censored. For
        ``kind="competing"`` 0 where censored and 1..K for the cause.
    kind
        One of `SURVIVAL_KINDS`: piecewise exponential, Cox, discrete-time logistic hazard, Weibull
        accelerated failure time, or cause-specific hazards of competing risks.
    n_intervals
        Intervals of the piecewise-constant or discrete baseline hazard.
    ties
        Treatment of tied events where the hazard is Cox: one of `TIES`.
    strata
        Column of strata: each has a baseline of its own (kinds of `STRATIFIED_KINDS`). Those with
        fewer than 20 events are pooled. It may be the batch or another covariate as well.
    entry
        Column of the times at which patients came under observation (left truncation), before
        ``time``.
    hazard
        Hazard of each competing cause, one of `CAUSE_HAZARDS`; ``None`` is piecewise. For
        ``kind="competing"`` only.
    name
        What predictions ask for, as ``outcome="OS"``; by default the event's column.
    weight
        Pull of the in-training head relative to the other outcomes', where ``rho > 0``; with 0
        there is none. The reported head is always at weight 1.

    Raises
    ------
    ValueError
        If the time is spread over several columns, a name is wrong, ``n_intervals`` < 1, or an
        option does not go with the kind.

    Examples
    --------
    >>> Survival("survival_months", "event").kind
    'piecewise'
    >>> Survival("months", "cause", kind="competing").hazard
    'piecewise'
    """

    time: str
    event: str
    _: KW_ONLY
    kind: str = "piecewise"
    n_intervals: int = 15
    ties: str = "efron"
    strata: str | None = None
    entry: str | None = None
    hazard: str | None = None
    name: str = ""
    weight: float = 1.0
    role: ClassVar[str] = "survival"

    def __post_init__(self) -> None:
        """Check the columns' names, the kind and what goes with it."""
        if isinstance(self.time, (list, tuple)):
            raise ValueError(
                f"survival time must be one column, not {list(self.time)}; make one first: "
                f"{join_times_line(tuple(self.time))}"
            )
        named = {what: getattr(self, what) for what in ("time", "event", "strata", "entry")}
        seen: dict[str, str] = {}
        for what, column in named.items():
            if column is None and what in ("strata", "entry"):
                continue
            check_name(f"survival {what}", column)
            if column in seen:
                raise ValueError(
                    f"survival {seen[column]} and {what} are the same column {column!r}."
                )
            seen[column] = what
        check_choice("survival kind", self.kind, SURVIVAL_KINDS)
        if not isinstance(self.n_intervals, int) or self.n_intervals < 1:
            raise ValueError(f"n_intervals must be a positive integer, not {self.n_intervals!r}.")
        self._check_options()
        _name_and_weigh(self, self.event)

    def _check_options(self) -> None:
        """Raise where an option has no meaning for the kind."""
        check_choice("ties", self.ties, TIES)
        if self.kind == "competing":
            object.__setattr__(self, "hazard", self.hazard or CAUSE_HAZARDS[0])
            check_choice("hazard", self.hazard, CAUSE_HAZARDS)
        elif self.hazard is not None:
            raise ValueError(
                f"hazard={self.hazard!r} is that of competing causes; kind={self.kind!r} has none."
            )
        if self.ties != "efron" and "cox" not in (self.kind, self.hazard):
            raise ValueError(
                f"ties={self.ties!r} is an option of a Cox likelihood, not of kind={self.kind!r}."
            )
        if self.strata is not None and self.kind not in STRATIFIED_KINDS:
            choices = ", ".join(map(repr, STRATIFIED_KINDS))
            raise ValueError(
                f"kind={self.kind!r} has no strata; take one of {choices}, or name "
                f"{self.strata!r} as a clinical covariate."
            )

    @property
    def outcome_columns(self) -> tuple[str, ...]:
        """Time, event and, where given, entry."""
        return (self.time, self.event, *(() if self.entry is None else (self.entry,)))

    @property
    def parts(self) -> dict[str, str]:
        """Column of each part that is given: time, event, entry, strata."""
        named = {what: getattr(self, what) for what in ("time", "event", "entry", "strata")}
        return {what: column for what, column in named.items() if column is not None}


class OneColumn:
    """What an outcome that stands in one column says of its columns."""

    column: str

    @property
    def outcome_columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    @property
    def parts(self) -> dict[str, str]:
        """Column of each part: the only one."""
        return {"column": self.column}


@dataclass(frozen=True)
class Labels(OneColumn):
    """A class of each patient; patients without one are fine.

    Parameters
    ----------
    column
        Column of the classes.
    name, weight
        As in `Survival`; the name is by default the column.

    Raises
    ------
    ValueError
        If a name or the weight is wrong.

    Examples
    --------
    >>> Labels("mol_subtype").column
    'mol_subtype'
    """

    column: str
    _: KW_ONLY
    name: str = ""
    weight: float = 1.0
    role: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        """Check the column's name."""
        check_name("labels", self.column)
        _name_and_weigh(self, self.column)


@dataclass(frozen=True)
class Target(OneColumn):
    """A number or an ordered level of each patient; patients without one are fine.

    Parameters
    ----------
    column
        Column of the values.
    kind
        One of `TARGET_KINDS`: a continuous value with normal noise of a learnt scale, or ordered
        levels (ordered logit).
    scaling
        Transform of continuous values, learnt on the training rows: one of `TARGET_SCALINGS`;
        ``None`` is ``"zscore"`` (values beyond 5 sd count as at 5). Predictions come back in the
        column's own units.
    levels
        Ordered levels from low to high. ``None`` takes the order of an ordered categorical, else
        that of numbers, else that of the alphabet; which one it was is in the summary.
    name, weight
        As in `Survival`; the name is by default the column.

    Raises
    ------
    ValueError
        If a name is not one of the choices, an option does not go with the kind, or fewer than two
        levels are given or one is given twice.

    Examples
    --------
    >>> Target("purity").scaling
    'zscore'
    >>> Target("stage", kind="ordinal", levels=["I", "II", "III"]).levels
    ('I', 'II', 'III')
    """

    column: str
    _: KW_ONLY
    kind: str = "continuous"
    scaling: str | None = None
    levels: tuple[str, ...] | None = None
    name: str = ""
    weight: float = 1.0
    role: ClassVar[str] = "target"

    def __post_init__(self) -> None:
        """Check the names and what goes with the kind."""
        check_name("a target", self.column)
        check_choice("target kind", self.kind, TARGET_KINDS)
        if self.kind == "continuous":
            object.__setattr__(self, "scaling", self.scaling or TARGET_SCALINGS[0])
            check_choice("target scaling", self.scaling, TARGET_SCALINGS)
        elif self.scaling is not None:
            raise ValueError(f"scaling={self.scaling!r} is an option of continuous targets only.")
        if self.levels is not None:
            self._check_levels()
        _name_and_weigh(self, self.column)

    def _check_levels(self) -> None:
        if self.kind != "ordinal":
            raise ValueError(f"levels={self.levels!r} are an option of ordinal targets only.")
        given = (self.levels,) if isinstance(self.levels, str) else self.levels or ()
        levels = tuple(str(level) for level in given)
        if len(levels) < 2 or len(set(levels)) < len(levels):
            raise ValueError(f"levels must be two or more, each once, not {list(levels)}.")
        object.__setattr__(self, "levels", levels)


OutcomeSpec = Survival | Labels | Target
KINDS: dict[str, type[OutcomeSpec]] = {c.role: c for c in (Survival, Labels, Target)}


def _name_and_weigh(spec: OutcomeSpec, column: str) -> None:
    """Fill in the default name and check name and weight."""
    object.__setattr__(spec, "name", spec.name or column)
    if not isinstance(spec.name, str):
        raise ValueError(f"the name of an outcome must be a string, not {spec.name!r}.")
    number = isinstance(spec.weight, int | float) and not isinstance(spec.weight, bool)
    if not number or not 0 <= spec.weight < float("inf"):
        raise ValueError(
            f"weight of outcome {spec.name!r} must be a number from 0 on, not {spec.weight!r}."
        )


def outcome_to_dict(spec: OutcomeSpec) -> dict[str, Any]:
    """Return a dictionary of JSON types, with the outcome's role."""
    out = {"role": spec.role, **asdict(spec)}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in out.items()}


def outcome_from_dict(state: Mapping[str, Any], role: str | None = None) -> Any:
    """Build an outcome from what `outcome_to_dict` returned.

    Examples
    --------
    >>> outcome_from_dict(outcome_to_dict(Labels("subtype"))) == Labels("subtype")
    True
    """
    kind = KINDS[state["role"] if role is None else role]
    return kind(**known_fields(kind, state))
