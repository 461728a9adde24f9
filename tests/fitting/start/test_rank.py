"""Ranks by parallel analysis: factors that views share, and those that stand out of a view."""

import numpy as np
import pytest
import torch

from mvlatent.fitting.start.rank import private_rank, shared_rank
from mvlatent.fitting.start.spectral import spectral_start


def rank_of(cohort, n_shared=8):
    centred = []
    for view in cohort.views.values():
        mean = view.x[view.present].mean(0)
        centred.append((view.x - mean) * view.present[:, None])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return shared_rank(centred, cohort.presence, n_shared).rank


@pytest.mark.parametrize(("n", "absent"), [(60, 0.0), (300, 0.0), (300, 0.4)])
def test_views_that_share_two_factors(make_cohort, n, absent):
    cohort = make_cohort({"a": 40, "b": 30, "c": 30}, n=n, absent=absent)
    assert rank_of(cohort) == 2
    assert rank_of(cohort, n_shared=1) == 1


def test_views_that_share_nothing_keep_one_direction(make_cohort):
    parts = [make_cohort({name: 40}, n=300, seed=seed) for seed, name in enumerate("abc")]
    cohort = parts[0]
    for part in parts[1:]:
        cohort.views.update(part.views)
    assert rank_of(cohort) == 1


@pytest.mark.parametrize("rank", [0, 1, 3])
@pytest.mark.parametrize("shape", [(200, 60), (80, 300)])
def test_private_directions_are_counted_whatever_the_noise(rank, shape):
    rng = np.random.default_rng(rank)
    n, p = shape
    noise = rng.standard_normal((n, p)) * rng.uniform(0.5, 2.0, p)
    x = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, p)) + noise
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = private_rank(torch.from_numpy(x - x.mean(0)).float(), 8)
        assert found == rank
        assert private_rank(torch.from_numpy(x - x.mean(0)).float(), 1) == min(rank, 1)


def test_full_rank_keeps_every_factor(make_cohort, make_vae):
    cohort = make_cohort({"a": 40, "b": 30, "c": 30}, n=300)
    found, full = make_vae(cohort, n_shared=6), make_vae(cohort, n_shared=6)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        spectral_start(found, cohort, rank="auto")
        spectral_start(full, cohort, rank="full")
    assert int(found.active.sum()) == 2 and bool(full.active.all())
    assert bool((found.part("a").decoder.shared[2:] == 0).all())
    assert bool((full.part("a").decoder.shared != 0).any(1).all())


@pytest.mark.parametrize("decoder", ["additive", "mlp"])
def test_no_expert_speaks_of_factors_that_are_off(make_cohort, make_vae, decoder):
    cohort = make_cohort(n=40, absent=0.2)
    vae = make_vae(cohort, decoder=decoder)
    vae.active[1] = False
    with torch.no_grad():
        q = vae.posterior(cohort)[0]
    assert bool((q.mean[:, 1] == 0).all())
    torch.testing.assert_close(q.sd[:, 1], torch.ones(40))
    assert bool((q.mean[:, [0, 2]] != 0).all())
