"""One set of tests over the registry: a new likelihood is tested by being registered."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from mvlatent import specs
from mvlatent.vae.likelihoods import LIKELIHOODS, SCALE_FLOOR

N, P = 6, 4

KINDS = [(name, noise) for name in LIKELIHOODS for noise in ("feature", "view")]


def reference(likelihood, eta: np.ndarray):
    """The scipy distribution of each entry."""
    scale = likelihood.scale.detach().numpy() if hasattr(likelihood, "scale") else None
    match type(likelihood).__name__:
        case "Normal":
            return stats.norm(eta, scale)
        case "StudentT":
            return stats.t(likelihood.df.item(), eta, scale)
        case "Bernoulli":
            return stats.bernoulli(1 / (1 + np.exp(-eta)))
    raise AssertionError("give the new likelihood its reference here")


def log_density(frozen, x: np.ndarray) -> np.ndarray:
    return (
        frozen.logpmf(x)
        if hasattr(frozen, "pmf") and frozen.dist.name == "bernoulli"
        else (frozen.logpdf(x))
    )


@pytest.fixture(params=KINDS, ids="-".join)
def likelihood(request, double):
    name, noise = request.param
    made = LIKELIHOODS[name](P, noise=noise)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    return made


@pytest.fixture
def data(likelihood):
    generator = torch.Generator().manual_seed(0)
    eta = torch.randn(N, P, generator=generator)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(2)
        return likelihood.draw(eta), eta


def test_the_registry_holds_the_names_users_may_type():
    assert tuple(LIKELIHOODS) == specs.LIKELIHOODS


def test_density(likelihood, data):
    x, eta = data
    known = log_density(reference(likelihood, eta.numpy()), x.numpy())
    found = likelihood.log_prob(x, eta, None)
    torch.testing.assert_close(found, torch.from_numpy(known.sum(-1)))
    torch.testing.assert_close(likelihood.distribution(eta).log_prob(x), found)


@pytest.mark.parametrize("garbage", [0.0, 1e3, -7.0])
def test_unobserved_entries_contribute_nothing(likelihood, data, garbage):
    x, eta = data
    eta = eta.clone().requires_grad_()
    observed = torch.rand(N, P, generator=torch.Generator().manual_seed(3)) > 0.4
    observed[0] = False
    known = log_density(reference(likelihood, eta.detach().numpy()), x.numpy())
    filled = torch.where(observed, x, garbage)
    found = likelihood.log_prob(filled, eta, observed)
    torch.testing.assert_close(found, torch.from_numpy((known * observed.numpy()).sum(-1)))
    assert found[0] == 0
    found.sum().backward()
    assert bool((eta.grad[~observed] == 0).all()) and bool((eta.grad[observed] != 0).all())
    for parameter in likelihood.parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all())


def test_draws_have_the_mean_of_the_reference(likelihood, data):
    _, eta = data
    frozen = reference(likelihood, eta.numpy())
    np.testing.assert_allclose(likelihood.mean(eta).detach().numpy(), frozen.mean(), rtol=1e-6)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(4)
        draws = likelihood.distribution(eta).sample(torch.Size([20_000])).numpy()
    error = (draws.mean(0) - frozen.mean()) / (frozen.std() / np.sqrt(20_000))
    assert np.abs(error).max() < 4
    # the middle of the distribution, which heavy tails leave alone
    share = (draws <= frozen.median()).mean(0)
    np.testing.assert_allclose(share, frozen.cdf(frozen.median()), atol=0.02)


def test_link_undoes_the_mean(likelihood, data):
    _, eta = data
    torch.testing.assert_close(likelihood.link(likelihood.mean(eta)), eta)


def test_slope_is_the_derivative_of_the_mean(likelihood, data):
    eta = data[1].clone().requires_grad_()
    mean = likelihood.mean(eta)
    (known,) = torch.autograd.grad(mean.sum(), eta)
    torch.testing.assert_close(likelihood.slope(mean.detach()), known.clamp_min(0.05))


def test_working_response_has_the_slope_of_the_density(likelihood, data):
    x, eta = data[0], data[1].clone().requires_grad_()
    likelihood.log_prob(x, eta, None).sum().backward()
    response, weight = likelihood.working(x, eta.detach())
    assert weight.shape == (P,)
    torch.testing.assert_close(response * weight, eta.grad)


def test_maximum_likelihood_recovers_the_parameters(likelihood):
    """Location and noise of 4,000 draws are found again from another start."""
    eta = torch.tensor([-1.0, 0.0, 0.5, 1.5])
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        x = likelihood.draw(eta.expand(4_000, P))
    fitted = type(likelihood)(P, noise=likelihood.noise)
    at = nn.Parameter(torch.zeros(P))
    optimiser = torch.optim.LBFGS(
        [at, *fitted.parameters()], max_iter=200, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        loss = -fitted.log_prob(x, at.expand(len(x), P), None).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    torch.testing.assert_close(at.detach(), eta, atol=0.12, rtol=0)
    for name, parameter in likelihood.named_parameters():
        if name == "log_scale":
            torch.testing.assert_close(fitted.scale, likelihood.scale, atol=0, rtol=0.08)
        elif name == "raw_df":
            assert 0.6 < float(fitted.df / likelihood.df) < 1.7
        else:
            raise AssertionError(f"say how well {name} is recovered ({parameter.shape})")


def test_start_sets_the_variance_of_the_noise(likelihood):
    if not hasattr(likelihood, "scale"):
        pytest.skip("has no noise scale")
    variance = torch.tensor([0.5, 1.0, 2.0, 1.5])
    likelihood.start(variance)
    found = torch.from_numpy(reference(likelihood, np.zeros(P)).var())
    wanted = variance if likelihood.noise == "feature" else torch.full((P,), float(variance.mean()))
    torch.testing.assert_close(found, wanted)
    likelihood.start(torch.zeros(P))
    assert float(likelihood.scale.min()) >= SCALE_FLOOR


def test_the_scale_has_a_floor_and_the_density_a_ceiling(likelihood):
    if not hasattr(likelihood, "scale"):
        pytest.skip("has no noise scale")
    with torch.no_grad():
        likelihood.log_scale.fill_(-1e3)
    assert float(likelihood.scale.min()) == pytest.approx(SCALE_FLOOR)
    assert bool(likelihood.log_prob(torch.zeros(1, P), torch.zeros(1, P), None).isfinite())


def test_leading_dimensions(likelihood):
    eta = torch.randn(3, N, P)
    assert likelihood.distribution(eta).log_prob(torch.zeros(N, P)).shape == (3, N)
    assert likelihood.draw(eta).shape == likelihood.mean(eta).shape == (3, N, P)
