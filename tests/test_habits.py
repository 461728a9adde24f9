"""What people are used to: top features, factors against columns, a colour by name, scvi-tools."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mudata import MuData
from scipy import sparse, stats

import mvlatent as mv

DRIVERS = {"g03": 2.0, "g11": -0.9, "g07": 0.6, "g20": -0.4}  # beside a noise of 0.5
N = 120


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def planted():
    """One factor of known drivers in two views, which is the age; units of very unlike size."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal(N)
    names = [f"g{j:02d}" for j in range(24)]
    loadings = np.array([DRIVERS.get(name, 0.0) for name in names])
    units = 10.0 ** rng.integers(-2, 3, 24)
    rna = (np.outer(z, loadings) + 0.5 * rng.standard_normal((N, 24))) * units + 5
    img = np.outer(z, rng.choice([-1, 1], 10)) + rng.standard_normal((N, 10))
    patients = [f"P{i:03d}" for i in range(N)]
    mods = {
        name: AnnData(pd.DataFrame(x, patients, columns))
        for name, x, columns in (("rna", rna, names), ("img", img, None))
    }
    mods["img"] = mods["img"][20:].copy()  # twenty patients lack it
    mdata = MuData(mods)
    obs = pd.DataFrame({"age": 60 + 8 * z + 4 * rng.standard_normal(N)}, patients)
    obs["noise"] = rng.standard_normal(N)
    obs["sex"] = rng.choice(["f", "m"], N)
    obs["stage"] = pd.cut(z + 0.5 * rng.standard_normal(N), 3, labels=["I", "II", "III"])
    obs["words"] = [f"{v:.2f}" if i else "NA" for i, v in enumerate(obs["age"])]
    obs["id"] = patients
    obs["one"] = 1
    mdata.obs[obs.columns] = obs.loc[mdata.obs_names]
    return mdata, z, pd.Series(loadings, names)


def fitted(mdata, **options):
    quick = {"n_shared": 1, "n_private": 1, "max_epochs": 5, "progress": False}
    views = {"rna": mv.View("normal", scaling="zscore"), "img": "normal"}
    return mv.fit(mdata, **{"views": views, **quick, **options})


@pytest.fixture(scope="module", params=["point", "ard"])
def model(planted, request):
    return fitted(planted[0], loadings=request.param)


# --- top features ---------------------------------------------------------------------------------


def test_top_features_are_the_true_drivers_with_their_signs(model, planted):
    mdata, z, loadings = planted
    top = model.top_features("rna", "shared_0", n=4)
    sign = np.sign(
        np.corrcoef(model.transform()[:, 0], z[mdata.obs_names.str[1:].astype(int)])[0, 1]
    )
    assert list(top.index) == list(DRIVERS)
    true = loadings[top.index] / np.sqrt(loadings[top.index] ** 2 + 0.25)  # of features of sd 1
    np.testing.assert_allclose(top["loading"], sign * true, atol=0.15)
    assert (model.top_features("rna", 0, n=500).shape[0]) == 24
    assert top.attrs == {"view": "rna", "factor": "shared_0"}


def test_the_effect_of_a_z_scored_feature_is_its_loading_times_its_sd(model, planted):
    top = model.top_features("rna", 0, n=24)
    sd = planted[0].mod["rna"].to_df().std(ddof=0)
    # in float32 around a mean of 5, as the values themselves are
    np.testing.assert_allclose(top["effect"], top["loading"] * sd[top.index], rtol=1e-3, atol=2e-6)


def test_intervals_are_those_of_the_posterior_where_there_is_one(model, planted):
    top = model.top_features("rna", 0, n=24, interval=0.8)
    if model.options.loadings == "point":
        assert list(top) == ["effect", "loading"]
        return
    known = model.loadings("rna", interval=0.8)
    for end in ("lower", "upper"):
        known_end = getattr(known, end)["shared_0"][top.index]
        np.testing.assert_allclose(top[f"loading_{end}"], known_end, rtol=1e-6)
    assert (top["lower"] <= top["effect"]).all() and (top["effect"] <= top["upper"]).all()
    sure = (top["loading_lower"] > 0) | (top["loading_upper"] < 0)
    assert set(DRIVERS) <= {*top.index[sure]}


