import numpy as np
import pytest
from scipy import stats

from mvlatent import tl


def test_the_bootstrap_of_a_mean_is_its_normal_interval():
    x = np.random.default_rng(0).standard_normal(400)
    found = tl.bootstrap(lambda rows: x[rows].mean(), 400, n_bootstrap=2000)
    half = 1.96 * x.std() / 20
    assert found.estimate == pytest.approx(x.mean())
    np.testing.assert_allclose(found[1:], [x.mean() - half, x.mean() + half], atol=0.01)


def test_strata_keep_their_sizes():
    strata = np.repeat(["x", "y"], [30, 5])
    seen = []

    def metric(rows):
        seen.append(np.sum(strata[rows] == "y"))
        return 0.0

    tl.bootstrap(metric, 35, strata=strata, n_bootstrap=20)
    assert set(seen) == {5}


def test_a_paired_difference_is_narrower_than_two_intervals_and_knows_its_sign():
    rng = np.random.default_rng(1)
    risk = rng.standard_normal(300)
    time, event = rng.exponential(np.exp(-risk)), np.ones(300)
    worse = risk + 0.6 * rng.standard_normal(300)

    def c(score):
        return lambda rows: tl.concordance(time[rows], event[rows], score[rows])

    found = tl.bootstrap_difference(c(risk), c(worse), 300, n_bootstrap=200)
    alone = tl.bootstrap(c(risk), 300, n_bootstrap=200)
    rows = np.arange(300)
    assert found.estimate == pytest.approx(c(risk)(rows) - c(worse)(rows))
    assert 0 < found.lower < found.estimate < found.upper
    assert found.upper - found.lower < alone.upper - alone.lower
    assert found.p_value == pytest.approx(2 / 201)
    same = tl.bootstrap_difference(c(risk), c(risk), 300, n_bootstrap=20)
    assert same == (0, 0, 0, 1)


def test_the_paired_p_value_is_uniform_where_nothing_differs():
    rng = np.random.default_rng(2)
    p = []
    for _ in range(150):
        a, b = rng.standard_normal((2, 60))
        found = tl.bootstrap_difference(
            lambda rows, a=a: a[rows].mean(),
            lambda rows, b=b: b[rows].mean(),
            60,
            n_bootstrap=99,
        )
        p.append(found.p_value)
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.07)
    assert np.mean(p) == pytest.approx(0.5, abs=0.08)


def test_resamples_without_an_event_are_drawn_again_and_too_many_are_an_error():
    time, event, risk = np.arange(1.0, 9.0), np.eye(8)[0], -np.arange(8.0)
    found = tl.bootstrap_interval(time, event, risk, n_bootstrap=30)
    assert np.isfinite(found).all()

    def rare(rows):
        if (rows != np.arange(8)).any():
            raise ValueError("no")
        return 1.0

    with pytest.raises(ValueError, match="only 0 of 200 resamples"):
        tl.bootstrap(rare, 8, n_bootstrap=10)
    with pytest.raises(ValueError, match="level"):
        tl.bootstrap(lambda rows: 0.0, 8, level=1.0)
    with pytest.raises(ValueError, match="no two patients"):
        tl.bootstrap_interval(time, np.zeros(8), risk)


def test_paired_test_equals_scipy_without_correction():
    a, b = np.random.default_rng(3).standard_normal((2, 12))
    found, reference = tl.paired_difference(a, b), stats.ttest_rel(a, b)
    assert found.statistic == pytest.approx(reference.statistic)
    assert found.p_value == pytest.approx(reference.pvalue)


def test_corrected_test_is_that_of_nadeau_and_bengio():
    a, b = np.random.default_rng(4).standard_normal((2, 50))
    d = a - b
    statistic = d.mean() / np.sqrt((1 / 50 + 1 / 4) * d.var(ddof=1))
    found = tl.paired_difference(a, b, test_train_ratio=1 / 4)
    assert found.statistic == pytest.approx(statistic)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), 49))
    equal = tl.paired_difference([1.0, 2.0], [1.0, 2.0])
    assert equal.p_value == 1
    sure = tl.paired_difference([2.0, 3.0], [1.0, 2.0])
    assert (sure.statistic, sure.p_value) == (np.inf, 0)


def test_correction_holds_the_level_of_repeated_folds_where_the_naive_test_does_not():
    """Regressions on either of two noise features, one cohort each time, 10 × 2 folds."""
    rng = np.random.default_rng(5)
    naive, corrected = [], []
    for _ in range(150):
        x, y = rng.standard_normal((2, 40, 1)), rng.standard_normal(40)
        errors = ([], [])
        for _ in range(10):
            order = rng.permutation(40)
            for test in (order[:20], order[20:]):
                train = np.setdiff1d(order, test)
                for feature, out in zip(x, errors, strict=True):
                    slope = feature[train, 0] @ y[train] / (feature[train, 0] @ feature[train, 0])
                    out.append(np.mean((y[test] - slope * feature[test, 0]) ** 2))
        naive.append(tl.paired_difference(*errors).p_value)
        corrected.append(tl.paired_difference(*errors, test_train_ratio=1).p_value)
    assert np.mean(np.array(naive) < 0.05) > 0.2
    assert np.mean(np.array(corrected) < 0.05) < 0.1
