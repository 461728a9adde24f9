"""What sites do to single features is taken off; biology that differs between them stays in z."""

from dataclasses import replace

import pytest
import torch

from mvlatent.fitting.climb import climb
from mvlatent.fitting.sites import centred_within


def sites_cohort(make_cohort, *, gap=0.0, staining=0.0, n=300, seed=0):
    """Two sites and an unknown one: a factor of another mean at one, features moved at it; z."""
    generator = torch.Generator().manual_seed(seed)
    cohort = make_cohort({"a": 60, "b": 50}, n=n, n_sites=2)
    first = cohort.technical[:, :1]
    z = torch.randn(n, 1, generator=generator) + gap * first
    views, moved = {}, {}
    for name, view in cohort.views.items():
        p = view.x.shape[1]
        x = z @ torch.randn(1, p, generator=generator) + torch.randn(n, p, generator=generator)
        moved[name] = staining * torch.randn(p, generator=generator)
        views[name] = replace(view, x=x + first * moved[name])
    return replace(cohort, views=views), z, moved


def gap_between(cohort, values):
    first, other = cohort.technical[:, 0] > 0, cohort.technical[:, 0] == 0
    return float((values[first].mean() - values[other].mean()).abs() / values[other].std())


def test_biology_that_differs_between_sites_stays_in_z(make_cohort):
    """One site has more of a factor: its effects stay small, z keeps the difference."""
    cohort, *_ = sites_cohort(make_cohort, gap=1.5)
    climbed = climb(cohort, n_shared=1)
    assert 1.2 < gap_between(cohort, climbed.latent.mean[:, 0]) < 1.8


def test_effects_on_single_features_are_taken_off(make_cohort):
    cohort, z, moved = sites_cohort(make_cohort, staining=1.0)
    climbed = climb(cohort, n_shared=1)
    found = climbed.latent.mean[:, 0]
    assert gap_between(cohort, found) < gap_between(cohort, z[:, 0]) + 0.15
    assert float(torch.corrcoef(torch.stack([found, z[:, 0]]))[0, 1].abs()) > 0.95
    for m, name in enumerate(climbed.names):
        own = climbed.effects[m].loc[0] / climbed.weights[m]
        assert float(torch.corrcoef(torch.stack([own, moved[name]]))[0, 1]) > 0.9


def test_both_are_told_apart(make_cohort):
    cohort, z, _ = sites_cohort(make_cohort, gap=1.5, staining=1.0)
    climbed = climb(cohort, n_shared=1)
    found = climbed.latent.mean[:, 0]
    assert 1.1 < gap_between(cohort, found) < 1.9
    assert float(torch.corrcoef(torch.stack([found, z[:, 0]]))[0, 1].abs()) > 0.95


def test_free_and_no_effects_have_no_means_of_sites(make_cohort):
    cohort, *_ = sites_cohort(make_cohort, gap=1.5)
    free = climb(cohort, n_shared=1, effects="free")
    assert free.groups is None and [e.kind for e in free.effects] == ["free", "free"]
    none = climb(cohort, n_shared=1, effects="none")
    assert none.effects is None and none.groups is None
    assert 1.2 < gap_between(cohort, none.latent.mean[:, 0]) < 1.8


def test_the_means_of_sites_are_held_with_their_variance(make_cohort):
    cohort, *_ = sites_cohort(make_cohort, gap=1.5)
    climbed = climb(cohort, n_shared=1)
    assert climbed.groups.variance.shape == (2,) and climbed.model.means.shape == (2, 1)
    means = climbed.model.means[:, 0]
    assert 0.8 < float((means[0] - means[1]).abs()) < 1.8
    same = climb(sites_cohort(make_cohort)[0], n_shared=1)
    assert float(same.groups.variance.max()) < 0.1 < float(climbed.groups.variance.max())


def test_centred_rows_are_the_residuals_of_regression(double):
    generator = torch.Generator().manual_seed(0)
    x, design = (torch.randn(30, c, generator=generator) for c in (4, 2))
    present = torch.arange(30) % 4 != 0
    found = centred_within(x, present, design)
    own = torch.cat([torch.ones(30, 1), design], 1)[present]
    assert float((own.T @ found[present]).abs().max()) < 1e-10
    assert bool((found[~present] == 0).all())
    fitted = x[present] - found[present]
    torch.testing.assert_close(own @ torch.linalg.pinv(own) @ fitted, fitted)
    assert centred_within(x, present, design[:, :0]) is x
    same = torch.cat([design, design[:, :1]], 1)  # a column twice is one column
    torch.testing.assert_close(centred_within(x, present, same), found)


@pytest.mark.parametrize("absent", [0.0, 0.4])
def test_z_knows_nothing_of_sites_that_do_nothing(make_cohort, absent):
    cohort = make_cohort({"a": 30, "b": 20}, n=120, n_sites=3, absent=absent)
    climbed = climb(cohort, n_shared=4)
    sd = max(float(e.prior_sd.max()) for e in climbed.effects)
    assert sd < 0.2  # of the noise
