"""A class of each patient, as the user says it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

from mvlatent.specs.checks import check_name, shown
from mvlatent.specs.outcomes import OneColumn

__all__ = ["Labels"]


@dataclass(frozen=True)
class Labels(OneColumn):
    """A class of each patient; patients without one are fine.

    Parameters
    ----------
    column
        Column of the classes.
    name, weight
        As in `Survival`; the name is by default the column.

    Raises
    ------
    ValueError
        If a name or the weight is wrong.

    Examples
    --------
    >>> Labels("mol_subtype").column
    'mol_subtype'
    """

    column: str
    _: KW_ONLY
    name: str = ""
    weight: float = 1.0
    role: ClassVar[str] = "labels"
    phrase: ClassVar[str] = "labels"

    def __post_init__(self) -> None:
        """Check the column's name."""
        check_name("labels", self.column)
        self._name_and_weigh(self.column)

    @classmethod
    def typed(cls, typed: Any, name: str = "") -> Labels:
        """Read a column, or labels that are made already."""
        if isinstance(typed, Labels):
            return replace(typed, name=name) if name else typed
        if isinstance(typed, str):
            return cls(typed, name=name)
        raise ValueError(f"labels are a column or mv.Labels(column), not {shown(typed)}.")
