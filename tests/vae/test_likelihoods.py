"""One set of tests over the registry: a new likelihood is tested by being registered."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from mvlatent import specs
from mvlatent.data.levels import CODINGS
from mvlatent.specs.implementation import implementation_of
from mvlatent.vae.likelihoods import LIKELIHOODS, SCALE_FLOOR, Likelihood

N, P = 6, 4
LEVELS = {"ordinal": (4,), "categorical": (2, 2)}
SIZED = {"normal": "scale", "studentt": "scale", "beta": "precision"}
SIZED |= {"nb": "dispersion", "zinb": "dispersion", "ordinal": "cutpoints"}

KINDS = [(name, noise) for name in LIKELIHOODS for noise in ("feature", "view")]


def make(name, noise="feature"):
    return LIKELIHOODS[name](P, noise=noise, levels=LEVELS.get(name, ()))


class Levels:
    """What scipy lacks: independent categories with probabilities (n, p, L)."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self.p, self.values = probabilities, np.arange(probabilities.shape[-1])

    def logpmf(self, x: np.ndarray) -> np.ndarray:
        return np.log(np.take_along_axis(self.p, x[..., None].astype(int), -1)[..., 0])

    def mean(self) -> np.ndarray:
        return self.p @ self.values

    def std(self) -> np.ndarray:
        return np.sqrt(self.p @ self.values**2 - self.mean() ** 2)

    def median(self) -> np.ndarray:
        return (self.p.cumsum(-1) < 0.5 - 1e-9).sum(-1)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self.p.cumsum(-1), x[..., None].astype(int), -1)[..., 0]


class Inflated:
    """A negative binomial with zeros on top."""

    def __init__(self, counts, more: np.ndarray) -> None:
        self.counts, self.more = counts, more

    def logpmf(self, x: np.ndarray) -> np.ndarray:
        return np.log(self.more * (x == 0) + (1 - self.more) * self.counts.pmf(x))

    def mean(self) -> np.ndarray:
        return (1 - self.more) * self.counts.mean()

    def std(self) -> np.ndarray:
        second = self.counts.var() + self.counts.mean() ** 2
        return np.sqrt((1 - self.more) * second - self.mean() ** 2)

    def median(self) -> np.ndarray:
        return np.zeros_like(self.mean())

    def cdf(self, x: np.ndarray) -> np.ndarray:
        return self.more + (1 - self.more) * self.counts.cdf(x)


def reference(likelihood, eta: np.ndarray):
    """The distribution of each entry, written down without torch."""

    def of(name):
        return getattr(likelihood, name).detach().numpy()

    logistic = stats.logistic.cdf
    match type(likelihood).__name__:
        case "Normal":
            return stats.norm(eta, of("scale"))
        case "StudentT":
            return stats.t(likelihood.df.item(), eta, of("scale"))
        case "Bernoulli":
            return stats.bernoulli(logistic(eta))
        case "Beta":
            return stats.beta(logistic(eta) * of("precision"), logistic(-eta) * of("precision"))
        case "Poisson":
            return stats.poisson(np.exp(eta))
        case "NegativeBinomial":
            return stats.nbinom(
                of("dispersion"), of("dispersion") / (of("dispersion") + np.exp(eta))
            )
        case "ZeroInflated":
            theta = of("dispersion")
            return Inflated(stats.nbinom(theta, theta / (theta + np.exp(eta))), of("inflation"))
        case "Ordinal":
            below = logistic(of("cutpoints") - eta[..., None])
            ends = [np.zeros_like(below[..., :1]), np.ones_like(below[..., :1])]
            return Levels(np.diff(np.concatenate([ends[0], below, ends[1]], -1), axis=-1))
        case "Categorical":
            pairs = eta.reshape(*eta.shape[:-1], 2, 2)
            p = np.exp(pairs) / np.exp(pairs).sum(-1, keepdims=True)
            return stats.bernoulli(p.reshape(eta.shape))  # of one column; see `log_density`
    raise AssertionError("give the new likelihood its reference here")


def log_density(likelihood, eta: np.ndarray, x: np.ndarray) -> np.ndarray:
    frozen = reference(likelihood, eta)
    if type(likelihood).__name__ == "Categorical":
        return x * np.log(frozen.mean())
    return frozen.logpmf(x) if type(likelihood).__name__ in DISCRETE else frozen.logpdf(x)


