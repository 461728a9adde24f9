"""Thin bases of views: orthonormal, energy preserving, and when rotation is allowed."""

from dataclasses import replace

import pytest
import torch

from mvlatent.vae.basis import Basis, can_rotate, fit_bases, rotate


@pytest.fixture
def wide(make_cohort):
    return make_cohort({"a": 50, "b": 4}, n=20, noise="view", absent=0.2)


def test_scores_keep_all_of_the_training_rows(wide):
    view = wide.views["a"]
    basis = Basis.fit(view)
    rank = basis.directions.shape[1]
    assert rank == int(view.present.sum()) - 1  # centred rows
    gram = basis.directions.T @ basis.directions
    torch.testing.assert_close(gram, torch.eye(rank), atol=1e-5, rtol=0)
    scores = basis.scores(view)
    rebuilt = scores @ basis.directions.T + basis.centre
    torch.testing.assert_close(rebuilt[view.present], view.x[view.present], atol=1e-4, rtol=1e-4)
    assert bool((scores[~view.present] == 0).all())


def test_the_first_directions_hold_the_most(wide):
    variances = Basis.fit(wide.views["a"]).scores(wide.views["a"]).square().sum(0)
    assert bool((variances.diff() <= 1e-4 * variances[0]).all())


def test_rotation_keeps_energy_of_new_rows(wide, make_cohort):
    basis = Basis.fit(wide.views["a"], rotated=True)
    new = make_cohort({"a": 50, "b": 4}, n=30, noise="view", seed=7).views["a"]
    rotated = basis.rotate(new)
    energy = (new.x - basis.centre).square().sum(1)
    assert float(rotated.residual.min()) > 1  # new rows do lie outside
    torch.testing.assert_close(rotated.x.square().sum(1) + rotated.residual, energy)
    assert rotated.n_outside + rotated.x.shape[1] == 50
    torch.testing.assert_close(basis.scores(rotated), basis.scores(new))


def test_what_may_be_rotated(wide, make_cohort):
    view = wide.views["a"]
    assert can_rotate(view)
    assert not can_rotate(wide.views["b"])  # more patients than features: saves nothing
    assert not can_rotate(replace(view, noise="feature"))
    assert not can_rotate(replace(view, likelihood="studentt"))
    holes = make_cohort({"a": 50}, n=20, noise="view", holes=("a",))
    assert not can_rotate(holes.views["a"])
    bases = fit_bases(wide)
    assert (bases["a"].rotated, bases["b"].rotated) == (True, False)
    seen = rotate(wide, bases)
    assert seen.views["b"] is wide.views["b"] and seen.views["a"].n_outside > 0


def test_unobserved_entries_count_as_the_centre(make_cohort):
    cohort = make_cohort({"a": 6}, n=20, holes=("a",))
    view = cohort.views["a"]
    basis = Basis.fit(view)
    means = (view.x * view.observed).sum(0) / view.observed.sum(0)
    torch.testing.assert_close(basis.centre, means)
    filled = replace(view, x=torch.where(view.observed, view.x, basis.centre), observed=None)
    torch.testing.assert_close(basis.scores(view), basis.scores(filled), atol=1e-5, rtol=1e-5)
