"""Decoders of bending likelihoods given the latents: penalised maximum likelihood a feature."""

import pytest
import torch

from mvlatent.fitting.start.newton import REFIT_TOLERANCE, refit_loadings
from mvlatent.vae.design import Design, ViewDesign
from mvlatent.vae.structured import StructuredVAE

N, P, K = 300, 6, 2
KINDS = ("nb", "poisson", "bernoulli", "ordinal", "beta", "studentt")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def problem(kind, *, exposed=False, holes=False):
    """A part away from its optimum, and latents and values drawn from other loadings."""
    view = ViewDesign("a", kind, "feature", P, 0, 1, levels=(4,) if kind == "ordinal" else ())
    torch.manual_seed(0)
    part = StructuredVAE(Design((view,), n_shared=K)).part("a")
    latents = torch.cat([normal(N, K), normal(N, 1, seed=1)], 1)
    eta = latents @ (0.7 * normal(K + 1, P, seed=2)) + 0.3 * normal(P, seed=3)
    exposure = 0.5 * normal(N, seed=4) if exposed else None
    with torch.no_grad():
        x = part.likelihood.draw(eta if exposure is None else eta + exposure[:, None])
        part.decoder.shared.copy_(0.7 * normal(K, P, seed=5))
        part.decoder.private.copy_(0.7 * normal(1, P, seed=6))
        part.decoder.intercept.copy_(0.3 * normal(P, seed=7))
    seen = torch.ones(N, 1, dtype=torch.bool)
    if holes:
        seen = normal(N, P, seed=8) > -0.8
        x = torch.where(seen, x, torch.nan)
    return part, latents, x, exposure, seen


def stacked(part):
    parts = [part.decoder.shared, part.decoder.private, part.decoder.intercept[None]]
    return torch.cat(parts).detach().clone()


def penalised(part, latents, x, exposure, seen, start, loadings):
    """Log-likelihood of every feature less the ridge that the first loadings set, (p,)."""
    eta = torch.cat([latents, torch.ones(N, 1)], 1) @ loadings
    eta = eta if exposure is None else eta + exposure[:, None]
    entries = part.likelihood.entries(torch.where(seen, x, part.likelihood.fill), eta)
    ridge = start.square().mean(1).clamp_min(1e-4).reciprocal()
    ridge[-1] = 1e-3
    centre = torch.zeros_like(start)
    centre[-1] = start[-1]
    penalty = 0.5 * (ridge[:, None] * (loadings - centre).square()).sum(0)
    return torch.where(seen, entries, 0.0).sum(0) - penalty


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options", [{}, {"holes": True}, {"exposed": True}], ids=["complete", "holes", "exposed"]
)
def test_the_score_of_every_feature_vanishes(double, kind, options):
    if "exposed" in options and kind not in ("nb", "poisson"):
        options = {**options, "holes": True, "exposed": False}
    part, *given = problem(kind, **options)
    start = stacked(part)
    with torch.no_grad():
        eta = refit_loadings(part, *given)
    found = stacked(part)
    before = penalised(part, *given, start, start)
    leaf = found.clone().requires_grad_()
    after = penalised(part, *given, start, leaf)
    assert bool((after >= before).all()) and float((after - before).min()) > 1.0
    (score,) = torch.autograd.grad(after.sum(), leaf)
    if kind not in ("beta", "studentt"):  # whose steps are Fisher's: they end when little is left
        assert float(score.abs().max()) < 1e-3
    for j in range(P):
        bend = torch.autograd.functional.hessian(
            lambda own, j=j: penalised(
                part,
                *given,
                start,
                found.index_put((torch.arange(len(found)), torch.tensor(j)), own),
            )[j],
            found[:, j],
        )
        gain = -0.5 * score[:, j] @ torch.linalg.solve(bend, score[:, j])
        assert 0 <= float(gain) < REFIT_TOLERANCE
    expected = torch.cat([given[0], torch.ones(N, 1)], 1) @ found
    exposure = given[2]
    expected = expected if exposure is None else expected + exposure[:, None]
    torch.testing.assert_close(eta, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("far", [1.0, 30.0])
def test_the_penalised_likelihood_never_falls(kind, far):
    """In floats, and from loadings that are far too large."""
    part, *given = problem(kind)
    with torch.no_grad():
        part.decoder.shared.mul_(far)
        start = stacked(part)
        refit_loadings(part, *given)
        before = penalised(part, *given, start, start)
        after = penalised(part, *given, start, stacked(part))
    assert bool(after.isfinite().all())
    assert bool((after >= before - 1e-5 * before.abs()).all())


def test_a_second_fit_from_the_optimum_stays(double):
    """Of the same ridge: of the loadings that it found, it changes little but their size."""
    part, *given = problem("bernoulli")
    with torch.no_grad():
        refit_loadings(part, *given)
        first = stacked(part)
        refit_loadings(part, *given)
    assert float((stacked(part) - first).abs().max()) < 0.1 * float(first.abs().max())


def test_factors_without_latents_are_left_at_zero(double):
    part, latents, x, exposure, seen = problem("bernoulli")
    latents = torch.where(torch.arange(3) == 1, 0.0, latents)
    with torch.no_grad():
        refit_loadings(part, latents, x, exposure, seen)
    assert bool((part.decoder.shared[1] == 0).all())
    assert bool((part.decoder.shared[0] != 0).all())
