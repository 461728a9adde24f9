"""Every prior of the registry against references, its own draws, and what it is there for."""

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import TraceMeanField_ELBO
from scipy.stats import multivariate_normal
from torch.distributions import Normal

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.fitting.loop import fit
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.start.refine import MIN_PATIENTS, clusters_of, refine_start
from mvlatent.fitting.start.rescale import rescale_latents
from mvlatent.fitting.start.spectral import spectral_start
from mvlatent.objectives.objective import Objective, _Half
from mvlatent.posterior import Latents
from mvlatent.vae.priors import PRIORS, Clusters, Flow
from mvlatent.vae.structured import Design, StructuredVAE, ViewDesign

K, N = 2, 5
EVIDENCE = torch.tensor([[3.0, 0.5], [0.5, 1.0]])
LEARNT = [name for name in PRIORS if not PRIORS[name].analytic]


def evidence() -> torch.Tensor:
    return EVIDENCE.to(torch.get_default_dtype())


def moved(kind, *, k=K, seed=0):
    """A prior with its parameters away from where they begin."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        prior = PRIORS[kind](k, n_components=3, n_hidden=16, evidence=evidence)
        with torch.no_grad():
            for parameter in prior.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return prior


def reference(kind, prior, value):
    """Log density by scipy, or by change of variables with autograd's Jacobian."""
    if kind == "normal":
        return multivariate_normal(np.zeros(K)).logpdf(value.numpy())
    if kind == "flow":
        transform = prior.flow().transform
        base = Normal(0.0, 1.0)
        out = []
        for row in value:
            jacobian = torch.autograd.functional.jacobian(transform, row)
            out.append(base.log_prob(transform(row)).sum() + torch.linalg.slogdet(jacobian)[1])
        return torch.stack(out).detach().numpy()
    weights = prior.logits.softmax(0).detach()
    density = 0.0
    for c, weight in enumerate(weights):
        if kind == "mixture":
            mean, low = prior.means[c], prior.low_rank[c]
            covariance = (prior.log_scale[c].exp() ** 2 + 0.05**2).diag() + low @ low.T
        else:
            seen = prior.share[c].sigmoid() * evidence()
            covariance = torch.linalg.inv(torch.eye(K) + seen)
            mean = covariance @ seen @ prior.pseudo[c]
        gauss = multivariate_normal(mean.detach().numpy(), covariance.detach().numpy())
        density = density + float(weight) * gauss.pdf(value.numpy())
    return np.log(density)


@pytest.fixture(params=list(PRIORS))
def kind(request) -> str:
    return request.param


def test_density(double, kind):
    prior = moved(kind)
    value = torch.randn(N, K, generator=torch.Generator().manual_seed(1))
    p = prior.distribution(N, torch.zeros(1))
    assert (p.batch_shape, p.event_shape) == (torch.Size([N]), torch.Size([K]))
    np.testing.assert_allclose(p.log_prob(value).detach(), reference(kind, prior, value), rtol=1e-7)
    # draws in front, as impute and posterior ask for them
    many = p.log_prob(torch.stack([value, 2 * value]))
    assert many.shape == (2, N)
    torch.testing.assert_close(many[0], p.log_prob(value))


def test_density_integrates_to_one_and_has_the_moments_of_its_draws(double, kind):
    prior = moved(kind)
    axis = torch.linspace(-7.5, 7.5, 301)
    grid = torch.cartesian_prod(axis, axis)
    p = prior.distribution(len(grid), torch.zeros(1))
    with torch.no_grad():
        mass = p.log_prob(grid).exp() * (axis[1] - axis[0]) ** 2
    assert float(mass.sum()) == pytest.approx(1.0, abs=2e-3)
    mean = mass @ grid
    covariance = (grid - mean).T @ ((grid - mean) * mass[:, None])
    with torch.random.fork_rng():
        torch.manual_seed(3)
        draws = prior.distribution(40_000, torch.zeros(1)).sample()
    assert draws.shape == (40_000, K) and not draws.requires_grad
    torch.testing.assert_close(draws.mean(0), mean, atol=0.03, rtol=0.03)
    torch.testing.assert_close(torch.cov(draws.T), covariance, atol=0.05, rtol=0.05)
    if not prior.analytic:
        found = prior.distribution(1, torch.zeros(1)).moments()
        wide = {"atol": 0.08, "rtol": 0.08} if kind == "flow" else {"atol": 5e-3, "rtol": 5e-3}
        torch.testing.assert_close(found[0].detach(), mean, **wide)
        torch.testing.assert_close(found[1].detach(), covariance, **wide)