def test_effects_of_zeros_and_ones_are_probabilities_and_of_levels_too(example_model):
    top = example_model.top_features("mut", 0)
    assert (top["effect"].abs() < 1).all() and (top["lower"] <= top["upper"]).all()
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (60, 6)).astype(float)
    kinds = MuData({"kind": AnnData(x), "count": AnnData(rng.poisson(4, (60, 8)).astype(float))})
    views = {"kind": "categorical", "count": "nb"}
    found = mv.fit(kinds, views=views, n_shared=1, n_private=1, max_epochs=2, progress=False)
    levels = found.top_features("kind", 0, n=18)
    sums = levels["effect"].groupby(levels.index.str.partition("=").get_level_values(0)).sum()
    np.testing.assert_allclose(sums, 0, atol=1e-5)  # what one level gains the others lose
    assert np.isfinite(found.top_features("count", 0)["effect"]).all()


def test_what_is_no_factor_is_named(example_model):
    message = r"no factor .* of view 'rna'; the factors are shared_0"
    for wrong in (3, -1, "shared_9", "z1", True, None, "private:img_0"):
        with pytest.raises(KeyError, match=message):
            example_model.top_features("rna", wrong)
    known = example_model.top_features("rna", "private_1")
    pd.testing.assert_frame_equal(example_model.top_features("rna", "private:rna_1"), known)
    with pytest.raises(KeyError, match="no view 'dna'"):
        example_model.top_features("dna", 0)
    with pytest.raises(ValueError, match="n must be 1 or more"):
        example_model.top_features("rna", 0, n=0)


def test_a_factor_that_is_off_has_no_drivers(planted):
    wide = fitted(planted[0], n_shared=6)
    off = np.flatnonzero(~wide.trained.vae.active.numpy())
    assert len(off)
    with pytest.raises(ValueError, match="is switched off, so no feature drives it"):
        wide.top_features("rna", int(off[0]))


def test_weights_are_the_table_drawn(model):
    top = model.top_features("rna", 0, n=6)
    for ax in (mv.pl.weights(model, "rna", 0, n=6), mv.pl.weights(top)):
        points = [line for line in ax.lines if line.get_marker() == "o"]
        np.testing.assert_allclose([p.get_xdata()[0] for p in points], top["loading"])
        assert [t.get_text() for t in ax.get_yticklabels()] == list(top.index)
        assert ax.get_title(loc="left") == "rna shared_0"
    effect = mv.pl.weights(top, show="effect", ax=plt.subplots()[1])
    assert effect.get_xlabel() == "change a step along the factor"
    with pytest.raises(TypeError, match="name both"):
        mv.pl.weights(model)
    with pytest.raises(ValueError, match="'loading' or 'effect'"):
        mv.pl.weights(top, show="weight")
    with pytest.raises(KeyError, match="lacks column 'loading'"):
        mv.pl.weights(top.drop(columns="loading"))


# --- factors against columns ----------------------------------------------------------------------


def test_the_planted_age_is_found_and_noise_is_not(model, planted):
    mdata = planted[0]
    found = mv.tl.factor_covariates(model, mdata.obs).set_index("column")
    assert {"age", "stage", "words"} <= {*found.index[found["q"] < 0.05]}
    assert not {"noise", "sex"} & {*found.index[found["q"] < 0.05]}
    assert abs(found.loc["age", "value"]) > 0.7 and found.loc["words", "n"] == N - 1
    assert found.loc["words", "value"] == pytest.approx(found.loc["age", "value"], abs=0.02)
    left_out = mv.tl.factor_covariates(model, mdata).attrs["left_out"]
    assert left_out.keys() == {"id", "one"}
    with pytest.raises(ValueError, match="give obs=, the columns to take"):
        mv.tl.factor_covariates(model)


def test_a_private_factor_is_that_of_the_patients_who_have_the_view(model, planted):
    mdata = planted[0]
    found = mv.tl.factor_covariates(model, mdata, columns="age", block="all").set_index("factor")
    assert found.loc["shared_0", "n"] == N
    assert (found.filter(like="private:img", axis=0)["n"] == N - 20).all()


