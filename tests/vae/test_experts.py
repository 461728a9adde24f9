"""Experts against brute-force conditioning of the joint Gaussian."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from mvlatent.data.cohort import CohortView
from mvlatent.vae import modes
from mvlatent.vae.experts import Amortised, Seen, Tied
from mvlatent.vae.likelihoods import LIKELIHOODS
from mvlatent.vae.loadings import Ard
from mvlatent.vae.modes import TOLERANCE, ViewPosterior, find_mode
from mvlatent.vae.structured import Design, StructuredVAE, ViewDesign

VIEWS = ("a", "b", "c")
SUBSETS = [s for r in range(4) for s in combinations(VIEWS, r)]


def brute_force(vae, cohort, i: int):
    """Mean and covariance of [z, w_a, w_b, w_c] of patient i given what was measured.

    The joint covariance of latents and measurements is written down and conditioned upon.
    """
    k, latents = vae.design.n_shared, [vae.design.n_shared]
    latents += [v.n_private for v in vae.design.views]
    blocks, noise, centred = [], [], []
    for m, name in enumerate(vae.names):
        part, view = vae.part(name), cohort.views[name]
        if not view.present[i]:
            continue
        seen = torch.ones(view.x.shape[1], dtype=torch.bool)
        if view.observed is not None:
            seen = view.observed[i]
        loading = torch.zeros(sum(latents), view.x.shape[1])
        start = sum(latents[: m + 1])
        loading[:k] = part.decoder.shared
        loading[start : start + latents[m + 1]] = part.decoder.private
        offset = part.decoder.intercept + cohort.technical[i] @ part.expected_effect()
        blocks.append(loading[:, seen])
        noise.append(part.likelihood.scale[seen] ** 2)
        centred.append((view.x[i] - offset)[seen])
    prior = torch.eye(sum(latents))
    if not blocks:
        return torch.zeros(sum(latents)), prior
    loading = torch.cat(blocks, 1)
    marginal = loading.T @ loading + torch.diag(torch.cat(noise))
    gain = loading @ torch.linalg.inv(marginal)
    return gain @ torch.cat(centred), prior - gain @ loading.T


@pytest.mark.parametrize("holes", [(), ("b",), ("a", "c")], ids=["complete", "b", "ac"])
@pytest.mark.parametrize("given", SUBSETS, ids="+".join)
@torch.no_grad()
def test_tied_experts_are_the_exact_posterior(double, make_cohort, make_vae, given, holes):
    cohort = make_cohort(n=8, n_sites=2, holes=holes)
    vae = make_vae(cohort)
    cohort = cohort.mask_views(given)
    z, evidence = vae.posterior(cohort)
    at = torch.randn(len(cohort), 3)
    for i in range(len(cohort)):
        mean, covariance = brute_force(vae, cohort, i)
        torch.testing.assert_close(z.mean[i], mean[:3])
        torch.testing.assert_close(z.covariance[i], covariance[:3, :3])
        for m, name in enumerate(vae.names):
            if name not in given:
                continue
            # p(w | z, x): condition the joint posterior once more, on z
            own = slice(3 + 2 * m, 5 + 2 * m)
            gain = covariance[own, :3] @ torch.linalg.inv(covariance[:3, :3])
            w = evidence[name].private(at)
            torch.testing.assert_close(w.mean[i], mean[own] + gain @ (at[i] - mean[:3]))
            left = covariance[own, own] - gain @ covariance[:3, own]
            torch.testing.assert_close(w.covariance[i], left)


@torch.no_grad()
def test_patients_with_different_views_at_once(double, make_cohort, make_vae):
    cohort = make_cohort(n=30, absent=0.4, n_sites=2)
    assert len(torch.unique(cohort.presence, dim=0)) > 3
    vae = make_vae(cohort)
    z, _ = vae.posterior(cohort)
    for i in range(len(cohort)):
        mean, covariance = brute_force(vae, cohort, i)
        torch.testing.assert_close(z.mean[i], mean[:3])
        torch.testing.assert_close(z.covariance[i], covariance[:3, :3])


@torch.no_grad()
def test_values_of_absent_views_and_entries_do_not_matter(double, make_cohort, make_vae):
    cohort = make_cohort(n=20, absent=0.4, holes=("b",))
    vae = make_vae(cohort)

    def fill(view):
        seen = view.present[:, None] if view.observed is None else view.observed
        return replace(view, x=torch.where(seen, view.x, 1e4))

    garbage = replace(cohort, views={k: fill(v) for k, v in cohort.views.items()})
    clean, dirty = vae.posterior(cohort)[0], vae.posterior(garbage)[0]
    torch.testing.assert_close(clean.mean, dirty.mean, rtol=0, atol=0)
    torch.testing.assert_close(clean.covariance, dirty.covariance, rtol=0, atol=0)


@torch.no_grad()
def test_taking_a_view_away_never_adds_certainty(double, make_cohort, make_vae):
    cohort = make_cohort(n=6, holes=("a",))
    vae = make_vae(cohort)
    for given in SUBSETS[1:]:
        fuller = vae.posterior(cohort.mask_views(given))[0].covariance
        for left_out in given:
            rest = [v for v in given if v != left_out]
            covariance = vae.posterior(cohort.mask_views(rest))[0].covariance
            lowest = torch.linalg.eigvalsh(covariance - fuller).min()
            assert lowest > -1e-10, (given, left_out)
    nothing = vae.posterior(cohort.mask_views([]))[0]
    torch.testing.assert_close(nothing.covariance, torch.eye(3).expand(6, 3, 3))


def test_evidence_of_a_normal_view_is_its_slope_and_curvature(double, make_cohort, make_vae):
    """Without a private block, in z at z = 0: nothing is searched where nothing bends."""
    cohort = make_cohort({"a": 6}, n=9)
    vae = make_vae(cohort)
    part, view = vae.part("a"), cohort.views["a"]
    with torch.no_grad():
        part.decoder.private.zero_()
    z = torch.zeros(9, 3, requires_grad=True)
    eta = part.decoder.intercept + z @ part.decoder.shared
    part.likelihood.log_prob(view.x, eta, None).sum().backward()
    with torch.no_grad():
        evidence = part.read(view, cohort.technical)
        torch.testing.assert_close(evidence.potential, z.grad)
        a, precision = part.decoder.shared, part.likelihood.scale.square().reciprocal()
        torch.testing.assert_close(evidence.precision[0], (a * precision) @ a.T)


REFINED = [name for name, kind in LIKELIHOODS.items() if not kind.gaussian]
COUNTS = ("nb", "zinb", "poisson")
LEVELS = {"ordinal": (3,), "categorical": (3, 3)}


def view_of(likelihood, *, n=40, p=6, k=2, holes=False, strength=1.0, size=0.0):
    """A view drawn from known loadings, the part that drew it, and the latents."""
    generator = torch.Generator().manual_seed(0)
    levels, counts = LEVELS.get(likelihood, ()), likelihood in COUNTS
    design = ViewDesign("a", likelihood, "feature", p, 0, 1, levels)
    part = StructuredVAE(Design((design,), n_shared=k)).part("a")
    z = torch.randn(n, k, generator=generator)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        part.decoder.shared.copy_(strength * torch.randn(k, p, generator=generator))
        part.decoder.private.zero_()
        part.decoder.intercept.fill_(0.5)
        exposure = size * torch.randn(n, generator=generator) if counts else None
        eta = z @ part.decoder.shared + part.decoder.intercept
        x = part.likelihood.draw(eta if exposure is None else eta + exposure[:, None])
    observed = None
    if holes:
        observed = (torch.rand(n, p // 3, generator=generator) > 0.3).repeat_interleave(3, 1)
        x = torch.where(observed, x, 0.0)
    present = torch.ones(n, dtype=torch.bool)
    names = tuple(f"a{j}" for j in range(p))
    view = CohortView(
        x, present, observed, likelihood, "feature", names, exposure=exposure, levels=levels
    )
    return view, part, z


def seen_of(view, part):
    """What the view's expert looks at, without technical covariates."""
    technical = torch.zeros(len(view.x), 0)
    return Seen(view.x, view.observed, technical, part.decoder.intercept, view.exposure)