DISCRETE = ("Bernoulli", "Poisson", "NegativeBinomial", "ZeroInflated", "Ordinal")


@pytest.fixture(params=KINDS, ids="-".join)
def likelihood(request, double):
    made = make(*request.param)
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
        x = likelihood.draw(eta)
    if type(likelihood).__name__ == "Beta":  # densities are compared inside the clamp
        x = x.clamp(2e-3, 1 - 2e-3)
    return x, eta


def some_observed(likelihood):
    observed = torch.rand(N, P, generator=torch.Generator().manual_seed(3)) > 0.4
    if type(likelihood).__name__ == "Categorical":  # a feature is seen in all of its columns
        observed = observed[:, ::2].repeat_interleave(2, 1)
    observed[0] = False
    return observed


def test_the_registry_holds_the_names_users_may_type():
    assert tuple(LIKELIHOODS) == tuple(specs.LIKELIHOODS)
    assert len(LIKELIHOODS) == len(specs.LIKELIHOODS)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_what_is_declared_is_there(name):
    said = specs.LIKELIHOODS[name]
    assert issubclass(LIKELIHOODS[name], Likelihood)
    assert said.scalings and set(said.scalings) <= set(specs.SCALINGS)
    assert said.offsets and set(said.offsets) <= set(specs.OFFSETS)
    assert (said.coding is None) == (name not in LEVELS)
    assert said.coding is None or (said.coding in CODINGS and said.scalings == ("none",))
    fill = np.array([LIKELIHOODS[name].fill])
    assert said.support is None or said.support.takes(fill).all(), "what is not seen is filled in"


@pytest.mark.parametrize("path", ["mvlatent", "mvlatent:", ":Normal"])
def test_a_class_is_named_by_a_path(path):
    with pytest.raises(ValueError, match="'module:Class'"):
        implementation_of(path)


def test_density(likelihood, data):
    x, eta = data
    known = log_density(likelihood, eta.numpy(), x.numpy())
    found = likelihood.log_prob(x, eta, None)
    torch.testing.assert_close(found, torch.from_numpy(known.sum(-1)))
    torch.testing.assert_close(likelihood.distribution(eta).log_prob(x), found)


@pytest.mark.parametrize("garbage", [0.0, 1e3, -7.0, float("nan")])
def test_unobserved_entries_contribute_nothing(likelihood, data, garbage):
    if garbage != garbage and type(likelihood).__name__ in ("Normal", "StudentT"):
        pytest.skip("continuous views hold 0 where nothing was measured")
    x, eta = data
    eta = eta.clone().requires_grad_()
    observed = some_observed(likelihood)
    known = log_density(likelihood, eta.detach().numpy(), x.numpy())
    filled = torch.where(observed, x, garbage)
    found = likelihood.log_prob(filled, eta, observed)
    torch.testing.assert_close(found, torch.from_numpy((known * observed.numpy()).sum(-1)))
    assert found[0] == 0
    found.sum().backward()
    assert bool((eta.grad[~observed] == 0).all()) and bool((eta.grad[observed] != 0).all())
    for parameter in likelihood.parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all())


@pytest.mark.parametrize("extreme", [-1e4, -60.0, 60.0, 1e4])
def test_extreme_predictors_have_finite_densities_and_gradients(likelihood, data, extreme):
    likelihood, x = likelihood.float(), data[0].float()
    eta = torch.full((N, P), extreme, dtype=torch.float32, requires_grad=True)
    found = likelihood.log_prob(x, eta, None)
    found.sum().backward()
    for value in (found, eta.grad, *(p.grad for p in likelihood.parameters())):
        assert value is not None and bool(value.isfinite().all())


def test_draws_have_the_moments_of_the_reference(likelihood, data):
    _, eta = data
    frozen = reference(likelihood, eta.numpy())
    np.testing.assert_allclose(likelihood.mean(eta).detach().numpy(), frozen.mean(), rtol=1e-6)
    sd = likelihood.variance(eta).detach().numpy() ** 0.5
    np.testing.assert_allclose(sd, frozen.std(), rtol=1e-6)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(4)
        draws = likelihood.distribution(eta).sample(torch.Size([20_000])).numpy()
    error = (draws.mean(0) - frozen.mean()) / (frozen.std() / np.sqrt(20_000))
    assert np.abs(error).max() < 4.5
    # the middle of the distribution, which heavy tails leave alone
    share = (draws <= frozen.median()).mean(0)
    np.testing.assert_allclose(share, frozen.cdf(frozen.median()), atol=0.02)


