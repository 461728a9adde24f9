"""Which values a likelihood takes, and what values look like; numpy comes with the values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

__all__ = ["COUNTED", "LEVELLED", "SHARES", "ZERO_ONE", "Entries", "Guess", "Support"]

Array: TypeAlias = "np.ndarray[Any, Any]"

ORDINAL_RANGE = 6  # most steps from the lowest to the highest level where some are negative
SMALL_RANGE = 4  # the same where none is: more of them are counts
RATING_RANGE = 9  # the same where none is 0: scales from 1 to 10
FEW = 20  # fewer distinct values are not continuous
MAX_ENTRIES = 2_000_000
AT_THE_ENDS = 0.05  # share of exact zeros and ones that shares may hold


@dataclass(frozen=True)
class Support:
    """Values that a likelihood takes.

    Attributes
    ----------
    takes
        Which of an array's values it takes, bool of the same shape.
    refusal
        What is wrong with a view that holds others, as in "view 'x' is nb but <refusal> in 'a'".

    Examples
    --------
    >>> import numpy as np
    >>> SHARES.takes(np.array([0.5, 1.5])).tolist()
    [True, False]
    """

    takes: Callable[[Array], Array]
    refusal: str


def _whole(x: Array) -> Array:
    found: Array = x == x.round()
    return found


COUNTED = Support(
    lambda x: _whole(x) & (x >= 0),
    "holds negative numbers or fractions where counts are asked for,",
)
ZERO_ONE = Support(lambda x: (x == 0) | (x == 1), "holds values other than 0 and 1")
SHARES = Support(lambda x: (x >= 0) & (x <= 1), "holds values outside 0..1")
LEVELLED = Support(_whole, "holds other levels than whole numbers")


@dataclass(frozen=True, eq=False)
class Entries:
    """What is seen of a view's values: all that a guess of its likelihood goes by.

    Attributes
    ----------
    values
        The measured entries, (m,), at least one.

    Examples
    --------
    >>> import numpy as np
    >>> Entries(np.array([0.0, 2.0, 1.0])).words
    'whole numbers from 0 to 2'
    """

    values: Array

    @cached_property
    def low(self) -> float:
        """Lowest value."""
        return float(self.values.min())

    @cached_property
    def high(self) -> float:
        """Highest value."""
        return float(self.values.max())

    @cached_property
    def whole(self) -> bool:
        """Whether all are whole numbers."""
        return self.values.dtype.kind != "f" or bool(_whole(self.values).all())

    @cached_property
    def distinct(self) -> int:
        """Number of distinct values, of a large matrix among evenly spaced entries."""
        import numpy as np

        return len(np.unique(self.values[:: 1 + len(self.values) // MAX_ENTRIES]))

    @property
    def words(self) -> str:
        """What was seen, in words."""
        if self.whole:
            return f"whole numbers from {int(self.low)} to {int(self.high)}"
        return f"values from {self.low:.4g} to {self.high:.4g}"

    @property
    def binary(self) -> bool:
        """Whether there are zeros and ones only."""
        return self.whole and self.low >= 0 and self.high <= 1

    @property
    def few_steps(self) -> bool:
        """Whether they are whole numbers as close together as levels are."""
        most = ORDINAL_RANGE if self.low < 0 else SMALL_RANGE if self.low == 0 else RATING_RANGE
        return self.whole and not self.binary and self.high - self.low <= most


Guess = Callable[[Entries], tuple[bool, str]]
"""Whether values look like a likelihood's; and why, or what speaks against it (``""``: all)."""


def zeros_and_ones(seen: Entries) -> tuple[bool, str]:
    """Two values, 0 and 1."""
    return seen.binary, "zeros and ones" if seen.binary else ""


def levels(seen: Entries) -> tuple[bool, str]:
    """Few whole numbers, all of which occur."""
    if not seen.few_steps:
        return False, ""
    if seen.distinct == int(seen.high) - int(seen.low) + 1:
        return True, seen.words
    return False, f"of which only {seen.distinct} occur"


def counts(seen: Entries) -> tuple[bool, str]:
    """Whole numbers from 0, of a wider range than levels have."""
    if not seen.whole or seen.binary or seen.few_steps or seen.low < 0:
        return False, ""
    if seen.distinct < min(int(seen.high) - int(seen.low), FEW) // 2:
        return False, f"of which only {seen.distinct} occur"
    return True, seen.words


def shares(seen: Entries) -> tuple[bool, str]:
    """Fractions within 0..1, few of them at the ends."""
    if seen.whole or seen.low < 0 or seen.high > 1:
        return False, ""
    if seen.distinct < FEW:
        return False, "few of them distinct"
    if ((seen.values == 0) | (seen.values == 1)).mean() > AT_THE_ENDS:
        return False, "many at the ends"
    return True, seen.words
