"""A number or an ordered level of each patient, as the user says it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

from mvlatent.specs.checks import check_choice, check_name, listed, shown
from mvlatent.specs.outcomes import KINDS_OF_TARGET, OneColumn

__all__ = ["TARGET_KINDS", "TARGET_SCALINGS", "Target"]

TARGET_SCALINGS: tuple[str, ...] = ("zscore", "rank_normal", "log1p")


@dataclass(frozen=True)
class Target(OneColumn):
    """A number or an ordered level of each patient; patients without one are fine.

    Parameters
    ----------
    column
        Column of the values.
    kind
        One of `TARGET_KINDS`: a continuous value with normal noise of a learnt scale, or ordered
        levels (ordered logit).
    scaling
        Transform of continuous values, learnt on the training rows: one of `TARGET_SCALINGS`;
        ``None`` is ``"zscore"`` (values beyond 5 sd count as at 5). Predictions come back in the
        column's own units.
    levels
        Ordered levels from low to high. ``None`` takes the order of an ordered categorical, else
        that of numbers, else that of the alphabet; which one it was is in the summary.
    name, weight
        As in `Survival`; the name is by default the column.

    Raises
    ------
    ValueError
        If a name is not one of the choices, an option does not go with the kind, or fewer than two
        levels are given or one is given twice.

    Examples
    --------
    >>> Target("purity").scaling
    'zscore'
    >>> Target("stage", kind="ordinal", levels=["I", "II", "III"]).levels
    ('I', 'II', 'III')
    """

    column: str
    _: KW_ONLY
    kind: str = "continuous"
    scaling: str | None = None
    levels: tuple[str, ...] | None = None
    name: str = ""
    weight: float = 1.0
    role: ClassVar[str] = "target"
    phrase: ClassVar[str] = "a target"
    always_named: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the names and what goes with the kind."""
        check_name("a target", self.column)
        check_choice("target kind", self.kind, (*KINDS_OF_TARGET,))
        if not self.ordered:
            object.__setattr__(self, "scaling", self.scaling or TARGET_SCALINGS[0])
            check_choice("target scaling", self.scaling, TARGET_SCALINGS)
        elif self.scaling is not None:
            raise ValueError(
                f"scaling={shown(self.scaling)} is an option of continuous targets only."
            )
        if self.levels is not None:
            self._check_levels()
        self._name_and_weigh(self.column)

    @property
    def ordered(self) -> bool:
        """Whether the values are ordered levels."""
        return KINDS_OF_TARGET[self.kind].ordered

    def _check_levels(self) -> None:
        if not self.ordered:
            raise ValueError(f"levels={shown(self.levels)} are an option of ordinal targets only.")
        levels = tuple(str(level) for level in listed(self.levels) or ())
        if len(levels) < 2 or len(set(levels)) < len(levels):
            raise ValueError(f"levels must be two or more, each once, not {shown(self.levels)}.")
        object.__setattr__(self, "levels", levels)

    @property
    def said(self) -> str:
        """Column and kind, as the summary says them."""
        return f"{self.column} ({self.kind})"

    @classmethod
    def typed(cls, typed: Any, name: str = "") -> Target:
        """Read a column, the kind of the column named, or a target that is made already."""
        if isinstance(typed, Target):
            return replace(typed, name=name) if name else typed
        if isinstance(typed, str):
            return cls(name, kind=typed) if name else cls(typed)
        raise ValueError(
            f"a target is a column or mv.Target(column, kind=...), not {shown(typed)}."
        )


TARGET_KINDS = tuple(KINDS_OF_TARGET)