def test_link_undoes_the_mean(likelihood, data):
    _, eta = data
    mean = likelihood.mean(eta)
    torch.testing.assert_close(likelihood.mean(likelihood.link(mean)), mean)


def diagonal(y: torch.Tensor, eta: torch.Tensor) -> torch.Tensor:
    """Derivative of each entry of y by its own predictor."""
    rows = [torch.autograd.grad(y[:, j].sum(), eta, retain_graph=True)[0] for j in range(P)]
    return torch.stack([row[:, j] for j, row in enumerate(rows)], 1)


def test_slope_is_the_derivative_of_the_surface(likelihood, data):
    eta = data[1].clone().requires_grad_()
    known = diagonal(likelihood.expected_surface(eta), eta)
    torch.testing.assert_close(likelihood.slope(eta.detach()), known.clamp_min(0.05))


def test_working_response_has_the_slope_of_the_density(likelihood, data):
    x, eta = data[0], data[1].clone().requires_grad_()
    likelihood.log_prob(x, eta, None).sum().backward()
    response, weight = likelihood.working(x, eta.detach())
    assert weight.shape == (P,)
    torch.testing.assert_close(response * weight, eta.grad)


def test_curvature_is_that_of_the_density(likelihood, data):
    x, eta = data[0], data[1].clone().requires_grad_()
    log_prob = likelihood.log_prob(x, eta, None).sum()
    (score,) = torch.autograd.grad(log_prob, eta, create_graph=True)
    found, weight = likelihood.curvature(x, eta.detach())
    torch.testing.assert_close(found, score.detach())
    assert bool((weight >= 0).all())
    if type(likelihood).__name__ in ("Poisson", "Bernoulli", "Ordinal", "Categorical"):
        torch.testing.assert_close(weight, -diagonal(score, eta))
    if type(likelihood).__name__ == "NegativeBinomial":
        step = 1e-5
        up, down = (likelihood.curvature(x, eta.detach() + h)[0] for h in (step, -step))
        torch.testing.assert_close(weight, (down - up) / (2 * step), rtol=1e-5, atol=1e-7)


def test_information_is_the_variance_of_the_score(likelihood, data):
    _, eta = data
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(6)
        x = likelihood.draw(eta.expand(20_000, N, P))
        score, _ = likelihood.curvature(x, eta)
        ratio = score.square().mean(0) / likelihood.information(eta)
    loose = type(likelihood).__name__ == "ZeroInflated"  # bounded by that of counted entries
    assert float(ratio.max()) < 1.25
    assert loose or float(ratio.min()) > 0.8


