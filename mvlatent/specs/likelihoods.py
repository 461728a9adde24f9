"""The registry of likelihoods: what each says of itself to those who know no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mvlatent.specs import values
from mvlatent.specs.values import COUNTED, LEVELLED, SHARES, ZERO_ONE, Guess, Support

__all__ = ["DEFAULT", "LIKELIHOODS", "OFFSETS", "SCALINGS", "Declaration", "registered"]

SCALINGS: tuple[str, ...] = ("rank_normal", "zscore", "log1p", "none")
OFFSETS: tuple[str, ...] = ("library", "burden", "none")
DEFAULT = "normal"  # of a view that says nothing, and of values that nothing else suits


@dataclass(frozen=True)
class Declaration:
    """What a likelihood says of itself: all that is asked of one outside of its class.

    Parameters
    ----------
    implementation
        Its class, a `mvlatent.vae.likelihoods.Likelihood`, as ``"module:Class"``: imported when a
        model is built.
    support
        Values that it takes; ``None``: any number.
    guess
        How values that look like its own are told; ``None``: it is never guessed.
    scalings
        Transforms that its values may have, one of `SCALINGS` each; the first is its default.
    offsets
        What may be known of a patient beforehand, one of `OFFSETS` each; the first is its default.
    coding
        Name of the scaler that codes its levels in place of a scaling; ``None``: no levels.
    sparse
        Whether most values are 0, so that sparse ones stay sparse.
    categories
        Whether values are categories, of which an interval has no level.

    Examples
    --------
    >>> LIKELIHOODS["nb"].offsets
    ('library', 'none')
    """

    implementation: str
    support: Support | None = None
    guess: Guess | None = None
    scalings: tuple[str, ...] = ("none",)
    offsets: tuple[str, ...] = ("none",)
    coding: str | None = None
    sparse: bool = False
    categories: bool = False


_CONTINUOUS = "mvlatent.vae.likelihoods.continuous"
_COUNTS = "mvlatent.vae.likelihoods.counts"
_DISCRETE = "mvlatent.vae.likelihoods.discrete"
_BY_LIBRARY = ("library", "none")

LIKELIHOODS: dict[str, Declaration] = {
    "normal": Declaration(f"{_CONTINUOUS}:Normal", scalings=SCALINGS),
    "studentt": Declaration(f"{_CONTINUOUS}:StudentT", scalings=SCALINGS),
    "beta": Declaration(f"{_CONTINUOUS}:Beta", SHARES, values.shares),
    "nb": Declaration(
        f"{_COUNTS}:NegativeBinomial", COUNTED, values.counts, offsets=_BY_LIBRARY, sparse=True
    ),
    "zinb": Declaration(f"{_COUNTS}:ZeroInflated", COUNTED, offsets=_BY_LIBRARY, sparse=True),
    "poisson": Declaration(f"{_COUNTS}:Poisson", COUNTED, offsets=_BY_LIBRARY, sparse=True),
    "bernoulli": Declaration(
        f"{_DISCRETE}:Bernoulli",
        ZERO_ONE,
        values.zeros_and_ones,
        offsets=("none", "burden"),
        sparse=True,
        categories=True,
    ),
    "ordinal": Declaration(f"{_DISCRETE}:Ordinal", LEVELLED, values.levels, coding="ordered"),
    "categorical": Declaration(
        f"{_DISCRETE}:Categorical", LEVELLED, coding="one_hot", categories=True
    ),
}
"""Every likelihood by name; a new one is a line here and its class in a file of its own."""


@contextmanager
def registered(name: str, declaration: Declaration) -> Iterator[None]:
    """Know a likelihood for as long as the block lasts; guesses ask it before all others.

    Raises
    ------
    ValueError
        If the name is taken.

    Examples
    --------
    >>> with registered("gamma", Declaration("my_package.gamma:Gamma")):
    ...     "gamma" in LIKELIHOODS
    True
    """
    if name in LIKELIHOODS:
        raise ValueError(f"likelihood {name!r} is registered already; take another name.")
    LIKELIHOODS[name] = declaration
    try:
        yield
    finally:
        del LIKELIHOODS[name]