@pytest.mark.parametrize("strength", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("likelihood", REFINED)
def test_modes_are_stationary(double, monkeypatch, likelihood, holes, strength):
    """No slope of log p(x | z) + log p(z) is left, and a finer search ends at the same place."""
    view, part, _ = view_of(likelihood, holes=holes, size=0.7, strength=strength)
    found = part.expert.mode(seen_of(view, part)).latents
    monkeypatch.setattr(modes, "TOLERANCE", 1e-9)
    monkeypatch.setattr(modes, "MAX_STEPS", 300)
    mode = part.expert.mode(seen_of(view, part))
    finer = mode.latents
    torch.testing.assert_close(found, finer, rtol=0, atol=5 * TOLERANCE)
    at = finer[:, :2].clone().requires_grad_()
    eta = part.predictor(view, at, finer[:, 2:], torch.zeros(len(at), 0), None)
    log_joint = part.likelihood.log_prob(view.x, eta, view.observed) - 0.5 * at.square().sum(1)
    (slope,) = torch.autograd.grad(log_joint.sum(), at)
    left = slope / (1 + mode.weight @ part.decoder.shared.square().T)  # about the step it asks for
    torch.testing.assert_close(left, torch.zeros_like(left), rtol=0, atol=1e-6)
    assert bool((finer[:, 2:] == 0).all())  # the private factor is off


@pytest.mark.parametrize("likelihood", REFINED)
@torch.no_grad()
def test_modes_do_not_depend_on_who_else_is_read(double, likelihood):
    view, part, _ = view_of(likelihood, holes=True, size=0.7)
    together = part.expert.mode(seen_of(view, part)).latents
    for i in (0, 7):
        alone = part.expert.mode(seen_of(view.subset(torch.tensor([i])), part)).latents
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-10)