def test_maximum_likelihood_recovers_the_parameters(likelihood):
    """Location and noise of 4,000 draws are found again from another start."""
    eta = torch.tensor([-1.0, 0.0, 0.5, 1.5])
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        x = likelihood.draw(eta.expand(4_000, P))
    fitted = type(likelihood)(P, noise=likelihood.noise, levels=likelihood.levels)
    at = nn.Parameter(torch.zeros(P))
    optimiser = torch.optim.LBFGS(
        [at, *fitted.parameters()], max_iter=300, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        loss = -fitted.log_prob(x, at.expand(len(x), P), None).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    name = type(likelihood).__name__
    if name == "ZeroInflated":  # zeros of both kinds are hard to tell apart: the mean is not
        torch.testing.assert_close(fitted.mean(at), likelihood.mean(eta), atol=0.05, rtol=0.08)
        return
    if name == "Categorical":
        torch.testing.assert_close(fitted.mean(at), likelihood.mean(eta), atol=0.03, rtol=0)
        return
    torch.testing.assert_close(at.detach(), eta, atol=0.12, rtol=0)
    if name == "StudentT":
        assert 0.6 < float(fitted.df / likelihood.df) < 1.7
    for size in {SIZED.get(k) for k, c in LIKELIHOODS.items() if c is type(likelihood)} - {None}:
        found, known = getattr(fitted, size), getattr(likelihood, size)
        tolerance = {"scale": 0.08, "precision": 0.15, "cutpoints": 0.0}.get(size, 0.35)
        torch.testing.assert_close(found, known, atol=0.15 if not tolerance else 0, rtol=tolerance)


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


@torch.no_grad()
def test_starting_values_come_from_the_rows(likelihood):
    """Intercepts of 4,000 rows with one predictor, then the noise around it."""
    eta = torch.tensor([-0.5, 0.0, 0.5, 1.0])
    with torch.random.fork_rng():
        torch.manual_seed(7)
        x = likelihood.draw(eta.expand(4_000, P))
    fresh = type(likelihood)(P, noise=likelihood.noise, levels=likelihood.levels)
    seen = torch.rand(x.shape, generator=torch.Generator().manual_seed(8)) > 0.3
    dirty = torch.where(seen, x, 0.5)
    at = fresh.intercept(dirty, None, seen)
    if type(likelihood).__name__ != "Ordinal" or likelihood.noise == "feature":
        torch.testing.assert_close(fresh.mean(at), x.mean(0), atol=0.08, rtol=0.08)
    fresh.settle(dirty, at.expand_as(x), seen)
    assert all(bool(p.isfinite().all()) for p in fresh.parameters())
    size = {"Beta": "precision", "NegativeBinomial": "dispersion"}.get(type(likelihood).__name__)
    if size is not None:
        known = getattr(likelihood, size)
        torch.testing.assert_close(getattr(fresh, size), known, atol=0, rtol=0.4)


def test_the_scale_has_a_floor_and_the_density_a_ceiling(likelihood):
    if not hasattr(likelihood, "scale"):
        pytest.skip("has no noise scale")
    with torch.no_grad():
        likelihood.log_scale.fill_(-1e3)
    assert float(likelihood.scale.min()) == pytest.approx(SCALE_FLOOR)
    assert bool(likelihood.log_prob(torch.zeros(1, P), torch.zeros(1, P), None).isfinite())


def test_leading_dimensions(likelihood, data):
    eta = torch.randn(3, N, P)
    assert likelihood.distribution(eta).log_prob(data[0]).shape == (3, N)
    assert likelihood.draw(eta).shape == likelihood.mean(eta).shape == (3, N, P)
    each = torch.stack([likelihood.log_prob(data[0], e, None) for e in eta])
    torch.testing.assert_close(likelihood.log_prob(data[0], eta, None), each)


@pytest.mark.parametrize("name", ["nb", "zinb"])
def test_counts_have_the_densities_of_scvi(name, double):
    scvi = pytest.importorskip("scvi.distributions")
    made = make(name)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.linspace(-0.5, 0.5, P))
    eta = torch.linspace(-3, 4, 5 * P).reshape(5, P)
    x = made.draw(eta)
    options = {"mu": eta.exp(), "theta": made.dispersion}
    if name == "zinb":
        theirs = scvi.ZeroInflatedNegativeBinomial(**options, zi_logits=made.gate)
    else:
        theirs = scvi.NegativeBinomial(**options)
    torch.testing.assert_close(made.entries(x, eta), theirs.log_prob(x), rtol=1e-5, atol=1e-5)


def test_ordered_logits_are_those_of_pyro(double):
    from pyro.distributions import OrderedLogistic

    made = make("ordinal")
    eta = torch.randn(5, P, generator=torch.Generator().manual_seed(0))
    x = torch.arange(5 * P).reshape(5, P) % 4
    theirs = OrderedLogistic(eta, made.cutpoints).log_prob(x)
    torch.testing.assert_close(made.entries(x.to(eta.dtype), eta), theirs)


def test_the_hand_written_gradients_are_those_of_finite_differences(double):
    from mvlatent.vae.likelihoods.counts import _NegativeBinomial

    x = torch.tensor([[0.0, 1.0, 5.0], [2.0, 0.0, 40.0]])
    eta = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for theta in (torch.randn(3), torch.randn(1)):
        theta.requires_grad_()
        assert torch.autograd.gradcheck(_NegativeBinomial.apply, (x, eta, theta))


@pytest.mark.parametrize("levels", [(), (1,), (2, 3)])
def test_levels_have_to_fit(levels):
    with pytest.raises(ValueError, match="levels"):
        LIKELIHOODS["ordinal"](P, levels=levels)
    with pytest.raises(ValueError, match="levels"):
        LIKELIHOODS["categorical"](P, levels=levels)
