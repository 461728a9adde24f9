"""Held-out prediction of a view from the others, and the number of sweeps it asks for."""

import pytest
import torch

from mvlatent.fitting.start.chosen_sweeps import CANDIDATES, choose_sweeps, cross_view_score
from mvlatent.fitting.start.em import em_sweeps
from mvlatent.fitting.start.spectral import spectral_start


@pytest.fixture
def started(make_vae):
    def start(cohort):
        vae = make_vae(cohort, n_shared=2, n_private=1)
        spectral_start(vae, cohort)
        return vae

    return start


def test_score_is_the_r2_of_the_closed_form_prediction(make_cohort, started):
    cohort = make_cohort({"a": 12, "b": 9}, n=60)
    vae = started(cohort)
    scores = []
    for target, source in (("a", "b"), ("b", "a")):
        x, y = cohort.views[source].x, cohort.views[target].x
        part, own = vae.part(source), vae.part(target)
        a, v = part.decoder.shared, part.decoder.private
        covariance = torch.diag(part.noise_variance()) + v.T @ v + a.T @ a
        z = (x - part.decoder.intercept) @ torch.linalg.solve(covariance, a.T)
        guess = own.decoder.intercept + z @ own.decoder.shared
        none = (y - own.decoder.intercept).square().sum()
        scores.append(1 - (y - guess).square().sum() / none)
    known = torch.stack(scores).mean()
    torch.testing.assert_close(cross_view_score(vae, cohort), known.detach(), rtol=1e-4, atol=1e-4)


def test_patients_without_another_view_do_not_count(make_cohort, started):
    cohort = make_cohort({"a": 12, "b": 9}, n=60, holes=("a",))
    vae = started(cohort)
    views = dict(cohort.views)
    x = views["b"].x.clone()
    alone = torch.zeros(60, dtype=torch.bool)
    alone[:10] = True
    x[alone] = 1e3
    views["b"] = type(views["b"])(
        x, views["b"].present, None, "normal", "feature", views["b"].features
    )
    gone = views["a"].present & ~alone
    views["a"] = type(views["a"])(
        views["a"].x * gone[:, None], gone, views["a"].observed & gone[:, None], "normal",
        "feature", views["a"].features,
    )  # fmt: skip
    partial = type(cohort)(cohort.obs_names, views, cohort.technical, (), cohort.clinical, ())
    rest = partial.subset(~alone)
    torch.testing.assert_close(cross_view_score(vae, partial), cross_view_score(vae, rest))


def test_sweeps_are_taken_where_they_help_and_left_where_they_harm(
    make_cohort, started, monkeypatch
):
    cohort = make_cohort({"a": 40, "b": 30}, n=120)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert choose_sweeps(started, cohort) == CANDIDATES[-1]

    def spoil(vae, rows, sweeps):
        if sweeps:
            vae.parts[0].decoder.shared.zero_()

    monkeypatch.setattr("mvlatent.fitting.start.chosen_sweeps.em_sweeps", spoil)
    assert choose_sweeps(started, cohort) == 0


def test_a_single_view_and_a_handful_of_patients_take_the_most(make_cohort, started):
    assert choose_sweeps(started, make_cohort({"a": 10}, n=80)) == CANDIDATES[-1]
    assert choose_sweeps(started, make_cohort(n=20)) == CANDIDATES[-1]


def test_views_that_cannot_be_swept_are_not_tried(make_cohort):
    kinds = dict.fromkeys(("a", "b"), "bernoulli")
    cohort = make_cohort({"a": 12, "b": 9}, n=80, likelihoods=kinds)
    assert choose_sweeps(lambda rows: pytest.fail("started"), cohort) == 0


def test_sweeps_bring_z_of_a_right_model_closer_to_the_truth(make_cohort, started):
    cohort = make_cohort({"a": 40, "b": 30}, n=200, seed=3)
    test = make_cohort({"a": 40, "b": 30}, n=200, seed=3).subset(torch.arange(150, 200))
    train = cohort.subset(torch.arange(150))
    vae = started(train)
    before = float(cross_view_score(vae, test))
    em_sweeps(vae, train, 20)
    assert float(cross_view_score(vae, test)) > before - 0.01
