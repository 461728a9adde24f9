"""Inner folds see which blocks predict, and a head takes every block whatever they see."""

import numpy as np
import pytest
import torch

from mvlatent.data.cohort import Cohort, LabelData, SurvivalData
from mvlatent.heads import fit_head
from mvlatent.heads.choice import EVERY, SHARED_ONLY, judge_blocks
from mvlatent.heads.held_out import HeldOutOutcome
from mvlatent.heads.reported import fit_outcome
from mvlatent.outcomes.roles.survival import concordance_at_risk
from mvlatent.specs import Labels, Survival

N = 200
DEATH, CLASSES = Survival("t", "e", name="survival"), Labels("labels")


def cohort(risk: torch.Tensor, *, events: int = N) -> Cohort:
    time = torch.exp(-1.5 * risk) * torch.from_numpy(
        np.random.default_rng(0).exponential(size=N).astype(np.float32)
    )
    event = (torch.arange(N) < events).float()
    survival = SurvivalData(time, event, torch.ones(N, dtype=torch.bool))
    labels = LabelData((risk > 0).long(), ("low", "high"))
    names = tuple(map(str, range(N)))
    empty = torch.zeros(N, 0)
    return Cohort(names, {}, empty, (), empty, (), {"survival": survival, "labels": labels})


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
def test_the_block_that_predicts_is_seen(blocks, where, kind):
    seen = cohort(blocks[where][:, 0])
    outcome = HeldOutOutcome(seen, CLASSES if kind == "labels" else DEATH)
    found = judge_blocks(blocks, outcome)
    alone, everything = (found.scores[kinds] for kinds in (SHARED_ONLY, EVERY))
    if where == "shared":
        assert alone > everything - 0.02
    else:
        assert alone < everything - 0.1


def test_too_few_events_for_folds_say_nothing(blocks):
    outcome = HeldOutOutcome(cohort(blocks["shared"][:, 0], events=8), DEATH)
    assert judge_blocks(blocks, outcome) is None


def of_classes(codes: torch.Tensor) -> HeldOutOutcome:
    names = tuple(f"c{k}" for k in range(int(codes.max()) + 1))
    empty = torch.zeros(N, 0)
    patients = tuple(map(str, range(N)))
    return HeldOutOutcome(
        Cohort(patients, {}, empty, (), empty, (), {"labels": LabelData(codes, names)}), CLASSES
    )


class Watched(HeldOutOutcome):
    """Labels that remember which rows each fold trained on and scored."""

    def __init__(self, of: HeldOutOutcome) -> None:
        vars(self).update(vars(of))
        self.trained, self.scored = [], []

    def bound(self, rows=None):
        self.trained.append(set(rows.tolist()))
        return super().bound(rows)

    def score(self, eta, rows):
        self.scored.append(set(rows.tolist()))
        return super().score(eta, rows)

    def slope(self, eta, rows):
        assert set(rows.tolist()) == set.union(*self.scored) and eta.shape[-2] == len(rows)
        return 1.0


@pytest.mark.parametrize("rare", [1, 2])
def test_a_rare_class_leaves_the_others_to_be_judged(blocks, rare):
    codes = (blocks["scores:a"][:, 0] > 0).long()
    codes[:rare] = 2
    codes[20] = -1
    outcome = Watched(of_classes(codes))
    scores = judge_blocks(blocks, outcome).scores
    assert scores[SHARED_ONLY] < scores[EVERY]
    every = set(range(N)) - {20}
    assert set.union(*outcome.scored) == every - set(range(rare))
    assert all(set(range(rare)) <= rows for rows in outcome.trained)
    for rows, scored in zip(np.repeat(outcome.trained, 2), outcome.scored, strict=True):
        assert rows | scored == every and not rows & scored


def test_the_first_class_counts_as_the_others_do(blocks):
    codes = (blocks["shared"][:, 0] > 1.6).long()
    assert 3 <= int(codes.sum()) < 15
    assert len(judge_blocks(blocks, of_classes(codes)).scores) == 2
    assert len(judge_blocks(blocks, of_classes(1 - codes)).scores) == 2