@pytest.mark.parametrize("k", [1, 4])
def test_gradients_reach_every_parameter(kind, k):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = PRIORS[kind](k, n_components=3, n_hidden=16, evidence=lambda: 2 * torch.eye(k))
        for parameter in prior.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        value = torch.randn(40, k, requires_grad=True)
    prior.distribution(40, value).log_prob(value).sum().backward()
    assert value.grad is not None and bool((value.grad != 0).all())
    for name, parameter in prior.named_parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).any()), name


def test_training_and_evaluation_agree_and_state_round_trips(kind):
    prior = moved(kind)
    value = torch.randn(N, K)
    known = prior.train().distribution(N, value).log_prob(value)
    torch.testing.assert_close(prior.eval().distribution(N, value).log_prob(value), known)
    other = moved(kind, seed=1)
    if not prior.analytic:
        assert not torch.allclose(other.distribution(N, value).log_prob(value), known)
    other.load_state_dict(prior.state_dict())
    torch.testing.assert_close(other.distribution(N, value).log_prob(value), known)


def test_a_prior_is_never_widened(kind):
    with pytest.raises(ValueError, match="cannot be expanded"):
        moved(kind).distribution(N, torch.zeros(1)).expand(torch.Size([N + 1]))


@pytest.mark.parametrize("k", [1, 3])
def test_the_flow_starts_as_the_identity(k):
    value = 2 * torch.randn(N, k)
    found = Flow(k).distribution(N, value).log_prob(value)
    torch.testing.assert_close(found, Normal(0.0, 1.0).log_prob(value).sum(-1))


