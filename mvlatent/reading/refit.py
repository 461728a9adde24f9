"""Refits of a reported head on the frozen posterior."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.data.outcome_data import OUTCOME_DATA
from mvlatent.outcomes.causes import CauseHeads, Head, fit_head
from mvlatent.outcomes.likelihoods import outcome_target
from mvlatent.outcomes.nuts import sample_head
from mvlatent.reading.blocks import trim
from mvlatent.specs import OutcomeSpec

__all__ = ["METHODS", "refit"]

METHODS = ("laplace", "nuts")


def refit(
    head: Head,
    blocks: Mapping[str, Tensor],
    cohort: Cohort,
    spec: OutcomeSpec,
    *,
    off: float,
    method: str,
    num_samples: int,
    warmup: int,
    seed: int,
) -> Head:
    """Fit a head again on the same blocks of the training patients.

    Parameters
    ----------
    head
        The head that names the blocks.
    blocks
        Blocks of the patients, (n, p_b).
    cohort
        The patients, with their outcome.
    spec
        The outcome, of any kind.
    off
        Prior probability that a block has no effect, for ``"laplace"``; the sampler has all on.
    method
        ``"laplace"`` or ``"nuts"``.
    num_samples, warmup, seed
        Of the sampler.

    Raises
    ------
    ValueError
        If the patients have no such outcome.
    """
    data = cohort.outcome(OUTCOME_DATA[spec.role], spec.name)
    if data is None:
        raise ValueError(f"the patients have no outcome {spec.name!r} to fit a head to.")
    features = trim(blocks, head.coef)
    target = outcome_target(data, spec)
    if method == "laplace":
        return fit_head(features, target, off=off)
    again = fit_head(features, target)
    sampled = partial(sample_head, num_samples=num_samples, warmup=warmup, seed=seed)
    if isinstance(again, CauseHeads):
        pairs = zip(again.heads, target.causes, strict=True)
        return CauseHeads([sampled(h, features, cause) for h, cause in pairs])
    return sampled(again, features, target)
