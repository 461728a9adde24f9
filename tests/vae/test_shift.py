"""What is not known of a site's effects, against conditioning of the joint Gaussian."""

import pytest
import torch

from mvlatent.vae.shift import with_shift


def brute_force(vae, cohort, rows):
    """Exact posterior covariance of z of some patients, effects of one site integrated out."""
    n, k = len(cohort), vae.design.n_shared
    z_loadings, site_loadings, noise = [], [], []
    for _, part in vae.items:
        a, v = part.decoder.shared, part.decoder.private
        p = a.shape[1]
        omega = part.effects.prior_sd[0]
        z_loadings.append(torch.kron(torch.eye(n), a.T.contiguous()))
        site_loadings.append(omega * torch.kron(torch.ones(n, 1), torch.eye(p)))
        noise.append(torch.kron(torch.eye(n), v.T @ v + torch.diag(part.noise_variance())))
    h, sites = torch.cat(z_loadings), torch.block_diag(*site_loadings)
    covariance = h @ h.T + sites @ sites.T + torch.block_diag(*noise)
    gain = torch.linalg.solve(covariance, h)
    posterior = torch.eye(n * k) - h.T @ gain
    return [posterior[i * k : (i + 1) * k, i * k : (i + 1) * k] for i in rows]


@pytest.mark.parametrize("omega", [0.3, 1.0])
def test_posterior_of_one_site_is_that_of_the_joint_gaussian(make_cohort, make_vae, double, omega):
    n = 12
    cohort = make_cohort({"a": 30, "b": 24}, n=n, n_sites=1)
    cohort.technical.fill_(1.0)
    vae = make_vae(cohort, n_shared=2, n_private=1)
    with torch.no_grad():
        for _, part in vae.items:
            part.likelihood.log_scale.fill_(-0.7)
            part.decoder.shared.mul_(2.0)
            part.effects.prior_sd.fill_(omega)
            part.effects.energy.fill_(n)
        q = vae.posterior(cohort)[0]
        wide = with_shift(vae, q, cohort.technical)
    torch.testing.assert_close(wide.mean, q.mean)
    for known, row in zip(brute_force(vae, cohort, range(3)), range(3), strict=True):
        torch.testing.assert_close(wide.covariance[row].trace(), known.trace(), rtol=0.1, atol=0)
        assert q.covariance[row].trace() < 0.93 * known.trace()


def test_an_unknown_site_is_the_least_known(make_cohort, make_vae):
    cohort = make_cohort(n=30, n_sites=2)
    vae = make_vae(cohort)
    with torch.no_grad():
        q = vae.posterior(cohort)[0]
        sd = with_shift(vae, q, cohort.technical).sd
    known = cohort.technical.sum(1) > 0
    assert bool((sd >= q.sd).all())
    assert float((sd - q.sd)[~known].mean()) > float((sd - q.sd)[known].mean())


def test_nothing_changes_without_random_effects(make_cohort, make_vae):
    plain = make_cohort(n=20)
    vae = make_vae(plain)
    q = vae.posterior(plain)[0]
    assert with_shift(vae, q, plain.technical) is q
    sites = make_cohort(n=20, n_sites=2)
    free = make_vae(sites, effects="free")
    q = free.posterior(sites)[0]
    assert with_shift(free, q, sites.technical) is q
