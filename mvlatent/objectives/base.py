"""What every term beside the ELBO is: options that check themselves, and a value of one batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mvlatent.data.cohort import Cohort
from mvlatent.objectives.schedule import RAMP, Schedule, checked_schedule, strength
from mvlatent.specs.checks import is_number, shown
from mvlatent.vae.evidence import Evidence
from mvlatent.vae.gaussian import PrecisionNormal
from mvlatent.vae.structured import StructuredVAE

__all__ = ["Scene", "Term"]


@dataclass(frozen=True, eq=False)
class Scene:
    """What a term may look at: a batch, what each view says of it, and the draws of the ELBO.

    Attributes
    ----------
    vae
        The model.
    cohort
        Patients of the batch.
    evidence
        What each view says of z, and of its w given z.
    draw
        The draws that the ELBO was computed on: z (n, k), ``"w:<view>"`` (n, d) and
        ``"effect:<view>"`` (q, p).
    """

    vae: StructuredVAE
    cohort: Cohort
    evidence: dict[str, Evidence]
    draw: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def presence(self) -> Tensor:
        """Which patient has which view, (n, M) bool, in the order of the model's views."""
        return torch.stack([self.cohort.views[name].present for name in self.vae.names], 1)

    @property
    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every pair of views."""
        return combinations(self.vae.names, 2)

    def given(self, presence: Tensor) -> PrecisionNormal:
        """``q(z | x_S)`` for the views S that ``presence`` (n, M) marks for each patient."""
        return self.vae.product(self.evidence, presence, listed=True)

    @cached_property
    def together(self) -> PrecisionNormal:
        """``q(z | x_O)``: looking at every view of a patient."""
        return self.given(self.presence)

    @cached_property
    def alone(self) -> dict[str, PrecisionNormal]:
        """``q(z | x_m)`` of each view by itself; the prior's location where it is absent."""
        found = {}
        for name, seen in zip(self.vae.names, self.presence.T, strict=True):
            evidence = self.evidence[name]
            potential = torch.where(seen[:, None], evidence.potential, 0.0)
            k = potential.shape[1]
            eye = torch.eye(k, dtype=potential.dtype, device=potential.device)
            found[name] = PrecisionNormal(potential, eye + evidence.precision)
        return found


@dataclass(frozen=True, kw_only=True)
class Term:
    """A term that stands beside the ELBO.

    A member is one file with one subclass, and one line in `mvlatent.objectives.TERMS`. It says its
    ``name`` (of the option and of the column of ``history``), how many views it needs, and whether
    z can learn what views share from this term alone (``teaches_z``): without one that does,
    ``stop_gradient`` and ``shared_first`` would leave z nothing to learn from.

    Parameters
    ----------
    weight
        What the term's value is multiplied by in the objective; 0 turns it off: it is not computed
        and has no column in ``history``.
    schedule
        ``"constant"``, or ``(a, b)``: the weight rises linearly from 0 at share ``a`` of the epochs
        to its full size at share ``b``. Terms ramp by default: beside a spectral start they help
        a little, before there is anything to align they harm.

    Raises
    ------
    ValueError
        If a number is out of its range or a name is not one of the choices.

    Examples
    --------
    A term of one's own is a frozen dataclass with a name and a value:

    >>> from mvlatent.objectives import Term
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Small(Term):
    ...     name = "small"
    ...
    ...     def value(self, scene, state):
    ...         return -scene.draw["z"].square().mean()
    >>> Small(weight=0.1).to_dict()
    {'name': 'small', 'weight': 0.1, 'schedule': (0.0, 0.5)}
    """

    name: ClassVar[str]
    needs_views: ClassVar[int] = 2
    teaches_z: ClassVar[bool] = False

    weight: float = 1.0
    schedule: Schedule = RAMP

    def __post_init__(self) -> None:
        """Check weight and schedule, then the term's own options."""
        if not is_number(self.weight) or not 0 <= self.weight < float("inf"):
            raise ValueError(
                f"{self.name}: weight must be 0 or more and finite, not {shown(self.weight)}."
            )
        object.__setattr__(self, "schedule", checked_schedule(self.name, self.schedule))
        self.check()

    def check(self) -> None:
        """Raise ValueError if an option of the term itself cannot be."""

    def state(self, vae: StructuredVAE) -> nn.Module:
        """Parameters of the term itself, learnt with the model and dropped after the fit."""
        return nn.Module()

    def value(self, scene: Scene, state: Any) -> Tensor:
        """What the term adds to the objective at weight 1: a scalar a patient, higher is better.

        The mean is over all patients of the batch; those it does not concern count as 0.
        """
        raise NotImplementedError

    def strength(self, progress: float) -> float:
        """Weight at a share of the epochs."""
        return self.weight * strength(self.schedule, progress)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: the name and every option."""
        return {"name": self.name, **asdict(self)}

    def _choose(self, what: str, choices: tuple[str, ...]) -> None:
        if getattr(self, what) not in choices:
            listed = ", ".join(map(repr, choices))
            raise ValueError(f"{self.name}: {what} {getattr(self, what)!r} is not one of {listed}.")

    def _positive(self, what: str) -> None:
        if not 0 < getattr(self, what) < float("inf"):
            raise ValueError(f"{self.name}: {what} must be positive, not {getattr(self, what)!r}.")
