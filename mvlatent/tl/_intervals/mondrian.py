"""Calibration by group: one value for each group, and the pooled one for groups never seen."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from mvlatent.tl._outcomes.outcome import checked_groups

__all__ = ["Mondrian"]

T = TypeVar("T")


class Mondrian(Generic[T]):
    """What was calibrated on all patients, and on each group where groups were given.

    Parameters
    ----------
    calibrate
        From positions of calibration patients to what is learnt on them.
    n
        Number of calibration patients.
    group
        Group of each, (n,), or None. Patients without one count for the pooled value only.
    """

    def __init__(self, calibrate: Callable[[np.ndarray], T], n: int, group: Any = None) -> None:
        self.pooled = calibrate(np.arange(n))
        self.by_group: dict[Any, T] | None = None
        if group is not None:
            codes, names = checked_groups(group, n, "group")
            self.by_group = {
                name: calibrate(np.flatnonzero(codes == code)) for code, name in enumerate(names)
            }

    def split(self, n: int, group: Any = None) -> Iterator[tuple[np.ndarray, T]]:
        """Positions of new patients, and what holds for them.

        Raises
        ------
        ValueError
            If groups are given on one side only or their number is not n.
        """
        if (self.by_group is None) != (group is None):
            advice = "by group: give group" if group is None else "without groups: leave group out"
            raise ValueError(f"the calibration was {advice}.")
        if self.by_group is None:
            yield np.arange(n), self.pooled
            return
        codes, names = checked_groups(group, n, "group")
        unseen = sorted({str(name) for name in names if name not in self.by_group})
        if unseen or (codes < 0).any():
            warnings.warn(
                f"groups {unseen or ['(missing)']} have no calibration patients: they get the "
                "correction of all patients, whose level is not promised for them.",
                stacklevel=3,
            )
        for code in np.unique(codes):
            found = self.pooled if code < 0 else self.by_group.get(names[code], self.pooled)
            yield np.flatnonzero(codes == code), found
