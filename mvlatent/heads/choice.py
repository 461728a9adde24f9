"""What inner folds say of a reported head: what its blocks are worth, how sure it may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mvlatent.heads.blocks import pick
from mvlatent.heads.causes import Head
from mvlatent.heads.held_out import HeldOutOutcome

__all__ = ["AUTO", "EVERY", "OFF", "SHARED_ONLY", "InnerFolds", "judge_blocks"]

AUTO = ("auto",)
SHARED_ONLY = ("shared", "clinical", "technical")
EVERY = ("shared", "private", "scores", "clinical", "technical")
OFF = 0.5  # prior probability that one of every block has no effect
MIN_A_FOLD = 5  # events (or patients with a class) an inner fold needs on average


class InnerFolds(NamedTuple):
    """What inner folds say of candidate sets of blocks.

    Attributes
    ----------
    scores
        Held-out score of each candidate.
    slopes
        Factor of its predictors that held-out rows ask for.
    """

    scores: dict[tuple[str, ...], float]
    slopes: dict[tuple[str, ...], float]


def judge_blocks(
    blocks: Mapping[str, Tensor],
    outcome: HeldOutOutcome,
    candidates: Sequence[tuple[str, ...]] = (SHARED_ONLY, EVERY),
    *,
    start: Mapping[tuple[str, ...], Head] | None = None,
    seed: int = 0,
) -> InnerFolds | None:
    """Predict every patient from heads that were fitted without them, by candidate set of blocks.

    The outcome's role says what they are scored by.

    A class (cause) with fewer patients than there are folds cannot be in each of them: its
    patients train the head of every fold, as they train the reported one, and are not scored.

    Parameters
    ----------
    blocks
        All blocks of the training patients.
    outcome
        Their outcome.
    candidates
        Kinds (or names) of the blocks of each candidate.
    start
        Heads of candidates, with whose sds the search begins in every fold.
    seed
        Seed of the folds.

    Returns
    -------
    InnerFolds
        ``None`` with too few events or labelled patients for folds: five a fold on average, labels
        of at least two classes.
    """
    from sklearn.model_selection import StratifiedKFold

    candidates = tuple(dict.fromkeys(candidates))  # the user may ask for what is always fitted
    strata, folds = outcome.strata(), outcome.role.n_folds
    common = np.bincount(strata[strata >= 0], minlength=1) >= folds
    scored = (strata >= 0) & common[strata]
    rows, rare = np.flatnonzero(scored), np.flatnonzero((strata >= 0) & ~scored)
    if outcome.role.n_telling(strata[rows]) < folds * MIN_A_FOLD:
        return None
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    scores = dict.fromkeys(candidates, 0.0)
    predicted: dict[tuple[str, ...], list[Tensor]] = {kinds: [] for kinds in candidates}
    order = []
    for training, held_out in splitter.split(rows, strata[rows]):
        train, test = np.concatenate([rows[training], rare]), rows[held_out]
        order.append(test)
        bound = outcome.bound(train)
        for kinds in candidates:
            chosen = pick(blocks, kinds)
            seen, new = ({k: x[at] for k, x in chosen.items()} for at in (train, test))
            near = None if start is None else start.get(kinds)
            eta = outcome.predictive(seen, bound, new, near)
            predicted[kinds].append(eta)
            scores[kinds] += outcome.score(eta, test) / len(rows)
    tested = np.concatenate(order)
    slopes = {k: outcome.slope(torch.cat(eta, -2), tested) for k, eta in predicted.items()}
    return InnerFolds(scores, slopes)
