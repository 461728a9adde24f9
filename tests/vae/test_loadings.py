"""Random loadings: their sites, their experts, and what they find and switch off."""

import math

import numpy as np
import pyro
import pytest
import torch
from scipy.stats import halfcauchy

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.fitting.loop import COUNTED_ONCE, fit
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.start.refine import refine_start
from mvlatent.fitting.start.rescale import rescale_latents
from mvlatent.fitting.start.settle import settle_loadings
from mvlatent.fitting.start.spectral import spectral_start
from mvlatent.objectives.objective import Objective
from mvlatent.vae.loadings import LOADINGS, SLAB, LogHalfCauchy
from mvlatent.vae.structured import Design, StructuredVAE, ViewDesign

SITES = {"ard": {"loadings", "precision"}, "horseshoe": {"loadings", "local", "global"}}


@pytest.fixture(params=list(LOADINGS))
def kind(request) -> str:
    return request.param


def terms_of(vae, cohort, n_total, seed=0):
    with torch.random.fork_rng(), pyro.validation_enabled(False):
        torch.manual_seed(seed)
        _, terms = Objective(vae)(cohort, n_total)
    return {name: term * n_total for name, term in terms.items()}


def test_log_half_cauchy(double):
    value = torch.linspace(-4, 4, 9)
    for scale in (0.3, 2.0):
        each = LogHalfCauchy(torch.tensor(scale), torch.zeros(1))
        known = halfcauchy(scale=scale).logpdf(value.exp().numpy()) + value.numpy()
        np.testing.assert_allclose(each.log_prob(value[:, None]), known)
    p = LogHalfCauchy(torch.tensor(0.3), torch.zeros(2, 3))
    assert p.log_prob(torch.zeros(5, 2, 3)).shape == (5,)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        draws = p.sample(torch.Size([20_000]))
    assert float(draws.median()) == pytest.approx(math.log(0.3), abs=0.02)  # a quarter of a circle
    assert float((draws < math.log(0.3 * math.tan(math.pi / 8))).double().mean()) == pytest.approx(
        0.25, abs=0.01
    )


def test_priors_have_their_variance(double, kind):
    """Draws of the model's own sites: conditionally Gaussian with the scales they come with."""
    random = LOADINGS[kind](2, 400)
    if kind == "ard":
        known = {"precision:v": torch.tensor([4.0, 100.0])}
        sd = torch.tensor([0.5, 0.1])[:, None].expand(2, 400)
    else:
        overall, local = torch.tensor([0.5, 0.01]), torch.full((2, 400), 20.0)
        known = {"global:v": overall.log(), "local:v": local.log()}
        scale = overall[:, None] * local
        sd = (scale**2 * SLAB**2 / (SLAB**2 + scale**2)).sqrt()
    trace = pyro.poutine.trace(pyro.poutine.condition(random.model, known)).get_trace("v")
    assert {name.split(":")[0] for name in trace.nodes if name.endswith(":v")} == SITES[kind]
    prior = trace.nodes["loadings:v"]["fn"]
    torch.testing.assert_close(prior.variance.sqrt(), sd)


def test_global_terms_are_counted_once_and_gradients_reach_every_parameter(
    make_cohort, make_vae, kind
):
    cohort = make_cohort(n=12, n_sites=2, absent=0.3, holes=("a",))
    vae = make_vae(cohort, loadings=kind)
    full, part = terms_of(vae, cohort, 12), terms_of(vae, cohort.subset(range(4)), 12)
    expected = {f"kl:{site}:{view}" for site in SITES[kind] for view in "abc"}
    assert expected <= set(full)
    for name in expected:
        assert name.startswith(COUNTED_ONCE)
    # the draw of the loadings comes first: the same in both, and not scaled by the batch
    torch.testing.assert_close(part["kl:loadings:a"], full["kl:loadings:a"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss, _ = Objective(vae)(cohort, 12)
    loss.backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).any()), name


def test_nothing_of_them_decays(make_cohort, make_vae, kind):
    cohort = make_cohort(n=12)

    def decayed(vae):
        ids = {id(p) for _, p in Objective(vae).shrunk()}
        return {name for name, p in vae.named_parameters() if id(p) in ids}

    assert decayed(make_vae(cohort, loadings=kind)) == set()
    assert any(name.endswith("decoder.shared") for name in decayed(make_vae(cohort)))


@pytest.mark.parametrize("holes", [(), ("a",)], ids=["complete", "holes"])
@torch.no_grad()
def test_experts_take_expected_products(double, make_cohort, make_vae, kind, holes):
    """Against the average of sampled Gram matrices, whose Schur complement is written down."""
    cohort = make_cohort(n=6, holes=holes)
    vae = make_vae(cohort, loadings=kind)
    part, view = vae.part("a"), cohort.views["a"]
    random = part.decoder.random_loadings
    random.log_sd.fill_(math.log(0.5))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(60_000, *random.sd.shape, generator=generator)
    drawn = part.decoder.loadings + random.sd * noise
    weight = part.weight()
    seen = torch.ones_like(view.x) if view.observed is None else view.observed.to(view.x.dtype)
    evidence = part.read(view, cohort.technical)
    for i in (0, 3):
        gram = torch.einsum("sjf,f,slf->jl", drawn, weight * seen[i], drawn) / len(drawn)
        own = torch.linalg.inv(gram[3:, 3:] + torch.eye(2))
        known = gram[:3, :3] - gram[:3, 3:] @ own @ gram[3:, :3]
        found = evidence.precision[i if len(evidence.precision) > 1 else 0]
        torch.testing.assert_close(found, known, rtol=0.02, atol=0.05)


