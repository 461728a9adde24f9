"""How the weight of a term changes over the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

__all__ = ["RAMP", "Schedule", "checked_schedule", "strength"]

Schedule = Literal["constant"] | tuple[float, float]
"""``"constant"``, or the shares of the epochs between which a weight rises from 0 to 1."""

RAMP: Schedule = (0.0, 0.5)


def checked_schedule(name: str, schedule: Any) -> Schedule:
    """Schedule as it is kept; ValueError naming the term if it cannot be one.

    Examples
    --------
    >>> checked_schedule("alignment", [0, 0.5])
    (0.0, 0.5)
    """
    if schedule == "constant":
        return "constant"
    pair = isinstance(schedule, Sequence) and not isinstance(schedule, str) and len(schedule) == 2
    if not pair or not 0 <= schedule[0] <= schedule[1] <= 1:
        raise ValueError(
            f"{name}: schedule must be 'constant' or a pair (a, b) of shares of the epochs, "
            f"0 <= a <= b <= 1, not {schedule!r}."
        )
    return float(schedule[0]), float(schedule[1])


def strength(schedule: Schedule, progress: float) -> float:
    """Share of the full weight, in [0, 1], when a share ``progress`` of the epochs is over.

    Examples
    --------
    >>> [strength((0.25, 0.75), at) for at in (0.1, 0.5, 1.0)]
    [0.0, 0.5, 1.0]
    """
    if schedule == "constant":
        return 1.0
    start, stop = schedule
    if progress >= stop:
        return 1.0
    return 0.0 if progress <= start else (progress - start) / (stop - start)
