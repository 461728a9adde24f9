import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mvlatent import sim, tl


def _exponential(rate, at):
    return pd.DataFrame(np.exp(-np.outer(at, rate)), index=at)


@pytest.mark.parametrize("at", [[0.0, 1.0, 20.0], np.linspace(0.5, 20, 7)])
def test_exponential_curves_have_their_closed_form_on_any_grid(at):
    rng = np.random.default_rng(0)
    rate = rng.uniform(0.2, 2, 40)
    time, event = rng.exponential(1 / rate), rng.integers(0, 2, 40)
    found = tl.log_likelihood(time, event, _exponential(rate, np.asarray(at)))
    np.testing.assert_allclose(found, event * np.log(rate) - rate * time)


def test_a_fine_grid_tends_to_the_density():
    rng = np.random.default_rng(1)
    law = stats.weibull_min(1.6, scale=3)
    time, event = law.rvs(60, random_state=rng), rng.integers(0, 2, 60)
    at = np.linspace(0, 12, 2000)
    curves = pd.DataFrame(np.tile(law.sf(at)[:, None], (1, 60)), index=at)
    expected = np.where(event, law.logpdf(time), law.logsf(time))
    late = time > 0.2
    np.testing.assert_allclose(tl.log_likelihood(time, event, curves)[late], expected[late], 0.01)


def test_equals_lifelines_piecewise_exponential():
    from lifelines import PiecewiseExponentialFitter

    rng = np.random.default_rng(2)
    true, censored = rng.exponential(2, 80), rng.exponential(3, 80)
    time, event = np.minimum(true, censored), (true <= censored).astype(int)
    cuts = [0.5, 1.5]
    fitted = PiecewiseExponentialFitter(cuts).fit(time, event)
    at = [*cuts, float(time.max())]
    curve = fitted.survival_function_at_times(at).to_numpy()
    curves = pd.DataFrame(np.tile(curve[:, None], (1, 80)), index=at)
    assert tl.log_likelihood(time, event, curves).sum() == pytest.approx(fitted.log_likelihood_)


def test_truth_beats_curves_that_are_too_bright_or_say_nothing():
    _, truth = sim.cohort("easy", n=600)
    right = truth.survival(np.linspace(1, 40, 30))
    same = pd.DataFrame(
        np.tile(right.mean(axis=1).to_numpy()[:, None], (1, 600)), right.index, right.columns
    )
    score = [
        tl.log_likelihood(truth.time, truth.event, s).mean() for s in (right, right**0.5, same)
    ]
    assert score[0] > max(score[1:]) + 0.05


def test_what_lies_beyond_the_curves_counts_as_censored_at_their_end():
    curves = _exponential([1.0, 1.0], np.array([1.0, 2.0]))
    found = tl.log_likelihood([1.5, 9.0], [1, 1], curves)
    np.testing.assert_allclose(found, [-1.5, -2.0])


def test_steps_need_a_floor():
    curves = pd.DataFrame([[0.5], [0.5], [0.0]], index=[1.0, 2.0, 3.0])
    for time, event in ((1.5, 1), (2.5, 1)):
        with pytest.raises(ValueError, match="1 patients have a likelihood of 0"):
            tl.log_likelihood([time], [event], curves)
        assert np.isfinite(tl.log_likelihood([time], [event], curves, floor=1e-4)).all()
    with pytest.raises(ValueError, match="1 patients have a likelihood of 0"):
        tl.log_likelihood([0.5, 2.5], [1, 0], pd.concat([curves, curves], axis=1))
    found = tl.log_likelihood([1.5], [1], curves, floor=1e-4).iloc[0]
    assert found == pytest.approx(np.log(1e-4) + np.log(0.5) - 0.5e-4)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="rises"):
        tl.log_likelihood([1.0], [1], pd.DataFrame([[0.5], [0.6]], index=[1.0, 2.0]))
    with pytest.raises(ValueError, match="no patient dies"):
        tl.log_likelihood([5.0], [1], _exponential([1.0], np.array([1.0, 2.0])))
    with pytest.raises(ValueError, match="floor"):
        tl.log_likelihood([1.0], [1], _exponential([1.0], np.array([1.0, 2.0])), floor=0.0)
    with pytest.raises(ValueError, match="no time after 0"):
        tl.log_likelihood([5.0], [1], pd.DataFrame([[1.0]], index=[0.0]))
