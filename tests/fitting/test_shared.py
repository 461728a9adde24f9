"""The shared model against dense multivariate normals and eigenproblems."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from mvlatent.fitting import canonical
from mvlatent.fitting.canonical import canonical_scores
from mvlatent.fitting.shared import Latent

SHAPES = {
    "more patients": {"sizes": (7, 5, 4), "n": 40},
    "more features": {"sizes": (40, 30, 9), "n": 25},
    "absent views": {"sizes": (7, 30, 4), "n": 28, "absent": 0.4},
    "one view": {"sizes": (7,), "n": 30},
}


def dense_view(model, m):
    """Loadings, mean and private covariance on the features, (k, p), (p,), (p, p)."""
    view, psi = model.views[m], model.private[m]
    lift = view.directions.T.double()
    outside = torch.eye(lift.shape[1], dtype=torch.float64) - lift.T @ lift
    covariance = lift.T @ psi.dense() @ lift + model.empty_variance(m) * outside
    loadings = psi.loadings @ lift
    return loadings[:-1], loadings[-1] + view.centre, covariance


def joined(model, known):
    """Stacked loadings, means and private covariance of the views known."""
    parts = [dense_view(model, m) for m in known]
    loadings = torch.cat([a for a, _, _ in parts], 1)
    return loadings, torch.cat([b for _, b, _ in parts]), torch.block_diag(*[c for *_, c in parts])


def dense_criterion(model, rows):
    """Log density of the views of every patient, z integrated out, and of the priors as stated."""
    total = 0.0
    for i, known in enumerate(model.presence):
        known = known.nonzero()[:, 0].tolist()
        loadings, mean, covariance = joined(model, known)
        if model.groups is not None:
            mean = mean + model.groups.design[i] @ model.means @ loadings
        x = torch.cat([rows[m][i] for m in known])
        normal = MultivariateNormal(mean, loadings.T @ loadings + covariance)
        total += float(normal.log_prob(x))
    for m, view in enumerate(model.views):
        loadings, _, covariance = dense_view(model, m)
        alpha = model.priors[m][:-1]
        for row, precision in zip(loadings, alpha, strict=True):
            normal = MultivariateNormal(torch.zeros(len(row)).double(), covariance / precision)
            total += float(normal.log_prob(row))
        lift = view.directions.T.double()
        outside = torch.eye(lift.shape[1], dtype=torch.float64) - lift.T @ lift
        scale = lift.T @ torch.diag(model.ridges[m]) @ lift + model.empty_energy(m) * outside
        total -= 0.5 * float((scale * torch.linalg.inv(covariance)).sum())
    if model.groups is not None:
        total -= 0.5 * float((model.means.square().sum(1) / model.groups.variance).sum())
    return total


@pytest.mark.parametrize("sites", [0, 2])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_criterion_is_the_dense_log_density(make_rows, make_shared, shape, sites):
    rows, presence, _ = make_rows(**shape)
    model = make_shared(rows, presence, sites=sites)
    for _ in range(2):
        expected = dense_criterion(model, rows)
        assert model.criterion() == pytest.approx(expected, rel=1e-9, abs=1e-6)
        model.sweep()


@pytest.mark.parametrize("sites", [0, 2])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_sweep_climbs(make_rows, make_shared, shape, sites):
    rows, presence, _ = make_rows(**shape)
    model = make_shared(rows, presence, sites=sites)
    values = [model.criterion()]
    for _ in range(30):
        model.sweep()
        values.append(model.criterion())
    steps = torch.tensor(values).diff()
    assert bool((steps > -1e-8).all()), steps
    assert values[-1] > values[0] + 0.1


def test_the_bound_is_tight_only_at_the_posterior(make_rows, make_shared):
    rows, presence, _ = make_rows((7, 5, 4), 40, absent=0.3)
    model = make_shared(rows, presence)
    latent = model.posterior()
    for mean, scale in ((0.1, 1.0), (0.0, 1.2), (0.0, 0.8)):
        other = Latent(latent.mean + mean, latent.covariance * scale, latent.pattern)
        assert model.criterion(other) < model.criterion(latent) - 0.1


def test_terms_are_named_and_add_up(make_rows, make_shared):
    rows, presence, _ = make_rows((7, 5), 30)
    model = make_shared(rows, presence, sites=2)
    terms = model.terms(names=["rna", "img"])
    priors = ["prior:loadings", "prior:private", "prior:means"]
    assert list(terms) == ["x:rna", "x:img", "kl:z", *priors]
    assert sum(terms.values()) == pytest.approx(model.criterion())
    assert terms["kl:z"] < 0


@pytest.mark.parametrize("sites", [0, 2])
def test_the_posterior_is_the_dense_conditional_for_every_pattern(make_rows, make_shared, sites):
    rows, presence, _ = make_rows((7, 30, 4), 26)
    model = make_shared(rows, presence, sites=sites)
    model.sweep()
    for code in range(8):
        known = [m for m in range(3) if code >> m & 1]
        seen = torch.zeros_like(presence)
        seen[:, known] = True
        latent = model.posterior(seen, grouped=bool(sites))
        prior = model.groups.design @ model.means if sites else torch.zeros_like(latent.mean)
        mean, covariance = prior, torch.eye(2).double()
        if known:
            loadings, centre, private = joined(model, known)
            x = torch.cat([rows[m] for m in known], 1)
            gain = torch.linalg.solve(loadings.T @ loadings + private, loadings.T).T
            mean = prior + (x - centre - prior @ loadings) @ gain.T
            covariance = covariance - gain @ loadings.T
        torch.testing.assert_close(latent.mean, mean, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(latent.covariance[0], covariance, rtol=1e-7, atol=1e-9)


def test_caution_weakens_the_evidence_of_a_reading_alone(make_rows, make_shared):
    rows, presence, _ = make_rows((7, 5, 4), 30)
    model = make_shared(rows, presence)
    plain, climbing = model.posterior(grouped=False), model.posterior()
    model.caution = 2.0
    wide = model.posterior(grouped=False)
    precision = torch.linalg.inv(plain.covariance) - torch.eye(2)
    expected = torch.linalg.inv(torch.eye(2) + precision / 2)
    torch.testing.assert_close(wide.covariance, expected)
    potential = torch.linalg.solve(plain.covariance[0], plain.mean.T).T
    torch.testing.assert_close(wide.mean, potential / 2 @ expected[0])
    torch.testing.assert_close(model.posterior().mean, climbing.mean)


def gcca(rows, ridge, k):
    """Eigenvectors of the sum of ridge hat matrices, from the features."""
    hats = []
    for x in rows:
        gram = x.T @ x + ridge * torch.eye(x.shape[1], dtype=x.dtype)
        hats.append(x @ torch.linalg.solve(gram, x.T))
    values, vectors = torch.linalg.eigh(torch.stack(hats).sum(0))
    return vectors.flip(1)[:, :k], values.flip(0)[:k]


@pytest.mark.parametrize("most", [500, 0], ids=["gram", "subspace"])
def test_canonical_scores_are_those_of_the_dense_eigenproblem(
    make_rows, make_shared, monkeypatch, most
):
    monkeypatch.setattr(canonical, "MAX_GRAM", most)
    rows, presence, _ = make_rows((30, 20, 6), 50)
    model = make_shared(rows, presence)
    found = canonical_scores(model.views, model.ridges, 3, iterations=200)
    vectors, _ = gcca(rows, 3.0, 3)
    torch.testing.assert_close(found.mean(0), torch.zeros(3).double(), atol=1e-9, rtol=0)
    torch.testing.assert_close(found.square().mean(0), torch.ones(3).double())
    cosine = (found * vectors).sum(0).abs() / math.sqrt(len(found))
    torch.testing.assert_close(cosine, torch.ones(3).double(), atol=1e-7, rtol=0)


def test_patients_with_fewer_views_are_averaged_over_those(make_rows, make_shared):
    """Rows of absent views are 0, and rank follows the agreement of the rest."""
    rows, presence, z = make_rows((20, 20, 20), 60, absent=0.4, k=1, private=0.0)
    model = make_shared(rows, presence, k=1)
    blocks = []
    count = presence.sum(1).double().sqrt()[:, None]
    for x in rows:
        gram = x.T @ x + 3.0 * torch.eye(20).double()
        blocks.append(x @ torch.linalg.solve(gram, x.T))
    operator = torch.stack(blocks).sum(0) / count / count.T
    vector = torch.linalg.eigh(operator)[1][:, -1:] / count
    expected = vector - vector.mean()
    found = canonical_scores(model.views, model.ridges, 1)
    corr = torch.corrcoef(torch.cat([found, expected, z], 1).T)
    assert float(corr[0, 1].abs()) == pytest.approx(1.0, abs=1e-9)
    assert float(corr[0, 2].abs()) > 0.95


def test_patients_without_any_view_stay_at_zero(make_rows, make_shared):
    rows, presence, _ = make_rows((7, 5), 30)
    rows = [torch.where(torch.arange(30)[:, None] == 3, 0.0, x) for x in rows]
    presence[3] = False
    model = make_shared(rows, presence)
    assert bool((model.z[3] == 0).all())
    model.sweep()
    latent = model.posterior()
    torch.testing.assert_close(latent.mean[3], torch.zeros(2).double())
    own = latent.covariance[latent.pattern[3]]
    torch.testing.assert_close(own, torch.eye(2).double())


def test_the_order_of_patients_does_not_matter(make_rows, make_shared):
    rows, presence, _ = make_rows((7, 30, 4), 28, absent=0.3)
    order = torch.randperm(28, generator=torch.Generator().manual_seed(1))
    one = make_shared(rows, presence)
    other = make_shared([x[order] for x in rows], presence[order])
    for _ in range(5):
        one.sweep(), other.sweep()
    assert one.criterion() == pytest.approx(other.criterion(), rel=1e-9)
    found, turned = one.posterior().mean[order], other.posterior().mean
    sign = (found * turned).sum(0).sign()
    torch.testing.assert_close(found, turned * sign, rtol=1e-6, atol=1e-8)


def test_fewer_factors_are_the_first_ones(make_rows, make_shared):
    rows, presence, _ = make_rows((7, 5, 4), 40)
    whole = make_shared(rows, presence, k=3)
    direct = make_shared(rows, presence, k=2)
    assert whole.first(2).criterion() == pytest.approx(direct.criterion())
