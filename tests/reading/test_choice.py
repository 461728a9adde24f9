"""Inner folds prefer the blocks that predict."""

import numpy as np
import pytest
import torch

from mvlatent.data.cohort import Cohort, LabelData, SurvivalData
from mvlatent.reading.choice import CANDIDATES, LabelOutcome, SurvivalOutcome, choose_blocks
from mvlatent.specs import Survival

N = 200


def cohort(risk: torch.Tensor, *, events: int = N) -> Cohort:
    time = torch.exp(-1.5 * risk) * torch.from_numpy(
        np.random.default_rng(0).exponential(size=N).astype(np.float32)
    )
    event = (torch.arange(N) < events).float()
    survival = SurvivalData(time, event, torch.ones(N, dtype=torch.bool))
    labels = LabelData((risk > 0).long(), ("low", "high"))
    names = tuple(map(str, range(N)))
    empty = torch.zeros(N, 0)
    return Cohort(names, {}, empty, (), empty, (), survival, labels)


@pytest.fixture
def blocks() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "shared": torch.randn(N, 2, generator=generator),
        "private:a": torch.randn(N, 20, generator=generator),
        "scores:a": torch.randn(N, 40, generator=generator),
    }


@pytest.mark.parametrize("kind", ["survival", "labels"])
@pytest.mark.parametrize("where", ["shared", "scores:a"])
def test_the_block_that_predicts_is_chosen(blocks, where, kind):
    seen = cohort(blocks[where][:, 0])
    outcome = LabelOutcome(seen) if kind == "labels" else SurvivalOutcome(seen, Survival("t", "e"))
    chosen, scores = choose_blocks(blocks, outcome)
    assert where.partition(":")[0] in chosen
    assert set(scores) == {" + ".join(c) for c in outcome.candidates}
    without = [c for c in outcome.candidates if where.partition(":")[0] not in c]
    best = scores[" + ".join(chosen)]
    assert all(scores[" + ".join(c)] < best for c in without)


def test_too_few_events_for_folds_take_all_blocks(blocks):
    outcome = SurvivalOutcome(cohort(blocks["shared"][:, 0], events=8), Survival("t", "e"))
    assert choose_blocks(blocks, outcome) == (CANDIDATES[-1], {})
