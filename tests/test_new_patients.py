"""New patients come with fewer columns than the fitted ones, and are read without a word."""

import warnings

import numpy as np
import pytest

import mvlatent as mv


@pytest.fixture
def new(fitted_mdata):
    """Patients without any clinical or outcome column."""
    mdata = fitted_mdata.copy()
    mdata.obs = mdata.obs[["site"]].copy()
    return mdata


@pytest.fixture
def whole(new, fitted_mdata):
    """The same patients in the same order, with every column."""
    mdata = new.copy()
    mdata.obs = fitted_mdata.obs.loc[mdata.obs_names].copy()
    assert list(mdata.obs_names) == list(new.obs_names)
    return mdata


LATENT_READS = {
    "transform": lambda m, d: m.transform(d, block="all"),
    "posterior": lambda m, d: m.posterior(d).sd,
    "impute": lambda m, d: m.impute("rna", d),
    "band": lambda m, d: m.impute("img", d, interval=0.8).upper,
    "variance": lambda m, d: m.variance_explained(d),
}
HEAD_READS = {
    "risk": lambda m, d: m.predict_risk(d),
    "risk_shared": lambda m, d: m.predict_risk(d, blocks="shared"),
    "survival": lambda m, d: m.predict_survival([5.0], d),
    "median": lambda m, d: m.predict_median(d),
    "labels": lambda m, d: m.predict_labels(d),
    "value_of": lambda m, d: m.value_of("img", d, n_samples=5),
    "hazard_ratios": lambda m, d: m.hazard_ratios(mdata=d, by="block"),
    "ledger": lambda m, d: m.ledger(d, n_samples=20),
}


@pytest.mark.parametrize("read", LATENT_READS)
def test_latents_need_no_clinical_columns(fitted, whole, new, read):
    found = LATENT_READS[read](fitted, new)
    np.testing.assert_array_equal(found, LATENT_READS[read](fitted, whole))


@pytest.mark.parametrize("read", HEAD_READS)
def test_heads_name_the_clinical_columns_that_they_take(fitted, fitted_mdata, new, read):
    with pytest.raises(KeyError, match=r"'age', 'is_female'; give these columns of mdata\.obs"):
        HEAD_READS[read](fitted, new)
    new.obs["age"] = fitted_mdata.obs["age"]
    with pytest.raises(KeyError, match="takes: 'is_female'; give"):
        HEAD_READS[read](fitted, new)


def test_heads_that_take_none_predict(small_fit, fitted_mdata, whole, new):
    model = small_fit(fitted_mdata, head_blocks=("shared", "private"), max_epochs=2)
    for read in ("risk", "survival", "median", "labels", "value_of"):
        found = HEAD_READS[read](model, new)
        np.testing.assert_array_equal(found, HEAD_READS[read](model, whole))
    ratios = model.hazard_ratios(mdata=whole)
    np.testing.assert_array_equal(model.hazard_ratios(mdata=new), ratios)
    with pytest.raises(KeyError, match="'age'"):
        model.predict_risk(new, blocks="shared")


def test_an_empty_column_is_enough(fitted, fitted_mdata, new):
    new.obs["age"], new.obs["is_female"] = np.nan, np.nan
    assert np.isfinite(fitted.predict_risk(new)).all()


def test_a_time_of_zero_is_told_once_when_fitted(small_cohort, small_fit):
    mdata = small_cohort()
    patient = mdata.obs_names[mdata.obs["event"] == 1][0]
    mdata.obs.loc[patient, "survival_months"] = 0.0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = small_fit(mdata, max_epochs=2)
    (told,) = [str(w.message) for w in said if "time is 0" in str(w.message)]
    assert repr(str(patient)) in told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict_risk(mdata)
        model.transform(mdata)
    assert "survival: time is 0 for 1 patients, taken as" in model.summary()


def test_a_loaded_model_reads_them_as_well(fitted, new, tmp_path):
    fitted.save(tmp_path / "m")
    loaded = mv.MVLatent.load(tmp_path / "m")
    np.testing.assert_allclose(loaded.transform(new), fitted.transform(new), atol=1e-5)
