"""Survival kinds end to end: from the columns of a cohort to curves of new patients."""

import warnings

import numpy as np
import pytest

import mvlatent as mv
from mvlatent.specs import STRATIFIED_KINDS, SURVIVAL_KINDS

TIMES = [1.0, 10.0, 40.0]
MONTHS = "survival_months"


@pytest.fixture(scope="module")
def patients(small_cohort):
    """A cohort with two arms, entry times and two causes."""
    mdata = small_cohort(n=220)
    arm = np.where(np.arange(220) % 2, "x", "y")
    event = mdata.obs["event"].to_numpy()
    mdata.obs["arm"] = arm
    mdata.obs["cause"] = event * (1 + np.arange(220) // 2 % 2)
    mdata.obs["start"] = 0.3 * mdata.obs[MONTHS] * (np.arange(220) % 3 == 0)
    return mdata


@pytest.fixture(scope="module")
def models(small_fit, patients):
    """Return a fitted model of each kind, made once; not to be changed."""
    made = {}

    def get(kind):
        if kind not in made:
            event = "cause" if kind == "competing" else "event"
            strata = "arm" if kind in STRATIFIED_KINDS else None
            spec = mv.Survival(MONTHS, event, kind=kind, strata=strata, entry="start")
            made[kind] = small_fit(patients, survival=spec, labels=None)
        return made[kind]

    return get


@pytest.mark.parametrize("kind", SURVIVAL_KINDS)
class TestKinds:
    def test_curves_are_probabilities_that_fall(self, models, patients, kind):
        band = models(kind).predict_survival(TIMES, interval=0.9, n_samples=50)
        for frame in (band.lower, band.mean, band.upper):
            values = frame.to_numpy()
            assert values.shape == (3, 220) and ((values >= 0) & (values <= 1)).all()
            assert (np.diff(values, axis=0) <= 1e-9).all()
        assert (band.lower <= band.mean + 1e-9).all(None) and (band.mean <= band.upper + 1e-9).all(
            None
        )
        risk = models(kind).predict_risk()
        if kind != "competing":
            own = patients.obs["arm"].to_numpy() == "x"
            assert risk[own].corr(band.mean.iloc[1][own], method="spearman") < -0.9

    def test_a_saved_model_predicts_the_same(self, models, patients, tmp_path, kind):
        models(kind).save(tmp_path / kind)
        again = mv.MVLatent.load(tmp_path / kind)
        one, two = (
            m.predict_survival(TIMES, patients, n_samples=20) for m in (models(kind), again)
        )
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
        assert again.roles.survival == models(kind).roles.survival
        assert f"({kind})" in models(kind).summary() and "entry start" in models(kind).summary()

    def test_patients_without_outcome_are_predicted(self, models, patients, kind):
        new = patients[patients.obs_names[:30]].copy()
        whole = models(kind).predict_survival(TIMES, new, n_samples=20)
        for column in (MONTHS, "event", "cause", "start"):
            del new.obs[column]
        bare = models(kind).predict_survival(TIMES, new, n_samples=20)
        np.testing.assert_allclose(whole, bare, rtol=1e-6)

    def test_the_head_in_training(self, small_fit, patients, kind):
        event = "cause" if kind == "competing" else "event"
        strata = "arm" if kind in STRATIFIED_KINDS else None
        spec = mv.Survival(MONTHS, event, kind=kind, strata=strata, entry="start")
        model = small_fit(patients, survival=spec, labels=None, rho=0.2, max_epochs=3)
        history = model.history["outcome:survival"]
        assert np.isfinite(history).all() and (history != 0).all()
        assert model.predict_survival(TIMES, n_samples=5).notna().all(None)


def test_incidences_add_up(models, patients):
    model = models("competing")
    options = {"n_samples": 40, "seed": 3}
    parts = [model.predict_cumulative_incidence(TIMES, cause=k, **options) for k in (1, 2)]
    free = model.predict_survival(TIMES, **options)
    np.testing.assert_allclose(parts[0] + parts[1] + free, 1.0, rtol=1e-9)
    band = model.predict_cumulative_incidence(TIMES, patients, cause=2, interval=0.8, **options)
    assert (band.lower <= band.upper).all(None) and (band.upper.iloc[2] > band.lower.iloc[2]).all()
    risks = [model.predict_risk(cause=k) for k in (1, 2)]
    assert abs(risks[0].corr(risks[1])) < 0.999
    for wrong in (0, 3):
        with pytest.raises(ValueError, match=f"cause {wrong} is not one of 1, 2"):
            model.predict_cumulative_incidence(TIMES, cause=wrong)
        with pytest.raises(ValueError, match=f"cause {wrong} is not one of 1, 2"):
            model.predict_risk(cause=wrong)
    with pytest.raises(ValueError, match="no competing causes"):
        models("cox").predict_cumulative_incidence(TIMES)


def test_strata_are_looked_up_for_new_patients(models, patients):
    model, new = models("cox"), patients[patients.obs_names[:20]].copy()
    own = model.predict_survival(TIMES, new, n_samples=20)
    new.obs["arm"] = np.where(new.obs["arm"] == "x", "y", "x")
    swapped = model.predict_survival(TIMES, new, n_samples=20)
    assert not np.allclose(own, swapped)
    new.obs["arm"] = "z"
    with pytest.warns(UserWarning, match=r"strata 'arm' hold levels.*'z'"):
        strange = model.predict_survival(TIMES, new, n_samples=20)
    same = np.isclose(strange, own).all(axis=0) | np.isclose(strange, swapped).all(axis=0)
    assert same.all()
    del new.obs["arm"]
    with pytest.warns(UserWarning, match="no value for 20 patients"):
        np.testing.assert_allclose(model.predict_survival(TIMES, new, n_samples=20), strange)


def test_the_site_has_its_share_of_the_concordance(small_fit, patients):
    """With strata, entry times and competing causes alike."""
    spec = mv.Survival(MONTHS, "cause", kind="competing", strata="arm", entry="start")
    model = small_fit(patients, survival=spec, labels=None, head_blocks=("auto",), max_epochs=3)
    scores = model.trained.survival.inner_scores
    assert len(scores) == 3 and all(0.3 < s < 1 for s in scores.values())
    assert f"Harrell's C in inner folds: {scores['full']:.3f}; without site" in model.summary()


def test_wrong_columns_are_named_before_training(patients):
    def setup(**options):
        spec = mv.Survival(MONTHS, options.pop("event", "event"), **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mv.MVLatent.setup_mudata(patients, outcomes=[spec])

    with pytest.raises(KeyError, match=r"strata 'ward' is not in mdata\.obs"):
        setup(strata="ward")
    with pytest.raises(KeyError, match=r"'begin' is not in mdata\.obs"):
        setup(entry="begin")
    with pytest.raises(ValueError, match="one cause only"):
        setup(kind="competing")
    patients.obs["late"] = patients.obs[MONTHS] + 1
    with pytest.raises(ValueError, match="'late' is not before"):
        setup(entry="late")


def test_out_of_fold_risks_of_competing_causes(patients, roles):
    options = {"n_shared": 2, "n_private": 1, "max_epochs": 2, "head_blocks": ("shared",)}
    spec = mv.Survival(MONTHS, "cause", kind="competing")
    found = mv.study.out_of_fold(patients, folds=2, survival=spec, batch="site", **options)
    first = (patients.obs["cause"] == 1).astype(float).where(patients.obs["cause"].notna())
    np.testing.assert_array_equal(found.table["event"], first)
    assert 0 < found.concordance()[0] < 1
