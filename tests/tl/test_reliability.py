import numpy as np
import pandas as pd
import pytest

from mvlatent import tl

CLASSES = list("abc")


def _drawn(n, seed, *, sharpen=1.0):
    rng = np.random.default_rng(seed)
    p = np.exp(1.5 * rng.standard_normal((n, 3)))
    p /= p.sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(CLASSES, p=row) for row in p])
    p = p**sharpen
    return labels, pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=CLASSES)


def test_reliability_equals_scikit_learn():
    from sklearn.calibration import calibration_curve

    labels, p = _drawn(300, 0)
    for strategy in ("uniform", "quantile"):
        found = tl.reliability(labels, p, of="b", bins=7, strategy=strategy)
        observed, predicted = calibration_curve(labels == "b", p["b"], n_bins=7, strategy=strategy)
        np.testing.assert_allclose(found["observed"], observed)
        np.testing.assert_allclose(found["predicted"], predicted)
        assert found["n"].sum() == 300


def test_wilson_intervals_equal_statsmodels():
    from statsmodels.stats.proportion import proportion_confint

    found = tl.reliability(*_drawn(200, 1), bins=5)
    right = (found["observed"] * found["n"]).round()
    lower, upper = proportion_confint(right, found["n"], method="wilson")
    np.testing.assert_allclose(found["observed_lower"], lower, atol=1e-6)
    np.testing.assert_allclose(found["observed_upper"], upper, atol=1e-6)


def test_true_probabilities_are_reliable_and_sharpened_ones_are_not():
    fair = tl.expected_calibration_error(*_drawn(4000, 2))
    sharp = tl.expected_calibration_error(*_drawn(4000, 2, sharpen=3.0))
    assert fair < 0.025
    assert sharp > 0.1
    assert tl.expected_calibration_error(*_drawn(4000, 2), of="c") < 0.025


def test_ece_is_the_weighted_gap():
    p = pd.DataFrame({"a": [0.9, 0.9, 0.6, 0.6], "b": [0.1, 0.1, 0.4, 0.4]})
    found = tl.expected_calibration_error(["a", "b", "a", "a"], p)
    assert found == pytest.approx(0.5 * abs(0.5 - 0.9) + 0.5 * abs(1 - 0.6))


def test_unlabelled_patients_are_left_out():
    labels, p = _drawn(50, 3)
    held = labels.astype(object)
    held[:20] = None
    pd.testing.assert_frame_equal(tl.reliability(held, p), tl.reliability(labels[20:], p.iloc[20:]))


def test_risk_falls_with_certainty_and_ends_at_the_error():
    labels, p = _drawn(2000, 4)
    found = tl.risk_coverage(labels, p)
    error = np.mean(p.idxmax(axis=1) != labels)
    assert found.risk[-1] == pytest.approx(error) == found.at(1.0)
    assert found.at(0.2) < found.at(0.6) < error
    assert found.best < found.area < error
    assert (np.diff(found.threshold) <= 0).all()


def test_equal_certainty_cannot_select():
    p = pd.DataFrame({"a": [0.6] * 4, "b": [0.4] * 4})
    found = tl.risk_coverage(["a", "b", "a", "a"], p)
    np.testing.assert_allclose(found.risk, 0.25)
    assert found.best == pytest.approx((0.25 + 0 + 0 + 0) / 4)


@pytest.mark.parametrize(
    ("labels", "p", "message"),
    [
        (["a"], {"a": [0.5, 0.5], "b": [0.5, 0.5]}, "rows differ"),
        (["a", "z"], {"a": [0.5, 0.5], "b": [0.5, 0.5]}, "z"),
        ([None, None], {"a": [0.5, 0.5], "b": [0.5, 0.5]}, "no label"),
        (["a", "b"], {"a": [0.5, 0.9], "b": [0.5, 0.5]}, "sum to 1"),
    ],
)
def test_bad_input_is_named(labels, p, message):
    for tool in (tl.reliability, tl.risk_coverage, tl.conformal_labels):
        with pytest.raises(ValueError, match=message):
            tool(labels, pd.DataFrame(p))


def test_unknown_options_are_named():
    labels, p = _drawn(5, 5)
    with pytest.raises(KeyError, match="no class 'd'"):
        tl.reliability(labels, p, of="d")
    with pytest.raises(ValueError, match="uniform, quantile"):
        tl.reliability(labels, p, strategy="even")
    with pytest.raises(ValueError, match="coverage"):
        tl.risk_coverage(labels, p).at(0)
