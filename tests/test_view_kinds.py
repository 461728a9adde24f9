"""Every likelihood through the whole model: fit, impute in the user's units, keep, load."""

import warnings

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import mvlatent as mv
from mvlatent.data import cohort as cohort_module
from mvlatent.specs import LIKELIHOODS

N, P = 120, 14
COUNTS = ("nb", "zinb", "poisson")
QUICK = {"n_shared": 2, "n_private": 1, "max_epochs": 15, "progress": False, "accelerator": "cpu"}


def draw(kind: str, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Values of a kind in the user's units, with the linear predictor ``eta`` of unit spread."""
    probability = 1 / (1 + np.exp(-2 * eta))
    match kind:
        case "normal" | "studentt":
            return 100 + 10 * (eta + 0.5 * rng.normal(size=eta.shape))
        case "beta":
            return rng.beta(20 * probability, 20 * (1 - probability)).clip(0, 1)
        case "nb" | "zinb" | "poisson":
            size = rng.lognormal(0, 0.4, len(eta))[:, None]
            counts = rng.poisson(
                np.exp(1.5 + eta)
                * size
                * (1 if kind == "poisson" else rng.gamma(4, 1 / 4, eta.shape))
            )
            return counts * (rng.random(eta.shape) > 0.15) if kind == "zinb" else counts
        case "bernoulli":
            return rng.random(eta.shape) < probability
        case "ordinal":
            return np.rint(1.2 * eta + 0.4 * rng.normal(size=eta.shape)).clip(-2, 2)
        case "categorical":
            return np.rint(1.2 * eta + 0.4 * rng.normal(size=eta.shape)).clip(-1, 1) + 5
    raise AssertionError("say how to draw the new likelihood")


def simulate(kind: str, *, gaps: bool = True, seed: int = 0) -> mudata.MuData:
    """Two views that share two factors; some patients lack the first, some entries are NaN."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(N, 2))
    names = [f"p{i:03d}" for i in range(N)]
    values = draw(kind, z @ rng.normal(size=(2, P)) * 0.9, rng).astype(np.float32)
    other = z @ rng.normal(size=(2, 10)) + 0.3 * rng.normal(size=(N, 10))
    keep = np.arange(N) % 9 > 0
    if gaps:
        values[rng.random(values.shape) < 0.04] = np.nan
    obs = pd.DataFrame({"site": np.where(np.arange(N) % 3, "A", "B")}, index=names)
    obs["months"] = rng.exponential(np.exp(-z[:, 0])) + 0.01
    obs["event"] = (rng.random(N) < 0.6).astype(float)
    view = anndata.AnnData(values[keep], obs=obs.iloc[keep, :0])
    view.var_names = [f"x{j}" for j in range(P)]
    image = anndata.AnnData(other.astype(np.float32), obs=obs.iloc[:, :0])
    image.var_names = [f"i{j}" for j in range(10)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mudata.MuData({"x": view, "img": image}, obs=obs)


@pytest.fixture(scope="module")
def cohorts():
    return {kind: simulate(kind) for kind in LIKELIHOODS}


@pytest.fixture(scope="module")
def models(cohorts):
    made = {}

    def model(kind):
        if kind not in made:
            views = {"x": kind, "img": "normal"}
            options = {"batch": "site", "survival": ("months", "event")}
            options["head_blocks"] = ("shared", "scores")
            made[kind] = mv.fit(cohorts[kind], views=views, **options, **QUICK)
        return made[kind]

    return model


def truth(mdata, frame):
    return mdata["x"].to_df().reindex(index=frame.index, columns=frame.columns).to_numpy()


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_imputed_from_the_other_view_in_the_users_units(cohorts, models, kind):
    found = models(kind).impute("x", interval=0.9)
    true = truth(cohorts[kind], found.mean)
    assert found.mean.shape == (N, P) and list(found.mean.columns) == [f"x{j}" for j in range(P)]
    for frame in (found.mean, found.sd, found.lower, found.upper):
        assert np.isfinite(frame.to_numpy()).all()
    seen = ~np.isnan(true)
    if kind != "categorical":
        r = [
            np.corrcoef(found.mean.to_numpy()[s, j], true[s, j])[0, 1] for j, s in enumerate(seen.T)
        ]
        assert np.mean(r) > 0.45, "the shared factors carry over"
        error = np.abs(np.nanmean(true, 0) - found.mean.mean(0))
        assert (error < 0.5 * np.nanstd(true, 0)).all(), "the user's units"
    else:
        hit = (found.mean.to_numpy() == true)[seen].mean()
        assert hit > 0.45
        assert set(np.unique(found.mean)) <= {4.0, 5.0, 6.0}
    lower, upper = found.lower.to_numpy(), found.upper.to_numpy()
    assert (lower <= upper).all()
    if kind == "bernoulli":  # the interval is that of the probability
        assert lower.min() >= 0 and upper.max() <= 1
        return
    covered = ((true >= lower) & (true <= upper))[seen].mean()
    assert covered > 0.84, covered
    if kind in (*COUNTS, "ordinal", "categorical"):
        assert (lower == np.rint(lower)).all() and (upper == np.rint(upper)).all()
    else:
        assert covered < 0.97
    low, high = np.nanmin(true), np.nanmax(true)
    if kind not in ("normal", "studentt", *COUNTS):
        assert low <= lower.min() + 0.05 and upper.max() <= high + 0.05
    elif kind in COUNTS:
        assert lower.min() >= 0


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_a_view_that_is_there_is_reproduced_better(cohorts, models, kind):
    if kind == "categorical":
        pytest.skip("its mean is a level")
    model = models(kind)
    own, other = (model.impute("x", given=given) for given in (["x"], ["img"]))
    true = truth(cohorts[kind], own)
    seen = ~np.isnan(true)
    errors = [
        np.square(np.log1p(frame.to_numpy().clip(0)) - np.log1p(true.clip(0)))[seen].mean()
        if kind in COUNTS
        else np.square(frame.to_numpy() - true)[seen].mean()
        for frame in (own, other)
    ]
    assert errors[0] < errors[1]


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_everything_that_is_read_is_finite_and_sensible(models, kind):
    model = models(kind)
    assert np.isfinite(model.history.to_numpy(dtype=float)).all()
    shares = model.variance_explained()
    assert 0.1 < shares.loc["all", "x"] <= 1 and 0.05 < shares.loc["shared", "x"] <= 1
    assert np.isfinite(model.variance_explained(by="factor")["x"].dropna()).all()
    loadings = model.loadings("x")
    assert np.isfinite(loadings.to_numpy()).all() and len(loadings) >= P
    assert np.isfinite(model.predict_risk(given=["img"]).to_numpy()).all()
    curves = model.predict_survival([0.5, 1.0], interval=0.9, given=["img"], n_samples=20)
    assert np.isfinite(curves.mean.to_numpy()).all()


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_a_saved_model_says_the_same(cohorts, models, kind, tmp_path):
    model = models(kind)
    model.save(tmp_path / "model")
    again = mv.MVLatent.load(tmp_path / "model", cohorts[kind])
    np.testing.assert_allclose(again.transform(), model.transform(), atol=1e-6)
    one, other = (m.impute("x", interval=0.8, n_samples=20) for m in (model, again))
    for name in ("mean", "lower", "upper"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))
    assert again.roles.views == model.roles.views


@pytest.mark.parametrize("kind", ["nb", "beta", "ordinal", "categorical"])
def test_networks_and_other_views(cohorts, kind):
    model = mv.fit(
        cohorts[kind], views={"x": kind, "img": "normal"}, decoder="mlp", **{**QUICK, "n_hidden": 8}
    )
    assert np.isfinite(model.history.to_numpy(dtype=float)).all()
    assert model.history["elbo"].iloc[-1] > model.history["elbo"].iloc[0]
    assert np.isfinite(model.impute("x").to_numpy()).all()


@pytest.fixture(scope="module")
def counts():
    return simulate("nb", gaps=False)


def as_sparse(mdata):
    thin = mdata.copy()
    thin.mod["x"].X = sparse.csr_matrix(thin["x"].X)
    return thin


def test_sparse_counts_give_the_same_model(counts, monkeypatch):
    views = {"x": "nb", "img": "normal"}
    dense = mv.fit(counts, views=views, **QUICK)
    thin = mv.fit(as_sparse(counts), views=views, **QUICK)
    for one, other in zip(thin.transform().T, dense.transform().T, strict=True):
        assert abs(np.corrcoef(one, other)[0, 1]) > 0.999  # singular vectors have no sign
    monkeypatch.setattr(cohort_module, "CHUNK_ELEMENTS", 50 * P)  # read 50 rows at a time
    again = thin.transform(as_sparse(counts))
    np.testing.assert_allclose(again, thin.transform(), atol=1e-5)
    own, drawn = (thin.posterior(mdata, block="private:x") for mdata in (as_sparse(counts), None))
    np.testing.assert_allclose(own.sd, drawn.sd, atol=1e-5)
    shares = thin.variance_explained(as_sparse(counts))
    np.testing.assert_allclose(shares, thin.variance_explained(), atol=1e-5)
    np.testing.assert_allclose(shares, dense.variance_explained(), atol=0.02)


def test_sparse_counts_in_batches_with_validation(counts, monkeypatch):
    monkeypatch.setattr(cohort_module, "CHUNK_ELEMENTS", 10 * P)
    options = {**QUICK, "batch_size": 32, "validation_size": 0.2, "max_epochs": 4}
    model = mv.fit(as_sparse(counts), views={"x": "nb", "img": "normal"}, **options)
    monkeypatch.setattr(cohort_module, "CHUNK_ELEMENTS", 10**6)
    whole = mv.fit(as_sparse(counts), views={"x": "nb", "img": "normal"}, **options)
    found, known = (m.history["validation_elbo"].to_numpy() for m in (model, whole))
    # other draws of the latents in each chunk
    np.testing.assert_allclose(found, known, rtol=0.1)


def test_the_library_of_an_absent_view_is_integrated(counts):
    """Wider intervals without the view, and a mean that is that of the counts."""
    model = mv.fit(counts, views={"x": "nb", "img": "normal"}, **QUICK)
    part = model.trained.vae.part("x")
    true = counts["x"].to_df()
    assert float(part.exposure.sd) > 0.2
    other, own = (model.impute("x", given=g, interval=0.9) for g in (["img"], ["x", "img"]))
    width = [((f.upper - f.lower) / f.mean).to_numpy().mean() for f in (other, own)]
    assert width[0] > 1.1 * width[1]
    ratio = other.mean.loc[true.index].to_numpy().mean() / true.to_numpy().mean()
    assert 0.8 < ratio < 1.25


def test_burden_is_kept_out_of_the_factors():
    """Mutations whose number varies: with the offset z holds less of it."""
    rng = np.random.default_rng(0)
    z, burden = rng.normal(size=(N, 2)), rng.normal(size=N)
    eta = -1.5 + z @ rng.normal(size=(2, 60)) + 1.2 * burden[:, None]
    names = [f"p{i}" for i in range(N)]
    obs = pd.DataFrame(index=names)
    mut = anndata.AnnData((rng.random(eta.shape) < 1 / (1 + np.exp(-eta))).astype(np.float32), obs)
    image = z @ rng.normal(size=(2, 10)) + 0.5 * rng.normal(size=(N, 10))
    mdata = mudata.MuData({"mut": mut, "img": anndata.AnnData(image.astype(np.float32), obs)})
    held = {}
    for offset in ("none", "burden"):
        views = {"mut": mv.View("bernoulli", offset=offset), "img": "normal"}
        model = mv.fit(mdata, views=views, **QUICK)
        latent = model.transform(block="all")
        design = np.c_[np.ones(N), latent]
        fitted = design @ np.linalg.lstsq(design, burden, rcond=None)[0]
        held[offset] = 1 - np.var(burden - fitted) / np.var(burden)
        assert np.isfinite(model.impute("mut").to_numpy()).all()
    assert held["burden"] < held["none"] - 0.2


@pytest.mark.parametrize("views", [None, ["x", "img"], {"x": None, "img": "normal"}, ("img", "x")])
def test_views_by_name_are_guessed_and_said(counts, views):
    mv.MVLatent.setup_mudata(counts, views=views)
    model = mv.MVLatent(counts)
    kinds = {name: view.likelihood for name, view in model.roles.views.items()}
    assert kinds == {"x": "nb", "img": "normal"}
    assert "view 'x': likelihood guessed: nb (whole numbers from 0 to" in model.summary()


def test_names_alone_also_name_the_views_of_an_anndata(counts):
    rows = counts["x"].obs_names
    adata = anndata.AnnData(sparse.csr_matrix(counts["x"].X), obs=pd.DataFrame(index=rows))
    adata.obsm["img"] = counts["img"][rows].X
    model = mv.fit(adata, views=["x", "img"], **{**QUICK, "max_epochs": 2})
    assert [v.likelihood for v in model.roles.views.values()] == ["nb", "normal"]
    assert model.transform(adata).shape == (len(rows), 2)
    layered = {"x": mv.View(None, layer="raw"), "img": None}
    adata.layers["raw"] = adata.X > 2
    mv.MVLatent.setup_anndata(adata, views=layered)
    assert mv.MVLatent(adata).roles.views["x"].likelihood == "bernoulli"


@pytest.mark.filterwarnings("ignore")
def test_five_guessed_views_of_real_patients(data_dir):
    """Half the patients are incomplete; nothing but the defaults."""
    mdata = mudata.read(data_dir / "acc_miniacc.h5mu")
    model = mv.fit(mdata, progress=False, accelerator="cpu")
    assert np.isfinite(model.history.to_numpy(dtype=float)).all()
    assert (model.history["elbo"].diff().iloc[1:] >= -1e-3).all()  # of thousands, in floats
    for view in model.roles.views:
        assert np.isfinite(model.impute(view).to_numpy()).all()
    shares = model.variance_explained().loc["all"]
    assert (shares[["rna", "cnv", "rppa", "mirna"]] > 0.5).all() and (shares <= 1).all()
    assert shares["mut"] > 0  # rare mutations have no private factor that stands out of noise


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_counts_and_proteins_of_real_cells(data_dir):
    """Proteins of held-out cells from their RNA, with intervals that hold them."""
    adata = anndata.read_h5ad(data_dir / "citefuse_eccite_pbmc.h5ad")
    order = np.random.default_rng(0).permutation(adata.n_obs)
    train, test = adata[order[:400]].copy(), adata[order[400:]].copy()
    model = mv.fit(train, views=["rna", "ADT"], progress=False, accelerator="cpu")
    assert np.isfinite(model.history.to_numpy(dtype=float)).all()
    found = model.impute("ADT", test, given=["rna"], interval=0.9)
    true = test.obsm["ADT"][found.mean.columns]
    inside = (true.to_numpy() >= found.lower) & (true.to_numpy() <= found.upper)
    assert 0.85 < inside.to_numpy().mean() < 0.96
    for name in ("CD11b", "CD11c", "CD8", "CD4", "CD19"):
        pair = np.log1p(found.mean[name].to_numpy()), np.log1p(true[name].to_numpy())
        assert np.corrcoef(*pair)[0, 1] > 0.5, name