def test_rates_and_statistics_are_those_of_other_libraries():
    from statsmodels.formula.api import ols
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(1)
    z = pd.DataFrame(rng.standard_normal((50, 3)), columns=["a", "b", "c"])
    obs = pd.DataFrame({"x": z["a"] + rng.standard_normal(50), "y": rng.standard_normal(50)})
    obs["group"] = rng.choice(["u", "v", "w"], 50)
    obs["flag"] = rng.random(50) > 0.5
    obs.loc[:4, "x"] = np.nan
    found = mv.tl.factor_covariates(z, obs)
    assert len(found) == 12 and found["p"].notna().all()
    rates = multipletests(found["p"], method="fdr_bh")[1]
    np.testing.assert_allclose(found["q"], rates, rtol=1e-10)
    rows = found.set_index(["factor", "column"])
    r, p = stats.pearsonr(z["a"][5:], obs["x"][5:])
    assert tuple(rows.loc[("a", "x"), ["value", "n", "p"]]) == pytest.approx((r, 45, p))
    fit = ols("b ~ C(group)", data=z.join(obs["group"])).fit()
    known = (np.sqrt(fit.rsquared), 50, fit.f_pvalue)
    assert tuple(rows.loc[("b", "group"), ["value", "n", "p"]]) == pytest.approx(known)
    ranks = mv.tl.factor_covariates(z, obs, method="spearman").set_index(["factor", "column"])
    r, p = stats.spearmanr(z["c"], obs["y"])
    assert tuple(ranks.loc[("c", "y"), ["value", "p"]]) == pytest.approx((r, p))


def test_rows_are_matched_by_name_or_refused(planted):
    mdata, *_ = planted
    z = pd.DataFrame({"z": mdata.obs["age"]})
    shuffled = mdata.obs.sample(frac=1, random_state=0)
    known = mv.tl.factor_covariates(z, mdata.obs, ["age", "sex"])
    found = mv.tl.factor_covariates(z, shuffled, ["age", "sex"])
    pd.testing.assert_frame_equal(found, known)
    assert found["value"][0] == pytest.approx(1)
    with pytest.raises(KeyError, match=r"obs lacks 1 of 120 patients of latent, the first is 'P"):
        mv.tl.factor_covariates(z, shuffled.iloc[1:])
    with pytest.raises(ValueError, match="twice"):
        mv.tl.factor_covariates(z, pd.concat([shuffled, shuffled[:1]]))
    with pytest.raises(ValueError, match="latent has 120 rows but obs 119"):
        mv.tl.factor_covariates(z.to_numpy(), shuffled.iloc[1:])
    with pytest.raises(KeyError, match="obs has no column 'grade'; it has age"):
        mv.tl.factor_covariates(z, shuffled, "grade")
    with pytest.raises(ValueError, match="column 'one' says nothing of factors: it does not vary"):
        mv.tl.factor_covariates(z, shuffled, ["one"])
    with pytest.raises(ValueError, match="method must be"):
        mv.tl.factor_covariates(z, shuffled, method="kendall")


def test_times_and_events_are_left_to_the_hazard(example_model):
    found = mv.tl.factor_covariates(example_model)
    assert {"survival_months", "event", "cause"} <= found.attrs["left_out"].keys()
    asked = mv.tl.factor_covariates(example_model, columns=["survival_months"])
    assert len(asked) == len(found["factor"].unique())


TRIED = set()
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(-1e6, 1e6),
    st.sampled_from(["a", "b", "NA", "3", "x y", ""]),
)
SINGLE = st.one_of(
    st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=12, max_size=12),
    st.lists(st.booleans(), min_size=12, max_size=12),
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=12, max_size=12),
    st.lists(VALUES, min_size=12, max_size=12),
)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(values=SINGLE, kind=st.sampled_from(["object", "category", "guess"]))
@pytest.mark.filterwarnings("ignore::scipy.stats.ConstantInputWarning")
@pytest.mark.filterwarnings("ignore::scipy.stats.NearConstantInputWarning")
def test_any_column_is_right_or_refused(values, kind):
    TRIED.add((kind, repr(values)))
    z = np.linspace(-1, 1, 12) ** 3
    column = pd.Series(values, dtype=None if kind == "guess" else kind)
    try:
        found = mv.tl.factor_covariates(z, pd.DataFrame({"x": column}))
    except ValueError as error:
        assert str(error).endswith(".") and "x" in str(error)
        return
    (row,) = found.to_dict("records")
    if np.isnan(row["value"]):
        assert np.isnan(row["p"]) and np.isnan(row["q"])
    else:
        assert -1 - 1e-9 <= row["value"] <= 1 + 1e-9 and 0 <= row["p"] <= 1 and row["q"] == row["p"]
        assert row["kind"] == "correlation" or row["value"] >= 0


