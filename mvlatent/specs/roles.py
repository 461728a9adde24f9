"""Which modality and which column plays which part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mvlatent.specs.checks import as_names, shown
from mvlatent.specs.implementation import implementation_of
from mvlatent.specs.outcomes import OUTCOME_ROLES, OutcomeSpec, outcome_from_dict, outcome_to_dict
from mvlatent.specs.views import View

__all__ = ["Roles"]


@dataclass(frozen=True)
class Roles:
    """Which modality and which column plays which part.

    Parameters
    ----------
    views
        Modelled modalities by name: a `View`, the name of a likelihood, or ``None`` to have it
        guessed (a plain sequence of names guesses them all). ``None`` takes every modality; empty
        is none.
    batch
        Column of the site (technical, always categorical).
    technical
        More technical columns: they enter the decoders and are kept out of the latents.
    clinical
        Columns that enter the outcome heads only.
    outcome_specs
        Outcomes: they are kept by role, survival outcomes first, then labels, then targets, and
        within a role as given.

    every_view
        Whether the views are those that the cohort has; views that are named say no.

    Raises
    ------
    TypeError
        If what should be names is not.
    ValueError
        If a column has two roles that exclude each other, or is named twice, or two outcomes have
        one name. Survival outcomes may share columns in the same part, say the time.

    Examples
    --------
    >>> Roles({"rna": View()}, batch="site").columns
    ('site',)
    >>> Roles().every_view, Roles([]).every_view
    (True, False)
    >>> from mvlatent.specs import Survival, Target
    >>> Roles(outcome_specs=(Target("purity"), Survival("t", "dead", name="OS"))).named
    {'OS': 'survival', 'purity': 'target'}
    """

    views: dict[str, View] = None  # type: ignore[assignment]  # every view; a dictionary from here on
    batch: str | None = None
    technical: tuple[str, ...] = ()
    clinical: tuple[str, ...] = ()
    outcome_specs: tuple[OutcomeSpec, ...] = ()
    every_view: bool = False

    def __post_init__(self) -> None:
        """Check the names and that no column has two roles."""
        for name in ("technical", "clinical"):
            object.__setattr__(self, name, as_names(name, getattr(self, name)))
        object.__setattr__(self, "batch", _one_column("batch", self.batch))
        every = self.views is None or (self.every_view and not self.views)
        object.__setattr__(self, "every_view", every)
        object.__setattr__(self, "views", _views(self.views))
        order = {role: place for place, role in enumerate(OUTCOME_ROLES)}
        ordered = sorted(self.outcome_specs, key=lambda outcome: order[outcome.role])
        object.__setattr__(self, "outcome_specs", tuple(ordered))
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
                shared = outcome.sharing and seen.get(key, part) == part
                if what in outcome.free_parts:
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
    def survival(self) -> OutcomeSpec | None:
        """The first survival outcome, ``None`` without."""
        return self.first("survival")

    @property
    def labels(self) -> OutcomeSpec | None:
        """The first labels, ``None`` without."""
        return self.first("labels")

    def first(self, role: str) -> OutcomeSpec | None:
        """Return the first outcome of a role, ``None`` without."""
        return next((o for o in self.outcome_specs if o.role == role), None)

    @property
    def named(self) -> dict[str, str]:
        """Role of each outcome, such as ``"survival"``, by its name."""
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
        >>> from mvlatent.specs import Labels
        >>> roles = Roles(outcome_specs=(Labels("grade"), Labels("subtype")))
        >>> roles.outcome("labels", "subtype").column
        'subtype'
        """
        found = {outcome.name: outcome for outcome in self.outcome_specs if outcome.role == role}
        if not found:
            phrase = implementation_of(OUTCOME_ROLES[role].spec).phrase
            raise ValueError(f"the model was fitted without {phrase}.")
        if name is None:
            return next(iter(found.values()))
        if name not in found:
            other = f"; {name!r} is of kind {self.named[name]}" if name in self.named else ""
            choices = ", ".join(map(repr, found))
            raise KeyError(f"no {role} outcome {name!r}{other}; there are {choices}.")
        return found[name]

    def title(self, spec: OutcomeSpec) -> str:
        """Return what to call an outcome: its role, and its name where that does not say it all."""
        alone = list(self.named.values()).count(spec.role) == 1 and not spec.always_named
        return spec.role if alone else f"{spec.role} {spec.name}"

    def shared_parts(self, spec: OutcomeSpec) -> frozenset[str]:
        """Parts of an outcome whose column another outcome of its role has in the same part."""
        others = [o.parts for o in self.outcome_specs if o.role == spec.role and o is not spec]
        pairs = {pair for parts in others for pair in parts.items()}
        return frozenset(part for part, column in spec.parts.items() if (part, column) in pairs)

    def suffix(self, name: str) -> str:
        """What tells an outcome's columns from those of the first of its role, which has ``""``.

        Examples
        --------
        >>> from mvlatent.specs import Labels
        >>> roles = Roles(outcome_specs=(Labels("subtype"), Labels("grade")))
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
        parts = [column for o in self.outcome_specs for column in o.parts.values()]
        return tuple(dict.fromkeys((*self.covariates, *self.outcomes, *parts)))

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        views = {name: asdict(view) for name, view in self.views.items()}
        return {
            "views": None if self.every_view else views,
            "batch": self.batch,
            "technical": list(self.technical),
            "clinical": list(self.clinical),
            "outcomes": [outcome_to_dict(outcome) for outcome in self.outcome_specs],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Roles:
        """Build the roles from what `to_dict` returned."""
        views = state["views"]
        return cls(
            views=None if views is None else {k: View(**v) for k, v in views.items()},  # type: ignore[arg-type]
            batch=state["batch"],
            technical=tuple(state["technical"]),
            clinical=tuple(state["clinical"]),
            outcome_specs=tuple(outcome_from_dict(outcome) for outcome in state["outcomes"]),
        )


def _one_column(what: str, typed: Any) -> str | None:
    """A column that was typed, also as a list of one."""
    names = as_names(what, typed)
    if len(names) > 1:
        raise ValueError(
            f"{what} is one column, not {len(names)} ({', '.join(map(repr, names[:5]))}"
            f"{', ...' * (len(names) > 5)}); name the others as technical."
        )
    return names[0] if names else None


def _views(typed: Any) -> dict[str, View]:
    """Views that were typed: one name, several, or a mapping from names to what is said of each."""
    if not isinstance(typed, Mapping):
        names = as_names("views", typed, of="modalities")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"view {name!r} is named twice; name it once.")
        typed = dict.fromkeys(names)
    views = {}
    for name, said in typed.items():
        as_names("views", [name], of="modalities")
        if not isinstance(said, str | View | None):
            raise TypeError(
                f"view {name!r} must be the name of a likelihood, a mv.View or None, not "
                f"{shown(said)}."
            )
        try:
            views[str(name)] = said if isinstance(said, View) else View(said)
        except ValueError as error:
            raise ValueError(f"view {name!r}: {str(error).rstrip('.')}.") from None
    return views
