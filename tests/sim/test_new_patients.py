import numpy as np
import pandas as pd
import pytest

from mvlatent import sim


def test_the_demo_is_what_it_was():
    """Figures in the documentation are of this very cohort; a rounding error may turn a state."""
    mdata, truth = sim.cohort("demo", n=60, seed=5)
    rna, img = truth.complete["rna"], truth.complete["img"]
    np.testing.assert_allclose(rna[0, :3], [37.073223, 7.556586, 1.438655], rtol=1e-5)
    np.testing.assert_allclose(img[-1, -3:], [5.147249, 2.255244, 9.769801], rtol=1e-5)
    np.testing.assert_allclose(truth.time[:3], [44.419658, 69.224431, 21.239882], rtol=1e-6)
    assert {view: adata.n_obs for view, adata in mdata.mod.items()} == {
        "rna": 60,
        "cnv": 55,
        "mut": 56,
        "img": 47,
    }
    assert abs(np.abs(mdata["cnv"].X).sum() - 2736) <= 3
    assert abs(mdata["mut"].X.sum() - 375) <= 3


@pytest.mark.parametrize(
    ("options", "first", "last"),
    [
        ({}, [-2.689436, 0.47719, -0.902114], [0.163679, 1.87432, -0.575046]),
        ({"mixing": "mlp"}, [2.823416, 2.65307, -0.917782], [-2.67803, -1.655866, -0.403079]),
        ({"mixing": "additive"}, [2.469037, -0.217978, 0.378396], [-3.179069, -0.543411, 1.880491]),
        (
            {"preset": "private_dominates"},
            [-4.915133, 0.885764, -3.669109],
            [0.866313, 2.499474, -0.768055],
        ),
    ],
)
def test_other_presets_are_what_they_were(options, first, last):
    """A new option of a view leaves the draws of those who do not use it alone."""
    _, truth = sim.cohort(n=60, seed=5, **options)
    np.testing.assert_allclose(truth.complete["rna"][0, :3], first, rtol=1e-5)
    np.testing.assert_allclose(truth.complete["img"][-1, -3:], last, rtol=1e-5)


@pytest.mark.parametrize("preset", sim.PRESETS)
def test_new_patients_are_of_the_same_world(preset):
    _, truth = sim.cohort(preset, n=300, seed=3)
    mdata, new = truth.new_patients(2500, seed=4)
    assert mdata.obs_names.equals(new.obs_names)
    assert new.parameters == truth.parameters
    np.testing.assert_array_equal(new.hazard.shared, truth.hazard.shared)
    assert 1 - new.event.mean() == pytest.approx(truth.spec.censoring, abs=0.09)
    np.testing.assert_allclose(np.cov(new.shared.T), np.eye(new.shared.shape[1]), atol=0.12)
    for view, x in new.complete.items():
        spread = truth.complete[view].std(axis=0) + 1e-3
        gap = np.abs(x.mean(axis=0) - truth.complete[view].mean(axis=0)) / spread
        assert np.median(gap) < 0.1


def test_a_regression_learnt_on_the_cohort_holds_for_new_patients():
    """Loadings, site effects, networks and hazard carry over: it would fail if any were new."""
    _, truth = sim.cohort("nonlinear", n=800)
    _, new = truth.new_patients(800)
    _, other = sim.cohort("nonlinear", n=800, seed=1)
    probe = sim.probe_prediction(truth, new, "img", probe="kernel")
    assert sim.cross_view_r2(new, "img", probe) > 0.25
    assert sim.cross_view_r2(other, "img", probe) < 0
    slopes = np.linalg.lstsq(truth.shared, truth.log_hazard, rcond=None)[0]
    assert np.corrcoef(new.shared @ slopes, new.log_hazard)[0, 1] > 0.95


def test_new_patients_share_neither_names_nor_numbers():
    _, truth = sim.cohort("easy", n=40, seed=0)
    (_, a), (_, again), (_, b) = (truth.new_patients(40, seed=s) for s in (0, 0, 1))
    pd.testing.assert_index_equal(a.obs_names, again.obs_names)
    np.testing.assert_array_equal(a.complete["rna"], again.complete["rna"])
    names = [set(t.obs_names) for t in (truth, a, b)]
    assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])
    numbers = np.corrcoef([t.private["rna"].ravel() for t in (truth, a, b)])
    assert np.abs(numbers[np.triu_indices(3, 1)]).max() < 0.4
    _, twice = b.new_patients(40, seed=0)
    np.testing.assert_array_equal(twice.shared, a.shared)


def test_without_censoring_new_patients_have_events_too():
    _, truth = sim.cohort("easy", n=30, censoring=0.0)
    assert (truth.new_patients(500)[1].event == 1).all()


def test_new_patients_need_a_number_and_a_seed():
    _, truth = sim.cohort("easy", n=10)
    with pytest.raises(ValueError, match="n=1"):
        truth.new_patients(1)
    with pytest.raises(ValueError, match="seed"):
        truth.new_patients(10, seed=-1)
