"""Private covariances against dense algebra, and shrinkage of pure noise."""

import math

import pytest
import torch

from mvlatent.fitting.private import (
    FLAT,
    RAISED,
    noise_edge,
    regress,
    ridge_of,
    shrunk,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moments(n=30, r=8, k=3, seed=0):
    """Diagonal energy, Gram matrix of uncertain latents with an intercept, and projection."""
    y = normal(n, r, seed=seed)
    y = torch.linalg.svd(y - y.mean(0), full_matrices=False)
    y = y.U * y.S
    u = torch.cat([normal(n, k, seed=seed + 1) + y[:, :k] / 3, torch.ones(n, 1).double()], 1)
    gram = u.T @ u
    spread = normal(k, k, seed=seed + 2)
    gram[:k, :k] += n * 0.05 * (spread @ spread.T + torch.eye(k))
    return y.square().sum(0), gram, u.T @ y


def found_by_regress(seed=0):
    energy, gram, projection = moments(seed=seed)
    ridge = torch.linspace(0.5, 2.0, len(energy), dtype=torch.float64)
    prior = torch.tensor([0.7, 1.5, 3.0, 0.0], dtype=torch.float64)
    return energy, ridge, 30, gram, projection, prior


def expected_log_density(loadings, cholesky, energy, ridge, n, gram, projection, prior):
    """What `regress` says it maximises, written out densely."""
    covariance = cholesky @ cholesky.T
    inverse = torch.linalg.inv(covariance)
    size = n + int((prior > 0).sum())  # the prior of the loadings has a determinant, too
    scatter = torch.diag(energy + ridge) - projection.T @ loadings - loadings.T @ projection
    scatter = scatter + loadings.T @ (gram + torch.diag(prior)) @ loadings
    return -0.5 * (size * torch.logdet(covariance) + (inverse * scatter).sum())


def test_solves_are_those_of_the_dense_matrix():
    psi = regress(*found_by_regress())
    dense, inverse = psi.dense(), torch.linalg.inv(psi.dense())
    assert float(torch.linalg.eigvalsh(dense)[0]) > 0
    torch.testing.assert_close(psi.pull, inverse @ psi.loadings.T)
    torch.testing.assert_close(psi.precision, psi.loadings @ inverse @ psi.loadings.T)
    assert psi.log_det == pytest.approx(float(torch.logdet(dense)), abs=1e-10)
    woodbury = torch.diag(1 / psi.diagonal) + psi.scaled.T @ psi.kernel @ psi.scaled
    torch.testing.assert_close(woodbury, inverse)


def test_regress_is_where_the_criterion_is_flat_and_highest():
    given = found_by_regress()
    psi = regress(*given)
    loadings = psi.loadings.clone().requires_grad_()
    root = torch.linalg.cholesky(psi.dense()).requires_grad_()
    best = expected_log_density(loadings, root, *given)
    slopes = torch.autograd.grad(best, [loadings, root])
    assert all(float(slope.tril().abs().max()) < 1e-9 for slope in slopes[1:])
    assert float(slopes[0].abs().max()) < 1e-9
    for seed in range(20):
        size = 10.0 ** -(seed % 4)
        moved = loadings.detach() + size * normal(*loadings.shape, seed=seed)
        other = root.detach() + size * normal(*root.shape, seed=seed + 50).tril()
        assert expected_log_density(moved, root, *given) < best
        assert expected_log_density(loadings, other, *given) < best


@pytest.mark.parametrize("share", [0.01, 0.1, 0.4])
def test_a_ridge_has_the_degrees_of_freedom_asked_for(share):
    energy = torch.logspace(3, 0, 60)
    ridge = ridge_of(energy, share, 100)
    freedoms = float((energy / (energy + ridge)).sum())
    assert freedoms == pytest.approx(100 * share, rel=1e-5)


def test_more_freedoms_than_directions_are_nearly_no_ridge():
    energy = torch.ones(10)
    assert ridge_of(energy, 0.9, 100) == pytest.approx(0.001, rel=0.01)  # 0.999 of ten


@pytest.mark.parametrize(("n", "p"), [(300, 120), (120, 300), (600, 600)])
def test_the_edge_of_noise_is_that_of_marchenko_and_pastur(n, p):
    sd = 1.7
    energy = torch.linalg.svdvals(sd * normal(n, p)).square()
    edge = sd**2 * (math.sqrt(n) + math.sqrt(p)) ** 2
    assert noise_edge(energy, n, p) == pytest.approx(edge, rel=0.02)


@pytest.mark.parametrize(("n", "p"), [(300, 120), (120, 300)])
@pytest.mark.parametrize("share", [FLAT, RAISED])
def test_the_bulk_is_raised_and_spikes_are_left(n, p, share):
    x = normal(n, p)
    strong = 6 * math.sqrt(p) * normal(n, 2, seed=1) @ torch.linalg.qr(normal(p, 2, seed=2))[0].T
    energy = torch.linalg.svdvals(x + strong).square()
    more = shrunk(energy, n, p, share)
    assert bool((more >= 0).all())
    torch.testing.assert_close(more[:2], torch.zeros(2).double())
    rest = energy[2:]
    if share == RAISED:
        torch.testing.assert_close((energy + more)[2:], rest[:1].expand_as(rest))
    else:
        torch.testing.assert_close((energy + more)[2:], rest.clamp_min(float(rest.mean())))


def test_a_share_is_the_same_ridge_everywhere():
    energy = torch.logspace(2, 0, 30)
    more = shrunk(energy, 50, 30, 0.2)
    assert len(set(more.tolist())) == 1
    assert float(more[0]) == pytest.approx(ridge_of(energy, 0.2, 50))


def test_no_bulk_is_not_raised():
    """Two directions that both stand out of what is left have nothing to be raised to."""
    energy = torch.tensor([100.0])
    assert shrunk(energy, 2, 1, RAISED).tolist() == [0.0]
