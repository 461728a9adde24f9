import numpy as np
import pandas as pd
import pytest

from mvlatent import sim


def test_cox_regression_finds_the_true_log_hazard():
    from lifelines import CoxPHFitter

    mdata, truth = sim.cohort("easy", n=4000, censoring=0.4)
    table = (
        pd.DataFrame(truth.shared)
        .add_prefix("z")
        .assign(age=(mdata.obs["age"].to_numpy() - 60) / 10, time=truth.time, event=truth.event)
    )
    fitted = CoxPHFitter().fit(table, "time", "event")
    assert fitted.params_["age"] == pytest.approx(0.2, abs=0.06)
    estimate = table.drop(columns=["time", "event"]) @ fitted.params_
    assert np.corrcoef(estimate, truth.log_hazard)[0, 1] > 0.995
    assert np.linalg.norm(fitted.params_.drop("age")) == pytest.approx(1.2, rel=0.06)


def test_true_survival_curves_are_those_of_the_event_times():
    _, truth = sim.cohort("easy", n=6000)
    curves = truth.survival([10.0, 40.0, 100.0])
    for t in curves.index:
        assert curves.loc[t].mean() == pytest.approx((truth.event_time > t).mean(), abs=0.02)
    baseline = np.exp(-np.log(2) * np.exp(truth.log_hazard))
    np.testing.assert_allclose(curves.loc[40.0], baseline, rtol=1e-9)


def test_truth_concordance_is_near_its_closed_form():
    """Without censoring, two patients with log hazards a, b are in order with prob. σ(a − b)."""
    _, truth = sim.cohort("easy", n=3000, censoring=0.0)
    gap = np.abs(truth.log_hazard[:, None] - truth.log_hazard)[np.triu_indices(3000, 1)]
    expected = (1 / (1 + np.exp(-gap))).mean()
    assert truth.concordance() == pytest.approx(expected, abs=0.012)


def test_truth_concordance_orders_the_presets():
    strong, weak, null = (
        sim.cohort(name, n=1500)[1].concordance() for name in ("easy", "weak_survival", "null")
    )
    assert strong > 0.72
    assert 0.55 < weak < 0.65
    assert null == 0.5


def test_null_labels_say_nothing_of_the_factors():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    _, truth = sim.cohort("null", n=800)
    accuracy = cross_val_score(LogisticRegression(), truth.shared, truth.subtype).mean()
    assert accuracy == pytest.approx(0.25, abs=0.06)


def test_private_prognosis_moves_the_hazard_into_the_first_view():
    _, truth = sim.cohort("easy", n=3000, private_prognosis=1.0, age_effect=0.0)
    from_shared = np.linalg.lstsq(truth.shared, truth.log_hazard, rcond=None)[1] / (3000 * 1.44)
    private = truth.private["rna"]
    residual = np.linalg.lstsq(private, truth.log_hazard, rcond=None)[1]
    assert from_shared > 0.9
    assert residual == pytest.approx(0, abs=1e-12)


def test_oracle_is_nearly_exact_and_uses_only_views_that_are_there():
    _, truth = sim.cohort("easy", n=300, missing=0.5, seed=4)
    everything = sim.oracle(truth)
    one = sim.oracle(truth, given=["img"])
    absent = ~truth.present[:, 2]
    assert (one[absent] == 0).all(axis=None)
    error = ((everything - truth.shared) ** 2).to_numpy().mean()
    error_one = ((one[~absent] - truth.shared[~absent]) ** 2).to_numpy().mean()
    assert error < error_one
    assert error < 0.1


def test_oracle_matches_the_joint_normal_regression():
    """Same answer from the marginal covariance of x as from the precision form."""
    _, truth = sim.cohort("easy", n=30, site_sd=0.0)
    values = truth.parameters["img"]
    a, v = values.loadings, values.private_loadings
    covariance = a @ a.T + v @ v.T + np.diag(values.noise**2)
    expected = truth.complete["img"] @ np.linalg.solve(covariance, a)
    np.testing.assert_allclose(sim.oracle(truth, given=["img"]), expected, atol=1e-5)


def test_oracle_refuses_what_it_cannot_know():
    with pytest.raises(ValueError, match="linear mixing"):
        sim.oracle(sim.cohort("nonlinear", n=20)[1])
    with pytest.raises(ValueError, match=r"\['mut'\]"):
        sim.oracle(sim.cohort("demo", n=20)[1], given=["mut"])