def test_many_columns_were_tried():
    assert len(TRIED) >= 100 or not TRIED, len(TRIED)


def test_the_map_shows_the_values_and_stars_the_sure_ones(planted):
    mdata, *_ = planted
    rng = np.random.default_rng(0)
    z = np.column_stack([mdata.obs["age"], rng.standard_normal(N)])
    table = mv.tl.factor_covariates(z, mdata.obs[["age", "sex"]])
    ax = mv.pl.factor_covariates(table, title="factors")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["age", "sex (η)"]
    shown = ax.images[0].get_array()
    np.testing.assert_allclose(shown.ravel(), table["value"])
    texts = [t.get_text() for t in ax.texts]
    assert texts[0] == "1.00*" and sum(t.endswith("*") for t in texts) == (table["q"] <= 0.05).sum()
    with pytest.raises(KeyError, match="factor_covariates returns"):
        mv.pl.factor_covariates(table.drop(columns="q"))
    with pytest.raises(ValueError, match="empty"):
        mv.pl.factor_covariates(table[:0])
    with pytest.raises(ValueError, match="fdr"):
        mv.pl.factor_covariates(table, fdr=5)


# --- a colour by name -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["dense", "csr", "csc", "float32"])
def test_patients_are_coloured_by_a_feature_of_a_view(planted, how):
    mdata = planted[0].copy()
    x = mdata.mod["img"].X
    known = pd.Series(x[:, 3], mdata.mod["img"].obs_names).reindex(mdata.obs_names)
    wrap = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "float32": np.float32}
    mdata.mod["img"].X = wrap.get(how, np.asarray)(x)
    z = np.random.default_rng(0).standard_normal((N, 2))
    mdata.obsm["X_mvlatent"] = z
    ax = mv.pl.latent(mdata, color="img:3")
    grey, coloured = ax.collections
    missing = known.isna().to_numpy()
    assert missing.sum() == 20
    np.testing.assert_allclose(grey.get_offsets(), z[missing])
    np.testing.assert_allclose(coloured.get_array(), known[~missing], rtol=1e-6)
    assert ax.figure.axes[1].get_ylabel() == "img:3"


def test_a_model_is_drawn_by_its_own_patients(example_model, example_mdata):
    ax = mv.pl.latent(example_model, color="rna:rna_001")
    assert sum(len(points.get_offsets()) for points in ax.collections) == 80
    legend = mv.pl.latent(example_model, color="subtype").get_legend().get_texts()
    known = {str(v) for v in example_mdata.obs["subtype"].dropna()}
    assert {t.get_text() for t in legend} - {"missing"} == known


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rna:TP63", "view 'rna' has no feature 'TP63'; .*it has 300 features"),
        ("rna_001", "did you mean 'rna:rna_001'"),
        ("agee", "did you mean 'age'"),
        ("dna:x", "features are named view:feature, of the views rna, "),
    ],
)
def test_a_name_that_there_is_not(example_model, name, message):
    with pytest.raises(KeyError, match=message):
        mv.pl.latent(example_model, color=name)


def test_an_anndata_knows_its_features_and_tables():
    adata = AnnData(np.arange(8.0).reshape(4, 2), var=pd.DataFrame(index=["TP63", "MYC"]))
    adata.obsm["X_mvlatent"] = np.eye(4)[:, :2]
    adata.obsm["protein"] = pd.DataFrame({"CD3": [4.0, 3, 2, 1]}, index=adata.obs_names)
    for name, known in (
        ("MYC", [1, 3, 5, 7]),
        ("rna:MYC", [1, 3, 5, 7]),
        ("protein:CD3", [4, 3, 2, 1]),
    ):
        drawn = mv.pl.latent(adata, color=name).collections[0].get_array()
        np.testing.assert_allclose(drawn, known)
    with pytest.raises(KeyError, match="no column 'CD8' in obs and no such feature"):
        mv.pl.latent(adata, color="CD8")


