"""The public face, end to end, on a small cohort with gaps of every kind."""

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
import torch

import mvlatent as mv
from mvlatent.fitting import train as trained_module

VIEWS = ["rna", "mut", "img"]
TIMES = [1.0, 10.0, 40.0]

READS = {
    "transform": lambda m, d, **k: m.transform(d, block="all", **k),
    "posterior": lambda m, d, **k: m.posterior(d, block="all", **k).sd,
    "impute_rna": lambda m, d, **k: m.impute("rna", d, **k),
    "impute_mut": lambda m, d, **k: m.impute("mut", d, **k),
    "impute_img": lambda m, d, **k: m.impute("img", d, interval=0.8, **k).lower,
    "risk": lambda m, d, **k: m.predict_risk(d, **k),
    "risk_shared": lambda m, d, **k: m.predict_risk(d, blocks="shared", **k),
    "survival": lambda m, d, **k: m.predict_survival(TIMES, d, **k),
    "survival_band": lambda m, d, **k: m.predict_survival(TIMES, d, interval=0.9, **k).upper,
    "labels": lambda m, d, **k: m.predict_labels(d, **k),
    "probabilities": lambda m, d, **k: m.predict_labels(d, proba=True, **k),
}


def values(found):
    return found if isinstance(found, np.ndarray) else found.to_numpy()


def snapshot(mdata):
    """Everything a MuData holds, as something that can be compared."""
    out = {"obs": mdata.obs.copy(), "uns": dict(mdata.uns), "obsm": sorted(mdata.obsm)}
    out["columns"], out["order"] = list(mdata.obs), list(mdata.obs_names)
    for name, mod in mdata.mod.items():
        out[name] = (np.array(mod.X), list(mod.obs_names), list(mod.var_names), dict(mod.uns))
        out[f"{name}/obs"], out[f"{name}/keys"] = mod.obs.copy(), sorted([*mod.obsm, *mod.layers])
    return out


def same(one, other) -> bool:
    if one.keys() != other.keys():
        return False
    for key, value in one.items():
        if isinstance(value, pd.DataFrame):
            if not value.equals(other[key]):
                return False
        elif isinstance(value, tuple):
            if not np.array_equal(value[0], other[key][0], equal_nan=True):
                return False
            if value[1:] != other[key][1:]:
                return False
        elif value != other[key]:
            return False
    return True


# --- every method ---------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, ["rna"], ["mut", "img"], []], ids=str)
@pytest.mark.parametrize("read", READS)
def test_rows_are_the_patients_in_their_order(fitted, fitted_mdata, read, given):
    options = {} if given is None else {"given": given}
    found = READS[read](fitted, None, **options)
    again = READS[read](fitted, fitted_mdata, **options)
    n = fitted_mdata.n_obs
    if isinstance(found, (pd.DataFrame, pd.Series)):
        axis = found.columns if read.startswith("survival") else found.index
        assert list(axis) == list(fitted_mdata.obs_names)
    else:
        assert len(found) == n
    if found.dtype != object if hasattr(found, "dtype") else True:
        assert not pd.isna(values(found)).any()
        if values(found).dtype.kind == "f":
            np.testing.assert_allclose(values(found), values(again), rtol=1e-4, atol=1e-5)
    else:
        assert (values(found) == values(again)).all()


def test_shapes_of_blocks(fitted, fitted_mdata):
    n = fitted_mdata.n_obs
    assert fitted.transform().shape == (n, 3)
    assert fitted.transform(block="private:rna").shape == (n, 2)
    everything = fitted.transform(block="all")
    parts = [fitted.transform(block=b) for b in ("shared", *(f"private:{v}" for v in VIEWS))]
    np.testing.assert_array_equal(everything, np.concatenate(parts, axis=1))
    with pytest.raises(KeyError, match=r"private:rna"):
        fitted.transform(block="private:dna")
    with pytest.raises(KeyError, match="no view 'dna'"):
        fitted.transform(given=["dna"])


def test_given_none_is_the_prior(fitted):
    posterior = fitted.posterior(given=[], block="all")
    np.testing.assert_allclose(posterior.mean, 0.0, atol=1e-6)
    np.testing.assert_allclose(posterior.sd, 1.0, rtol=1e-5)


def test_less_to_look_at_is_less_certain(fitted):
    full, some = fitted.posterior(), fitted.posterior(given=["rna"])
    assert (some.sd >= full.sd - 1e-6).all() and (some.sd > full.sd + 1e-3).any()


