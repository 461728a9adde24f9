"""What the user says about a cohort: views, outcomes and the roles of columns.

Frozen dataclasses of the standard library only; they check themselves, so a wrong name fails where
it is typed and the message lists the choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from typing import Any

__all__ = [
    "CAUSE_HAZARDS",
    "COUNTS",
    "LIKELIHOODS",
    "NOISES",
    "OFFSETS",
    "SCALINGS",
    "STRATIFIED_KINDS",
    "SURVIVAL_KINDS",
    "TIES",
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
SURVIVAL_KINDS: tuple[str, ...] = ("piecewise", "cox", "discrete", "weibull", "competing")
STRATIFIED_KINDS: tuple[str, ...] = ("piecewise", "cox", "discrete", "competing")
CAUSE_HAZARDS: tuple[str, ...] = ("piecewise", "cox")
TIES: tuple[str, ...] = ("efron", "breslow")


def _check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{what} {value!r} is not one of {', '.join(map(repr, choices))}.")


def _known(kind: type, state: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a saved specification that this version knows."""
    return {name: state[name] for name in (f.name for f in fields(kind)) if name in state}


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
            _check_name(f"survival {what}", column)
            if column in seen:
                raise ValueError(
                    f"survival {seen[column]} and {what} are the same column {column!r}."
                )
            seen[column] = what
        _check_choice("survival kind", self.kind, SURVIVAL_KINDS)
        if not isinstance(self.n_intervals, int) or self.n_intervals < 1:
            raise ValueError(f"n_intervals must be a positive integer, not {self.n_intervals!r}.")
        self._check_options()

    def _check_options(self) -> None:
        """Raise where an option has no meaning for the kind."""
        _check_choice("ties", self.ties, TIES)
        if self.kind == "competing":
            object.__setattr__(self, "hazard", self.hazard or CAUSE_HAZARDS[0])
            _check_choice("hazard", self.hazard, CAUSE_HAZARDS)
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
        """Columns that are outcomes: time, event, entry and label, as far as given."""
        survival = () if self.survival is None else self.survival.outcome_columns
        return survival if self.labels is None else (*survival, self.labels.column)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that has a role, once; strata may be a covariate as well."""
        columns = (*self.covariates, *self.outcomes)
        strata = None if self.survival is None else self.survival.strata
        return columns if strata is None or strata in self.covariates else (*columns, strata)

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
            survival=None if survival is None else Survival(**_known(Survival, survival)),
            labels=None if labels is None else Labels(**labels),
        )
