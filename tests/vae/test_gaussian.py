"""Gaussians in natural parameters against torch's own."""

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from mvlatent.vae.gaussian import PrecisionNormal, StandardNormal

N, K = 5, 3
KINDS = ("one", "each", "groups")


def natural(kind: str, *, seed: int = 0, requires_grad: bool = False):
    """Potential, precision, group and the full (N, K, K) precision."""
    generator = torch.Generator().manual_seed(seed)
    g = {"one": 1, "each": N, "groups": 2}[kind]
    root = torch.randn(g, K, K, generator=generator)
    precision = root @ root.mT + torch.eye(K)
    potential = torch.randn(N, K, generator=generator)
    group = torch.tensor([0, 1, 1, 0, 1]) if kind == "groups" else None
    if requires_grad:
        precision.requires_grad_(), potential.requires_grad_()
    full = precision[group] if group is not None else precision.expand(N, K, K)
    return potential, precision, group, full


def reference(potential, full) -> MultivariateNormal:
    covariance = torch.linalg.inv(full)
    return MultivariateNormal((covariance @ potential[..., None])[..., 0], covariance)


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def test_moments_and_density(double, kind):
    potential, precision, group, full = natural(kind)
    q, p = PrecisionNormal(potential, precision, group), reference(potential, full)
    value = torch.randn(7, N, K)
    torch.testing.assert_close(q.mean, p.mean)
    torch.testing.assert_close(q.covariance, p.covariance_matrix)
    torch.testing.assert_close(q.variance, p.variance)
    torch.testing.assert_close(q.sd, p.stddev)
    torch.testing.assert_close(q.log_prob(value), p.log_prob(value))
    torch.testing.assert_close(q.log_det_precision, torch.logdet(full))
    assert (q.batch_shape, q.event_shape) == (p.batch_shape, p.event_shape)


def test_kl_to_the_prior_and_its_gradient(double, kind):
    potential, precision, group, full = natural(kind, requires_grad=True)
    prior = MultivariateNormal(torch.zeros(K), torch.eye(K))
    ours = kl_divergence(PrecisionNormal(potential, precision, group), StandardNormal(N, K))
    theirs = kl_divergence(reference(potential, full), prior)
    torch.testing.assert_close(ours, theirs)
    weight = torch.arange(1.0, N + 1)
    found = torch.autograd.grad((weight * ours).sum(), (potential, precision), retain_graph=True)
    known = torch.autograd.grad((weight * theirs).sum(), (potential, precision))
    symmetric = [(g + g.mT) / 2 for g in (found[1], known[1])]
    torch.testing.assert_close(found[0], known[0])
    torch.testing.assert_close(*symmetric)


def test_density_has_the_gradient_of_the_reference(double, kind):
    potential, precision, group, full = natural(kind, requires_grad=True)
    value = torch.randn(N, K)
    q, p = PrecisionNormal(potential, precision, group), reference(potential, full)
    found = torch.autograd.grad(q.log_prob(value).sum(), potential)
    torch.testing.assert_close(found, torch.autograd.grad(p.log_prob(value).sum(), potential))


def test_draws_have_the_moments(double, kind):
    potential, precision, group, _ = natural(kind)
    q = PrecisionNormal(potential, precision, group)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        draws = q.rsample(torch.Size([40_000]))
    assert draws.shape == (40_000, N, K)
    error = (draws.mean(0) - q.mean) / q.sd
    assert error.abs().max() < 0.03
    centred = draws - q.mean
    covariance = torch.einsum("snk,snl->nkl", centred, centred) / len(draws)
    torch.testing.assert_close(covariance, q.covariance, atol=0.02, rtol=0.05)


def test_draws_carry_gradients():
    potential, precision, group, _ = natural("groups", requires_grad=True)
    PrecisionNormal(potential, precision, group).rsample().sum().backward()
    assert potential.grad is not None and bool((potential.grad != 0).all())
    assert precision.grad is not None and bool((precision.grad != 0).any())


def test_a_leading_dimension_of_potentials_shares_the_precision(double):
    potential, precision, _, full = natural("each")
    many = torch.stack([potential, 2 * potential])
    q = PrecisionNormal(many, precision)
    torch.testing.assert_close(q.mean[1], reference(2 * potential, full).mean)
    assert q.variance.shape == (2, N, K)


def test_standard_normal(double):
    prior = StandardNormal(N, K)
    value = torch.randn(4, N, K)
    known = MultivariateNormal(torch.zeros(K), torch.eye(K)).log_prob(value)
    torch.testing.assert_close(prior.log_prob(value), known)
    assert bool((prior.mean == 0).all()) and prior.rsample().shape == (N, K)


def test_a_distribution_a_patient_is_never_widened():
    with pytest.raises(ValueError, match="cannot be expanded"):
        StandardNormal(N, K).expand(torch.Size([N + 1]))


def test_an_indefinite_precision_is_refused():
    with pytest.raises(RuntimeError):
        PrecisionNormal(torch.zeros(1, 2), -torch.eye(2)[None])
