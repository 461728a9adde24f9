"""What the user says about outcomes: what every specification has, and which there are.

The two registries are here: a role is a line of `OUTCOME_ROLES`, a survival kind one of
`KINDS_OF_SURVIVAL`. A member says about itself what others need to know, so that nobody asks for
it by name; what it names is loaded when it is first asked for, so that nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from mvlatent.specs.checks import as_python, is_number, shown
from mvlatent.specs.implementation import implementation_of

__all__ = [
    "KINDS_OF_SURVIVAL",
    "KINDS_OF_TARGET",
    "OUTCOME_ROLES",
    "OneColumn",
    "OutcomeSpec",
    "RoleParts",
    "SurvivalKind",
    "TargetKind",
    "known_fields",
    "outcome_from_dict",
    "outcome_to_dict",
]


@dataclass(frozen=True)
class RoleParts:
    """Where the parts of an outcome role are, ``"module:name"`` each.

    Attributes
    ----------
    spec
        What the user says of it, an `OutcomeSpec`.
    coder
        What is learnt of it on the training rows, a `mvlatent.data.coder.Coder`.
    role
        Its likelihoods, scores, predictions and words, a `mvlatent.outcomes.role.OutcomeRole`.
    """

    spec: str
    coder: str
    role: str


@dataclass(frozen=True)
class SurvivalKind:
    """What a kind of survival says about itself.

    Attributes
    ----------
    likelihood
        Where its likelihood is, ``"module:name"``.
    strata
        Whether each stratum may have a baseline of its own.
    cause
        Whether it may be the hazard of a competing cause.
    ties
        Whether it has a treatment of tied events.
    competing
        Whether events have causes, each with a hazard.
    """

    likelihood: str
    strata: bool = False
    cause: bool = False
    ties: bool = False
    competing: bool = False


@dataclass(frozen=True)
class TargetKind:
    """What a kind of target says about itself.

    Attributes
    ----------
    likelihood
        Where its likelihood is, ``"module:name"``.
    ordered
        Whether its values are ordered levels; else they are numbers, which are scaled.
    """

    likelihood: str
    ordered: bool = False


OUTCOME_ROLES: dict[str, RoleParts] = {
    "survival": RoleParts(
        "mvlatent.specs.survival:Survival",
        "mvlatent.data.survival:SurvivalCoder",
        "mvlatent.outcomes.roles.survival:SurvivalRole",
    ),
    "labels": RoleParts(
        "mvlatent.specs.labels:Labels",
        "mvlatent.data.labels:LabelCoder",
        "mvlatent.outcomes.roles.labels:LabelRole",
    ),
    "target": RoleParts(
        "mvlatent.specs.target:Target",
        "mvlatent.data.targets:TargetCoder",
        "mvlatent.outcomes.roles.target:TargetRole",
    ),
}
"""Roles by name; outcomes are listed in this order."""

KINDS_OF_SURVIVAL: dict[str, SurvivalKind] = {
    "piecewise": SurvivalKind(
        "mvlatent.outcomes.piecewise:PiecewiseExponential", strata=True, cause=True
    ),
    "cox": SurvivalKind("mvlatent.outcomes.cox:Cox", strata=True, cause=True, ties=True),
    "discrete": SurvivalKind("mvlatent.outcomes.discrete:DiscreteHazard", strata=True),
    "weibull": SurvivalKind("mvlatent.outcomes.weibull:Weibull"),
    "competing": SurvivalKind("mvlatent.outcomes.competing:Competing", strata=True, competing=True),
}
KINDS_OF_TARGET: dict[str, TargetKind] = {
    "continuous": TargetKind("mvlatent.outcomes.continuous:Continuous"),
    "ordinal": TargetKind("mvlatent.outcomes.ordinal:OrdinalOutcome", ordered=True),
}


def known_fields(kind: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a saved specification that this version knows."""
    return {name: state[name] for name in (f.name for f in fields(kind)) if name in state}


class OutcomeSpec:
    """What the user says of an outcome; a role's specification is a frozen dataclass of this.

    Attributes
    ----------
    name
        What predictions ask for, as ``outcome="OS"``.
    weight
        Pull of the in-training head relative to the other outcomes'.
    role
        Name of its role, a key of `OUTCOME_ROLES`.
    phrase
        What a model without an outcome of the role is "fitted without".
    always_named
        Whether columns and titles bear the outcome's name even where it is alone of its role.
    sharing
        Whether outcomes of the role may have a column in common, in the same part.
    free_parts
        Parts whose column may be a covariate as well.
    balanced_part
        Part by whose values folds of patients are balanced; ``None`` without.
    """

    name: str
    weight: float
    role: ClassVar[str]
    phrase: ClassVar[str]
    always_named: ClassVar[bool] = False
    sharing: ClassVar[bool] = False
    free_parts: ClassVar[tuple[str, ...]] = ()
    balanced_part: ClassVar[str | None] = None

    @property
    def parts(self) -> dict[str, str]:
        """Column of each part that is given."""
        raise NotImplementedError(f"{type(self).__name__} names no columns; give it parts.")

    @property
    def outcome_columns(self) -> tuple[str, ...]:
        """Columns that hold the outcome itself: those that may not be covariates."""
        return tuple(c for part, c in self.parts.items() if part not in self.free_parts)

    @property
    def groups(self) -> list[tuple[str, tuple[str, ...]]]:
        """Columns that patients have together or not at all, with a word for each group."""
        return [(self.role, self.outcome_columns)]

    @property
    def said(self) -> str:
        """Columns and options as the summary says them."""
        return ", ".join(self.outcome_columns)

    @classmethod
    def typed(cls, typed: Any, name: str = "") -> Self:
        """Read a short form, as `mvlatent.fit` takes it; ValueError where it is none."""
        raise NotImplementedError(f"{cls.__name__} has no short form; give it in full.")

    @classmethod
    def is_one(cls, typed: Any) -> bool:
        """Whether a sequence that was typed is one outcome, and not a list of them."""
        return False

    def _name_and_weigh(self, column: str) -> None:
        """Fill in the default name and check name and weight."""
        object.__setattr__(self, "name", column if self.name in ("", None) else self.name)
        if not isinstance(self.name, str):
            raise ValueError(f"the name of an outcome must be a string, not {shown(self.name)}.")
        if not is_number(self.weight) or not 0 <= self.weight < float("inf"):
            raise ValueError(
                f"weight of outcome {self.name!r} must be a number from 0 on, not "
                f"{shown(self.weight)}."
            )
        object.__setattr__(self, "weight", as_python(self.weight))


class OneColumn(OutcomeSpec):
    """An outcome that stands in one column."""

    column: str

    @property
    def parts(self) -> dict[str, str]:
        """Column of each part: the only one."""
        return {"column": self.column}


def outcome_to_dict(spec: OutcomeSpec) -> dict[str, Any]:
    """Return a dictionary of JSON types, with the outcome's role."""
    out = {"role": spec.role, **asdict(spec)}  # type: ignore[call-overload]
    return {k: list(v) if isinstance(v, tuple) else v for k, v in out.items()}


def outcome_from_dict(state: Mapping[str, Any]) -> OutcomeSpec:
    """Build an outcome from what `outcome_to_dict` returned.

    Examples
    --------
    >>> from mvlatent.specs import Labels
    >>> outcome_from_dict(outcome_to_dict(Labels("subtype"))) == Labels("subtype")
    True
    """
    kind: type[OutcomeSpec] = implementation_of(OUTCOME_ROLES[state["role"]].spec)
    return kind(**known_fields(kind, state))
