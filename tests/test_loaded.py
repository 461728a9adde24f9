"""A model that was saved and loaded with its data does all that the fitted one does."""

import inspect
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import pytest

import mvlatent as mv

TIMES = [6.0, 12.0, 24.0]
QUICK = {"n_samples": 10}

METHODS = {
    "transform": lambda m: m.transform(block="all"),
    "get_latent_representation": lambda m: m.get_latent_representation(),
    "posterior": lambda m: m.posterior(block="all", given=["rna", "mut"]).sd,
    "latents": lambda m: m.latents(given="img").z.mean.numpy(),
    "cohort": lambda m: m.cohort().views["rna"].x.numpy(),
    "tables": lambda m: m.tables().views["mut"].present,
    "annotate": lambda m: _annotated(m),
    "impute": lambda m: m.impute("rna", interval=0.9, **QUICK),
    "loadings": lambda m: m.loadings("img", interval=0.9),
    "top_features": lambda m: m.top_features("rna", 0),
    "active_factors": lambda m: m.active_factors(),
    "variance_explained": lambda m: m.variance_explained(by="factor"),
    "predict_risk": lambda m: m.predict_risk(),
    "predict_survival": lambda m: m.predict_survival(TIMES, interval=0.9, **QUICK),
    "predict_cumulative_incidence": lambda m: m.predict_cumulative_incidence(
        TIMES, outcome="cause", cause=2, **QUICK
    ),
    "predict_labels": lambda m: m.predict_labels(proba=True, **QUICK),
    "predict_target": lambda m: m.predict_target(interval=0.9, **QUICK),
    "predict_median": lambda m: m.predict_median(**QUICK),
    "predict_rmst": lambda m: m.predict_rmst(12.0, interval=0.9, **QUICK),
    "predict_risk_at": lambda m: m.predict_risk_at(12.0, **QUICK),
    "hazard_ratios": lambda m: m.hazard_ratios(n_samples=50),
    "ledger": lambda m: m.ledger(n_samples=50),
    "value_of": lambda m: m.value_of("img", n_samples=5),
    "summary": lambda m: m.summary().splitlines()[:6],
    "save": lambda m: inspect.signature(m.save).parameters.keys() - {"self"},
}
ELSEWHERE = {"fit", "train", "fit_transform", "refit_head"}  # they change the model: below
ELSEWHERE |= {"load", "setup_mudata", "setup_anndata"}  # no reading of a model
ELSEWHERE |= {"data_registry", "get_setup_arg", "get_state_registry", "get_var_names"}  # test_face

TOOLS = {
    "tl.conformalize": lambda m, d: mv.tl.conformalize(m, d, outcome="subtype", level=0.5),
    "tl.cross_view": lambda m, d: mv.tl.cross_view(m, d[:40].copy(), baselines=("mean",)),
    "tl.factor_covariates": lambda m, d: mv.tl.factor_covariates(m, block="all"),
    "tl.imputation_calibration": lambda m, d: mv.tl.imputation_calibration(m, "rna", **QUICK),
    "tl.latent_blocks": lambda m, d: mv.tl.latent_blocks(m),
    "tl.leakage_matrix": lambda m, d: mv.tl.leakage_matrix(m, _truth(m)),
    "tl.scaled_views": lambda m, d: mv.tl.scaled_views(m),
    "tl.variance_explained": lambda m, d: mv.tl.variance_explained(m, share="unique"),
    "tl.view_leakage": lambda m, d: mv.tl.view_leakage(m),
    "tl.view_retrieval": lambda m, d: mv.tl.view_retrieval(m),
    "pl.history": lambda m, d: [ax.get_title() for ax in np.ravel(mv.pl.history(m))],
    "pl.weights": lambda m, d: mv.pl.weights(m, "rna", 0).lines[0].get_xdata(),
    "pl.latent": lambda m, d: mv.pl.latent(_annotated(m)).collections[0].get_offsets().data,
}
OF_ARRAYS = {"tl.stability"}  # it takes the latents of models, not a model


def _annotated(model):
    """What `annotate` writes of z, by patient: a copy of a MuData may reorder its rows."""
    data = model.adata.copy()
    model.annotate(data)
    return pd.DataFrame(data.obsm["X_mvlatent"], data.obs_names).sort_index()


def _truth(model):
    z = model.transform()
    return {"shared": z[:, :2], "private:rna": model.transform(block="private:rna")}


@pytest.fixture(scope="module")
def loaded(example_model, example_mdata, tmp_path_factory):
    path = tmp_path_factory.mktemp("loaded") / "model"
    example_model.save(path)
    return mv.MVLatent.load(path, example_mdata)