@pytest.mark.parametrize("likelihood", REFINED)
@torch.no_grad()
def test_modes_are_found_from_afar(double, likelihood):
    """Steps are halved where they would fall: a patient climbs, and never below the start."""
    view, part, z = view_of(likelihood, size=0.7)
    seen = seen_of(view, part)
    posterior = ViewPosterior.of(part.likelihood, view.x, None, seen.predictor, part.decoder.shared)
    near = find_mode(posterior, torch.zeros_like(z))
    start = 3.0 * torch.randn(z.shape, generator=torch.Generator().manual_seed(3))
    far = find_mode(posterior, start)
    assert bool((far.height >= posterior(start).height).all())
    if likelihood not in ("studentt", "zinb", "beta"):  # of these a log density has several tops
        torch.testing.assert_close(far.latents, near.latents, rtol=0, atol=1e-3)


@pytest.mark.parametrize("likelihood", REFINED)
@torch.no_grad()
def test_a_search_that_begins_at_an_earlier_mode_ends_there(double, monkeypatch, likelihood):
    """At once with the same loadings, within the tolerance with others."""
    view, part, z = view_of(likelihood, size=0.7)
    technical = torch.zeros(len(z), 0)
    before = part.read(view, technical)
    with monkeypatch.context() as patch:
        patch.setattr(modes, "_climb", None)  # no step is called for
        again = part.read(view, technical, start=before.mode)
    torch.testing.assert_close(again.mode, before.mode, rtol=0, atol=0)
    part.decoder.shared.mul_(1.1)
    cold, warm = part.read(view, technical), part.read(view, technical, start=before.mode)
    torch.testing.assert_close(warm.mode, cold.mode, rtol=0, atol=10 * TOLERANCE)


# whose curvature is that of the density; the others have an expected one or a bound
EXACT = ("nb", "poisson", "bernoulli", "ordinal", "categorical")


def slope_of(view, part, z):
    """Derivative of the log density of each patient by z, (n, k), the private factor at 0."""
    n, z = len(z), z.clone().requires_grad_()
    eta = part.predictor(view, z, torch.zeros(n, 1), torch.zeros(n, 0), None)
    log_prob = part.likelihood.log_prob(view.x, eta, view.observed)
    return torch.autograd.grad(log_prob.sum(), z)[0]


@pytest.mark.parametrize("likelihood", REFINED)
def test_evidence_is_the_expansion_at_the_mode(double, likelihood):
    """Its slope there is that of the log density, its precision the curvature by differences."""
    view, part, _ = view_of(likelihood, holes=True, size=0.7)
    mode = part.expert.mode(seen_of(view, part)).latents[:, :2]
    with torch.no_grad():
        evidence = part.read(view, torch.zeros(len(view.x), 0))
    slope = evidence.potential - (evidence.precision @ mode[:, :, None]).squeeze(-1)
    torch.testing.assert_close(slope, slope_of(view, part, mode))
    if likelihood in EXACT:
        h = 1e-5 * torch.eye(2)
        change = [slope_of(view, part, mode - s) - slope_of(view, part, mode + s) for s in h]
        known = torch.stack(change, 1) / 2e-5
        torch.testing.assert_close(evidence.precision, known, rtol=1e-5, atol=1e-6)
    # so that the posterior given this view alone has its mean at the mode
    mean = torch.linalg.solve(evidence.precision + torch.eye(2), evidence.potential)
    torch.testing.assert_close(mean, mode, rtol=0, atol=2 * TOLERANCE)


