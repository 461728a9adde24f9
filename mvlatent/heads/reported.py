"""The reported outcome: an empirical-Bayes head on the frozen posterior, and one on z alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, SurvivalData
from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.blocks import head_blocks, head_draws, pick, trim
from mvlatent.heads.causes import CauseHeads, Head, fit_head, head_from_state
from mvlatent.heads.choice import AUTO, EVERY, OFF, SHARED_ONLY, judge_blocks
from mvlatent.heads.held_out import HELD_OUT, LabelOutcome, Outcome, SurvivalOutcome
from mvlatent.outcomes.continuous import NormalNoise
from mvlatent.outcomes.ordinal import Cutpoints
from mvlatent.posterior import Latents
from mvlatent.reading.summaries import Summary
from mvlatent.specs import Labels, OutcomeSpec
from mvlatent.vae.basis import Basis

__all__ = ["Reported", "fit_outcome", "learnt_slopes"]

MAX_ELEMENTS = 40_000_000  # of a chunk of drawn blocks: 320 MB in float64
NO_SLOPES = {"full": 1.0, "shared": 1.0}
MAX_LABEL_SCORES = 64  # leading scores a view: a class is not hidden in hundreds of directions


@dataclass
class Reported:
    """A reported head and, beside it, the head that sees only z, the clinical columns and the site.

    Attributes
    ----------
    full, shared_only
        The two heads; of competing risks they hold a block head a cause.
    horizon
        Last event time of the training patients; 0 for labels.
    inner_scores
        Concordance in inner folds of the training patients, each at the sds of the largest
        evidence: of the full head (``"full"``), of the same without the technical block
        (``"no technical"``) and of the other head (``"shared"``).
        Empty where there is no technical block, no survival or too few events.
    name
        Name of the outcome; ``None`` is the first of its kind that a cohort has.
    off
        Prior probability that a block of the full head has no effect; 0 where the user chose them.
    slopes
        Factor of the logits of classes in either head, learnt on inner folds.
    """

    full: Head
    shared_only: Head
    horizon: float = 0.0
    inner_scores: dict[str, float] = field(default_factory=dict)
    name: str | None = None
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
            drawn = head_draws(chunk, bases, head.coef, n_samples, seed + 7919 * start)
            generator = torch.Generator().manual_seed(seed)
            yield rows, head, trim(drawn, head.coef), generator

    def curves(
        self,
        latents: Latents,
        bases: dict[str, Basis],
        times: np.ndarray,
        *,
        level: float | None,
        n_samples: int,
        seed: int,
        blocks: str = "full",
        cause: int | None = None,
        summary: Summary | None = None,
    ) -> list[np.ndarray]:
        """Posterior mean survival (T, n) and, with a level, the ends of its band.

        With a ``cause`` the cumulative incidence of that competing cause instead. With a
        ``summary`` that of the mean curve, (n,), and a band of those of the drawn curves.

        Raises
        ------
        ValueError
            If there is no such cause.
        """
        if cause is not None and not isinstance(self.full, CauseHeads):
            raise ValueError(
                "the outcome has no competing causes; set it up with mv.Survival(time, event, "
                "kind='competing')."
            )
        grid = torch.as_tensor(times, dtype=torch.float64)
        data = latents.cohort.outcome(SurvivalData, self.name)
        strata = None if data is None else data.stratum
        shape = (len(latents.cohort),) if summary else (len(times), len(latents.cohort))
        out = [np.empty(shape) for _ in range(1 if level is None else 3)]
        drawn = self.draws(
            latents, bases, n_samples=n_samples, seed=seed, blocks=blocks, n_times=len(times)
        )
        for rows, head, features, generator in drawn:
            stratum = None if strata is None else strata[rows]
            draw = _incidence(head, cause) if isinstance(head, CauseHeads) else head.survival_draws
            curves = draw(grid, features, n_samples, generator, stratum=stratum)
            for whole, own in zip(out, _bands(times, curves, level, summary), strict=True):
                whole[..., rows] = own
        return out

    def probabilities(
        self, latents: Latents, bases: dict[str, Basis], *, n_samples: int, seed: int, blocks: str
    ) -> np.ndarray:
        """Posterior mean probabilities of classes (n, C) or of ordered levels (n, L)."""
        parts = []
        drawn = self.draws(latents, bases, n_samples=n_samples, seed=seed, blocks=blocks)
        for _, head, features, generator in drawn:
            if isinstance(head, BlockHead) and isinstance(head.baseline, Cutpoints):
                eta, moved = head.joint_draws(features, n_samples, generator)
                parts.append(head.baseline.probabilities(eta[..., 0], moved).mean(0))
            else:
                logits = self.slopes[blocks] * head.sample(features, n_samples, generator)
                parts.append(logits.softmax(-1).mean(0))
        return torch.cat(parts).numpy()

    def values(
        self, latents: Latents, bases: dict[str, Basis], *, n_samples: int, seed: int, blocks: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and sd of a new measurement of a continuous target, (n,), scaled."""
        mean = self.predict(latents, bases, blocks=blocks)[:, 0]
        variance = torch.empty_like(mean)
        drawn = self.draws(latents, bases, n_samples=n_samples, seed=seed, blocks=blocks)
        for rows, head, features, generator in drawn:
            baseline = cast(NormalNoise, cast(BlockHead, head).baseline)
            eta, moved = cast(BlockHead, head).joint_draws(features, n_samples, generator)
            value = eta[..., 0] + baseline.level(moved)
            variance[rows] = value.var(0) + baseline.noise(moved).square().mean()
        return mean.numpy(), variance.sqrt().numpy()

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
            horizon=json["horizon"],
            inner_scores=json["inner_scores"],
            name=json.get("name"),
            off=json.get("off", 0.0),
            slopes=json.get("slopes", dict(NO_SLOPES)),
        )