def check_same(found, known):
    """Assert that two results hold the same, whatever they are made of."""
    assert type(found) is type(known)
    if is_dataclass(known):
        for field in fields(known):
            check_same(getattr(found, field.name), getattr(known, field.name))
    elif type(known).__module__.startswith("mvlatent"):
        check_same(vars(found), vars(known))
    elif isinstance(known, dict):
        assert list(found) == list(known)
        for key in known:
            check_same(found[key], known[key])
    elif isinstance(known, pd.DataFrame):
        pd.testing.assert_frame_equal(found, known, rtol=1e-5, atol=1e-5)
    elif isinstance(known, pd.Series):
        pd.testing.assert_series_equal(found, known, rtol=1e-5, atol=1e-5)
    elif isinstance(known, np.ndarray) and known.dtype.kind == "f":
        np.testing.assert_allclose(found, known, rtol=1e-5, atol=1e-5)
    elif isinstance(known, float):
        assert found == pytest.approx(known, rel=1e-5, abs=1e-6, nan_ok=True)
    else:
        assert np.all(found == known)


@pytest.mark.parametrize("name", METHODS)
def test_methods(example_model, loaded, name):
    check_same(METHODS[name](loaded), METHODS[name](example_model))


@pytest.mark.filterwarnings("ignore:80 of 80 calibration patients")
@pytest.mark.parametrize("name", TOOLS)
def test_tools(example_model, loaded, example_mdata, name):
    check_same(TOOLS[name](loaded, example_mdata), TOOLS[name](example_model, example_mdata))


def test_nothing_is_left_out():
    public = {n for n in dir(mv.MVLatent) if not n.startswith("_")}
    called = {n for n in public if callable(inspect.getattr_static(mv.MVLatent, n))}
    called -= {n for n in called if (getattr(mv.MVLatent, n).__doc__).startswith("Not for this")}
    assert called - METHODS.keys() - ELSEWHERE == set()
    taking = set()
    for space in (mv.tl, mv.pl):
        for name in space.__all__:
            tool = getattr(space, name)
            if inspect.isfunction(tool):
                by_name = "model" in inspect.signature(tool).parameters
                if by_name or "fitted model" in (tool.__doc__ or ""):
                    taking.add(f"{space.__name__.removeprefix('mvlatent.')}.{name}")
    assert taking - TOOLS.keys() - OF_ARRAYS == set()


@pytest.fixture(scope="module")
def pair(small_cohort, small_fit, tmp_path_factory):
    """A fitted model and itself loaded with its data, both to be changed."""
    mdata = small_cohort()
    model = small_fit(mdata, max_epochs=2)
    path = tmp_path_factory.mktemp("pair") / "model"
    model.save(path)
    return model, mv.MVLatent.load(path, mdata)


def test_heads_are_refitted(pair):
    for model in pair:
        model.refit_head()
    check_same(pair[1].predict_risk(), pair[0].predict_risk())


def test_it_is_fitted_again(pair):
    check_same(*(m.fit_transform(max_epochs=3, progress=False, seed=1) for m in reversed(pair)))
    check_same(pair[1].history, pair[0].history)
    assert pair[1].summary().splitlines()[:8] == pair[0].summary().splitlines()[:8]


def test_patients_without_outcomes_are_read_and_not_fitted_to(
    example_model, example_mdata, tmp_path
):
    example_model.save(tmp_path / "model")
    new = example_mdata[:20].copy()
    new.obs = new.obs[["site", "age", "is_female"]]
    loaded = mv.MVLatent.load(tmp_path / "model", new)
    check_same(loaded.predict_risk(), example_model.predict_risk(new))
    assert mv.tl.scaled_views(loaded)["rna"].shape[0] == 20
    with pytest.raises(KeyError, match="survival_months"):
        loaded.fit(progress=False)
    with pytest.raises(TypeError, match="MuData or an AnnData"):
        mv.MVLatent.load(tmp_path / "model", "cohort.h5mu")


def test_an_anndata_is_loaded_as_well(example_mdata, tmp_path):
    adata = example_mdata.mod["rna"].copy()
    model = mv.fit(adata, views={"rna": "normal"}, n_shared=2, max_epochs=2, progress=False)
    model.save(tmp_path / "model")
    loaded = mv.MVLatent.load(tmp_path / "model", adata)
    check_same(loaded.transform(), model.transform())
    check_same(mv.tl.scaled_views(loaded), mv.tl.scaled_views(model))