# --- hazard ratios --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prognosis():
    mdata, _ = mv.sim.cohort("easy", n=100, seed=0)
    batch = "site" if "site" in mdata.obs else None
    return mdata, mv.fit(
        mdata, views=["rna"], batch=batch, clinical=["age"], survival=("survival_months", "event"),
        n_shared=2, n_private=1, max_epochs=2, progress=False,
    )  # fmt: skip


def test_probabilities_of_a_sign_are_those_of_the_draws(prognosis):
    mdata, model = prognosis
    table = model.hazard_ratios(per="unit", n_samples=1000, seed=3)
    import torch

    drawn = model.trained.survival.full.coefficient_draws(1000, torch.Generator().manual_seed(3))
    age = drawn["clinical"][:, 0, 0].numpy()
    known = max((age > 0).mean(), (age < 0).mean())
    assert table.loc["clinical:age", "p_effect"] == pytest.approx(known)
    # where the interval leaves 1 out, at least that much of the posterior is on its side
    sure = (table["lower"] > 1) | (table["upper"] < 1)
    assert (table.loc[sure, "p_effect"] >= 0.95 - 1e-3).all()
    assert table.attrs["n"] == 100
    assert table.attrs["events"] == int(mdata.obs["event"].astype(float).sum())


def test_the_site_has_rows_when_it_is_asked_for(prognosis):
    _, model = prognosis
    for by in ("column", "block"):
        plain, whole = (model.hazard_ratios(by=by, technical=t) for t in (False, True))
        assert not any(name.startswith("technical") for name in plain.index)
        assert any(name.startswith("technical") for name in whole.index)
        pd.testing.assert_frame_equal(whole.loc[plain.index], plain)


def test_the_probability_of_a_block_is_that_of_the_head(prognosis, example_model):
    _, model = prognosis
    table = model.hazard_ratios(by="block")
    known = pd.Series(model.trained.survival.full.effect_probability)
    np.testing.assert_allclose(table["p_effect"], known[table.index])
    assert model.hazard_ratios(by="block", blocks="shared")["p_effect"].isna().all()
    assert example_model.hazard_ratios(by="block")["p_effect"].isna().all()  # its blocks were named


def test_events_are_those_of_the_cause_and_unknown_without_patients(
    example_model, example_mdata, tmp_path
):
    for cause in (1, 2):
        found = example_model.hazard_ratios("cause", cause=cause, n_samples=20).attrs
        assert found["events"] == int((example_mdata.obs["cause"] == cause).sum())
    example_model.save(tmp_path / "m")
    bare = mv.MVLatent.load(tmp_path / "m")
    found = bare.hazard_ratios(per="unit", n_samples=20)
    assert found.attrs == {"n": None, "events": None} and "p_effect" in found


def test_forests_go_from_grey_to_blue_with_the_probability():
    table = pd.DataFrame({"hr": [1.5] * 3, "lower": [1.0] * 3, "upper": [2.0] * 3})
    ax = mv.pl.forest(table.assign(p_effect=[0.4, 0.75, 1.0]))
    colours = [line.get_color().lower() for line in ax.lines[1:6:2]]
    assert colours[0] == mv.pl._style.GREY.lower() and colours[2] == mv.pl._style.PALETTE[0].lower()
    assert len({*colours}) == 3
    assert "1.50 (1.00–2.00)  75 %" in [t.get_text() for t in ax.texts]
    with pytest.raises(ValueError, match="p_effect must be a probability"):
        mv.pl.forest(table.assign(p_effect=2.0))


# --- scvi-tools -----------------------------------------------------------------------------------


@pytest.mark.parametrize("block", ["shared", "private:rna", "all"])
@pytest.mark.parametrize("rows", [[0], [5, 2, 2], np.array([-1, 3]), np.arange(80) % 7 == 0])
def test_indices_are_rows_of_the_whole(example_model, rows, block):
    whole = example_model.posterior(block=block)
    np.testing.assert_allclose(
        example_model.get_latent_representation(indices=rows, block=block),
        whole.mean[rows], rtol=1e-5, atol=1e-6,
    )  # fmt: skip
    found = example_model.transform(indices=rows, return_dist=True, block=block)
    assert isinstance(found, mv.Posterior)
    np.testing.assert_allclose(found.sd, whole.sd[rows], rtol=1e-5)
    assert found.obs_names == tuple(np.asarray(whole.obs_names)[rows])


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([80], IndexError, "indices hold row 80, but there are 80 patients"),
        ([-81], IndexError, "row -81"),
        ([], ValueError, "at least one"),
        ([0.5], TypeError, "numbers of rows or bools"),
        (["P1"], TypeError, "numbers of rows or bools"),
        ([True], ValueError, "1 bools for 80 patients"),
        (np.zeros(80, bool), ValueError, "choose no patient"),
        ([[1]], ValueError, "rows of patients"),
    ],
)
def test_indices_that_are_none(example_model, rows, error, message):
    with pytest.raises(error, match=message):
        example_model.transform(indices=rows)


