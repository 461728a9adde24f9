import numpy as np
import pandas as pd
import pytest

from mvlatent import sim, tl

HORIZON = 20.0


@pytest.fixture(scope="module")
def truth():
    return sim.cohort("easy", n=3000, censoring=0.4)[1]


def test_the_truth_is_calibrated_and_a_wrong_hazard_is_off_by_what_it_is_wrong(truth):
    right = truth.survival([HORIZON]).iloc[0]
    found = tl.horizon_calibration(truth.time, truth.event, right, HORIZON)
    assert found.ici < 0.02
    assert found.e90 < 0.05
    wrong = tl.horizon_calibration(truth.time, truth.event, right**0.5, HORIZON)
    gap = np.abs(right - right**0.5)
    assert wrong.ici == pytest.approx(gap.mean(), abs=0.02)
    assert wrong.e50 == pytest.approx(gap.median(), abs=0.03)
    assert wrong.e90 == pytest.approx(gap.quantile(0.9), abs=0.03)
    assert wrong.emax >= wrong.e90 >= wrong.e50
    np.testing.assert_allclose(wrong.observed, 1 - right, atol=0.08)


@pytest.mark.parametrize("knots", [3, 4, 5])
def test_any_number_of_knots_finds_the_truth_calibrated(truth, knots):
    curves = truth.survival([10.0, HORIZON, 30.0])
    found = tl.horizon_calibration(truth.time, truth.event, curves, HORIZON, knots=knots)
    assert found.ici < 0.025


def test_a_curved_miscalibration_is_followed(truth):
    """One slope of log(−log S) would miss that only the high risks are wrong."""
    right = truth.survival([HORIZON]).iloc[0].to_numpy()
    wrong = np.where(right < np.median(right), np.sqrt(right * np.median(right)), right)
    found = tl.horizon_calibration(truth.time, truth.event, wrong, HORIZON, knots=5)
    np.testing.assert_allclose(found.observed.mean(), 1 - right.mean(), atol=0.02)
    assert np.abs(found.observed - (1 - right)).mean() < 0.3 * np.abs(wrong - right).mean()


def test_the_smooth_curve_is_that_of_lifelines_spline_cox(truth):
    """With restricted cubic splines of another basis the fit is the same: a cubic spline space."""
    from lifelines import CoxPHFitter

    n = 400
    time, event = truth.time[:n], truth.event[:n]
    risk = 1 - truth.survival([HORIZON]).iloc[0].to_numpy()[:n]
    found = tl.horizon_calibration(time, event, 1 - risk, HORIZON)
    x = np.log(-np.log(1 - np.clip(risk, 1e-6, 1 - 1e-6)))
    table = pd.DataFrame({"x": x, "time": time, "event": event})
    a, b, c = np.quantile(x, [0.1, 0.5, 0.9])
    formula = f"cr(x, knots=[{b}], lower_bound={a}, upper_bound={c}) - 1"
    fitted = CoxPHFitter(penalizer=1e-7).fit(table, "time", "event", formula=formula)
    expected = 1 - fitted.predict_survival_function(table, times=[HORIZON]).to_numpy()[0]
    np.testing.assert_allclose(found.observed, expected, atol=2e-3)


def test_groups_are_kaplan_meier():
    from lifelines import KaplanMeierFitter

    rng = np.random.default_rng(0)
    risk = np.repeat([0.2, 0.6], 50)
    time = rng.exponential(1 / -np.log1p(-risk))
    found = tl.horizon_calibration(time, np.ones(100), 1 - risk, 1.0, groups=2).groups
    assert found["n"].tolist() == [50, 50]
    expected = [1 - KaplanMeierFitter().fit(time[risk == r]).predict(1.0) for r in (0.2, 0.6)]
    np.testing.assert_allclose(found["observed"], expected)
    assert ((found["lower"] < found["observed"]) & (found["observed"] < found["upper"])).all()
    equal = tl.horizon_calibration(time, np.ones(100), np.full(100, 0.6), 1.0)
    np.testing.assert_allclose(equal.observed, (time <= 1).mean())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 99.0}, "beyond the last follow-up"),
        ({"horizon": -1.0}, "must be positive"),
        ({"event": np.zeros(6)}, "only 0 events by 3"),
        ({"survival": np.full(6, 1.5)}, "not probabilities"),
        ({"survival": np.full(5, 0.5)}, "one value a patient"),
        ({"survival": pd.DataFrame([[0.5] * 6], index=[2.0])}, "curves end at 2"),
        ({"knots": 9}, "3, 4 or 5"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {
        "time": np.arange(1.0, 7.0),
        "event": np.ones(6),
        "survival": np.linspace(0.3, 0.8, 6),
        "horizon": 3.0,
    }
    with pytest.raises(ValueError, match=message):
        tl.horizon_calibration(**(good | change))


def test_a_group_without_an_event_is_not_certain():
    """None of n at risk had the event: the bound is Clopper and Pearson's, not 0."""
    survival = np.repeat([0.9, 0.1], 10)
    time = np.concatenate([np.full(10, 5.0), np.arange(1.0, 11.0) / 4])
    event = np.repeat([0, 1], 10)
    found = tl.horizon_calibration(time, event, survival, 2.0, groups=2).groups
    assert found["observed"].iloc[0] == 0 == found["lower"].iloc[0]
    assert found["upper"].iloc[0] == pytest.approx(1 - 0.025**0.1)
