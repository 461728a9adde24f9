"""What the metrics of survival say to predictions that are not what they need."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mvlatent import tl
from mvlatent.methods.results import SurvivalCurves, TargetPrediction

NAMES = [f"P{i}" for i in range(12)]
TIME = pd.Series(np.arange(1.0, 13.0), NAMES)
EVENT = pd.Series(np.ones(12), NAMES)
AT = np.array([2.0, 5.0, 8.0, 13.0])
CURVES = pd.DataFrame(np.exp(-AT[:, None] / (3.0 + np.arange(12.0))), AT, NAMES)
OF_CURVES = {
    "brier": tl.brier,
    "integrated_brier": tl.integrated_brier,
    "d_calibration": tl.d_calibration,
    "log_likelihood": tl.log_likelihood,
    "horizon_calibration": lambda t, e, s: tl.horizon_calibration(t, e, s, 6.0),
    "conformal_survival": tl.conformal_survival,
}
OF_RISK = {
    "concordance": tl.concordance,
    "bootstrap_interval": lambda t, e, r: tl.bootstrap_interval(t, e, r, n_bootstrap=5),
    "time_dependent_auc": lambda t, e, r: tl.time_dependent_auc(t, e, r, [6.0]),
}


@pytest.mark.parametrize("metric", OF_CURVES.values(), ids=OF_CURVES)
def test_curves_that_are_none(metric):
    metric(TIME, EVENT, CURVES)
    with pytest.raises(ValueError, match="transpose it"):
        metric(TIME, EVENT, CURVES.T)
    with pytest.raises(ValueError, match=r"pass its mean: survival\.mean"):
        metric(TIME, EVENT, SimpleNamespace(mean=CURVES, lower=CURVES, upper=CURVES))


@pytest.mark.parametrize("metric", OF_RISK.values(), ids=OF_RISK)
def test_other_patients_are_refused(metric):
    metric(TIME, EVENT, -TIME)
    with pytest.raises(ValueError, match="risk has no value for 12 of the 12 patients of time"):
        metric(TIME, EVENT, -TIME.rename("other_{}".format))
    with pytest.raises(ValueError, match="which go by position"):
        metric(TIME, EVENT, -TIME.reset_index(drop=True))


def test_counts_are_names_too():
    shuffled = TIME.reset_index(drop=True)[::-1]
    assert tl.concordance(shuffled, EVENT.to_numpy(), -TIME.reset_index(drop=True)) == 1.0
    assert tl.concordance(shuffled, EVENT.to_numpy(), -shuffled.to_numpy()) == 1.0


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        (TIME, ["dead"] * 12, "event must hold numbers.*'dead'"),
        (["5 months"] * 12, EVENT, "time must hold numbers"),
    ],
)
def test_words_for_numbers(time, event, message):
    with pytest.raises(ValueError, match=message):
        tl.concordance(time, event, -TIME)


def test_bounds_of_a_band_are_not_given():
    found = tl.conformal_survival(TIME, EVENT, CURVES)
    with pytest.raises(ValueError, match=r"survival\.mean"):
        found.lower(SimpleNamespace(mean=CURVES, lower=CURVES, upper=CURVES))


def test_results_are_printed_in_a_line():
    labels, p = ["a"] * 12, pd.DataFrame({"a": np.linspace(0.4, 0.9, 12)})
    p["b"] = 1 - p["a"]
    for result, number in (
        (tl.horizon_calibration(TIME, EVENT, CURVES, 6.0), "ici="),
        (tl.risk_coverage(labels, p), "area="),
        (tl.conformal_survival(TIME, EVENT, CURVES), "level=0.9"),
    ):
        assert number in repr(result) and len(repr(result)) < 200 and "\n" not in repr(result)
    curves = SurvivalCurves(CURVES, CURVES, CURVES)
    assert repr(curves) == "SurvivalCurves of 4 times × 12 patients: .mean, .lower, .upper"
    target = TargetPrediction(TIME, TIME, TIME, TIME)
    assert repr(target) == "TargetPrediction of 12 patients: .mean, .sd, .lower, .upper"
