"""Which modality and which column plays which part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mvlatent.specs.outcomes import (
    Labels,
    OutcomeSpec,
    Survival,
    Target,
    check_name,
    outcome_from_dict,
    outcome_to_dict,
)
from mvlatent.specs.views import View

__all__ = ["Roles"]


@dataclass(frozen=True)
class Roles:
    """Which modality and which column plays which part.

    Parameters
    ----------
    views
        Modelled modalities by name: a `View`, the name of a likelihood, or ``None`` to have it
        guessed (a plain sequence of names guesses them all); empty: every modality is taken.
    batch
        Column of the site (technical, always categorical).
    technical
        More technical columns: they enter the decoders and are kept out of the latents.
    clinical
        Columns that enter the outcome heads only.
    survival, labels
        The first outcome of each of these kinds.
    more
        Further outcomes, and targets.

    Raises
    ------
    ValueError
        If a column has two roles that exclude each other, or is named twice, or two outcomes have
        one name. Survival outcomes may share columns in the same part, say the time.

    Examples
    --------
    >>> Roles({"rna": View()}, batch="site").columns
    ('site',)
    >>> Roles(survival=Survival("t", "dead", name="OS"), more=(Target("purity"),)).named
    {'OS': 'survival', 'purity': 'target'}
    """

    views: dict[str, View] = field(default_factory=dict)
    batch: str | None = None
    technical: tuple[str, ...] = ()
    clinical: tuple[str, ...] = ()
    survival: Survival | None = None
    labels: Labels | None = None
    more: tuple[OutcomeSpec, ...] = ()

    def __post_init__(self) -> None:
        """Check the names and that no column has two roles."""
        for name in ("technical", "clinical"):
            keys = getattr(self, name)
            object.__setattr__(self, name, (keys,) if isinstance(keys, str) else tuple(keys or ()))
        named: Any = [self.views] if isinstance(self.views, str) else self.views or {}
        named = named if isinstance(named, Mapping) else dict.fromkeys(named)
        views = {k: v if isinstance(v, View) else View(v) for k, v in named.items()}
        object.__setattr__(self, "views", views)
        more = list(self.more)
        for first, kind in (("survival", Survival), ("labels", Labels)):
            others = [outcome for outcome in more if isinstance(outcome, kind)]
            if getattr(self, first) is None and others:
                object.__setattr__(self, first, others[0])
                more.remove(others[0])
        object.__setattr__(self, "more", tuple(more))
        for key in self.columns:
            check_name("a role", key)
        self._check_columns()
        self._check_outcomes()

    def _check_columns(self) -> None:
        """Raise where a column has two roles."""
        seen: dict[str, str] = {}
        for key in self.covariates:
            if key in seen:
                raise ValueError(f"column {key!r} has two roles; give it one.")
            seen[key] = "covariate"
        for outcome in self.outcome_specs:
            for what, key in outcome.parts.items():
                part = f"{outcome.role} {what}"
                shared = outcome.role == "survival" and seen.get(key, part) == part
                if what == "strata":
                    shared |= seen.get(key) == "covariate"
                if key in seen and not shared:
                    raise ValueError(f"column {key!r} has two roles; give it one.")
                seen.setdefault(key, part)

    def _check_outcomes(self) -> None:
        """Raise where two outcomes have one name."""
        seen: set[str] = set()
        for outcome in self.outcome_specs:
            if outcome.name in seen:
                raise ValueError(
                    f"two outcomes are named {outcome.name!r}; give each a name of its own: "
                    f"{type(outcome).__name__}(..., name='...')."
                )
            seen.add(outcome.name)

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns that are inputs: the batch, technical and clinical ones, in that order."""
        batch = () if self.batch is None else (self.batch,)
        return (*batch, *self.technical, *self.clinical)

    @property
    def outcome_specs(self) -> tuple[OutcomeSpec, ...]:
        """Every outcome: survival outcomes first, then labels, then targets, each as given."""
        firsts = [outcome for outcome in (self.survival, self.labels) if outcome is not None]
        order = {kind: place for place, kind in enumerate((Survival, Labels, Target))}
        return tuple(sorted((*firsts, *self.more), key=lambda outcome: order[type(outcome)]))

    @property
    def named(self) -> dict[str, str]:
        """Role of each outcome, ``"survival"``, ``"labels"`` or ``"target"``, by its name."""
        return {outcome.name: outcome.role for outcome in self.outcome_specs}

    def outcome(self, role: str, name: str | None = None) -> OutcomeSpec:
        """Return an outcome of a role; without a name the first.

        Raises
        ------
        ValueError
            If there is no outcome of the role.
        KeyError
            If there is none of that name.

        Examples
        --------
        >>> Roles(more=(Labels("grade"), Labels("subtype"))).outcome("labels", "subtype").column
        'subtype'
        """
        found = {outcome.name: outcome for outcome in self.outcome_specs if outcome.role == role}
        if not found:
            what = {"survival": "a survival outcome", "target": "a target"}.get(role, role)
            raise ValueError(f"the model was fitted without {what}.")
        if name is None:
            return next(iter(found.values()))
        if name not in found:
            other = f"; {name!r} is of kind {self.named[name]}" if name in self.named else ""
            choices = ", ".join(map(repr, found))
            raise KeyError(f"no {role} outcome {name!r}{other}; there are {choices}.")
        return found[name]

    def title(self, spec: OutcomeSpec) -> str:
        """Return what to call an outcome: its role, and its name where that does not say it all."""
        alone = list(self.named.values()).count(spec.role) == 1
        return spec.role if alone and spec.role != "target" else f"{spec.role} {spec.name}"

    def shares_time(self, spec: OutcomeSpec) -> bool:
        """Whether a survival outcome has its time column in common with another."""
        times = [o.time for o in self.outcome_specs if isinstance(o, Survival)]
        return isinstance(spec, Survival) and times.count(spec.time) > 1

    def suffix(self, name: str) -> str:
        """What tells an outcome's columns from those of the first of its role, which has ``""``.

        Examples
        --------
        >>> roles = Roles(more=(Labels("subtype"), Labels("grade")))
        >>> roles.suffix("subtype"), roles.suffix("grade")
        ('', '_grade')
        """
        return "" if self.outcome(self.named[name]).name == name else f"_{name}"

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Columns that are outcomes, each once: time, event, entry, label and target."""
        columns = [c for outcome in self.outcome_specs for c in outcome.outcome_columns]
        return tuple(dict.fromkeys(columns))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that has a role, once; strata may be a covariate as well."""
        strata = [o.strata for o in self.outcome_specs if isinstance(o, Survival) and o.strata]
        return tuple(dict.fromkeys((*self.covariates, *self.outcomes, *strata)))

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        out = asdict(self)
        return {
            **out,
            "technical": list(self.technical),
            "clinical": list(self.clinical),
            "survival": None if self.survival is None else outcome_to_dict(self.survival),
            "labels": None if self.labels is None else outcome_to_dict(self.labels),
            "more": [outcome_to_dict(outcome) for outcome in self.more],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Roles:
        """Build the roles from what `to_dict` returned."""
        survival, labels = state.get("survival"), state.get("labels")
        return cls(
            views={k: View(**v) for k, v in state["views"].items()},
            batch=state.get("batch"),
            technical=tuple(state.get("technical") or ()),
            clinical=tuple(state.get("clinical") or ()),
            survival=None if survival is None else outcome_from_dict(survival, "survival"),
            labels=None if labels is None else outcome_from_dict(labels, "labels"),
            more=tuple(outcome_from_dict(outcome) for outcome in state.get("more") or ()),
        )
