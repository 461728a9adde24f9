"""Inner folds prefer the blocks that predict."""

import numpy as np
import pytest
import torch

from mvlatent.data.cohort import Cohort, LabelData, SurvivalData
from mvlatent.reading.choice import (
    CANDIDATES,
    LabelOutcome,
    SurvivalOutcome,
    choose_blocks,
    concordance_at_risk,
)
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


def test_concordance_is_that_of_lifelines():
    from lifelines.utils import concordance_index

    g = torch.Generator().manual_seed(0)
    time = (4 * torch.rand(60, generator=g)).ceil()
    event = (torch.rand(60, generator=g) < 0.6).float()
    risk = (3 * torch.randn(60, generator=g)).round()
    data = SurvivalData(time, event, event >= 0)
    found = concordance_at_risk(data, event > 0, risk)
    assert found == pytest.approx(concordance_index(time, -risk, event))
    assert concordance_at_risk(data, event > 1, risk) == 0.5


def test_pairs_are_at_risk_together_and_in_one_stratum():
    time, event = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.ones(4)
    risk = torch.tensor([3.0, 4.0, 1.0, 2.0])
    died = event > 0
    whole = SurvivalData(time, event, died)
    assert concordance_at_risk(whole, died, risk) == pytest.approx(4 / 6)
    late = SurvivalData(time, event, died, entry=torch.tensor([0.0, 1.5, 0.0, 3.5]))
    # who came at 1.5 or 3.5 is compared with nobody who had died before
    assert concordance_at_risk(late, died, risk) == pytest.approx(2 / 2)
    arms = SurvivalData(time, event, died, stratum=torch.tensor([0, 0, 1, 1]), n_strata=2)
    assert concordance_at_risk(arms, died, risk) == 0.0