def test_adata_is_another_name_of_the_patients(example_model, example_mdata, tmp_path):
    few = example_mdata[:6].copy()
    known = example_model.transform(few)
    np.testing.assert_array_equal(example_model.get_latent_representation(adata=few), known)
    example_model.save(tmp_path / "m")
    again = mv.MVLatent.load(tmp_path / "m", adata=example_mdata)
    np.testing.assert_allclose(again.transform(), example_model.transform(), atol=1e-6)
    with pytest.raises(TypeError, match="two names of the patients"):
        mv.MVLatent.load(tmp_path / "m", few, adata=few)
    with pytest.raises(TypeError, match="two names of the patients"):
        example_model.transform(few, adata=few)


def test_a_loaded_model_goes_on_training(planted, tmp_path):
    mdata = planted[0]
    fitted(mdata, loadings="ard").save(tmp_path / "m")
    again = mv.MVLatent.load(tmp_path / "m", adata=mdata)
    before = again.transform()
    again.train(max_epochs=2, progress=False, warm_start=mv.MVLatent.load(tmp_path / "m"))
    assert len(again.history) <= 3 and again.is_trained
    assert abs(np.corrcoef(again.transform()[:, 0], before[:, 0])[0, 1]) > 0.95


def test_a_layer_and_proteins_are_views():
    rng = np.random.default_rng(0)
    adata = AnnData(np.zeros((40, 8)), layers={"counts": rng.poisson(5, (40, 8)).astype(float)})
    adata.obsm["protein_expression"] = pd.DataFrame(
        rng.poisson(9, (40, 4)).astype(float), adata.obs_names, ["CD3", "CD4", "CD8", "CD19"]
    )
    keys = {"layer": "counts", "protein_expression_obsm_key": "protein_expression"}
    mv.MVLatent.setup_anndata(adata, **keys)
    model = mv.MVLatent(adata, n_shared=1, n_private=1)
    assert list(model.roles.views) == ["rna", "protein_expression"]
    assert (
        model.roles.views["rna"].layer == "counts" and model.roles.views["rna"].likelihood == "nb"
    )
    assert model.get_var_names()["protein_expression"] == ["CD3", "CD4", "CD8", "CD19"]
    mv.MVLatent.setup_anndata(adata, views={"x": "poisson"}, layer="counts")
    assert mv.MVLatent(adata, n_shared=1).roles.views["x"].layer == "counts"
    for views in ({"x": mv.View("nb", layer="raw")}, []):
        with pytest.raises(ValueError, match="layer='counts'"):
            mv.MVLatent.setup_anndata(adata, views=views, layer="counts")
    with pytest.raises(KeyError, match=r"not in adata\.obsm"):
        mv.MVLatent.setup_anndata(adata, layer="counts", protein_expression_obsm_key="prot")


def test_a_notebook_shows_the_summary_escaped(example_model, monkeypatch):
    page = example_model._repr_html_()
    assert page.startswith("<pre>") and page.endswith("</pre>")
    monkeypatch.setattr(type(example_model), "summary", lambda self: "a <script> & co")
    assert example_model._repr_html_() == "<pre>a &lt;script&gt; &amp; co</pre>"


def test_dir_lists_what_answers(example_model):
    names = [n for n in dir(example_model) if not n.startswith("_")]
    assert {"fit", "transform", "top_features", "hazard_ratios", "roles", "adata"} <= {*names}
    assert not {"to_device", "train_indices", "registry_", "id"} & {*names}
    for name in names:
        if name not in ("run_id", "run_name"):  # of scvi-tools' own bookkeeping
            getattr(example_model, name)
