"""Technical effects: moments, conjugate posterior, unknown levels."""

import pytest
import torch

from mvlatent.vae.effects import FREE_SD, TechnicalEffects

N, SITES, P = 600, 12, 80
GROUPS = [slice(0, SITES)]


def simulate(omega: float, *, noise: float = 1.0, seed: int = 0, n: int = N):
    generator = torch.Generator().manual_seed(seed)
    site = torch.randint(SITES, (n,), generator=generator)
    design = torch.eye(SITES)[site]
    effects = omega * torch.randn(SITES, P, generator=generator)
    return design @ effects + noise * torch.randn(n, P, generator=generator), design, effects


@pytest.mark.parametrize("omega", [0.2, 0.5, 1.5])
def test_omega_by_moments(omega):
    residual, design, truth = simulate(omega)
    effects = TechnicalEffects(SITES, P)
    effects.start(residual, design, GROUPS)
    torch.testing.assert_close(effects.prior_sd, torch.full((SITES,), omega), rtol=0.1, atol=0)
    # shrunken means are nearer to the truth than the raw ones
    raw = design.T @ residual / design.sum(0)[:, None]
    assert (effects.loc - truth).square().mean() < (raw - truth).square().mean()


def test_omega_is_nothing_without_effects():
    residual, design, _ = simulate(0.0)
    effects = TechnicalEffects(SITES, P)
    effects.start(residual, design, GROUPS)
    assert float(effects.prior_sd.max()) < 0.05
    assert float(effects.loc.detach().abs().max()) < 0.02


def test_each_covariate_has_its_own_omega():
    generator = torch.Generator().manual_seed(3)
    residual, sites, _ = simulate(0.8)
    purity = torch.randn(N, 1, generator=generator)
    residual = residual + 0.3 * purity @ torch.randn(1, P, generator=generator)
    effects = TechnicalEffects(SITES + 1, P)
    effects.start(residual, torch.cat([sites, purity], 1), [*GROUPS, slice(SITES, SITES + 1)])
    assert float(effects.prior_sd[0]) == pytest.approx(0.8, rel=0.15)
    assert float(effects.prior_sd[-1]) == pytest.approx(0.3, rel=0.25)


def test_a_level_without_patients_stays_at_zero():
    residual, design, _ = simulate(0.5)
    effects = TechnicalEffects(SITES + 1, P)
    effects.start(residual, torch.cat([design, torch.zeros(N, 1)], 1), [slice(0, SITES + 1)])
    assert float(effects.loc[-1].detach().abs().max()) < 1e-3
    torch.testing.assert_close(
        effects.sd(torch.ones(P))[-1], effects.prior_sd[-1].expand(P), rtol=1e-4, atol=0
    )


def test_free_effects_are_the_raw_means():
    residual, design, _ = simulate(0.5)
    effects = TechnicalEffects(SITES, P, kind="free")
    effects.start(residual, design, GROUPS)
    assert bool((effects.prior_sd == FREE_SD).all())
    raw = design.T @ residual / design.sum(0)[:, None]
    torch.testing.assert_close(effects.loc, raw, rtol=1e-4, atol=1e-5)


def test_posterior_is_the_conjugate_gaussian(double):
    """For one-hot columns the Bayesian regression of each feature has this very covariance."""
    noise = 0.8
    residual, design, _ = simulate(0.5, noise=noise, n=60)
    effects = TechnicalEffects(SITES, P)
    effects.start(residual, design, GROUPS)
    weight = torch.full((P,), noise**-2)
    precision = design.T @ design / noise**2 + torch.diag(effects.prior_sd**-2)
    covariance = torch.linalg.inv(precision)
    torch.testing.assert_close(
        effects.sd(weight), covariance.diagonal().sqrt()[:, None].expand(SITES, P)
    )
    posterior = effects.posterior(weight)
    assert posterior.event_shape == (SITES, P)
    torch.testing.assert_close(posterior.base_dist.scale, effects.sd(weight))
    # the location starts at the posterior mean, up to the estimate of the noise
    mean = covariance @ design.T @ residual / noise**2
    torch.testing.assert_close(effects.loc, mean, rtol=0.1, atol=0.03)


def test_variance_of_rows(double):
    effects = TechnicalEffects(3, P)
    effects.prior_sd.copy_(torch.tensor([0.7, 0.7, 0.2]))
    effects.energy.copy_(torch.tensor([10.0, 3.0, 50.0]))
    weight = torch.rand(P, generator=torch.Generator().manual_seed(0)) + 0.5
    design = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]])
    found = effects.variance_of_rows(design, [slice(0, 2)], weight)
    covariance = effects.sd(weight).square()
    known = design.square() @ covariance
    known[2] += 0.49  # nobody knows this patient's site
    torch.testing.assert_close(found, known)
    # a site with more patients is better known
    assert bool((found[0] - 0.25 * covariance[2] < found[1] - 4 * covariance[2]).all())


def test_prior_has_one_sd_a_column():
    effects = TechnicalEffects(2, P)
    effects.prior_sd.copy_(torch.tensor([0.1, 2.0]))
    prior = effects.prior()
    assert prior.event_shape == (2, P)
    assert bool((prior.base_dist.scale[0] == 0.1).all() and (prior.base_dist.scale[1] == 2).all())
