"""Closed-form sweeps of random loadings: a regression on factors, and never a lower bound."""

import pyro
import pytest
import torch

from mvlatent.fitting.start.settle import settle_loadings
from mvlatent.objectives.objective import Objective


def terms_of(vae, cohort, n_total, seed=0):
    with torch.random.fork_rng(), pyro.validation_enabled(False):
        torch.manual_seed(seed)
        _, terms = Objective(vae)(cohort, n_total)
    return {name: term * n_total for name, term in terms.items()}


@torch.no_grad()
def test_a_sweep_is_bayesian_regression_on_the_expected_factors(double, make_cohort, make_vae):
    """Of one view, z known almost surely: a ridge regression with its posterior variances."""
    cohort = make_cohort({"a": 5, "b": 400}, n=50, holes=("a",))
    vae = make_vae(cohort, loadings="ard", n_shared=1, n_private=1)
    part, view = vae.part("a"), cohort.views["a"]
    vae.part("b").decoder.shared.mul_(30.0)  # pins z
    part.decoder.private.zero_()
    part.decoder.random_loadings.log_sd[1].fill_(-15.0)  # w explains nothing
    z = vae.posterior(cohort)[0].mean[:, 0]
    alpha = part.decoder.random_loadings.expected_precision(part.decoder.loadings)[0]
    weight, intercept = part.weight().clone(), part.decoder.intercept
    settle_loadings(vae, cohort, sweeps=1)
    for f in range(5):
        rows = view.observed[:, f]
        precision = alpha + weight[f] * z[rows].square().sum()
        known = weight[f] * (z[rows] @ (view.x[rows, f] - intercept[f])) / precision
        assert float(part.decoder.shared[0, f]) == pytest.approx(float(known), rel=1e-3)
        found = float(part.decoder.random_loadings.sd[0, f])
        assert found == pytest.approx(float(precision.rsqrt()), rel=1e-3)


def test_sweeps_raise_the_bound(double, make_cohort, make_vae):
    cohort = make_cohort({"a": 12, "b": 9}, n=60, absent=0.2, holes=("a",))
    vae = make_vae(cohort, loadings="ard")

    def bound():
        draws = [sum(terms_of(vae, cohort, 60, seed=s).values()) for s in range(20)]
        return float(torch.stack(draws).mean())

    bounds = [bound()]
    for _ in range(3):
        settle_loadings(vae, cohort, sweeps=4)
        bounds.append(bound())
    assert bounds[0] + 10 < bounds[1] and bounds[1] - 2 < bounds[2] and bounds[2] - 2 < bounds[3]


def test_models_it_does_not_concern_are_left_alone(make_cohort, make_vae):
    cohort = make_cohort(n=20)
    for options in ({}, {"loadings": "ard", "decoder": "mlp"}):
        vae = make_vae(cohort, **options)
        before = {k: v.clone() for k, v in vae.state_dict().items()}
        settle_loadings(vae, cohort, sweeps=2)
        assert all(torch.equal(v, before[k]) for k, v in vae.state_dict().items())


def test_factors_that_are_switched_off_stay_off(make_cohort, make_vae):
    cohort = make_cohort({"a": 12, "b": 9}, n=60, holes=("a",))
    vae = make_vae(cohort, loadings="ard")
    vae.active[1], vae.part("a").active[0] = False, False
    settle_loadings(vae, cohort, sweeps=2)
    for name, part in vae.items:
        assert bool((part.decoder.shared[1] == 0).all()) and bool(
            (part.decoder.shared[0] != 0).all()
        )
        assert bool((part.decoder.private[0] == 0).all()) == (name == "a")
        assert float(part.decoder.random_loadings.sd[1].detach().max()) <= 1e-3
