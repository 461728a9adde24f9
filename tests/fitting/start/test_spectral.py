"""The spectral start: the subspace of a low-rank cohort, without its sites."""

import pytest
import torch

from mvlatent.fitting.start.spectral import STARTS, spectral_start


def recovered(z: torch.Tensor, truth: torch.Tensor) -> float:
    """Share of the variance of the true factors that is linear in z."""
    z, truth = z - z.mean(0), truth - truth.mean(0)
    fitted = z @ torch.linalg.lstsq(z, truth).solution
    return float(1 - (truth - fitted).square().sum() / truth.square().sum())


@pytest.mark.parametrize("kind", STARTS)
@pytest.mark.parametrize("absent", [0.0, 0.3])
def test_start(make_cohort, make_vae, kind, absent):
    n, seed = 200, 4
    cohort = make_cohort(
        {"a": 30, "b": 20}, n=n, absent=absent, likelihoods={"b": "bernoulli"}, seed=seed
    )
    truth = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    vae = make_vae(cohort, n_shared=2, n_private=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        spectral_start(vae, cohort, kind=kind)
    z = vae.posterior(cohort)[0].mean
    assert bool(z.isfinite().all())
    # intercepts are the means whatever the start
    view = cohort.views["a"]
    mean = view.x[view.present].mean(0)
    torch.testing.assert_close(vae.part("a").decoder.intercept.detach(), mean)
    if kind != "random":
        assert recovered(z, truth) > (0.85 if absent == 0 else 0.75)


def test_start_takes_the_same_numbers_of_the_same_seed(make_cohort, make_vae):
    cohort = make_cohort(n=40, n_sites=2, holes=("a",))
    states = []
    for _ in range(2):
        vae = make_vae(cohort)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            spectral_start(vae, cohort)
        states.append(vae.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=1e-4, atol=1e-5, msg=name)


def test_more_factors_than_the_data_have(make_cohort, make_vae):
    cohort = make_cohort({"a": 4, "b": 3}, n=12)
    vae = make_vae(cohort, n_shared=10, n_private=6)
    spectral_start(vae, cohort)
    assert all(bool(p.isfinite().all()) for p in vae.parameters())


def test_a_rotated_view_starts_with_the_same_site_variance_and_noise(make_cohort, make_vae):
    from mvlatent.vae.basis import fit_bases, rotate

    cohort = make_cohort({"a": 120, "b": 90}, n=60, n_sites=3, noise="view")
    turned = rotate(cohort, fit_bases(cohort))
    assert turned.views["a"].n_outside > 0
    plain, rotated = make_vae(cohort), make_vae(turned)
    for vae, seen in ((plain, cohort), (rotated, turned)):
        spectral_start(vae, seen, kind="svd")
    for name in ("a", "b"):
        one, other = plain.part(name), rotated.part(name)
        torch.testing.assert_close(
            one.effects.prior_sd, other.effects.prior_sd, rtol=0.05, atol=1e-3
        )
        torch.testing.assert_close(
            one.likelihood.scale[0], other.likelihood.scale[0], rtol=0.05, atol=0
        )
