import numpy as np
import pandas as pd
import pytest

from mvlatent import sim, tl

TIMES = np.linspace(0, 400, 2000)


def test_true_curves_pass_and_a_wrong_hazard_fails():
    _, truth = sim.cohort("easy", n=1500, censoring=0.3)
    right = truth.survival(TIMES)
    assert tl.d_calibration(truth.time, truth.event, right).p_value > 0.05
    too_bright = right**0.6
    assert tl.d_calibration(truth.time, truth.event, too_bright).p_value < 1e-6


def test_p_values_are_uniform_without_censoring():
    rng = np.random.default_rng(0)
    p = [tl.d_calibration(np.ones(400), np.ones(400), rng.random(400)).p_value for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_p_values_are_conservative_under_censoring():
    rng = np.random.default_rng(1)
    p = []
    for _ in range(200):
        own, limit = rng.random(300), rng.random(300)
        event = own > limit  # S(T) > S(C) means that the death came first
        p.append(tl.d_calibration(np.ones(300), event, np.maximum(own, limit)).p_value)
    assert np.mean(np.array(p) < 0.05) < 0.05
    assert np.mean(p) > 0.5


def test_a_censored_patient_is_spread_over_the_bins_below():
    result = tl.d_calibration([1.0], [0], np.array([0.25]), bins=10)
    np.testing.assert_allclose(result.share[:4], [0.4, 0.4, 0.2, 0.0])
    assert result.share.sum() == pytest.approx(1)
    assert tl.d_calibration([1.0], [0], np.array([0.0])).share[0] == 1


def test_curves_and_own_values_agree():
    time = np.array([0.5, 1.5, 9.0])
    curves = pd.DataFrame([[0.8, 0.6, 0.9], [0.4, 0.2, 0.5]], index=[1.0, 2.0])
    own = [0.9, 0.4, 0.5]
    by_curve = tl.d_calibration(time, [1, 1, 0], curves)
    np.testing.assert_allclose(by_curve.share, tl.d_calibration(time, [1, 1, 0], own).share)
    statistic, p = by_curve
    assert (statistic, p) == (by_curve.statistic, by_curve.p_value)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least 2 bins"):
        tl.d_calibration([1.0], [1], [0.5], bins=1)
    with pytest.raises(ValueError, match="not probabilities"):
        tl.d_calibration([1.0], [1], [1.5])
    with pytest.raises(ValueError, match="3 columns, 1 patients"):
        tl.d_calibration([1.0], [1], pd.DataFrame(np.ones((2, 3))))


def test_coverage_of_normal_intervals_is_nominal():
    rng = np.random.default_rng(2)
    truth = rng.standard_normal((200, 50))
    assert tl.coverage(np.full(truth.shape, -1.645), np.full(truth.shape, 1.645), truth) == (
        pytest.approx(0.9, abs=0.01)
    )
    assert tl.coverage(np.zeros(3), np.ones(3), [0.5, np.nan, 7.0]) == 0.5


def test_coverage_refuses_crossed_bounds_and_unknown_truth():
    with pytest.raises(ValueError, match="above its upper"):
        tl.coverage([1.0], [0.0], [0.5])
    with pytest.raises(ValueError, match="no true value"):
        tl.coverage([0.0], [1.0], [np.nan])
    with pytest.raises(ValueError, match="shapes differ"):
        tl.coverage([0.0], [1.0], [1.0, 2.0])