def test_components_start_at_the_clusters(double):
    mean = torch.tensor([[2.0, 0.5], [-1.0, -1.5]])
    variance = torch.full((2, K), 0.5)
    clusters = Clusters(torch.tensor([0.75, 0.25]), mean, variance, mean)
    for kind in ("mixture", "vamp"):
        prior = PRIORS[kind](K, n_components=2, evidence=evidence)
        prior.start(clusters)
        base = prior.base()
        parts = base.component_distribution
        torch.testing.assert_close(parts.mean, mean, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(base.mixture_distribution.probs, clusters.weight)
        width = parts.covariance_matrix.diagonal(dim1=1, dim2=2).sum(1)
        torch.testing.assert_close(width, torch.ones(2), atol=0.05, rtol=0.05)


def test_no_component_starts_at_fewer_than_five_patients(make_cohort, make_vae):
    cohort = make_cohort(n=40)
    odd = cohort.views["a"].x
    odd[3] += 60.0  # a cluster of its own, were it let
    vae = make_vae(cohort, n_components=6)
    z = vae.posterior(cohort)[0].mean.detach()
    clusters = clusters_of(vae, cohort, 6)
    assert clusters.mean.shape == (6, 3)
    assert float(torch.cdist(clusters.mean, z).min(0).values[3]) > 1.0
    assert bool((clusters.weight > 0).all())
    few = clusters_of(vae, cohort.subset(range(MIN_PATIENTS + 1)), 6)
    assert few.mean.shape == (6, 3) and bool(few.mean.isfinite().all())


@pytest.mark.parametrize("encoder", ["exact", "mlp"])
@pytest.mark.parametrize("prior", LEARNT)
def test_the_sum_is_pyros_elbo(double, make_cohort, make_vae, prior, encoder):
    """Pyro, too, takes log q - log p at the draw where no analytic KL is registered."""
    cohort = make_cohort(n=12, n_sites=2, absent=0.3, holes=("a",))
    vae = make_vae(cohort, prior=prior, encoder=encoder, n_components=3)
    with pyro.validation_enabled(False), torch.random.fork_rng():
        torch.manual_seed(0)
        _, terms = Objective(vae)(cohort, 50, 0.3)
        torch.manual_seed(0)
        loss = TraceMeanField_ELBO()(_Half(vae, "model"), _Half(vae, "guide"))(cohort, 50, 0.3)
    assert "kl:z" in terms
    torch.testing.assert_close(-50 * torch.stack(list(terms.values())).sum(), loss.detach())


@pytest.mark.parametrize("encoder", ["exact", "linear", "mlp"])
def test_pseudo_patients_have_the_precision_of_complete_views(make_cohort, make_vae, encoder):
    cohort = make_cohort(n=12, holes=("a",))
    vae = make_vae(cohort, encoder=encoder, prior="vamp", n_components=3)
    with torch.no_grad():
        found = vae.evidence_precision()
        complete = make_cohort(n=12)
        known = vae.posterior(complete)[0].precision - torch.eye(3)
    assert found.shape == (3, 3)
    if encoder != "mlp":  # whose precision depends on the values
        torch.testing.assert_close(found, known[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prior", LEARNT)
def test_decay_is_the_priors_own_and_z_is_not_rescaled(make_cohort, make_vae, prior):
    cohort = make_cohort(n=30)
    vae = make_vae(cohort, prior=prior, n_components=3)
    precision = {id(p): times for times, p in Objective(vae).shrunk()}
    assert precision[id(vae.part("a").decoder.shared)] == 1.0
    assert id(vae.part("a").decoder.intercept) not in precision
    for parameter in vae.prior.parameters():
        known = vae.prior.decay if parameter.dim() > 1 else 0.0
        assert precision.get(id(parameter), 0.0) == known
    before = vae.part("a").decoder.shared.detach().clone()
    private = vae.part("a").decoder.private.detach().clone()
    rescale_latents(vae, cohort)
    assert torch.equal(vae.part("a").decoder.shared.detach(), before)
    assert not torch.allclose(vae.part("a").decoder.private.detach(), private)


@pytest.mark.parametrize("prior", LEARNT)
def test_patients_without_a_view_have_the_prior(make_cohort, make_vae, prior):
    cohort = make_cohort(n=8)
    vae = make_vae(cohort, prior=prior, n_components=3)
    seen, unseen = Latents(vae, cohort), Latents(vae, cohort.mask_views([]))
    assert not seen.unseen_from_prior and unseen.unseen_from_prior
    mean, covariance = vae.prior.distribution(1, cohort.technical).moments()
    torch.testing.assert_close(unseen.z.mean, mean.detach().expand(8, 3))
    torch.testing.assert_close(unseen.z.covariance[0], covariance.detach())
    mean, covariance = mean.detach(), covariance.detach()
    draws, _ = unseen.draw(4000, 0)
    assert draws.shape == (4000, 8, 3)
    flat = draws.flatten(0, 1)
    torch.testing.assert_close(torch.cov(flat.T), covariance.detach(), rtol=0.1, atol=0.1)
    assert float((flat.mean(0) - mean).abs().max()) < 0.1
    assert np.isfinite(unseen.posterior("all").sd).all()


# --- what learnt priors are for ------------------------------------------------------------------


def three_classes(n, seed):
    """Two views of two factors that sit at three corners, and the corner of each patient."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 3, (n,), generator=generator)
    centre = torch.tensor([[1.4, 0.0], [-0.7, 1.2], [-0.7, -1.2]])
    z = centre[corner] + 0.15 * torch.randn(n, 2, generator=generator)
    views = {}
    for seed, name in enumerate("ab"):
        loadings = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed + 97))
        x = z @ loadings + torch.randn(n, 6, generator=generator)
        features = tuple(f"{name}{j}" for j in range(6))
        views[name] = CohortView(
            x, torch.ones(n, dtype=torch.bool), None, "normal", "feature", features
        )
    names = tuple(f"p{i}" for i in range(n))
    return Cohort(names, views, torch.zeros(n, 0), (), torch.zeros(n, 0), ()), corner


def fitted_to(cohort, held_out, prior):
    views = tuple(ViewDesign(v, "normal", "feature", 6, 0, 1) for v in cohort.views)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        design = Design(views, n_shared=2, prior=prior, n_components=4, n_hidden=16)
        vae = StructuredVAE(design)
        spectral_start(vae, cohort)
        refine_start(vae, cohort)
    plan = Plan(max_epochs=60, early_stopping=False, accelerator="cpu")
    history = fit(Objective(vae), cohort, plan, validation=held_out, progress=False).history
    return vae, float(np.mean([row["validation_elbo"] for row in history[-10:]]))


def test_learnt_priors_describe_held_out_classes_better():
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    cohort, corner = three_classes(300, seed=0)
    train, held_out = cohort.subset(range(200)), cohort.subset(range(200, 300))
    bounds = {}
    for prior in PRIORS:
        vae, bounds[prior] = fitted_to(train, held_out, prior)
        z = vae.posterior(held_out)[0].mean.detach()
        found = KMeans(3, n_init=3, random_state=0).fit_predict(z.numpy())
        assert adjusted_rand_score(found, corner[200:]) > 0.9, prior
        if prior in ("mixture", "vamp"):  # the components are the classes
            base = vae.prior.base()
            joint = (
                base.component_distribution.log_prob(z[:, None]) + base.mixture_distribution.logits
            )
            assert adjusted_rand_score(joint.argmax(1), corner[200:]) > 0.7, prior
    # nats a patient: the classes are worth log 3 less the noise's share
    assert all(bounds[p] > bounds["normal"] + 0.3 for p in LEARNT), bounds
