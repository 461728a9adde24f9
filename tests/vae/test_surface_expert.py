"""The expert of a view's surface against the dense normal it stands for."""

from dataclasses import replace

import pytest
import torch

from mvlatent.data.sparse_rows import SparseRows
from mvlatent.vae.design import Design, ViewDesign
from mvlatent.vae.experts import Seen
from mvlatent.vae.structured import StructuredVAE
from mvlatent.vae.surface_expert import SurfaceExpert

K, P, Q = 3, 8, 2


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def expert(double):
    """An expert that learnt a dense normal, and that normal's parts."""
    view = ViewDesign("a", "bernoulli", "feature", P, 0, 2, reads_surface=True)
    vae = StructuredVAE(Design((view,), n_shared=K, n_technical=Q, technical_groups=((0, Q),)))
    found = vae.part("a").expert
    loadings, effects, intercept = normal(K, P), normal(Q, P, seed=1), normal(P, seed=2)
    root = normal(P, P, seed=3)
    covariance = root @ root.T + torch.eye(P)
    pull = torch.linalg.solve(covariance, loadings.T)
    centre = normal(P, seed=4)
    shift = torch.cat([(intercept - centre)[None], effects]) @ pull
    found.learn(pull, shift, loadings @ pull, centre)
    return found, loadings, effects, intercept, covariance


def seen(expert, n=20, observed=None):
    x = (normal(n, P, seed=5) > 0).to(torch.get_default_dtype())
    technical = torch.eye(Q)[torch.arange(n) % Q]
    return Seen(x, observed, technical, expert.decoder.intercept.detach().expand(n, P))


def test_evidence_is_that_of_the_dense_normal(expert):
    found, loadings, effects, intercept, covariance = expert
    assert isinstance(found, SurfaceExpert)
    given = seen(found)
    evidence = found(given)
    y = found.likelihood.surface(given.x, None)
    residual = y - intercept - given.technical @ effects
    potential = torch.linalg.solve(covariance, residual.T).T @ loadings.T
    torch.testing.assert_close(evidence.potential, potential)
    precision = loadings @ torch.linalg.solve(covariance, loadings.T)
    torch.testing.assert_close(evidence.precision, precision[None])
    # and with the prior of z, the posterior is the dense conditional
    joint = torch.linalg.inv(torch.eye(K) + precision)
    gain = loadings @ torch.linalg.inv(loadings.T @ loadings + covariance)
    torch.testing.assert_close(evidence.potential @ joint, residual @ gain.T)


def test_missing_entries_scale_the_precision_by_what_is_seen_of_the_pull(expert):
    found, *_ = expert
    observed = normal(20, P, seed=6) > -0.5
    observed[0], observed[1] = True, False
    given = seen(found, observed=observed)
    evidence, whole = found(given), found(seen(found))
    size = found.pull.square().sum(1)
    share = observed.double() @ (size / size.sum())
    torch.testing.assert_close(evidence.precision, share[:, None, None] * whole.precision)
    y = (found.likelihood.surface(given.x, None) - found.centre) * observed
    shift = found.shift[0] + given.technical @ found.shift[1:]
    torch.testing.assert_close(evidence.potential, y @ found.pull - share[:, None] * shift)
    torch.testing.assert_close(evidence.potential[0], whole.potential[0])
    assert float(evidence.potential[1].abs().max()) == 0
    assert float(evidence.precision[1].abs().max()) == 0


def test_values_of_missing_entries_are_not_looked_at(expert):
    found, *_ = expert
    observed = normal(20, P, seed=6) > -0.5
    given = seen(found, observed=observed)
    other = replace(given, x=torch.where(observed, given.x, 1.0 - given.x))
    torch.testing.assert_close(found(given).potential, found(other).potential)


def test_private_latents_still_follow_from_the_views_own_likelihood(expert):
    found, *_ = expert
    given, z = seen(found), normal(20, K, seed=7)
    tied = super(SurfaceExpert, found).forward(given)
    torch.testing.assert_close(found(given).private(z).mean, tied.private(z).mean)


def test_a_turned_expert_says_the_same_of_turned_latents(expert):
    found, *_ = expert
    given = seen(found)
    before = found(given)
    before = replace(before, precision=before.precision.clone())
    root = normal(K, K, seed=8)
    root = root @ root.T + torch.eye(K)
    found.turn(root)
    after = found(given)
    torch.testing.assert_close(after.potential, before.potential @ root)
    torch.testing.assert_close(after.precision, root @ before.precision @ root)


def test_sparse_rows_are_read_as_dense_ones(make_cohort):
    cohort = make_cohort({"a": 30}, n=50, likelihoods={"a": "bernoulli"})
    dense = cohort.views["a"]
    sparse = replace(dense, x=SparseRows.from_scipy(_csr(dense.x)))
    vae = StructuredVAE(
        Design((replace(ViewDesign.of("a", dense, 2), reads_surface=True),), n_shared=K)
    )
    expert = vae.part("a").expert
    expert.learn(normal(30, K), normal(1, K, seed=1), torch.eye(K), normal(30, seed=2))
    one, other = (vae.part("a").read(v, cohort.technical) for v in (dense, sparse))
    torch.testing.assert_close(one.potential, other.potential)
    torch.testing.assert_close(one.precision, other.precision)


def _csr(x):
    from scipy.sparse import csr_matrix

    return csr_matrix(x.numpy())
