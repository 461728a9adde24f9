"""What the user says about a cohort: views, outcomes and the roles of columns.

Frozen dataclasses of the standard library only; they check themselves, so a wrong name fails where
it is typed and the message lists the choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import Any

__all__ = [
    "COUNTS",
    "LIKELIHOODS",
    "NOISES",
    "OFFSETS",
    "SCALINGS",
    "SURVIVAL_KINDS",
    "Labels",
    "Roles",
    "Survival",
    "View",
]

LIKELIHOODS: tuple[str, ...] = (
    "normal",
    "studentt",
    "beta",
    "nb",
    "zinb",
    "poisson",
    "bernoulli",
    "ordinal",
    "categorical",
)
COUNTS: tuple[str, ...] = ("nb", "zinb", "poisson")
UNSCALED: tuple[str, ...] = ("beta", *COUNTS, "bernoulli", "ordinal", "categorical")
OFFSETS: tuple[str, ...] = ("library", "burden", "none")
SCALINGS: tuple[str, ...] = ("rank_normal", "zscore", "log1p", "none")
NOISES: tuple[str, ...] = ("feature", "view")
SURVIVAL_KINDS: tuple[str, ...] = ("piecewise", "cox")


def _check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{what} {value!r} is not one of {', '.join(map(repr, choices))}.")


def _check_name(what: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{what} must be the name of a column, not {value!r}.")


@dataclass(frozen=True)
class View:
    """How one modality is modelled.

    Parameters
    ----------
    likelihood
        Distribution of a feature: one of `LIKELIHOODS`. ``"normal"`` and ``"studentt"`` are for
        continuous values, ``"beta"`` for shares such as methylation, ``"nb"``, ``"zinb"`` and
        ``"poisson"`` for counts, ``"bernoulli"`` for zeros and ones, ``"ordinal"`` for levels such
        as copy number -2..2, ``"categorical"`` for levels without an order. ``None`` is guessed
        from the values when the view is set up.
    scaling
        Transform learnt on the training rows: one of `SCALINGS`. ``None`` takes the likelihood's
        own: ``"rank_normal"`` for normal and Student's t, ``"none"`` for the rest (all they allow).
    layer
        Layer of the modality that holds the values; ``None`` is ``X``.
    noise
        ``"feature"`` gives each feature its own noise (scale, dispersion or precision), ``"view"``
        one to the whole view. ``None`` is ``"feature"``.
    offset
        What is known of a patient beforehand: ``"library"``, the log library size (only
        counts, their default), ``"burden"``, the log number of ones (only Bernoulli, e.g. tumour
        mutational burden, else the first factor is burden), or ``"none"``.

    Raises
    ------
    ValueError
        If a name is not one of the choices, or scaling or offset do not suit the likelihood.

    Examples
    --------
    >>> View("normal").scaling
    'rank_normal'
    >>> View("nb").scaling, View("nb").offset
    ('none', 'library')
    """

    likelihood: str | None = "normal"
    _: KW_ONLY
    scaling: str | None = None
    layer: str | None = None
    noise: str | None = None
    offset: str | None = None

    def __post_init__(self) -> None:
        """Check the names and fill in the likelihood's defaults."""
        if self.noise is not None:
            _check_choice("noise", self.noise, NOISES)
        if self.scaling is not None:
            _check_choice("scaling", self.scaling, SCALINGS)
        if self.offset is not None:
            _check_choice("offset", self.offset, OFFSETS)
        if self.likelihood is None:
            return
        _check_choice("likelihood", self.likelihood, LIKELIHOODS)
        unscaled, counts = self.likelihood in UNSCALED, self.likelihood in COUNTS
        if self.scaling is None:
            object.__setattr__(self, "scaling", "none" if unscaled else "rank_normal")
        if self.noise is None:
            object.__setattr__(self, "noise", "feature")
        if self.offset is None:
            object.__setattr__(self, "offset", "library" if counts else "none")
        if unscaled and self.scaling != "none":
            raise ValueError(
                f"a {self.likelihood} view cannot be scaled: scaling={self.scaling!r}."
            )
        if self.offset == "library" and not counts:
            raise ValueError(
                f"offset='library' is for counts ({', '.join(COUNTS)}), not {self.likelihood!r}."
            )
        if self.offset == "burden" and self.likelihood != "bernoulli":
            raise ValueError(f"offset='burden' is for 'bernoulli', not {self.likelihood!r}.")


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
        Column that is 1 (or ``True``) where the event was seen at that time, 0 where censored.
    kind
        One of `SURVIVAL_KINDS`.
    n_intervals
        Intervals of the piecewise-constant baseline hazard.

    Raises
    ------
    ValueError
        If the time is spread over several columns, a name is wrong, or ``n_intervals`` < 1.

    Examples
    --------
    >>> Survival("survival_months", "event").kind
    'piecewise'
    """

    time: str
    event: str
    _: KW_ONLY
    kind: str = "piecewise"
    n_intervals: int = 15

    def __post_init__(self) -> None:
        """Check the columns' names and the kind."""
        if isinstance(self.time, (list, tuple)):
            raise ValueError(
                f"survival time must be one column, not {list(self.time)}; make one first: "
                f"{join_times_line(tuple(self.time))}"
            )
        _check_name("survival time", self.time)
        _check_name("survival event", self.event)
        if self.time == self.event:
            raise ValueError(f"survival time and event are the same column {self.time!r}.")
        _check_choice("survival kind", self.kind, SURVIVAL_KINDS)
        if not isinstance(self.n_intervals, int) or self.n_intervals < 1:
            raise ValueError(f"n_intervals must be a positive integer, not {self.n_intervals!r}.")