def test_survival_curves(fitted):
    curves = fitted.predict_survival(interval=0.9)
    assert isinstance(curves, mv.SurvivalCurves)
    mean = curves.mean.to_numpy()
    assert mean.shape[0] == 100 and (np.diff(mean, axis=0) <= 1e-9).all()
    np.testing.assert_allclose(mean[0], 1.0)
    assert (curves.lower.to_numpy() <= mean + 1e-9).all()
    assert (curves.upper.to_numpy() >= mean - 1e-9).all()
    assert curves.mean.index.name == "time"
    # who has the higher risk dies sooner
    risk, late = fitted.predict_risk(), curves.mean.iloc[50]
    assert risk.corr(late, method="spearman") < -0.95


def test_labels(fitted, fitted_mdata):
    proba = fitted.predict_labels(proba=True)
    assert list(proba.columns) == sorted(fitted_mdata.obs["subtype"].cat.categories)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)
    assert (fitted.predict_labels() == proba.idxmax(axis=1)).all()
    known = fitted_mdata.obs["subtype"].notna()
    hits = fitted.predict_labels()[known] == fitted_mdata.obs["subtype"][known].astype(str)
    assert hits.mean() > 0.5  # four classes


def test_imputation_is_in_the_users_units(fitted, fitted_mdata):
    found = fitted.impute("rna", interval=0.9)
    assert isinstance(found, mv.Imputation)
    mod = fitted_mdata.mod["rna"]
    assert list(found.mean.columns) == list(mod.var_names)
    truth = pd.DataFrame(mod.X, mod.obs_names, mod.var_names)
    low, high = truth.min(), truth.max()
    low, high = low - 1e-3 * low.abs(), high + 1e-3 * high.abs()
    for frame in (found.mean, found.lower, found.upper):
        assert (frame.ge(low) & frame.le(high)).all(axis=None)
    assert (found.lower <= found.upper).all(axis=None) and (found.sd > 0).all(axis=None)
    inside = (truth >= found.lower.loc[truth.index]) & (truth <= found.upper.loc[truth.index])
    assert 0.75 < inside.to_numpy().mean() < 0.99
    scaled = fitted.impute("rna", units="scaled")
    assert abs(scaled.to_numpy().mean()) < 0.5
    mutations = fitted.impute("mut").to_numpy()
    assert mutations.min() >= 0 and mutations.max() <= 1
    for bad in ({"units": "raw"}, {"interval": 90}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            fitted.impute("rna", **bad)
    with pytest.raises(KeyError, match="no view 'dna'"):
        fitted.impute("dna")


def test_a_view_is_imputed_from_the_others(fitted, fitted_mdata, small_cohort):
    """Values of the view itself are not looked at unless they are given."""
    changed = small_cohort()
    changed.mod["rna"].X = changed.mod["rna"].X[:, ::-1].copy()
    blind, also_blind = fitted.impute("rna"), fitted.impute("rna", changed)
    np.testing.assert_allclose(blind, also_blind, rtol=1e-5)
    seeing = fitted.impute("rna", given=VIEWS)
    truth = pd.DataFrame(
        fitted_mdata.mod["rna"].X, fitted_mdata.mod["rna"].obs_names, blind.columns
    )
    errors = [(f.loc[truth.index] - truth) / truth.std() for f in (seeing, blind)]
    assert (errors[0] ** 2).to_numpy().mean() < (errors[1] ** 2).to_numpy().mean()


def test_loadings_and_variance(fitted, fitted_mdata):
    shared = fitted.loadings("rna")
    assert shared.shape == (24, 3) and list(shared.index) == list(fitted_mdata.mod["rna"].var_names)
    assert fitted.loadings("img", block="private:img").shape == (10, 2)
    blocks = fitted.variance_explained()
    assert list(blocks.index) == ["shared", "private", "technical", "all"]
    assert list(blocks.columns) == VIEWS
    assert (blocks.loc["all"] > 0.05).all() and (blocks <= 1).all(axis=None)
    factors = fitted.variance_explained(by="factor")
    assert factors.loc["private:rna_0"].notna().tolist() == [True, False, False]
    for call in (
        lambda: fitted.variance_explained(by="gene"),
        lambda: fitted.loadings("rna", block="clinical"),
        lambda: fitted.loadings("dna"),
    ):
        with pytest.raises((KeyError, ValueError), match=r"gene|clinical|dna"):
            call()


def test_history_and_summary(fitted):
    columns = ["elbo", *(f"x:{view}" for view in sorted(VIEWS)), "kl:z"]
    columns += ["prior:loadings", "prior:private", "prior:means"]
    history, sweeps = fitted.history, fitted.trained.fitted.sweeps
    assert list(history) == columns and history.index.tolist() == list(range(sweeps + 1))
    assert 1 <= sweeps <= 12 and (history["elbo"].diff().iloc[1:] >= -1e-6).all()
    np.testing.assert_allclose(history.drop(columns="elbo").sum(axis=1), history["elbo"])
    text = repr(fitted)
    assert text == fitted.summary()
    for said in ("rna: normal", "mut: bernoulli", "guessed", "site", "survival head"):
        assert said in text
    assert f"{sweeps} sweeps" in text and "held-out patients: views predicted" in text
    kept = int(fitted.trained.vae.active.sum())
    private = int(fitted.trained.vae.part("mut").active.sum())
    assert "started from gcca;" in text
    assert f"factors kept: {kept} of 3 shared" in text and f"mut {private}" in text


def test_annotate_writes_the_slots_and_nothing_else(fitted, small_cohort):
    mdata = small_cohort()
    before = snapshot(mdata)
    fitted.annotate(mdata)
    np.testing.assert_allclose(mdata.obsm["X_mvlatent"], fitted.transform(), atol=1e-5)
    np.testing.assert_allclose(mdata.obsm["X_mvlatent_sd"], fitted.posterior().sd, atol=1e-5)
    for view in VIEWS:
        found = mdata.obsm[f"X_mvlatent_private_{view}"]
        np.testing.assert_allclose(found, fitted.transform(block=f"private:{view}"), atol=1e-5)
    assert mdata.uns["mvlatent"]["n_shared"] == 3
    for key in [k for k in mdata.obsm if k.startswith("X_mvlatent")]:
        del mdata.obsm[key]
    del mdata.uns["mvlatent"]
    written = [c for c in mdata.obs if c.startswith("mvlatent_")]
    assert written and all(c.endswith("_fitted") for c in written)
    mdata.obs = mdata.obs.drop(columns=written)
    assert same(before, snapshot(mdata))


def test_nothing_else_changes_the_users_object(small_cohort, small_fit):
    mdata = small_cohort()
    before = snapshot(mdata)
    model = small_fit(mdata, max_epochs=2)
    for read in READS.values():
        read(model, mdata)
    model.variance_explained(mdata), model.loadings("rna"), model.summary()
    assert same(before, snapshot(mdata))


# --- new patients ---------------------------------------------------------------------------------


def test_order_of_features_and_patients_does_not_matter(fitted, fitted_mdata):
    rng = np.random.default_rng(0)
    names = fitted_mdata.obs_names[rng.permutation(fitted_mdata.n_obs)]
    mods = {}
    for view in reversed(VIEWS):
        mod = fitted_mdata.mod[view]
        mod = mod[rng.permutation(mod.n_obs)][:, rng.permutation(mod.n_vars)].copy()
        mods[view] = mod
    import mudata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shuffled = mudata.MuData(mods)[names].copy()
    for column in fitted_mdata.obs:
        shuffled.obs[column] = fitted_mdata.obs[column].reindex(shuffled.obs_names)
    rows = fitted_mdata.obs_names.get_indexer(shuffled.obs_names)
    assert (rows != np.arange(len(rows))).any()
    for read in ("transform", "posterior", "impute_rna", "impute_img", "risk", "risk_shared"):
        found, known = READS[read](fitted, shuffled), READS[read](fitted, fitted_mdata)
        np.testing.assert_allclose(values(found), values(known)[rows], rtol=1e-3, atol=1e-4)
    # by draws: equal up to their noise
    found = fitted.predict_labels(shuffled, proba=True, n_samples=400)
    known = fitted.predict_labels(fitted_mdata, proba=True, n_samples=400)
    np.testing.assert_allclose(found, known.iloc[rows], atol=0.12)


def test_a_patient_is_read_alike_alone_and_in_company(fitted, fitted_mdata):
    some = fitted_mdata.obs_names[[3, 11, 40]]
    few = fitted_mdata[some].copy()
    rows = fitted_mdata.obs_names.get_indexer(some)
    np.testing.assert_allclose(
        fitted.transform(few, block="all"), fitted.transform(block="all")[rows], atol=1e-4
    )
    np.testing.assert_allclose(fitted.predict_risk(few), fitted.predict_risk()[some], atol=1e-4)


def test_a_view_may_be_missing_altogether(fitted, fitted_mdata):
    import mudata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part = mudata.MuData({v: fitted_mdata.mod[v].copy() for v in ("rna", "img")})
    for column in ("site", "age", "is_female"):  # neither outcome nor label is needed
        part.obs[column] = fitted_mdata.obs[column].reindex(part.obs_names)
    rows = fitted_mdata.obs_names.get_indexer(part.obs_names)
    found = fitted.transform(part)
    np.testing.assert_allclose(found, fitted.transform(given=["rna", "img"])[rows], atol=1e-4)
    for read in READS.values():
        assert not pd.isna(values(read(fitted, part))).any()


def test_a_missing_feature_is_named(fitted, small_cohort):
    mdata = small_cohort()
    mdata.mod["rna"] = mdata.mod["rna"][:, 1:].copy()
    with pytest.raises(KeyError, match="rna_001"):
        fitted.transform(mdata)


def test_an_unseen_site_is_allowed_and_named(fitted, small_cohort):
    mdata = small_cohort()
    mdata.obs["site"] = mdata.obs["site"].astype(str)
    mdata.obs.loc[mdata.obs_names[0], "site"] = "Atlantis"
    with pytest.warns(UserWarning, match="Atlantis"):
        found = fitted.impute("rna", mdata, interval=0.9)
    known = fitted.impute("rna", interval=0.9)
    first, others = mdata.obs_names[0], mdata.obs_names[1:]
    np.testing.assert_allclose(found.mean.loc[others], known.mean.loc[others], rtol=1e-3, atol=1e-3)
    # who comes from nowhere is less certain
    width = [(f.upper - f.lower).loc[first].mean() for f in (found, known)]
    assert width[0] > width[1]


def test_without_outcomes(small_cohort, small_fit):
    model = small_fit(small_cohort(), survival=None, labels=None, clinical=(), max_epochs=2)
    for method in (model.predict_risk, model.predict_survival):
        with pytest.raises(ValueError, match="survival"):
            method()
    with pytest.raises(ValueError, match="labels"):
        model.predict_labels()


def test_not_fitted_yet(small_cohort, roles):
    mdata = small_cohort()
    with pytest.raises(ValueError, match="set up"):
        mv.MVLatent(mdata)
    mv.MVLatent.setup_mudata(mdata, batch_key="site")
    model = mv.MVLatent(mdata, n_shared=2)
    assert "not fitted" in model.summary()
    with pytest.raises(ValueError, match="call fit"):
        model.transform()


@pytest.mark.parametrize("cohort", ["cohort.h5mu", pd.DataFrame({"a": [1.0]})])
def test_what_is_no_cohort(cohort):
    with pytest.raises(TypeError, match="a cohort is a MuData or an AnnData, not a"):
        mv.fit(cohort)


# --- fitting --------------------------------------------------------------------------------------


def test_one_call_is_setup_constructor_and_fit(fitted, small_cohort):
    mdata = small_cohort()
    mv.MVLatent.setup_mudata(
        mdata,
        batch_key="site",
        clinical_keys=["age", "is_female"],
        outcomes=[mv.Survival("survival_months", "event"), mv.Labels("subtype")],
    )
    model = mv.MVLatent(
        mdata, n_shared=3, n_private=2, head_blocks=("shared", "scores", "clinical")
    )
    assert model.fit(max_epochs=12, accelerator="cpu", progress=False) is model
    np.testing.assert_allclose(model.transform(), fitted.transform(), atol=1e-3)
    np.testing.assert_allclose(model.predict_risk(), fitted.predict_risk(), atol=1e-2)


def test_a_seed_is_a_result(fitted, small_cohort, small_fit):
    again, other = small_fit(small_cohort()), small_fit(small_cohort(), seed=1)
    np.testing.assert_allclose(again.transform(), fitted.transform(), atol=1e-3)
    assert np.abs(other.transform() - fitted.transform()).max() > 0.01


def test_scvi_names(fitted, small_cohort):
    assert mv.MVLatent.train is mv.MVLatent.fit
    np.testing.assert_array_equal(fitted.get_latent_representation(), fitted.transform())


def test_fit_transform(small_cohort):
    mdata = small_cohort()
    mv.MVLatent.setup_mudata(mdata, batch_key="site")
    model = mv.MVLatent(mdata, n_shared=2, n_private=1)
    z = model.fit_transform(max_epochs=2, accelerator="cpu", progress=False)
    np.testing.assert_array_equal(z, model.transform())


OPTIONS = [
    {"decoder": "additive"},
    {"decoder": "mlp", "encoder": "linear"},
    {"views": {"rna": "studentt", "img": "normal"}, "effects": "free"},
    {"effects": "none", "rho": 0.3},
    {"views": {"rna": mv.View("normal", scaling="zscore", noise="view")}, "start": "random"},
    {"survival": mv.Survival("survival_months", "event", kind="cox"), "rho": 0.3},
    {"likelihood_power": {"rna": 0.2}, "head_blocks": ("shared", "clinical"), "batch_size": 20},
    {"head_blocks": ("auto",)},
    {"refit_epochs": 2, "view_dropout": 0.2, "start": "gcca"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o))
def test_every_option_gives_a_model_that_can_be_read(small_cohort, small_fit, options, tmp_path):
    mdata = small_cohort(n=60)
    model = small_fit(mdata, **{"max_epochs": 3, **options})
    model.save(tmp_path / "m")
    loaded = mv.MVLatent.load(tmp_path / "m", mdata)
    for name, read in READS.items():
        view = name.partition("impute_")[2]
        if view and view not in model.roles.views:
            continue
        found, again = values(read(model, None)), values(read(loaded, None))
        assert not pd.isna(found).any(), name
        if found.dtype.kind == "f":
            np.testing.assert_allclose(found, again, atol=1e-5, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(model.loadings("rna"), loaded.loadings("rna"), atol=1e-5)


def test_a_single_column_may_be_named_by_a_string(small_cohort, small_fit):
    model = small_fit(small_cohort(), clinical="age", max_epochs=1)
    assert model.roles.clinical == ("age",)


def test_an_anndata_with_its_views_named(small_cohort):
    mdata = small_cohort()
    rna = mdata.mod["rna"]
    adata = anndata.AnnData(rna.X.copy(), obs=mdata.obs.loc[rna.obs_names].copy(), var=rna.var)
    img = pd.DataFrame(mdata.mod["img"].X, mdata.mod["img"].obs_names).reindex(rna.obs_names)
    adata.obsm["img"] = img.to_numpy()
    model = mv.fit(
        adata, views={"rna": "normal", "img": "normal"}, batch="site", n_shared=2, n_private=1,
        max_epochs=2, accelerator="cpu", progress=False,
    )  # fmt: skip
    np.testing.assert_allclose(model.transform(adata), model.transform(), atol=1e-5)
    assert adata.obsm.keys() == {"img"}


# --- mistakes, before any training ----------------------------------------------------------------


def set_obs(**columns):
    def change(mdata):
        for name, value in columns.items():
            mdata.obs[name] = value(mdata.obs) if callable(value) else value

    return change


def first(column, value):
    def change(mdata):
        kept = mdata.obs[column].copy()
        kept.iloc[1] = value
        mdata.obs[column] = kept

    return change


def constant_view(mdata):
    mdata.mod["img"].X[:] = 1.0


def wide(mdata):
    rna = mdata.mod["rna"]
    x = np.random.default_rng(0).normal(size=(rna.n_obs, 1000)).astype("float32")
    mdata.mod["rna"] = anndata.AnnData(x, obs=rna.obs[[]].copy())


def half_counts(mdata):
    mdata.mod["mut"].X[0, 0] = 0.5


def infinite(mdata):
    mdata.mod["rna"].X[0, 0] = np.inf


def same_features(mdata):
    mdata.mod["rna"].var_names = ["g"] * mdata.mod["rna"].n_vars


nothing = lambda mdata: None  # noqa: E731

MISTAKES = {
    "no such batch": (nothing, {"batch": "hospital"}, "hospital"),
    "no such clinical": (nothing, {"clinical": ["stage"]}, "stage"),
    "no such technical": (nothing, {"technical": ["purity"]}, "purity"),
    "no such time": (nothing, {"survival": ("days", "event")}, "days"),
    "no such label": (nothing, {"labels": "grade"}, "grade"),
    "no such view": (nothing, {"views": {"dna": "normal"}}, "dna.*rna"),
    "no such likelihood": (nothing, {"views": {"rna": "gauss"}}, "gauss.*normal"),
    "no such decoder": (nothing, {"decoder": "deep"}, "deep.*linear"),
    "no such option": (nothing, {"learning_rate": 1.0}, "learning_rate"),
    "an option misspelt": (nothing, {"n_sharde": 3}, "n_sharde.*did you mean 'n_shared'"),
    "an option of the loop misspelt": (nothing, {"max_epoch": 3}, "did you mean 'max_epochs'"),
    "a seed of letters": (nothing, {"seed": "a"}, "seed must be an integer"),
    "half a sweep": (nothing, {"sweeps": 1.5}, "sweeps must be an integer"),
    "no power": (nothing, {"likelihood_power": {"rna": 0.0}}, "'rna' must be positive"),
    "two roles": (nothing, {"clinical": ["site"]}, "site.*two roles"),
    "event of three kinds": (first("event", 2.0), {}, "event"),
    "negative time": (first("survival_months", -1.0), {}, "survival_months|negative"),
    "half an outcome": (first("event", np.nan), {}, "event|survival_months"),
    "no events": (set_obs(event=lambda o: o["event"] * 0), {}, "no events"),
    "empty label": (set_obs(subtype=lambda o: [None] * len(o)), {}, "subtype"),
    "two time columns": (nothing, {"survival": (["a", "b"], "event")}, "one column"),
    "constant view": (constant_view, {}, "img.*no usable"),
    "no zeros and ones": (half_counts, {"views": {"mut": "bernoulli", "rna": "normal"}}, "mut"),
    "infinite": (infinite, {}, "rna.*infinite"),
    "features twice": (same_features, {}, "rna.*more than once"),
    "bad epochs": (nothing, {"max_epochs": -1}, "max_epochs"),
    "bad validation": (nothing, {"validation_size": 2.0}, "validation_size"),
    "tiny validation": (nothing, {"validation_size": 0.02}, "validation_size"),
    "power of no view": (nothing, {"likelihood_power": {"dna": 0.5}}, "dna"),
    "exact nonlinear": (nothing, {"decoder": "mlp", "encoder": "exact"}, "exact"),
    "bad size": (nothing, {"n_shared": 0}, "n_shared"),
    "more factors than patients": (
        wide,
        {"n_shared": 500},
        "n_shared=500.*80 patients and 1022 columns; take n_shared=79 or fewer",
    ),
    "more factors than columns": (
        nothing,
        {"n_shared": 47},
        "n_shared=47.*80 patients and 46 columns; take n_shared=46",
    ),
    "more private factors than columns": (
        nothing,
        {"n_private": 25},
        "n_private=25.*view 'rna'.* 24 columns; take n_private=24",
    ),
    "private factors by view": (nothing, {"n_private": {"rna": 3}}, "n_private must be a positive"),
    "head of no block": (nothing, {"head_blocks": ("shared", "genes")}, "genes"),
    "head of blocks without columns": (
        nothing,
        {"head_blocks": ("clinical",), "clinical": []},
        "head_blocks.*'clinical' has no column",
    ),
    "head of nothing": (nothing, {"head_blocks": ()}, "head_blocks.*nothing has no column"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.filterwarnings("ignore")
def test_mistakes_are_named_before_training(small_cohort, small_fit, monkeypatch, mistake):
    change, options, said = MISTAKES[mistake]
    mdata = small_cohort()
    change(mdata)

    def reached(*args, **kwargs):
        pytest.fail("training began")

    monkeypatch.setattr(trained_module, "fit_closed", reached)
    with pytest.raises((ValueError, KeyError, TypeError), match=said):
        small_fit(mdata, **options)


def test_patients_twice(small_cohort, small_fit):
    mdata = small_cohort()
    names = list(mdata.mod["rna"].obs_names)
    names[1] = names[0]
    mdata.mod["rna"].obs_names = names
    with pytest.raises(ValueError, match=names[0]):
        small_fit(mdata)


def test_the_global_generator_is_left_alone(fitted, fitted_mdata):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for read in READS.values():
        read(fitted, fitted_mdata)
    assert torch.equal(torch.get_rng_state(), before)
