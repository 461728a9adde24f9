"""Library size and burden: what they are, and what gaps and the training rows do to them."""

import numpy as np
import pytest
from scipy import sparse

from mvlatent.data.exposure import Exposure


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    size = rng.lognormal(0, 0.8, 400)
    rates = rng.lognormal(0, 1.5, 60)
    return rng.poisson(size[:, None] * rates).astype(np.float32), np.log(size)


def test_exposure_is_the_log_size_around_its_mean(counts):
    x, size = counts
    exposure = Exposure.fit(x)
    found = exposure.of(x)
    assert abs(found.mean()) < 1e-6
    assert np.corrcoef(found, size)[0, 1] > 0.98
    # twice the counts are twice the library
    some = x.sum(1) > 5
    np.testing.assert_allclose(exposure.of(2 * x)[some] - found[some], np.log(2))


def test_a_plain_total(counts):
    x, _ = counts
    found = Exposure.fit(x, plain=True).of(x)
    logs = np.log(x.sum(1))
    np.testing.assert_allclose(found, logs - logs.mean(), rtol=1e-5, atol=1e-5)


def test_one_feature_does_not_make_the_library(counts):
    x, size = counts
    x[:, 0] = np.where(np.arange(400) % 2, 50_000, 10)
    robust, plain = (Exposure.fit(x, plain=p).of(x) for p in (False, True))
    assert np.corrcoef(robust, size)[0, 1] > 0.9 > np.corrcoef(plain, size)[0, 1]


def test_sparse_rows_have_the_same_exposure(counts):
    x, _ = counts
    thin = sparse.csr_matrix(x)
    np.testing.assert_allclose(Exposure.fit(thin).of(thin), Exposure.fit(x).of(x), atol=1e-6)


def test_gaps_do_not_make_a_library_smaller(counts):
    x, _ = counts
    exposure = Exposure.fit(x)
    gaps = x.copy()
    gaps[np.random.default_rng(1).random(x.shape) < 0.3] = np.nan
    difference = exposure.of(gaps) - exposure.of(x)
    assert abs(difference.mean()) < 0.05
    gaps[0] = np.nan
    assert exposure.of(gaps)[0] == 0


def test_state(counts):
    x, _ = counts
    exposure = Exposure.fit(x)
    np.testing.assert_array_equal(Exposure.from_state(exposure.state()).of(x), exposure.of(x))
    assert all(a.size <= x.shape[1] for a in exposure.state().values()), "nothing of patients"
