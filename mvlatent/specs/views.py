"""What the user says of a view: its likelihood, and how its values are read."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from mvlatent.specs.checks import check_choice, shown
from mvlatent.specs.likelihoods import DEFAULT, LIKELIHOODS, OFFSETS, SCALINGS, Declaration

__all__ = ["NOISES", "View"]

NOISES: tuple[str, ...] = ("feature", "view")


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
    TypeError
        If the layer is no name.
    ValueError
        If a name is not one of the choices, or scaling or offset do not suit the likelihood.

    Examples
    --------
    >>> View("normal").scaling
    'rank_normal'
    >>> View("nb").scaling, View("nb").offset
    ('none', 'library')
    """

    likelihood: str | None = DEFAULT
    _: KW_ONLY
    scaling: str | None = None
    layer: str | None = None
    noise: str | None = None
    offset: str | None = None

    def __post_init__(self) -> None:
        """Check the names and fill in the likelihood's defaults."""
        if self.noise is not None:
            check_choice("noise", self.noise, NOISES)
        if self.scaling is not None:
            check_choice("scaling", self.scaling, SCALINGS)
        if self.offset is not None:
            check_choice("offset", self.offset, OFFSETS)
        if self.layer is not None and (not isinstance(self.layer, str) or not self.layer):
            raise TypeError(f"layer must be the name of a layer, not {shown(self.layer)}.")
        if self.likelihood is None:
            return
        said = self.declaration
        if self.scaling is None:
            object.__setattr__(self, "scaling", said.scalings[0])
        if self.noise is None:
            object.__setattr__(self, "noise", "feature")
        if self.offset is None:
            object.__setattr__(self, "offset", said.offsets[0])
        if self.scaling not in said.scalings:
            raise ValueError(
                f"a {self.likelihood} view cannot be scaled: scaling={self.scaling!r}."
                if said.scalings == ("none",)
                else f"a {self.likelihood} view cannot have scaling={self.scaling!r}; take one of "
                f"{', '.join(map(repr, said.scalings))}."
            )
        if self.offset not in said.offsets:
            takers = [name for name, other in LIKELIHOODS.items() if self.offset in other.offsets]
            raise ValueError(
                f"offset={self.offset!r} is for {', '.join(map(repr, takers))}, not "
                f"{self.likelihood!r}."
            )

    @property
    def declaration(self) -> Declaration:
        """What the likelihood says of itself.

        Raises
        ------
        ValueError
            If the likelihood is not known (or not even guessed).
        """
        check_choice("likelihood", self.likelihood, tuple(LIKELIHOODS))
        return LIKELIHOODS[str(self.likelihood)]
