"""Sweeps of EM climb the exact marginal likelihood, and find simulated factors."""

import pytest
import torch

from mvlatent.fitting.start.em import em_sweeps, hold_effects
from mvlatent.fitting.start.spectral import spectral_start


def marginal(vae, cohort) -> float:
    """Log likelihood of the views, z and w integrated out, patient by patient."""
    total = 0.0
    for i in range(len(cohort)):
        loadings, x, noise, own = [], [], [], []
        for name, part in vae.items:
            view = cohort.views[name]
            if not view.present[i]:
                continue
            seen = slice(None) if view.observed is None else view.observed[i]
            loadings.append(part.decoder.shared[:, seen].T)
            own.append(part.decoder.private[:, seen].T)
            x.append((view.x[i] - part.decoder.intercept)[seen])
            noise.append(part.noise_variance()[seen])
        shared, diagonal = torch.cat(loadings), torch.diag(torch.cat(noise))
        private = torch.block_diag(*own)
        covariance = shared @ shared.T + private @ private.T + diagonal
        zero = torch.zeros(len(covariance))
        normal = torch.distributions.MultivariateNormal(zero, covariance, validate_args=False)
        total += float(normal.log_prob(torch.cat(x)))
    return total


@pytest.mark.parametrize(
    "options",
    [{}, {"absent": 0.3}, {"holes": ("a", "b")}, {"noise": "view"}],
    ids=["complete", "absent", "holes", "view noise"],
)
def test_every_sweep_climbs_the_marginal_likelihood(make_cohort, make_vae, double, options):
    cohort = make_cohort(n=40, **options)
    vae = make_vae(cohort)
    with torch.no_grad():
        values = [marginal(vae, cohort)]
        for _ in range(12):
            em_sweeps(vae, cohort, 1)
            values.append(marginal(vae, cohort))
    steps = torch.tensor(values).diff()
    assert bool((steps > -1e-3).all()), steps
    assert values[-1] > values[0] + 20


def test_switched_off_factors_stay_off(make_cohort, make_vae):
    cohort = make_cohort(n=40, n_sites=2)
    vae = make_vae(cohort)
    spectral_start(vae, cohort, rank="full")
    vae.active[2] = False
    vae.part("a").active[1] = False
    em_sweeps(vae, cohort, 3)
    for _, part in vae.items:
        assert bool((part.decoder.shared[2] == 0).all())
        assert bool((part.decoder.shared[:2] != 0).all())
    assert bool((vae.part("a").decoder.private[1] == 0).all())


def test_views_of_other_likelihoods_keep_their_loadings(make_cohort, make_vae):
    cohort = make_cohort(n=40, n_sites=2, likelihoods={"b": "bernoulli"})
    vae = make_vae(cohort)
    before = {name: part.decoder.shared.clone() for name, part in vae.items}
    em_sweeps(vae, cohort, 2)
    torch.testing.assert_close(vae.part("b").decoder.shared, before["b"])
    assert not torch.allclose(vae.part("a").decoder.shared, before["a"])


def test_random_effects_are_held_and_free_ones_are_not(make_cohort, make_vae):
    cohort = make_cohort(n=40, n_sites=2)
    for kind in ("random", "free"):
        vae = make_vae(cohort, effects=kind)
        hold_effects(vae)
        assert vae.part("a").effects.loc.requires_grad == (kind == "free")


def test_biology_that_differs_between_sites_stays_in_z(make_cohort, make_vae):
    """One site has more of a factor: its effects stay small, z keeps the difference."""
    n = 300
    generator = torch.Generator().manual_seed(0)
    cohort = make_cohort({"a": 60, "b": 50}, n=n, n_sites=2)
    z = torch.randn(n, 1, generator=generator) + 1.5 * cohort.technical[:, :1]
    views = {}
    for name, view in cohort.views.items():
        p = view.x.shape[1]
        x = z @ torch.randn(1, p, generator=generator) + torch.randn(n, p, generator=generator)
        views[name] = type(view)(x, view.present, None, "normal", "feature", view.features)
    cohort = type(cohort)(
        cohort.obs_names, views, cohort.technical, cohort.technical_groups, cohort.clinical, ()
    )
    vae = make_vae(cohort, n_shared=1, n_private=1)
    spectral_start(vae, cohort)
    em_sweeps(vae, cohort, 30)
    found = vae.posterior(cohort)[0].mean[:, 0].detach()
    first, other = cohort.technical[:, 0] > 0, cohort.technical[:, 0] == 0
    gap = float((found[first].mean() - found[other].mean()).abs() / found[other].std())
    assert 1.2 < gap < 1.8
