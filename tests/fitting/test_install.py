"""What the closed-form fit found is what the installed model reads, whatever the view is like."""

import numpy as np
import pytest
import torch

from mvlatent.fitting import closed as closed_fit
from mvlatent.fitting.climb import climb
from mvlatent.fitting.install import _beyond, axes_of
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.vae.basis import rotate


@pytest.fixture
def closed(monkeypatch):
    """Return a function from a cohort to its fit, the model, and the cohort as it sees it."""

    def fit(cohort, **options):
        kept = []

        def recorded(*args, **kwargs):
            kept.append(climb(*args, **kwargs))
            return kept[0]

        monkeypatch.setattr(closed_fit, "climb", recorded)
        given = Options(n_shared=4, n_private=2, **options)
        rows = np.arange(len(cohort))
        bases, vae, *_ = closed_fit.fit_closed(cohort, rows, given, Plan(), lambda stage: None)
        return kept[0], vae, rotate(cohort, bases), bases

    return fit


KINDS = {
    "sites": {"n_sites": 3},
    "absent views": {"n_sites": 3, "absent": 0.3},
    "zeros and ones": {"likelihoods": {"b": "bernoulli"}, "absent": 0.3},
    "zeros and ones of sites": {"likelihoods": {"b": "bernoulli"}, "n_sites": 2},
    "one noise a view": {"noise": "view", "n_sites": 2},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_the_model_reads_z_as_the_fit_did(make_cohort, closed, options):
    cohort = make_cohort({"a": 30, "b": 12, "c": 20}, n=90, **options)
    climbed, vae, seen, _ = closed(cohort)
    climbed.model.caution = 1.0  # the model's own comes after its product of experts
    own, k = climbed.model.posterior(grouped=False), climbed.model.k
    found, _ = vae.posterior(seen)
    torch.testing.assert_close(found.mean[:, :k], own.mean.float(), atol=2e-3, rtol=2e-3)
    covariance = own.covariance[own.pattern].float()
    torch.testing.assert_close(found.covariance[:, :k, :k], covariance, atol=2e-3, rtol=2e-3)
    assert vae.active.tolist() == [True] * k + [False] * (4 - k)


def test_effects_are_those_of_the_fit_on_the_features(make_cohort, closed):
    cohort = make_cohort({"a": 30, "b": 12, "c": 20}, n=90, n_sites=3, holes=("c",))
    climbed, vae, _, bases = closed(cohort)
    for m, (name, part) in enumerate(vae.items):
        expected = climbed.effects[m].loc / climbed.weights[m]
        found = bases[name].lift(part.effects.loc)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(vae.technical_variance, climbed.groups.variance)


def test_features_of_views_with_holes_keep_their_variance(make_cohort, closed):
    """Directions that w has no room for go to the noise of the features they lie on."""
    cohort = make_cohort({"a": 30, "b": 12}, n=90, holes=("a",))
    climbed, vae, _, bases = closed(cohort)
    part, view, psi = vae.part("a"), climbed.model.views[0], climbed.model.private[0]
    assert not bases["a"].rotated
    lift = view.directions.T.double()
    outside = torch.eye(30).double() - lift.T @ lift
    dense = lift.T @ psi.dense() @ lift + climbed.model.empty_variance(0) * outside
    expected = dense.diagonal() / climbed.weights[0].double().square()
    private = part.decoder.private.detach().square().sum(0) + part.noise_variance().detach()
    torch.testing.assert_close(private.double(), expected, rtol=1e-3, atol=1e-4)
    k = climbed.model.k
    shared = psi.loadings[:k] @ lift / climbed.weights[0]
    torch.testing.assert_close(part.decoder.shared[:k].double(), shared, rtol=1e-3, atol=1e-4)


def test_private_directions_that_stand_out_are_shown(make_cohort):
    cohort = make_cohort({"a": 40, "b": 30}, n=120)
    climbed = climb(cohort, n_shared=2)
    for rank in ("auto", "full"):
        plans = axes_of(climbed, cohort, 3, rank)
        for plan in plans.values():
            assert plan.n_active == (min(plan.n_found, 3) if rank == "auto" else 3)
            assert bool((plan.variance.diff() <= 0).all()) and plan.rotated and not plan.n_rest
            gram = plan.directions.T @ plan.directions
            torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-4, rtol=0)


def test_what_sites_do_outside_of_the_patients_span_has_directions_of_its_own(double):
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(9, 4, generator=generator))[0]
    rows = torch.randn(2, 9, generator=generator)
    extra = _beyond(rows, basis)
    assert extra.shape == (9, 2)
    torch.testing.assert_close(extra.T @ extra, torch.eye(2))
    assert float((extra.T @ basis).abs().max()) < 1e-12
    both = torch.cat([basis, extra], 1)
    torch.testing.assert_close(rows @ both @ both.T, rows)
    assert _beyond(rows @ basis @ basis.T, basis).shape == (9, 0)