def _incidence(head: CauseHeads, cause: int | None) -> Callable[..., Tensor]:
    """Draws of one cause's incidence, or of no event where there is no cause."""
    return partial(head.incidence_draws, cause=cause)


def _bands(
    times: np.ndarray, curves: Tensor, level: float | None, summary: Summary | None
) -> list[np.ndarray]:
    """Mean of drawn curves (S, T, n), or its summary, and with a level the ends of a band."""
    mean, drawn = curves.mean(0).numpy(), curves.numpy()
    if summary is not None:
        mean = summary(times, mean)
    if level is None:
        return [mean]
    ends = [0.5 - level / 2, 0.5 + level / 2]
    if summary is None:
        return [mean, *np.quantile(drawn, ends, axis=0)]
    # an infinite median is an order statistic like any other: no interpolation
    return [mean, *np.quantile(summary(times, drawn), ends, axis=0, method="inverted_cdf")]


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
        asks inner folds what the technical one is worth to survival.
    """
    if isinstance(spec, Labels):
        blocks = {
            key: x[:, :MAX_LABEL_SCORES] if key.startswith("scores:") else x
            for key, x in blocks.items()
        }
    outcome, auto = HELD_OUT[spec.role](cohort, spec), tuple(kinds) == AUTO
    chosen, off = (EVERY, OFF) if auto else (tuple(kinds), 0.0)
    target = outcome.target()
    wide, narrow = pick(blocks, chosen), pick(blocks, SHARED_ONLY)
    full = alone = fit_head(narrow, target)
    if list(wide) == list(narrow):
        off = 0.0
    else:
        full = fit_head(wide, target, off=off)
    scores = _worth(blocks, outcome, full, alone) if auto and "technical" in blocks else {}
    slopes = learnt_slopes(blocks, outcome, chosen, full, alone)
    return Reported(full, alone, outcome.horizon, scores, spec.name, off, slopes)


def _worth(
    blocks: dict[str, Tensor], outcome: Outcome, full: Head, alone: Head
) -> dict[str, float]:
    """`Reported.inner_scores` of a head with every block."""
    if not isinstance(outcome, SurvivalOutcome):
        return {}
    without = tuple(kind for kind in EVERY if kind != "technical")
    sets = {"full": EVERY, "no technical": without, "shared": SHARED_ONLY}
    start = {EVERY: full, without: full, SHARED_ONLY: alone}
    judged = judge_blocks(blocks, outcome, tuple(sets.values()), start=start)
    return {} if judged is None else {name: judged.scores[kinds] for name, kinds in sets.items()}


def learnt_slopes(
    blocks: dict[str, Tensor], outcome: Outcome, kinds: tuple[str, ...], full: Head, alone: Head
) -> dict[str, float]:
    """Slopes of a `Reported` whose full head has the blocks of these kinds (or names).

    They are 1 of anything but classes, and where there are too few patients for inner folds.
    """
    judged = None
    if isinstance(outcome, LabelOutcome):
        start = {SHARED_ONLY: alone, kinds: full}
        judged = judge_blocks(blocks, outcome, (SHARED_ONLY, kinds), start=start)
    if judged is None:
        return dict(NO_SLOPES)
    return {"full": judged.slopes[kinds], "shared": judged.slopes[SHARED_ONLY]}
