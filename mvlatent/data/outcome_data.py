"""Outcomes of patients as tensors: survival, classes, and ordinal or continuous targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

__all__ = ["LabelData", "OutcomeData", "SurvivalData", "TargetData"]

_ALL: Any = None  # in place of a mask: every outcome is known


class OutcomeData(Protocol):
    """Outcomes of N patients, of any role."""

    @property
    def observed(self) -> Tensor:
        """Whether the outcome is known, (N,) bool."""
        ...

    def subset(self, rows: Tensor) -> Self:
        """Return the outcomes of the rows given by integer index (or bool mask)."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """Return the outcomes on another device."""
        ...


@dataclass(frozen=True, eq=False)
class SurvivalData:
    """Times and events of N patients: what every survival likelihood takes.

    Attributes
    ----------
    time
        Follow-up, (N,) float32, > 0, in the user's unit; 1 where unobserved.
    event
        1 where the event (of any cause) was seen, (N,) float32; 0 where unobserved.
    observed
        Whether the outcome is known, (N,) bool; all are where it is left out.
    entry
        When the patient came under observation, (N,) float32, before the time; ``None``: all at 0.
    stratum
        Code of the stratum, (N,) int64, known whether or not the outcome is; ``None``: no strata.
    cause
        Competing cause of the event, (N,) int64 from 1; 0 where censored or unobserved. ``None``
        without competing causes.
    n_strata
        Strata there are, whether or not these patients are in them.

    Examples
    --------
    >>> import torch
    >>> time, event = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 1.0])
    >>> SurvivalData(time, event).observed
    tensor([True, True, True])
    """

    time: Tensor
    event: Tensor
    observed: Tensor = _ALL
    entry: Tensor | None = None
    stratum: Tensor | None = None
    cause: Tensor | None = None
    n_strata: int = 1

    def __post_init__(self) -> None:
        """Take every outcome as known without a mask."""
        if self.observed is _ALL:
            vars(self)["observed"] = torch.ones_like(self.time, dtype=torch.bool)

    @property
    def code(self) -> Tensor:
        """What happened, (N,) float32: 0 is censored, else the cause, 1 where none compete."""
        return self.event if self.cause is None else self.cause.to(self.event.dtype)

    def of_cause(self, cause: int) -> SurvivalData:
        """Return the outcomes of one competing cause, in which the others are censored."""
        return replace(self, event=(self.code == cause).to(self.event.dtype), cause=None)

    def known(self) -> SurvivalData:
        """Return the outcomes that are observed, in float64."""
        own = self.subset(self.observed)
        return own._each(lambda x: x.double() if x.is_floating_point() else x)

    def _each(self, change: Callable[[Tensor], Tensor]) -> SurvivalData:
        tensors: dict[str, Any] = {
            k: change(v) for k, v in vars(self).items() if isinstance(v, Tensor)
        }
        return replace(self, **tensors)

    def subset(self, rows: Tensor) -> SurvivalData:
        """Return the outcomes of the rows given by integer index (or bool mask)."""
        return self._each(lambda x: x[rows])

    def to(self, device: torch.device | str) -> SurvivalData:
        """Return the outcomes on another device."""
        return self._each(lambda x: x.to(device))


@dataclass(frozen=True, eq=False)
class LabelData:
    """Classes of N patients: ``codes`` (N,) int64 into ``categories``, -1 where missing.

    Categories are in the type in which they came: text, numbers, or true and false.
    """

    codes: Tensor
    categories: tuple[Any, ...]

    @property
    def observed(self) -> Tensor:
        """Whether the class is known, (N,) bool."""
        return self.codes >= 0

    def subset(self, rows: Tensor) -> LabelData:
        """Return the classes of the rows given by integer index (or bool mask)."""
        return LabelData(self.codes[rows], self.categories)

    def to(self, device: torch.device | str) -> LabelData:
        """Return the classes on another device."""
        return LabelData(self.codes.to(device), self.categories)


@dataclass(frozen=True, eq=False)
class TargetData:
    """Values of N patients.

    Attributes
    ----------
    value
        Scaled values, or places among the levels, (N,) float32; 0 where missing.
    observed
        Whether the value is known, (N,) bool; all are where it is left out.
    levels
        Ordered levels; empty for a continuous target.
    """

    value: Tensor
    observed: Tensor = _ALL
    levels: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        """Take every value as known without a mask."""
        if self.observed is _ALL:
            vars(self)["observed"] = torch.ones_like(self.value, dtype=torch.bool)

    def subset(self, rows: Tensor) -> TargetData:
        """Return the values of the rows given by integer index (or bool mask)."""
        return TargetData(self.value[rows], self.observed[rows], self.levels)

    def to(self, device: torch.device | str) -> TargetData:
        """Return the values on another device."""
        return TargetData(self.value.to(device), self.observed.to(device), self.levels)