@pytest.mark.parametrize("likelihood", REFINED)
@torch.no_grad()
def test_random_loadings_add_their_variances_to_the_precision(double, likelihood):
    view, part, _ = view_of(likelihood, holes=True, size=0.7)
    technical = torch.zeros(len(view.x), 0)
    points, weight = part.read(view, technical), part.expert.mode(seen_of(view, part)).weight
    part.decoder.random_loadings = Ard(3, view.x.shape[1])
    part.decoder.random_loadings.log_sd.copy_(torch.linspace(-2, 0, 3)[:, None])
    spread = part.read(view, technical)
    known = weight.sum(1)[:, None, None] * torch.diag(torch.tensor([-4.0, -2.0]).exp())
    torch.testing.assert_close(spread.precision - points.precision, known)
    torch.testing.assert_close(spread.potential, points.potential)


@pytest.mark.parametrize("likelihood", REFINED)
def test_gradients_go_through_the_loadings_of_the_expansion(double, likelihood):
    """Of the evidence of a fixed quadratic: the predictor it is made at does not move."""
    view, part, _ = view_of(likelihood, holes=True, size=0.7)
    mode = part.expert.mode(seen_of(view, part))
    evidence = part.read(view, torch.zeros(len(view.x), 0))
    a, direction = part.decoder.shared, torch.randn(2)
    (found,) = torch.autograd.grad((evidence.potential @ direction).sum(), a)
    if likelihood != "categorical":
        pull = mode.score + mode.weight * (mode.latents[:, :2] @ a.detach())
        torch.testing.assert_close(found, direction[:, None] * pull.sum(0))
    else:  # levels bend together, but their predictor moves as one: a shift of all is no news
        assert float(found.sum(1).abs().max()) < 1e-6 * float(found.abs().sum())


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@torch.no_grad()
def test_amortised_experts_start_at_the_tied_one(double, make_cohort, make_vae, kind):
    cohort = make_cohort({"a": 6}, n=9)
    vae = make_vae(cohort, encoder=kind)
    part, view = vae.part("a"), cohort.views["a"]
    assert isinstance(part.expert, Amortised)
    tied = Tied(part.decoder, part.likelihood, n_technical=0, n_hidden=0)
    seen = Seen(view.x, None, cohort.technical, part.decoder.intercept)
    fresh = type(part.expert)(part.decoder, part.likelihood, n_technical=0, n_hidden=8)
    fresh.start()
    ours, exact = fresh(seen), tied(seen)
    torch.testing.assert_close(ours.potential, exact.potential)
    torch.testing.assert_close(ours.precision[0].diagonal(), exact.precision[0].diagonal())
    z = torch.randn(4, 9, 3)
    torch.testing.assert_close(ours.private(z).mean, exact.private(z).mean)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@torch.no_grad()
def test_amortised_experts_read_holes_as_the_mean(double, make_cohort, make_vae, kind):
    cohort = make_cohort({"a": 6}, n=12, holes=("a",), likelihoods={"a": "bernoulli"})
    vae = make_vae(cohort, encoder=kind)
    part, view = vae.part("a"), cohort.views["a"]
    mean = part.likelihood.mean(part.decoder.intercept)
    filled = replace(view, x=torch.where(view.observed, view.x, mean), observed=None)
    ours, theirs = part.read(view, cohort.technical), part.read(filled, cohort.technical)
    torch.testing.assert_close(ours.potential, theirs.potential)
    assert not torch.equal(view.x, filled.x)


@torch.no_grad()
def test_shared_experts_do_not_see_the_site(make_cohort, make_vae):
    """Amortised z-encoders take the view as it is; the private ones see the site."""
    cohort = make_cohort({"a": 6}, n=9, n_sites=2)
    vae = make_vae(cohort, encoder="linear")
    moved = replace(cohort, technical=cohort.technical.flip(0))
    part = vae.part("a")
    one = part.read(cohort.views["a"], cohort.technical)
    other = part.read(cohort.views["a"], moved.technical)
    z = torch.zeros(9, 3)
    torch.testing.assert_close(one.potential, other.potential)
    assert not torch.allclose(one.private(z).mean, other.private(z).mean)
