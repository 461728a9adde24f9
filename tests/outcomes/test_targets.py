"""Ordinal and continuous targets against statsmodels and closed forms."""

import doctest
import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from mvlatent.data.outcome_data import TargetData
from mvlatent.heads import BlockHead
from mvlatent.heads.sds import PRIOR_SD
from mvlatent.outcomes import TARGETS, bind_outcome, outcome_likelihood
from mvlatent.outcomes.continuous import BoundContinuous
from mvlatent.outcomes.ordinal import BoundOrdinal, OrdinalOutcome, ordered_log_prob
from mvlatent.specs import TARGET_KINDS, Target

N, LEVELS = 300, ("low", "mid", "high", "top")
BETA = torch.tensor([1.2, -0.8, 0.0], dtype=torch.float64)
CUTS = torch.tensor([-1.0, 0.3, 1.5], dtype=torch.float64)


def source(seed):
    return torch.Generator().manual_seed(seed)


def simulate(kind, n=N, seed=0):
    """Features (n, 3) and a target of them, every ninth missing."""
    g = source(seed)
    x = torch.randn(n, 3, generator=g, dtype=torch.float64)
    eta = x @ BETA
    observed = torch.arange(n) % 9 != 0
    if kind == "continuous":
        value = 2.0 + eta + 0.7 * torch.randn(n, generator=g, dtype=torch.float64)
        return x, TargetData(torch.where(observed, value, 0.0), observed)
    noise = torch.rand(n, generator=g, dtype=torch.float64).logit()
    value = ((eta + noise)[:, None] > CUTS).sum(1).double()
    return x, TargetData(torch.where(observed, value, 0.0), observed, LEVELS)


def bind(kind, data):
    return bind_outcome(data, Target("y", kind=kind))


def test_registry_has_the_kinds_of_the_spec():
    assert tuple(TARGETS) == TARGET_KINDS


@pytest.mark.parametrize("name", ["continuous", "ordinal", "labels", "likelihoods"])
def test_examples(name):
    found = doctest.testmod(importlib.import_module(f"mvlatent.outcomes.{name}"))
    assert found.attempted > 0 and found.failed == 0


