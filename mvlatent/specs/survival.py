"""A censored time to event, as the user says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

from mvlatent.specs.checks import check_choice, check_name, is_whole, listed, shown
from mvlatent.specs.outcomes import KINDS_OF_SURVIVAL, OutcomeSpec

__all__ = [
    "CAUSE_HAZARDS",
    "STRATIFIED_KINDS",
    "SURVIVAL_KINDS",
    "TIES",
    "Survival",
    "join_times_line",
]

TIES: tuple[str, ...] = ("efron", "breslow")


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
class Survival(OutcomeSpec):
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
    phrase: ClassVar[str] = "a survival outcome"
    sharing: ClassVar[bool] = True
    free_parts: ClassVar[tuple[str, ...]] = ("strata",)
    balanced_part: ClassVar[str | None] = "event"

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
        check_choice("survival kind", self.kind, (*KINDS_OF_SURVIVAL,))
        if not is_whole(self.n_intervals) or self.n_intervals < 1:
            raise ValueError(
                f"n_intervals must be a positive integer, not {shown(self.n_intervals)}."
            )
        object.__setattr__(self, "n_intervals", int(self.n_intervals))
        self._check_options()
        self._name_and_weigh(self.event)

    def _check_options(self) -> None:
        """Raise where an option has no meaning for the kind."""
        check_choice("ties", self.ties, TIES)
        about = KINDS_OF_SURVIVAL[self.kind]
        hazards = _kinds("cause")
        if about.competing:
            object.__setattr__(self, "hazard", self.hazard or hazards[0])
            check_choice("hazard", self.hazard, hazards)
        elif self.hazard is not None:
            raise ValueError(
                f"hazard={self.hazard!r} is that of competing causes; kind={self.kind!r} has none."
            )
        if self.ties != "efron" and not KINDS_OF_SURVIVAL[self.hazard or self.kind].ties:
            raise ValueError(
                f"ties={self.ties!r} is an option of a Cox likelihood, not of kind={self.kind!r}."
            )
        if self.strata is not None and not about.strata:
            choices = ", ".join(map(repr, _kinds("strata")))
            raise ValueError(
                f"kind={self.kind!r} has no strata; take one of {choices}, or name "
                f"{self.strata!r} as a clinical covariate."
            )

    @property
    def competing(self) -> bool:
        """Whether events have competing causes."""
        return KINDS_OF_SURVIVAL[self.kind].competing

    @property
    def parts(self) -> dict[str, str]:
        """Column of each part that is given: time, event, entry, strata."""
        named = {what: getattr(self, what) for what in ("time", "event", "entry", "strata")}
        return {what: column for what, column in named.items() if column is not None}

    @property
    def groups(self) -> list[tuple[str, tuple[str, ...]]]:
        """Time and event together; entry and strata each on its own."""
        more = (("survival entry", self.entry), ("strata", self.strata))
        return [
            ("survival column", (self.time, self.event)),
            *((what, (column,)) for what, column in more if column is not None),
        ]

    @property
    def said(self) -> str:
        """Columns and kind, as the summary says them."""
        more = (("strata", self.strata), ("entry", self.entry))
        said = "".join(f", {what} {column}" for what, column in more if column is not None)
        return f"{self.time}, {self.event} ({self.kind}){said}"

    @classmethod
    def typed(cls, typed: Any, name: str = "") -> Survival:
        """Read ``(time, event)``, or one that is made already."""
        if isinstance(typed, Survival):
            return replace(typed, name=name) if name else typed
        pair = listed(typed)
        if pair is not None and _is_pair(pair):
            return cls(*pair, name=name)
        raise ValueError(
            f"survival is (time, event) or mv.Survival(time, event), not {shown(typed)}."
        )

    @classmethod
    def is_one(cls, typed: Any) -> bool:
        """Whether it is time and event, or column names that can be no list of outcomes."""
        return _is_pair(typed) or all(isinstance(each, str) for each in typed)


def _is_pair(held: Sequence[Any]) -> bool:
    """Whether what was typed is time and event; the time may be wrong, `Survival` will say so."""
    return len(held) == 2 and isinstance(held[1], str)


def _kinds(trait: str) -> tuple[str, ...]:
    """Survival kinds that say so of themselves."""
    return tuple(name for name, about in KINDS_OF_SURVIVAL.items() if getattr(about, trait))


# those that come with the package; checks ask the registry, which may have grown
SURVIVAL_KINDS = tuple(KINDS_OF_SURVIVAL)
STRATIFIED_KINDS = _kinds("strata")
CAUSE_HAZARDS = _kinds("cause")
