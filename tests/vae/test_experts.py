"""Experts against brute-force conditioning of the joint Gaussian."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch

from mvlatent.data.cohort import CohortView
from mvlatent.specs import COUNTS
from mvlatent.vae.experts import Amortised, Seen, Tied
from mvlatent.vae.likelihoods import LIKELIHOODS
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


@pytest.mark.parametrize("likelihood", ["normal", "bernoulli"])
def test_tied_evidence_meets_the_likelihood_at_the_expansion(
    double, make_cohort, make_vae, likelihood
):
    """Without a private block, evidence is the slope and expected curvature in z at z = 0."""
    cohort = make_cohort({"a": 6}, n=9, likelihoods={"a": likelihood})
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
        # expected information by integrating the squared score over x at η
        at = part.decoder.intercept.detach()
        information = _information(part.likelihood, at)
        a = part.decoder.shared
        torch.testing.assert_close(
            evidence.precision[0], (a * information) @ a.T, rtol=1e-4, atol=1e-8
        )


REFINED = [name for name, kind in LIKELIHOODS.items() if kind.refines]
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


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("likelihood", REFINED)
def test_refined_evidence_meets_the_likelihood_at_its_first_answer(double, likelihood, holes):
    """Without a private block its slope at the first answer is that of the log density."""
    view, part, _ = view_of(likelihood, holes=holes, size=0.7)
    part.likelihood.n_expansions = 1
    technical = torch.zeros(len(view.x), 0)
    seen = Seen(view.x, view.observed, technical, part.decoder.intercept, view.exposure)
    loadings = torch.cat([part.decoder.shared, part.decoder.private])
    at = part.expert._first(seen, loadings)[:, :2].detach().requires_grad_()
    eta = part.predictor(view, at, torch.zeros(len(at), 1), technical, None)
    part.likelihood.log_prob(view.x, eta, view.observed).sum().backward()
    evidence = part.read(view, technical)
    slope = evidence.potential - (evidence.precision @ at.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(slope.detach(), at.grad.detach())


@pytest.mark.parametrize("likelihood", REFINED)
@torch.no_grad()
def test_refined_evidence_is_near_the_mode(double, likelihood):
    """A posterior mean near the mode found by Newton steps, far nearer than one step from 0."""
    view, part, z = view_of(likelihood, p=60 if likelihood != "categorical" else 6, size=0.4)
    technical, eye = torch.zeros(len(z), 0), torch.eye(2)
    a, offset = part.decoder.shared, part.decoder.intercept
    exposure = 0.0 if view.exposure is None else view.exposure[:, None]
    mode = torch.zeros_like(z)
    steps = []
    for _ in range(60):
        score, weight = part.likelihood.curvature(view.x, offset + exposure + mode @ a)
        precision = torch.einsum("kp,np,lp->nkl", a, weight, a) + eye
        step = torch.linalg.solve(precision, score @ a.mT - mode)
        steps.append(mode + step)
        mode = mode + step.clamp(-0.5, 0.5)
    evidence = part.read(view, technical)
    found = torch.linalg.solve(evidence.precision + eye, evidence.potential)
    error, crude = (float((m - mode).square().mean().sqrt()) for m in (found, steps[0]))
    assert error < 0.25 and error < crude


def _information(likelihood, at):
    """E[(d log p / dη)²] of every feature at η, by sums or by quadrature on a wide grid."""
    with torch.enable_grad():
        if type(likelihood).__name__ == "Bernoulli":
            grid, step = torch.tensor([0.0, 1.0]), torch.ones(2)
        else:
            grid = torch.linspace(-300, 300, 60_001)
            step = torch.full_like(grid, float(grid[1] - grid[0]))
        out = []
        for j in range(len(at)):
            # one feature at a time: all others of the row are unobserved
            eta = at.expand(len(grid), -1).clone().requires_grad_()
            x = torch.zeros_like(eta.detach())
            x[:, j] = grid
            seen = torch.zeros_like(eta, dtype=torch.bool)
            seen[:, j] = True
            log_prob = likelihood.log_prob(x, eta, seen)
            (score,) = torch.autograd.grad(log_prob.sum(), eta)
            out.append((log_prob.exp() * score[:, j].square() * step).sum().detach())
    return torch.stack(out)


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
