"""Held-out patients choose ridges, rank and sweeps, and are in none of the models they judge."""

import pytest
import torch

import mvlatent as mv
from mvlatent.fitting import honest
from mvlatent.fitting.honest import Choice, Fold, choose, folds_of, leading
from mvlatent.fitting.shared import SharedModel
from mvlatent.fitting.surfaces import scores_of


@pytest.fixture
def scored(make_rows):
    rows, presence, z = make_rows((20, 15, 12), 80, absent=0.2)
    return [scores_of(x, p) for x, p in zip(rows, presence.T, strict=True)], rows, presence, z


# --- the answer ---------------------------------------------------------------------------------

SIMULATIONS = {
    "easy": ("easy", {"n": 200}, 5),
    "pairwise": ("easy", {"n": 300, "pairwise": {("rna", "cnv"): 2, ("cnv", "img"): 2}}, 9),
    "missing50": ("missing50", {"n": 300}, 5),
    "rich private": ("rich_private", {"n": 150}, 5),
}


@pytest.mark.parametrize(("preset", "options", "rank"), SIMULATIONS.values(), ids=SIMULATIONS)
def test_the_rank_is_that_of_the_simulation(preset, options, rank):
    mdata, _ = mv.sim.cohort(preset, **options)
    model = mv.fit(mdata, batch="site", max_epochs=0, progress=False, accelerator="cpu")
    assert int(model.trained.vae.active.sum()) == rank


def test_rank_and_sweeps_that_are_held_stay(scored):
    views, *_ = scored
    choice = choose(folds_of(views), 6, rank=4, sweeps=3)
    assert choice.rank == 4 and set(choice.scores) == {4} and choice.sweeps in (0, 3)


def test_ranks_next_to_the_answer_are_tried(scored):
    views, *_ = scored
    choice = choose(folds_of(views), 12)
    assert choice.rank == 2 and choice.score == choice.scores[2]
    assert all(v <= choice.score + honest.LOSS * choice.score for v in choice.scores.values())
    assert honest._between(8, honest.TRIED_RANKS) == [7, 9, 10]
    assert Choice((0.1,), 3, None).score != Choice((0.1,), 3, None).score  # NaN: nobody was asked


def test_a_start_that_is_best_is_kept(scored, monkeypatch):
    views, *_ = scored
    sweep = SharedModel.sweep

    def spoil(self):
        latent = sweep(self)
        object.__setattr__(self.private[0], "pull", torch.zeros_like(self.private[0].pull))
        for psi in self.private:
            object.__setattr__(psi, "loadings", torch.zeros_like(psi.loadings))
        return latent

    settled = choose(folds_of(views), 2, rank=2)
    assert settled.sweeps != 0
    monkeypatch.setattr(SharedModel, "sweep", spoil)
    choice = choose(folds_of(views), 2, rank=2)
    assert choice.sweeps == 0 and choice.score == pytest.approx(choice.start)


# --- who is asked -------------------------------------------------------------------------------


def test_folds_hold_out_a_fifth_each_and_nobody_twice(scored):
    views, *_ = scored
    folds = folds_of(views, seed=3)
    held = torch.stack([f.held_out for f in folds]).long()
    assert len(folds) == 3 and held.sum(1).tolist() == [16] * 3
    assert int(held.sum(0).max()) == 1
    assert not torch.equal(held, torch.stack([f.held_out for f in folds_of(views, seed=4)]).long())


def test_too_few_patients_are_not_held_out(make_rows):
    for n, absent in ((39, 0.0), (60, 0.75)):
        rows, presence, _ = make_rows((5, 5), n, absent=absent)
        if absent:
            presence[14:, 1] = False
        views = [scores_of(x, p) for x, p in zip(rows, presence.T, strict=True)]
        assert folds_of(views) == []


def test_nobody_held_out_is_in_the_models_of_a_fold(scored):
    """Other values of those who judge change neither model nor z of the rest."""
    views, rows, presence, _ = scored
    held = folds_of(views)[0].held_out
    generator = torch.Generator().manual_seed(5)
    changed = []
    for x, p in zip(rows, presence.T, strict=True):
        noise = 4.0 * torch.randn(x.shape, generator=generator, dtype=x.dtype) + 3.0
        changed.append(torch.where((held & p)[:, None], noise, x))
    others = [scores_of(x, p) for x, p in zip(changed, presence.T, strict=True)]
    found = []
    for given in (views, others):
        fold = Fold(given, ~held, held)
        model = fold.started((0.1, 0.2, honest.RAISED), 2)
        for _ in range(4):
            model.sweep()
        latent = model.posterior()
        predicted = [model.predict(m, latent) @ v.directions.T for m, v in enumerate(fold.views)]
        lifted = [
            y @ g.directions.T + (v.centre @ g.directions.T + g.centre)
            for y, g, v in zip(predicted, given, fold.views, strict=True)
        ]
        found.append((model.criterion(), [v.energy for v in fold.views], lifted))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-9)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(one, other)
    for one, other in zip(found[0][2], found[1][2], strict=True):
        torch.testing.assert_close(one[~held], other[~held], rtol=1e-6, atol=1e-7)


def test_the_score_is_the_r2_of_a_view_from_the_others(scored):
    views, rows, presence, _ = scored
    fold = folds_of(views)[0]
    model = fold.started((0.1, 0.1, 0.1), 2)
    for m, found in enumerate(fold.score(model)):
        seen = presence.clone()
        seen[:, m] = False
        who = fold.held_out & presence[:, m] & seen.any(1)
        latent = model.posterior(seen, [v.values for v in fold.views], grouped=False)
        own = fold.views[m]
        lift = own.directions.T @ views[m].directions.T  # from scores of the fold to features
        centre = views[m].centre + own.centre @ views[m].directions.T
        truth = rows[m][who] - centre
        error = truth - model.predict(m, latent)[who] @ lift
        expected = 1 - error.square().sum() / truth.square().sum()
        assert float(found) == pytest.approx(float(expected), abs=1e-6)


def test_leading_directions_keep_the_energy_of_the_rest(make_rows):
    rows, presence, _ = make_rows((300, 20), 290)
    whole = scores_of(rows[0], presence[:, 0])
    lead = leading(whole)
    assert lead.values.shape == (290, honest.DIRECTIONS) and lead.width == 300
    assert lead.total == whole.total > float(lead.energy.sum())