def test_one_common_class_tells_nothing(blocks):
    codes = torch.zeros(N, dtype=torch.long)
    codes[:2] = 1
    assert judge_blocks(blocks, of_classes(codes)) is None


def test_classes_take_the_slope_that_held_out_rows_ask_for(blocks):
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(4000, 3, generator=generator, dtype=torch.float64)
    torch.manual_seed(2)
    codes = torch.distributions.Categorical(logits=logits).sample()
    empty = torch.zeros(4000, 0)
    labels = LabelData(codes, ("a", "b", "c"))
    names = tuple(map(str, range(4000)))
    outcome = HeldOutOutcome(Cohort(names, {}, empty, (), empty, (), {"labels": labels}), CLASSES)
    shy = (logits / 2.5).expand(4, -1, -1)
    assert outcome.slope(shy, np.arange(4000)) == pytest.approx(2.5, rel=0.06)
    assert HeldOutOutcome(cohort(blocks["shared"][:, 0]), DEATH).slope(shy, []) == 1.0


def test_a_set_of_blocks_that_is_named_twice_is_judged_once(blocks):
    outcome = HeldOutOutcome(cohort(blocks["shared"][:, 0]), CLASSES)
    once, twice = (judge_blocks(blocks, outcome, (SHARED_ONLY,) * k) for k in (1, 2))
    assert twice == once


@pytest.mark.parametrize("kinds", [SHARED_ONLY, EVERY, ("scores:a",)])
def test_classes_have_slopes_whichever_blocks_the_user_takes(blocks, kinds):
    codes = (blocks["shared"][:, 0] > 0).long()
    empty, names = torch.zeros(N, 0), tuple(map(str, range(N)))
    labels = {"y": LabelData(codes, ("low", "high"))}
    seen = Cohort(names, {}, empty, (), empty, (), outcomes=labels)
    slopes = fit_outcome(blocks, seen, Labels("y"), kinds=kinds).slopes
    auto = fit_outcome(blocks, seen, Labels("y")).slopes
    assert slopes["shared"] == auto["shared"] != 1.0
    assert (slopes["full"] == slopes["shared"]) == (kinds == SHARED_ONLY)


@pytest.mark.parametrize("kind", ["survival", "labels"])
def test_a_known_head_as_a_start_changes_no_score(blocks, kind):
    seen = cohort(blocks["scores:a"][:, 0])
    outcome = HeldOutOutcome(seen, CLASSES if kind == "labels" else DEATH)
    start = {EVERY: fit_head(blocks, outcome.bound(), n_sds=0)}
    cold, warm = (judge_blocks(blocks, outcome, (EVERY,), start=s) for s in (None, start))
    assert warm.scores[EVERY] == pytest.approx(cold.scores[EVERY], abs=0.01)


def test_every_block_is_taken_where_z_alone_is_as_good(blocks):
    technical = (torch.arange(N) % 3 == 0).float()[:, None]
    seen = cohort(2.0 * blocks["shared"][:, 0])
    reported = fit_outcome(blocks | {"technical": technical}, seen, DEATH)
    assert list(reported.full.tau) == [*blocks, "technical"] and reported.off == 0.5
    assert list(reported.shared_only.tau) == ["shared", "technical"]
    assert not fit_outcome(blocks, seen, DEATH).inner_scores  # nothing to leave out


@pytest.mark.parametrize("events", [N, 8])
def test_the_share_of_the_site_in_the_concordance(blocks, events):
    """Who dies is known from the hospital alone; too few events say nothing of it."""
    site = (torch.arange(N) % 2).float()[:, None]
    seen = cohort(3.0 * (site[:, 0] - 0.5), events=events)
    scores = fit_outcome(blocks | {"technical": site}, seen, DEATH).inner_scores
    if events < N:
        assert scores == {}
    else:
        assert list(scores) == ["full", "no technical", "shared"]
        assert scores["full"] > 0.7 and abs(scores["no technical"] - 0.5) < 0.1
        assert scores["shared"] > 0.7


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