@dataclass(frozen=True)
class Labels:
    """A class of each patient; patients without one are fine.

    Examples
    --------
    >>> Labels("mol_subtype").column
    'mol_subtype'
    """

    column: str

    def __post_init__(self) -> None:
        """Check the column's name."""
        _check_name("labels", self.column)


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
        Outcomes.

    Raises
    ------
    ValueError
        If a column has two roles that exclude each other, or is named twice.

    Examples
    --------
    >>> Roles({"rna": View()}, batch="site").columns
    ('site',)
    """

    views: dict[str, View] = field(default_factory=dict)
    batch: str | None = None
    technical: tuple[str, ...] = ()
    clinical: tuple[str, ...] = ()
    survival: Survival | None = None
    labels: Labels | None = None

    def __post_init__(self) -> None:
        """Check the names and that no column has two roles."""
        for name in ("technical", "clinical"):
            keys = getattr(self, name)
            object.__setattr__(self, name, (keys,) if isinstance(keys, str) else tuple(keys or ()))
        named: Any = [self.views] if isinstance(self.views, str) else self.views or {}
        named = named if isinstance(named, Mapping) else dict.fromkeys(named)
        views = {k: v if isinstance(v, View) else View(v) for k, v in named.items()}
        object.__setattr__(self, "views", views)
        for key in self.columns:
            _check_name("a role", key)
        seen: set[str] = set()
        for key in self.columns:
            if key in seen:
                raise ValueError(f"column {key!r} has two roles; give it one.")
            seen.add(key)

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns that are inputs: the batch, technical and clinical ones, in that order."""
        batch = () if self.batch is None else (self.batch,)
        return (*batch, *self.technical, *self.clinical)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Columns that are outcomes: time, event and label, as far as given."""
        survival = () if self.survival is None else (self.survival.time, self.survival.event)
        return survival if self.labels is None else (*survival, self.labels.column)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that has a role."""
        return (*self.covariates, *self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        out = asdict(self)
        return {**out, "technical": list(self.technical), "clinical": list(self.clinical)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Roles:
        """Build the roles from what `to_dict` returned."""
        survival, labels = state.get("survival"), state.get("labels")
        return cls(
            views={k: View(**v) for k, v in state["views"].items()},
            batch=state.get("batch"),
            technical=tuple(state.get("technical") or ()),
            clinical=tuple(state.get("clinical") or ()),
            survival=None if survival is None else Survival(**survival),
            labels=None if labels is None else Labels(**labels),
        )
