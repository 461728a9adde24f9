"""What a fit leaves: a model, and beside it its history and its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mvlatent.data.cohort import Cohort
from mvlatent.heads.view_head import ViewHeads
from mvlatent.vae.basis import Basis
from mvlatent.vae.structured import StructuredVAE

__all__ = ["FitResult", "Fitted"]


@dataclass
class Fitted:
    """History and end of a fit.

    ``history`` has a row an epoch and a column a term (nats a patient), after the epoch and on the
    same noise every time, which add up to ``elbo``; ``best_epoch`` is the epoch (-1: the start)
    whose weights were kept, ``stopped`` says why the run ended. ``sweeps`` is the number of sweeps
    of expectation–maximisation before the first epoch (``None`` if it was not kept), ``warm`` says
    whether a fitted model gave the start instead. ``said`` is what `summary` says of the way of a
    fit: how it ended, what held-out patients chose, what binds. ``patients`` are digests of the
    names of all patients that took part, so that they are known again when they are read.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    stopped: str = "max_epochs"
    seconds: float = 0.0
    sweeps: int | None = None
    warm: bool = False
    said: list[str] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)


class FitResult(NamedTuple):
    """What either way of fitting gives: the model, without what is prepared before or read after.

    ``seen`` holds all patients as the model sees them: rotated into ``bases``.
    """

    bases: dict[str, Basis]
    vae: StructuredVAE
    fitted: Fitted
    view_heads: ViewHeads | None
    seen: Cohort