@torch.no_grad()
def test_point_loadings_are_the_limit_of_no_spread(double, make_cohort, make_vae, kind):
    cohort = make_cohort(n=6)
    sure, point = make_vae(cohort, loadings=kind), make_vae(cohort)
    for one, other in zip(sure.parts, point.parts, strict=True):
        one.decoder.random_loadings.log_sd.fill_(-20.0)
        one.load_state_dict(other.state_dict(), strict=False)
    torch.testing.assert_close(sure.posterior(cohort)[0].mean, point.posterior(cohort)[0].mean)
    a, b = terms_of(sure, cohort, 6), terms_of(point, cohort, 6)
    assert {n for n in a if not n.startswith(COUNTED_ONCE)} == set(b)


def test_widening_follows_the_means(double, kind):
    random = LOADINGS[kind](2, 6)
    mean = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    factor = torch.tensor([2.0, 0.5])
    determined, sd = random.determined(mean), random.sd.detach().clone()
    random.widen(factor)
    torch.testing.assert_close(random.sd.detach(), factor[:, None] * sd)
    torch.testing.assert_close(random.determined(factor[:, None] * mean), determined)


# --- what they are for --------------------------------------------------------------------------


def simulated(seed, *, rank, share=1.0, n=250, p=40):
    """Two views of ``rank`` shared factors and one private, and the shared loadings of each."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.randn(n, rank + 2, generator=generator)
    factors = torch.linalg.qr(factors - factors.mean(0)).Q * n**0.5  # unit moments, as the prior
    views, truth = {}, {}
    for i, name in enumerate("ab"):
        shared = 0.8 * torch.randn(rank, p, generator=generator)
        truth[name] = shared * (torch.rand(rank, p, generator=generator) < share)
        private = 0.6 * torch.randn(1, p, generator=generator)
        x = factors[:, :rank] @ truth[name] + factors[:, [rank + i]] @ private
        x = x + torch.randn(n, p, generator=generator)
        everyone = torch.ones(n, dtype=torch.bool)
        features = tuple(f"{name}{j}" for j in range(p))
        views[name] = CohortView(x, everyone, None, "normal", "feature", features)
    names = tuple(f"p{i}" for i in range(n))
    return Cohort(names, views, torch.zeros(n, 0), (), torch.zeros(n, 0), ()), truth


def fitted_to(cohort, kind, *, n_shared, n_private):
    views = tuple(ViewDesign(v, "normal", "feature", 40, 0, n_private) for v in cohort.views)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = StructuredVAE(Design(views, n_shared=n_shared, loadings=kind))
        spectral_start(vae, cohort, rank="full")  # nothing is switched off beforehand
        refine_start(vae, cohort)
    fit(Objective(vae), cohort, Plan(max_epochs=15, accelerator="cpu"), progress=False)
    rescale_latents(vae, cohort)
    settle_loadings(vae, cohort, sweeps=10)
    return vae


def test_spare_factors_are_switched_off(kind):
    cohort, truth = simulated(0, rank=2, share=0.3 if kind == "horseshoe" else 1.0)
    vae = fitted_to(cohort, kind, n_shared=6, n_private=3)
    for name, part in vae.items:
        mean = part.decoder.loadings.detach()
        determined = part.decoder.random_loadings.determined(mean)
        assert sorted((determined[:6] > 0.5).tolist()) == [False] * 4 + [True] * 2
        assert sorted((determined[6:] > 0.5).tolist()) == [False] * 2 + [True]
        active = mean[:6][determined[:6] > 0.5]
        fitted = truth[name].T @ torch.linalg.lstsq(truth[name].T, active.T).solution
        assert (active.T - fitted).square().sum() < 0.05 * active.square().sum()


def test_ninety_percent_intervals_cover_about_as_often(kind):
    """In a one-factor model, up to its sign: 480 loadings, so a standard error of 0.014.

    Mean-field posteriors leave out how far loadings move together: 5 points are allowed for it.
    """
    share = 0.5 if kind == "horseshoe" else 1.0
    inside = []
    for seed in range(6):
        cohort, truth = simulated(seed, rank=1, share=share)
        vae = fitted_to(cohort, kind, n_shared=1, n_private=1)
        for name, part in vae.items:
            mean, sd = part.decoder.shared[0].detach(), part.decoder.random_loadings.sd[0].detach()
            error = mean * torch.sign(mean @ truth[name][0]) - truth[name][0]
            inside.append((error.abs() < 1.645 * sd).double())
    assert 0.85 <= float(torch.cat(inside).mean()) <= 0.95