@pytest.mark.parametrize("kind", TARGETS)
class TestKinds:
    def test_missing_values_do_not_count(self, kind):
        x, data = simulate(kind)
        module = outcome_likelihood(data, Target("y", kind=kind))
        eta = (x @ BETA).requires_grad_()
        value = module.log_prob(eta, data)
        assert (value[~data.observed] == 0).all() and (value[data.observed] < 5).all()
        garbage = replace(data, value=torch.where(data.observed, data.value, 1.0))
        again = module.log_prob(eta, garbage)
        torch.testing.assert_close(value, again)
        grads = torch.autograd.grad(value.sum(), [eta, *module.parameters()])
        assert all(torch.isfinite(g).all() for g in grads)
        assert (grads[0][~data.observed] == 0).all()
        # the head is that of the patients with a value
        whole = BlockHead.fit({"x": x}, bind(kind, data))
        rows = data.observed
        seen = TargetData(data.value[rows], rows[rows], data.levels)
        alone = BlockHead.fit({"x": x[rows]}, bind(kind, seen))
        torch.testing.assert_close(whole.coef["x"], alone.coef["x"], rtol=1e-8, atol=1e-10)

    def test_nothing_observed_is_an_error(self, kind):
        _, data = simulate(kind)
        nobody = TargetData(data.value, torch.zeros_like(data.observed), data.levels)
        with pytest.raises(ValueError, match="is observed"):
            outcome_likelihood(nobody, Target("y", kind=kind))

    def test_extreme_predictors_have_finite_gradients(self, kind):
        x, data = simulate(kind)
        module = outcome_likelihood(data, Target("y", kind=kind))
        far = (1e3 * x.float() @ BETA.float()).requires_grad_()
        module.log_prob(far, replace(data, value=data.value.float())).sum().backward()
        assert torch.isfinite(far.grad).all()

    def test_module_and_profile_have_the_same_maximum(self, kind):
        """The profile is the module at the baseline that suits the predictor."""
        x, data = simulate(kind)
        module = outcome_likelihood(data, Target("y", kind=kind)).double()
        eta = x @ BETA
        optimiser = torch.optim.LBFGS(
            module.parameters(), max_iter=300, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
        )

        def loss():
            optimiser.zero_grad()
            value = -module.log_prob(eta, data).sum()
            value.backward()
            return value

        optimiser.step(loss)
        options = {}
        if kind == "continuous":
            options = {"noise": float(module.log_noise.detach().exp())}
            bound = BoundContinuous(data, **options)
        else:
            bound = bind(kind, data)
        found = bound.loglik(eta[data.observed][:, None])
        assert float(found) == pytest.approx(-float(loss().detach()), rel=1e-9)

    def test_derivatives_are_those_of_the_profile(self, kind):
        x, data = simulate(kind, n=60)
        bound = bind(kind, data)
        eta = (x @ BETA)[data.observed][:, None]
        here = bound.curvature(eta)
        direction = torch.randn(eta.shape, generator=source(1), dtype=torch.float64)
        size = 1e-4
        up, mid, down = (float(bound.loglik(eta + s * size * direction)) for s in (1, 0, -1))
        assert (up - down) / (2 * size) == pytest.approx(
            float((here.grad * direction).sum()), rel=1e-6
        )
        low = here.low_rank[0].T @ direction[:, 0]
        second = float(here.diag[:, 0] @ direction[:, 0].square() - low @ low)
        assert -(up - 2 * mid + down) / size**2 == pytest.approx(second, rel=1e-4)

    def test_joint_likelihood_is_largest_at_the_profile(self, kind):
        x, data = simulate(kind)
        eta = (x @ BETA)[data.observed][:, None]
        bound = bind(kind, data)
        if kind == "continuous":
            bound.learn_noise(eta, -1.0)  # of the residual energy over n
        at = bound.profiled(eta).baseline.coordinates.clone().requires_grad_()
        value = bound.joint(eta, at)
        assert value.item() == pytest.approx(bound.loglik(eta).item(), rel=1e-12)
        (slope,) = torch.autograd.grad(value, at)
        torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-6)

    def test_draws_follow_the_profile(self, kind):
        """The weights are minus the derivative of the baseline's coordinates by the predictor."""
        x, data = simulate(kind, n=60)
        eta, size = (x @ BETA)[data.observed][:, None], 1e-5
        bound = bind(kind, data)
        weights = bound.profiled(eta).weights[0]
        step = size * torch.randn(eta.shape, generator=source(1), dtype=torch.float64)
        up, down = (bound.profiled(eta + s * step).baseline.coordinates for s in (1, -1))
        torch.testing.assert_close((up - down) / 2, -weights @ step[:, 0], rtol=1e-4, atol=1e-11)

    def test_coefficients_are_recovered_and_saved(self, kind):
        x, data = simulate(kind, n=3000)
        head = BlockHead.fit({"x": x}, bind(kind, data))
        assert head.converged
        torch.testing.assert_close(head.coef["x"][:, 0], BETA, rtol=0, atol=0.12)
        again = BlockHead.from_state(*head.state())
        for one, two in zip(head.predict({"x": x}), again.predict({"x": x}), strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=0)
        draws = [h.joint_draws({"x": x[:5]}, 9, source(2)) for h in (head, again)]
        torch.testing.assert_close(draws[0], draws[1])
        assert not any(len(x) in a.shape for a in head.state()[1].values())

    def test_a_block_of_noise_is_switched_off(self, kind):
        x, data = simulate(kind)
        noise = torch.randn(N, 40, generator=source(5), dtype=torch.float64)
        head = BlockHead.fit({"x": x, "noise": noise}, bind(kind, data))
        assert head.tau["noise"] < 0.1 * head.tau["x"]

    def test_bands_know_that_sds_are_uncertain(self, kind):
        x, data = simulate(kind, n=120)
        noise = torch.randn(120, 40, generator=source(5), dtype=torch.float64)
        blocks = {"x": x, "noise": noise}
        new = {
            k: torch.randn(200, v.shape[1], generator=source(6)).double() for k, v in blocks.items()
        }
        head = BlockHead.fit(blocks, bind(kind, data))
        plugged = BlockHead.fit(blocks, bind(kind, data), n_sds=0)
        assert plugged.tau == head.tau and len(head.posterior.components) > 4
        wide, narrow = (h.predict(new)[1].sqrt().mean() for h in (head, plugged))
        assert 1.05 * narrow < wide < 2 * narrow
        again = BlockHead.from_state(*head.state())
        one, two = (h.joint_draws(new, 50, source(1)) for h in (head, again))
        assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])

    def test_points_of_the_sds_integrate_their_posterior(self, kind):
        x, data = simulate(kind, n=100)
        x, scale = torch.cat([x, x.flip(0)], 1), PRIOR_SD / 6**0.5
        grid = torch.linspace(-4, 1, 51, dtype=torch.float64).exp() * scale
        evidence = [
            BlockHead.fit({"x": x}, bind(kind, data), fixed_sd={"x": float(sd)}).log_marginal
            for sd in grid
        ]
        density = torch.tensor(evidence) + grid.log() - 0.5 * (grid / scale).square()
        weight = torch.softmax(density, 0)
        mean = float(weight @ grid)
        sd = float((weight @ (grid - mean).square()).sqrt())
        parts = BlockHead.fit({"x": x}, bind(kind, data), n_sds=64).posterior.components
        own = torch.tensor([part.weight for part in parts], dtype=torch.float64)
        points = torch.stack([part.sd[0] for part in parts])
        assert float(own @ points) == pytest.approx(mean, rel=0.03)
        assert float((own @ (points - mean).square()).sqrt()) == pytest.approx(sd, rel=0.15)


