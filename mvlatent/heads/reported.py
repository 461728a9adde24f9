"""The reported outcome: an empirical-Bayes head on the frozen posterior, and one on z alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.heads.blocks import block_kind, head_blocks, head_draws, pick, trim
from mvlatent.heads.causes import Head, fit_head, head_from_state
from mvlatent.heads.choice import AUTO, EVERY, OFF, SHARED_ONLY, judge_blocks
from mvlatent.heads.held_out import HeldOutOutcome
from mvlatent.posterior import Latents
from mvlatent.specs import OutcomeSpec
from mvlatent.vae.basis import Basis

__all__ = ["Reported", "fit_outcome", "learnt_slopes"]

MAX_ELEMENTS = 40_000_000  # of a chunk of drawn blocks: 320 MB in float64
NO_SLOPES = {"full": 1.0, "shared": 1.0}


@dataclass
class Reported:
    """A reported head and, beside it, the head that sees only z, the clinical columns and the site.

    Attributes
    ----------
    full, shared_only
        The two heads; of competing risks they hold a block head a cause.
    name
        Name of the outcome.
    horizon
        Last event time of the training patients; 0 where there are no times.
    inner_scores
        Score in inner folds of the training patients, each at the sds of the largest evidence: of
        the full head (``"full"``), of the same without the technical block (``"no technical"``)
        and of the other head (``"shared"``). Empty where there is no technical block, the role
        does not ask, or too few patients tell.
    off
        Prior probability that a block of the full head has no effect; 0 where the user chose them.
    slopes
        Factor of the linear predictors of either head, learnt on inner folds where the role asks.
    """

    full: Head
    shared_only: Head
    name: str
    horizon: float = 0.0
    inner_scores: dict[str, float] = field(default_factory=dict)
    off: float = 0.0
    slopes: dict[str, float] = field(default_factory=lambda: dict(NO_SLOPES))

    def times(self, n: int) -> np.ndarray:
        """``n`` times from 0 to the last event of the training patients."""
        return np.linspace(0.0, self.horizon, n)

    def head(self, blocks: str) -> Head:
        """``"full"`` or ``"shared"``.

        Raises
        ------
        ValueError
            For any other name.
        """
        if blocks not in ("full", "shared"):
            raise ValueError(f"blocks must be 'full' or 'shared', not {blocks!r}.")
        return self.full if blocks == "full" else self.shared_only

    def predict(self, latents: Latents, bases: dict[str, Basis], *, blocks: str = "full") -> Tensor:
        """Linear predictors at the posterior mean, (n, C)."""
        head = self.head(blocks)
        return head.predict(trim(head_blocks(latents, bases, head.coef), head.coef))[0]

    def draws(
        self,
        latents: Latents,
        bases: dict[str, Basis],
        *,
        n_samples: int,
        seed: int,
        blocks: str,
        n_times: int = 0,
    ) -> Iterator[tuple[slice, Head, dict[str, Tensor], torch.Generator]]:
        """Draws of the blocks, a chunk of patients at a time, with the generator of the head.

        Every chunk starts from the same seed, so that all patients share the draws of the
        coefficients. ``n_times`` is how many values a patient and draw will take.
        """
        if n_samples < 1:
            raise ValueError(f"n_samples must be 1 or more, not {n_samples!r}.")
        head = self.head(blocks)
        width = max(sum(len(c) for c in head.coef.values()), n_times)
        step = max(1, MAX_ELEMENTS // (n_samples * max(width, 1)))
        n = len(latents.cohort)
        for start in range(0, n, step):
            rows = slice(start, min(start + step, n))
            chunk = latents if step >= n else latents.subset(rows)
            drawn = head_draws(chunk, bases, head.coef, n_samples, seed)
            generator = torch.Generator().manual_seed(seed)
            yield rows, head, trim(drawn, head.coef), generator

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON and arrays of both heads."""
        json: dict[str, Any] = {
            "name": self.name,
            "horizon": self.horizon,
            "inner_scores": self.inner_scores,
            "off": self.off,
            "slopes": self.slopes,
        }
        arrays: dict[str, np.ndarray] = {}
        for name, head in (("full", self.full), ("shared_only", self.shared_only)):
            json[name], held = head.state()
            arrays |= {f"{name}/{key}": value for key, value in held.items()}
        return json, arrays

    @classmethod
    def from_state(cls, json: dict[str, Any], arrays: dict[str, np.ndarray]) -> Reported:
        """Inverse of `state`."""
        heads = {
            name: head_from_state(
                json[name],
                {
                    k.removeprefix(f"{name}/"): v
                    for k, v in arrays.items()
                    if k.startswith(f"{name}/")
                },
            )
            for name in ("full", "shared_only")
        }
        return cls(
            **heads,
            name=json["name"],
            horizon=json["horizon"],
            inner_scores=json["inner_scores"],
            off=json["off"],
            slopes=json["slopes"],
        )


