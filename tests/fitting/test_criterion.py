"""The closed-form criterion is Pyro's bound of the installed model, and so is its posterior."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from pyro import poutine

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.fitting.climb import climb
from mvlatent.fitting.install import axes_of, basis_of, install, view_design
from mvlatent.vae.basis import rotate
from mvlatent.vae.design import Design
from mvlatent.vae.structured import StructuredVAE


def complete_cohort(make_rows, sizes=(30, 12, 70), n=45, seed=0):
    rows, presence, _ = make_rows(sizes, n, seed=seed)
    views = {
        f"v{m}": CohortView(
            2.0 * x + 0.3, present, None, "normal", "feature", tuple(map(str, range(x.shape[1])))
        )
        for m, (x, present) in enumerate(zip(rows, presence.T, strict=True))
    }
    names = tuple(f"p{i}" for i in range(n))
    none = torch.zeros(n, 0, dtype=torch.float64)
    return Cohort(names, views, none, (), none, ())


def installed(cohort, *, n_shared=4, n_private=2, **options):
    """The fit of a cohort of doubles, and the model that holds it with the cohort as it sees it."""
    climbed = climb(cohort, n_shared=n_shared, **options)
    plans = axes_of(climbed, cohort, n_private, "auto")
    bases = {}
    for m, name in enumerate(climbed.names):
        basis = basis_of(plans[name], climbed.centres[m], climbed.weights[m])
        bases[name] = replace(basis, directions=basis.directions.double())
    seen = rotate(cohort, bases)
    views = tuple(view_design(k, v, n_private, plans[k]) for k, v in seen.views.items())
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)  # models are made in it, and read in doubles here
    vae = StructuredVAE(Design(views, n_shared=n_shared))
    install(vae, climbed, plans)
    torch.set_default_dtype(before)
    return climbed, vae.double(), seen


def bound(vae, cohort):
    """log p(x, z, w) - log q(z, w) at one draw, summed over patients."""
    n = len(cohort)
    guide = poutine.trace(vae.guide).get_trace(cohort, n)
    model = poutine.trace(poutine.replay(vae.model, trace=guide)).get_trace(cohort, n)
    return float(model.log_prob_sum() - guide.log_prob_sum())


@pytest.mark.parametrize("options", [{}, {"max_epochs": 0}, {"max_epochs": 3}], ids=str)
def test_the_bound_is_the_closed_form_criterion(make_rows, double, options):
    cohort = complete_cohort(make_rows)
    climbed, vae, seen = installed(cohort, **options)
    model, n = climbed.model, len(cohort)
    terms = model.terms(model.posterior())
    own = sum(v for name, v in terms.items() if name.startswith("x:")) + terms["kl:z"]
    own += n * sum(float(w.double().log().sum()) for w in climbed.weights)
    found = [bound(vae, seen) for _ in range(3)]
    assert found == pytest.approx([own] * 3, abs=1e-4 * n)


def test_the_posterior_of_z_is_that_of_the_closed_form_for_every_subset(make_rows, double):
    cohort = complete_cohort(make_rows)
    climbed, vae, seen = installed(cohort)
    k = climbed.model.k
    evidence = vae.evidence(seen)
    for known in product([False, True], repeat=3):
        presence = torch.tensor(known).expand(len(cohort), -1)
        found, own = vae.product(evidence, presence), climbed.model.posterior(presence)
        torch.testing.assert_close(found.mean[:, :k], own.mean, atol=1e-5, rtol=1e-5)
        covariance = own.covariance.expand(len(cohort), -1, -1)
        torch.testing.assert_close(found.covariance[:, :k, :k], covariance, atol=1e-5, rtol=1e-5)
        rest = found.mean[:, k:]  # of factors that are off: the prior
        torch.testing.assert_close(rest, torch.zeros_like(rest))


def test_single_features_keep_the_model_that_was_fitted(make_rows, double):
    """The covariance of the installed model, on the features, is the one that was climbed."""
    cohort = complete_cohort(make_rows)
    climbed, vae, _ = installed(cohort)
    for m, (_, part) in enumerate(vae.items):
        view, psi = climbed.model.views[m], climbed.model.private[m]
        own = part.decoder.private.T @ part.decoder.private + torch.diag(part.noise_variance())
        shared = part.decoder.shared.T @ part.decoder.shared
        k = climbed.model.k
        expected = psi.dense() + psi.loadings[:k].T @ psi.loadings[:k]
        eigenvalues = torch.linalg.eigvalsh(own + shared)
        torch.testing.assert_close(
            eigenvalues, torch.linalg.eigvalsh(expected), atol=1e-5, rtol=1e-5
        )
        assert len(view.energy) == len(own)
