"""Refits of a reported head on the frozen posterior."""

from __future__ import annotations

from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.blocks import trim
from mvlatent.heads.causes import Head, fit_head
from mvlatent.heads.held_out import HeldOutOutcome
from mvlatent.heads.nuts import sample_head
from mvlatent.heads.reported import Reported, learnt_slopes
from mvlatent.outcomes.bound import BoundLikelihood
from mvlatent.specs import OutcomeSpec

__all__ = ["HEAD_METHODS", "refit"]

HEAD_METHODS = ("laplace", "nuts")


def refit(
    reported: Reported,
    blocks: dict[str, Tensor],
    cohort: Cohort,
    spec: OutcomeSpec,
    *,
    method: str,
    num_samples: int,
    warmup: int,
    seed: int,
) -> None:
    """Fit the heads of an outcome again, in place, on the blocks that they have.

    What is learnt beside them, the last event time and the slopes of classes, is learnt again.

    Parameters
    ----------
    reported
        The heads, which name the blocks, and the prior probability that a block has no effect: it
        is for ``"laplace"``; the sampler has all on.
    blocks
        Blocks of the patients, (n, p_b).
    cohort
        The patients, with their outcome.
    spec
        The outcome, of any kind.
    method
        ``"laplace"`` or ``"nuts"``.
    num_samples, warmup, seed
        Of the sampler.

    Raises
    ------
    ValueError
        If the patients have no such outcome.
    """
    outcome = HeldOutOutcome(cohort, spec)
    full, alone = (trim(blocks, h.coef) for h in (reported.full, reported.shared_only))

    def sampled(features: dict[str, Tensor], bound: BoundLikelihood) -> BlockHead:
        head = BlockHead.fit(features, bound)
        return sample_head(head, features, bound, num_samples=num_samples, warmup=warmup, seed=seed)

    def again(features: dict[str, Tensor], off: float) -> Head:
        if method == "laplace":
            return fit_head(features, outcome.bound(), off=off)
        return fit_head(features, outcome.bound(), fit=sampled)

    same = list(full) == list(alone)
    reported.shared_only = again(alone, 0.0)
    reported.full = reported.shared_only if same else again(full, reported.off)
    reported.horizon = outcome.horizon
    reported.slopes = learnt_slopes(
        full | alone, outcome, tuple(full), reported.full, reported.shared_only
    )
