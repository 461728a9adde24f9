import numpy as np
import pandas as pd
import pytest

from mvlatent import sim, tl


def _curves(values, times, n):
    return pd.DataFrame(np.tile(np.asarray(values)[:, None], (1, n)), index=np.asarray(times))


def test_uncensored_brier_is_the_mean_squared_error():
    rng = np.random.default_rng(0)
    time = rng.exponential(size=50)
    survival = pd.DataFrame(rng.random((4, 50)), index=[0.2, 0.5, 1.0, 1.5])
    expected = [((time > t) - survival.loc[t].to_numpy()) ** 2 for t in survival.index]
    found = tl.brier(time, np.ones(50), survival)
    np.testing.assert_allclose(found, np.mean(expected, axis=1))


def test_integrated_brier_of_the_true_uniform_curve_has_a_closed_form():
    """T uniform on (0, 1), S(t) = 1 − t: BS = t (1 − t), whose integral is 1/6."""
    time = (np.arange(2000) + 0.5) / 2000
    at = np.linspace(0, 1, 501)[:-1]
    found = tl.integrated_brier(time, np.ones(2000), _curves(1 - at, at, 2000))
    assert found == pytest.approx(1 / 6, abs=2e-3)


def test_censored_brier_equals_torchsurv_without_ties():
    import torch
    from torchsurv.metrics.brier_score import BrierScore
    from torchsurv.stats.ipcw import get_ipcw

    rng = np.random.default_rng(1)
    time, event = rng.exponential(size=120), rng.random(120) < 0.6
    at = np.quantile(time, [0.1, 0.3, 0.5, 0.7])
    survival = pd.DataFrame(rng.random((4, 120)), index=at)
    t, e, new = torch.as_tensor(time), torch.as_tensor(event), torch.as_tensor(at)
    reference = BrierScore()
    scores = reference(
        torch.as_tensor(survival.to_numpy().T), e, t, new, get_ipcw(e, t), get_ipcw(e, t, new)
    )
    np.testing.assert_allclose(tl.brier(time, event, survival), scores, rtol=1e-6)
    found = tl.integrated_brier(time, event, survival)
    assert found == pytest.approx(float(reference.integral()), rel=1e-6)


def test_weights_undo_censoring():
    _, full = sim.cohort("easy", n=5000, censoring=0.0)
    _, cut = sim.cohort("easy", n=5000, censoring=0.4)
    survival = full.survival(np.linspace(1, 40, 20))
    target = tl.integrated_brier(full.time, full.event, survival)
    assert tl.integrated_brier(cut.time, cut.event, survival) == pytest.approx(target, abs=4e-3)


def test_truth_beats_the_population_curve_and_a_wrong_model():
    _, truth = sim.cohort("easy", n=1000)
    at = np.linspace(2, 40, 20)
    survival = truth.survival(at)
    population = _curves(survival.mean(axis=1), at, 1000)
    wrong = 1 - survival
    scores = [
        tl.integrated_brier(truth.time, truth.event, s) for s in (survival, population, wrong)
    ]
    assert scores[0] < scores[1] - 0.02 < scores[2]


def test_times_beyond_all_censoring_are_not_scored():
    train = ([1.0, 2.0, 3.0], [1, 1, 0])
    survival = _curves([0.9, 0.5, 0.1], [0.5, 1.5, 3.5], 3)
    scores = tl.brier([1.0, 2.0, 4.0], [1, 1, 1], survival, train=train)
    assert np.isnan(scores[3.5])
    assert scores[[0.5, 1.5]].notna().all()
    with pytest.raises(ValueError, match="fewer than two times"):
        tl.integrated_brier([1.0, 2.0, 4.0], [1, 1, 1], survival.loc[[3.5]], train=train)


@pytest.mark.parametrize(
    ("survival", "message"),
    [
        (_curves([0.5, 0.4], [1, 2], 2), "2 columns, 3 patients"),
        (_curves([0.5, 0.4], [2, 1], 3), "must increase"),
        (_curves([1.5, 0.4], [1, 2], 3), "not probabilities"),
    ],
)
def test_bad_curves_are_refused(survival, message):
    with pytest.raises(ValueError, match=message):
        tl.brier([1.0, 2.0, 3.0], [1, 0, 1], survival)