# --- continuous -------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [3, 400])
def test_continuous_head_is_bayesian_linear_regression(p):
    """Posterior mean and covariance for a given sd of coefficients and of noise."""
    x, data = simulate("continuous")
    wide = torch.randn(N, p, generator=source(3), dtype=torch.float64)
    wide[:, :3] = x
    sigma, tau = 0.6, 0.4
    bound = BoundContinuous(data, noise=sigma)
    head = BlockHead.fit({"x": wide}, bound, fixed_sd={"x": tau})
    rows = wide[data.observed]
    scale = float((rows - rows.mean(0)).square().mean().sqrt())
    centred = rows - rows.mean(0)
    y = data.value[data.observed]
    precision = centred.T @ centred / sigma**2 + torch.eye(p).double() * (scale / tau) ** 2
    cov = torch.linalg.inv(precision)
    mean = cov @ centred.T @ (y - y.mean()) / sigma**2
    torch.testing.assert_close(head.coef["x"][:, 0], mean, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(head.cov[0], cov, rtol=1e-6, atol=1e-9)
    new = torch.randn(7, p, generator=source(4), dtype=torch.float64)
    expected = y.mean() + (new - rows.mean(0)) @ mean
    found, variance = head.predict({"x": new})
    torch.testing.assert_close(found[:, 0], expected, rtol=1e-7, atol=1e-9)
    away = new - rows.mean(0)
    torch.testing.assert_close(variance[:, 0], ((away @ cov) * away).sum(1), rtol=1e-6, atol=1e-9)


def test_evidence_is_that_of_the_marginal_likelihood():
    """Learnt sds are where log N(y | 0, tau² XX' + sigma² I), with a flat intercept, is largest."""
    x, data = simulate("continuous")
    bound = bind("continuous", data)
    head = BlockHead.fit({"x": x}, bound)
    rows, y = x[data.observed], data.value[data.observed]
    centred = rows - rows.mean(0)
    kernel = centred @ centred.T / centred.square().mean()
    n = len(y)
    flat = torch.eye(n, dtype=torch.float64) - 1 / n

    def evidence(tau, sigma):
        values, vectors = torch.linalg.eigh(flat @ (tau**2 * kernel) @ flat + sigma**2 * flat)
        values, along = values[1:], (vectors.T @ y)[1:]  # without the direction of the intercept
        return float(-0.5 * (values.log().sum() + (along.square() / values).sum()))

    tau, sigma = head.tau["x"], head.baseline.noise().item()
    best = evidence(tau, sigma)
    for factor in (0.9, 1.1):
        assert evidence(factor * tau, sigma) < best + 1e-3
        assert evidence(tau, factor * sigma) < best - 0.1
    assert sigma == pytest.approx(0.7, rel=0.1)


def test_draws_of_a_continuous_head_have_its_moments():
    x, data = simulate("continuous")
    head = BlockHead.fit({"x": x}, bind("continuous", data))
    mean, variance = head.predict({"x": x[:4]})
    draws = head.sample({"x": x[:4]}, 40_000, source(0))[..., 0]
    n = int(data.observed.sum())
    expected = variance[:, 0] + head.baseline.noise().item() ** 2 / n  # of the intercept
    torch.testing.assert_close(draws.mean(0), mean[:, 0], rtol=0, atol=4e-3)
    torch.testing.assert_close(draws.var(0), expected, rtol=0.05, atol=0)


@pytest.mark.parametrize(("p", "narrower"), [(3, 0.95), (20, 0.9)])
def test_a_continuous_head_averages_over_sds_and_noise(p, narrower):
    """Against the posterior on a grid of both: half-normal sd, flat log noise, flat intercept."""
    x, data = simulate("continuous", n=45)
    x = torch.cat([x, torch.randn(45, p - 3, generator=source(3), dtype=torch.float64)], 1)
    rows, y = x[data.observed], data.value[data.observed]
    centre, size = rows.mean(0), float((rows - rows.mean(0)).square().mean().sqrt())
    known = (rows - centre) / size
    values, vectors = torch.linalg.eigh(known @ known.T)
    values = values.clamp(min=0)[1:]  # without the direction of the intercept
    vectors = vectors[:, 1:]
    along = vectors.T @ (y - y.mean())
    new = torch.randn(60, p, generator=source(4), dtype=torch.float64)
    far = (new - centre) / size
    cross = far @ known.T @ vectors
    log_sigma = torch.linspace(-1.8, 0.9, 55, dtype=torch.float64)
    ratio = torch.linspace(-4.0, 1.2, 53, dtype=torch.float64).exp()
    sigma, tau = (g.flatten() for g in torch.meshgrid(log_sigma.exp(), ratio, indexing="ij"))
    prior = tau.log() - 0.5 * tau.square()
    square = (tau * PRIOR_SD).square() / p
    spread = square[:, None] * values + sigma.square()[:, None]
    weight = torch.softmax(prior - 0.5 * (spread.log() + along.square() / spread).sum(1), 0)
    mean = square[:, None] * ((along / spread) @ cross.T)
    within = square[:, None] * far.square().sum(1)
    within = within - square.square()[:, None] * (cross.square() @ (1 / spread).T).T
    expected = weight @ mean
    variance = weight @ (within + mean.square()) - expected.square()
    head = BlockHead.fit({"x": x}, bind("continuous", data), n_sds=32)
    found, ours = (v[:, 0] for v in head.predict({"x": new}))
    found = found - head._level()
    assert ((found - expected).square().mean() / variance.mean()).sqrt() < 0.15
    assert (ours / variance).sqrt().mean() == pytest.approx(1.0, abs=0.05)
    noise = head.baseline.noise(head.joint_draws({"x": new}, 4000, source(0))[1]).log()
    centre = float(weight @ sigma.log())
    exact = float((weight @ (sigma.log() - centre).square()).sqrt())
    assert float(noise.mean()) == pytest.approx(centre, abs=0.1)
    # the noise is held while sds are averaged over, so that what they share of it is left out
    assert narrower < float(noise.std()) / exact < 1.05


def test_more_columns_than_patients_leave_noise():
    g = source(7)
    x = torch.randn(80, 400, generator=g, dtype=torch.float64)
    y = x[:, :40] @ torch.full((40,), 0.15, dtype=torch.float64)
    y = y + torch.randn(80, generator=g, dtype=torch.float64)
    head = BlockHead.fit({"x": x}, BoundContinuous(TargetData(y)))
    assert 0.4 < head.baseline.noise().item() < 1.6


# --- ordinal ----------------------------------------------------------------------------------


def test_ordinal_likelihood_is_that_of_statsmodels():
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    x, data = simulate("ordinal")
    rows = data.observed
    model = OrderedModel(data.value[rows].numpy().astype(int), x[rows].numpy(), distr="logit")
    fitted = model.fit(method="bfgs", disp=False, gtol=1e-8, maxiter=500)
    beta = torch.as_tensor(fitted.params[:3])
    cuts = torch.as_tensor(model.transform_threshold_params(fitted.params)[1:-1])
    ours = ordered_log_prob(x[rows] @ beta, data.value[rows].long(), cuts).sum()
    assert float(ours) == pytest.approx(fitted.llf, rel=1e-9)
    bound = bind("ordinal", data)
    assert float(bound.loglik((x[rows] @ beta)[:, None])) == pytest.approx(fitted.llf, rel=1e-9)
    # with hardly any shrinkage the head is the maximum likelihood fit
    head = BlockHead.fit({"x": x}, bound, fixed_sd={"x": 1e3})
    torch.testing.assert_close(head.coef["x"][:, 0], beta, rtol=1e-4, atol=1e-4)
    centre = float(x[rows].mean(0) @ head.coef["x"][:, 0])
    torch.testing.assert_close(head.baseline.cuts() + centre, cuts, rtol=1e-4, atol=1e-4)
    covariance = torch.as_tensor(np.asarray(fitted.cov_params())[:3, :3])
    torch.testing.assert_close(head.cov[0], covariance, rtol=2e-2, atol=1e-5)
    probabilities = head.baseline.probabilities(head.predict({"x": x[rows]})[0][:, 0])
    known = torch.as_tensor(model.predict(fitted.params, x[rows].numpy()))
    torch.testing.assert_close(probabilities, known, rtol=0, atol=1e-4)


def test_two_levels_are_a_logistic_regression():
    eta = torch.linspace(-3, 3, 11, dtype=torch.float64)
    codes = torch.arange(11) % 2
    cut = torch.tensor([0.4], dtype=torch.float64)
    found = ordered_log_prob(eta, codes, cut)
    expected = torch.distributions.Bernoulli(logits=eta - 0.4).log_prob(codes.double())
    torch.testing.assert_close(found, expected)
    levels = TargetData(codes.double(), levels=("no", "yes"))
    head = BlockHead.fit({"x": eta[:, None]}, BoundOrdinal(levels))
    assert head.baseline.probabilities(torch.zeros(3).double()).shape == (3, 2)


def test_probabilities_far_out_are_exact():
    cuts = torch.tensor([0.0, 1e-3], dtype=torch.float64)
    far = ordered_log_prob(torch.tensor([800.0, -800.0]).double(), torch.tensor([1, 1]), cuts)
    expected = torch.log(torch.expm1(torch.tensor(1e-3, dtype=torch.float64)))
    torch.testing.assert_close(far[1], -800.0 + expected - 1e-3)
    assert torch.isfinite(far).all() and far[0] == pytest.approx(-800 + float(expected))


@pytest.mark.parametrize("nobody", [0, 1, 3])
def test_a_level_that_nobody_has_stays_finite(nobody):
    x, data = simulate("ordinal")
    value = torch.where(data.value == nobody, (data.value + 1) % 4, data.value)
    head = BlockHead.fit({"x": x}, bind("ordinal", replace(data, value=value)))
    cuts = head.baseline.cuts()
    assert torch.isfinite(cuts).all() and (cuts.diff() > 0).all()
    eta, moved = head.joint_draws({"x": x}, 50, source(0))
    p = head.baseline.probabilities(eta[..., 0], moved)
    assert (p >= 0).all() and torch.allclose(p.sum(-1), torch.ones(()).double())
    assert p.mean((0, 1))[nobody] < 0.02


def test_levels_are_two_or_more():
    with pytest.raises(ValueError, match="at least two levels"):
        OrdinalOutcome.from_data(TargetData(torch.zeros(4), levels=("only",)))


def test_ordered_levels_forget_a_predictor_that_was_tried_and_refused():
    x, data = simulate("ordinal")
    still = torch.zeros(int(data.observed.sum()), 1, dtype=torch.float64)
    expected = bind("ordinal", data).loglik(still)
    bound = bind("ordinal", data)
    for size in (1e3, 1e5):
        bound.loglik(size * (x @ BETA)[data.observed][:, None])
        torch.testing.assert_close(bound.loglik(still), expected)
