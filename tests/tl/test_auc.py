import numpy as np
import pandas as pd
import pytest

from mvlatent import sim, tl
from mvlatent.tl._outcomes.outcome import Censoring


def _outcome(n, seed, *, digits=None):
    rng = np.random.default_rng(seed)
    risk = rng.standard_normal(n)
    true, censored = rng.exponential(np.exp(-risk)), rng.exponential(1.2, n)
    time = np.minimum(true, censored)
    if digits is not None:
        time, risk = np.round(time, digits) + 0.1, np.round(risk, digits)
    return time, (true <= censored).astype(int), risk


def _pairs(time, event, risk, t, train):
    """The definition, pair by pair."""
    above = below = 0.0
    g = Censoring(*train)
    for i in range(len(time)):
        if event[i] and time[i] <= t:
            weight = 1 / g.before(time[[i]])[0]
            for j in range(len(time)):
                if time[j] > t:
                    above += weight * ((risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j]))
                    below += weight
    return above / below


@pytest.mark.parametrize("digits", [None, 1])
def test_auc_equals_its_definition_with_ties_and_weights_of_the_training_patients(digits):
    time, event, risk = _outcome(60, 0, digits=digits)
    train = _outcome(200, 1)[:2]
    at = np.quantile(time, [0.3, 0.6])
    found = tl.time_dependent_auc(time, event, risk, at, train=train)
    np.testing.assert_allclose(found, [_pairs(time, event, risk, t, train) for t in at])


def test_auc_equals_torchsurv():
    import torch
    from torchsurv.metrics.auc import Auc
    from torchsurv.stats.ipcw import get_ipcw

    time, event, risk = _outcome(150, 2)
    at = np.quantile(time, [0.2, 0.4, 0.6, 0.8])
    t, e, new = (torch.as_tensor(x) for x in (time, event.astype(bool), at))
    reference = Auc()(
        torch.as_tensor(risk),
        e,
        t,
        weight=get_ipcw(e, t).double(),  # single precision, whatever goes in
        new_time=new,
        weight_new_time=get_ipcw(e, t, new).double(),
    )
    np.testing.assert_allclose(tl.time_dependent_auc(time, event, risk, at), reference, rtol=1e-5)


def test_uncensored_auc_equals_scikit_learn_and_its_integral_is_weighted_by_deaths():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(4)
    time, event, risk = rng.exponential(size=80), np.ones(80), rng.standard_normal(80)
    at = np.array([0.3, 0.9, 1.5])
    values = [roc_auc_score(time <= t, risk) for t in at]
    np.testing.assert_allclose(tl.time_dependent_auc(time, event, risk, at), values)
    deaths = np.histogram(time, [0, *at])[0]
    found = tl.integrated_auc(time, event, risk, at)
    assert found == pytest.approx(np.average(values, weights=deaths))


def test_curves_are_scores_that_change_with_time():
    _, truth = sim.cohort("easy", n=200)
    at = np.quantile(truth.time, [0.2, 0.5])
    fixed = tl.time_dependent_auc(truth.time, truth.event, truth.log_hazard, at)
    curves = 1 - truth.survival(at)
    np.testing.assert_allclose(tl.time_dependent_auc(truth.time, truth.event, curves), fixed)
    curves.iloc[1] = -curves.iloc[1]
    turned = tl.time_dependent_auc(truth.time, truth.event, curves)
    np.testing.assert_allclose(turned, [fixed.iloc[0], 1 - fixed.iloc[1]])


def test_weights_undo_censoring_that_depends_on_nothing():
    rng = np.random.default_rng(5)
    risk = rng.standard_normal(6000)
    true, censored = rng.exponential(np.exp(-2 * risk)), rng.exponential(0.6, 6000)
    target = tl.time_dependent_auc(true, np.ones(6000), risk, [0.7])
    time, event = np.minimum(true, censored), true <= censored
    found = tl.time_dependent_auc(time, event, risk, [0.7])
    seen = event | (time > 0.7)
    naive = tl.time_dependent_auc(time[seen], np.ones(seen.sum()), risk[seen], [0.7])
    assert abs(found.iloc[0] - target.iloc[0]) < 0.01 < abs(naive.iloc[0] - target.iloc[0])


def test_times_without_a_case_or_a_control_have_no_auc():
    found = tl.time_dependent_auc([1, 2, 3], [1, 1, 0], [3, 2, 1], [0.5, 1.5, 3.0])
    assert found.isna().tolist() == [True, False, True]
    assert tl.integrated_auc([1, 2, 3], [1, 1, 0], [3, 2, 1], [0.5, 1.5, 3.0]) == 1
    with pytest.raises(ValueError, match="events from 1, follow-up to 3"):
        tl.time_dependent_auc([1, 2, 3], [1, 1, 0], [3, 2, 1], [5.0])
    with pytest.raises(ValueError, match="events from never"):
        tl.time_dependent_auc([1, 2, 3], [0, 0, 0], [3, 2, 1], [2.0])


@pytest.mark.parametrize(
    ("risk", "times", "message"),
    [
        ([1.0, 2.0], [1.0], "one value a patient"),
        ([1.0, 2.0, 3.0], None, "times are needed"),
        ([1.0, 2.0, 3.0], [2.0, 1.0], "increase"),
        (pd.DataFrame([[1.0, 2.0]], index=[1.0]), None, "2 columns, 3 patients"),
        (pd.DataFrame([[1.0, 2.0, 3.0]], index=[1.0]), [1.0], "leave times out"),
        (pd.DataFrame([[1.0, np.nan, 3.0]], index=[1.0]), None, "not finite"),
    ],
)
def test_bad_input_is_named(risk, times, message):
    with pytest.raises(ValueError, match=message):
        tl.time_dependent_auc([1.0, 2.0, 3.0], [1, 1, 0], risk, times)