def fit_outcome(
    blocks: dict[str, Tensor], cohort: Cohort, spec: OutcomeSpec, *, kinds: Sequence[str] = AUTO
) -> Reported:
    """Reported heads of an outcome of the training patients.

    Parameters
    ----------
    blocks
        Their blocks, see `mvlatent.heads.blocks.head_blocks`.
    cohort
        The patients.
    spec
        The outcome.
    kinds
        Blocks of the head; ``("auto",)`` takes every block, each of which may have no effect, and
        asks inner folds what the technical one is worth where the role wants to know.
    """
    outcome, auto = HeldOutOutcome(cohort, spec), tuple(kinds) == AUTO
    most = outcome.role.max_scores
    blocks = {k: x[:, :most] if block_kind(k) == "scores" else x for k, x in blocks.items()}
    chosen, off = (EVERY, OFF) if auto else (tuple(kinds), 0.0)
    bound = outcome.bound()
    wide, narrow = pick(blocks, chosen), pick(blocks, SHARED_ONLY)
    full = alone = fit_head(narrow, bound)
    if list(wide) == list(narrow):
        off = 0.0
    else:
        full = fit_head(wide, bound, off=off)
    scores = _worth(blocks, outcome, full, alone) if auto and "technical" in blocks else {}
    slopes = learnt_slopes(blocks, outcome, chosen, full, alone)
    return Reported(full, alone, spec.name, outcome.horizon, scores, off, slopes)


def _worth(
    blocks: dict[str, Tensor], outcome: HeldOutOutcome, full: Head, alone: Head
) -> dict[str, float]:
    """`Reported.inner_scores` of a head with every block."""
    if not outcome.role.score_name:
        return {}
    without = tuple(kind for kind in EVERY if kind != "technical")
    sets = {"full": EVERY, "no technical": without, "shared": SHARED_ONLY}
    start = {EVERY: full, without: full, SHARED_ONLY: alone}
    judged = judge_blocks(blocks, outcome, tuple(sets.values()), start=start)
    return {} if judged is None else {name: judged.scores[kinds] for name, kinds in sets.items()}


def learnt_slopes(
    blocks: dict[str, Tensor],
    outcome: HeldOutOutcome,
    kinds: tuple[str, ...],
    full: Head,
    alone: Head,
) -> dict[str, float]:
    """Slopes of a `Reported` whose full head has the blocks of these kinds (or names).

    They are 1 where the role asks for none, and where there are too few patients for inner folds.
    """
    judged = None
    if outcome.role.sloped:
        start = {SHARED_ONLY: alone, kinds: full}
        judged = judge_blocks(blocks, outcome, (SHARED_ONLY, kinds), start=start)
    if judged is None:
        return dict(NO_SLOPES)
    return {"full": judged.slopes[kinds], "shared": judged.slopes[SHARED_ONLY]}
