import numpy as np
import pytest
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor

from mvlatent import tl
from mvlatent.tl._views.imputers import IMPUTERS, NeighbourImputer, PLSImputer, RidgeImputer


def _pair(n=150, p=20, q=12, k=2, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, k))
    x, y = (
        z @ rng.standard_normal((k, m)) + noise * rng.standard_normal((n, m)) + 3 for m in (p, q)
    )
    return x[:100], y[:100], x[100:], y[100:]


@pytest.mark.parametrize("name", IMPUTERS)
@pytest.mark.parametrize("p", [20, 300])
def test_every_baseline_predicts_the_mean_of_noise_and_only_the_mean_knows_no_more(name, p):
    x, y, x_test, y_test = _pair(p=p)
    total = np.square(y_test - y.mean(0)).sum()
    predicted = IMPUTERS[name]().fit(x, y, 0).predict(x_test)
    r2 = 1 - np.square(y_test - predicted).sum() / total
    assert r2 == 0 if name == "mean" else r2 > 0.5
    noise = np.random.default_rng(5).standard_normal(y.shape)
    flat = IMPUTERS[name]().fit(x, noise, 0).predict(x_test)
    assert np.square(flat - noise.mean(0)).mean() < 0.15


def test_ridge_is_scikit_learns():
    x, y, x_test, _ = _pair()
    alphas = RidgeImputer.strengths * np.square(np.linalg.svd(x - x.mean(0))[1]).mean()
    reference = RidgeCV(alphas).fit(x, y).predict(x_test)
    np.testing.assert_allclose(RidgeImputer().fit(x, y, 0).predict(x_test), reference, atol=1e-8)


@pytest.mark.parametrize("p", [20, 300])
def test_components_are_those_of_partial_least_squares(p):
    x, y, x_test, _ = _pair(p=p)
    fitted = PLSImputer().fit(x, y, 0)
    candidates = [PLSRegression(k, scale=False).fit(x, y).predict(x_test) for k in range(1, 8)]
    gaps = [np.abs(fitted.predict(x_test) - candidate).max() for candidate in candidates]
    assert min(gaps) < 1e-4
    assert int(np.argmin(gaps)) + 1 in (2, 3)  # two true factors


def test_neighbours_are_scikit_learns_and_their_number_is_the_best_left_out():
    x, y, x_test, _ = _pair()
    fitted = NeighbourImputer().fit(x, y, 0)
    reference = KNeighborsRegressor(fitted.size).fit(x, y).predict(x_test)
    np.testing.assert_allclose(fitted.predict(x_test), reference)
    errors = {}
    for k in NeighbourImputer.sizes:
        left = [
            y[i]
            - KNeighborsRegressor(k).fit(np.delete(x, i, 0), np.delete(y, i, 0)).predict(x[[i]])[0]
            for i in range(len(x))
        ]
        errors[k] = np.square(left).sum()
    assert fitted.size == min(errors, key=errors.get)


@pytest.fixture(scope="module")
def table(fitted, small_cohort):
    test = small_cohort(n=120, seed=0)[80:].copy()
    return tl.cross_view(fitted, test), test


def test_cross_view_has_every_way_and_method(table):
    found, _ = table
    assert set(found["method"]) == {"model", "mean", "ridge", "pls", "knn"}
    ways = found[["view", "given"]].drop_duplicates()
    assert len(ways) == 9
    assert ways[ways["view"] == "rna"]["given"].tolist() == ["all others", "img", "mut"]
    assert (found.loc[found["method"] == "mean", ["r2", "r2_median"]] == 0).all(axis=None)
    assert np.isfinite(found[["r2", "r2_median"]]).all(axis=None)


def test_cross_view_scores_measured_entries_of_patients_with_both(table, fitted):
    found, test = table
    rows = found[(found["view"] == "img") & (found["given"] == "rna")].set_index("method")
    held_out, seen = tl.scaled_views(fitted, test), tl.scaled_views(fitted)
    both = held_out["img"].notna().any(axis=1) & held_out["rna"].notna().any(axis=1)
    assert (rows["n"] == both.sum()).all()
    truth = held_out["img"][both]
    assert truth.isna().any(axis=None)
    guess = fitted.impute("img", test, given=["rna"], units="scaled")[both]
    centre = seen["img"][seen["rna"].notna().any(axis=1)].mean()
    error, plain = (truth - guess) ** 2, (truth - centre) ** 2
    assert rows.loc["model", "r2"] == pytest.approx(
        1 - error.sum().sum() / plain.sum().sum(), abs=1e-5
    )
    by_feature = 1 - error.sum() / plain.sum()
    assert rows.loc["model", "r2_median"] == pytest.approx(by_feature.median(), abs=1e-5)


def test_unknown_baselines_are_named(fitted, fitted_mdata):
    with pytest.raises(ValueError, match=r"\['lasso'\].*mean, ridge, pls, knn"):
        tl.cross_view(fitted, fitted_mdata, baselines=["lasso"])


def test_scaled_views_keep_gaps_and_the_models_scaling(fitted, fitted_mdata):
    views = tl.scaled_views(fitted)
    rna = views["rna"]
    gone = ~fitted_mdata.obs_names.isin(fitted_mdata["rna"].obs_names)
    assert rna[gone].isna().all(axis=None) and rna[~gone].notna().all(axis=None)
    np.testing.assert_allclose(rna[~gone].mean(), 0, atol=0.1)
    assert views["img"].isna().sum().sum() > gone.sum()


def test_latent_blocks_are_those_of_transform_but_for_patients_without_the_view(
    fitted, fitted_mdata
):
    blocks = tl.latent_blocks(fitted)
    np.testing.assert_allclose(blocks["shared"], fitted.transform())
    gone = ~fitted_mdata.obs_names.isin(fitted_mdata["img"].obs_names)
    assert np.isnan(blocks["private:img"]).all(1).tolist() == gone.tolist()
    np.testing.assert_allclose(
        blocks["private:img"][~gone], fitted.transform(block="private:img")[~gone]
    )


@pytest.mark.parametrize("by", ["block", "factor"])
def test_shares_of_variance_add_up_in_sequence_and_overlap_alone(fitted, by):
    alone = tl.variance_explained(fitted, by=by)
    unique = tl.variance_explained(fitted, share="unique", by=by)
    sequential = tl.variance_explained(fitted, share="sequential", by=by)
    assert alone.equals(fitted.variance_explained(by=by))
    assert alone.index.equals(unique.index) and alone.index.equals(sequential.index)
    blocks = fitted.variance_explained()
    target = blocks.loc["all"] - (0 if by == "block" else blocks.loc["technical"])
    np.testing.assert_allclose(sequential.drop("all", errors="ignore").sum(), target, atol=1e-5)
    if by == "block":
        np.testing.assert_allclose(unique.loc["private"], sequential.loc["private"], atol=1e-6)
        np.testing.assert_allclose(alone.loc["technical"], sequential.loc["technical"], atol=1e-6)
        np.testing.assert_allclose(unique.loc["all"], alone.loc["all"])
    else:
        last = f"private:rna_{fitted.options.n_private - 1}"
        assert unique.loc[last, "rna"] == pytest.approx(sequential.loc[last, "rna"], abs=1e-6)
        assert unique.loc["private:rna_0", "img"] != unique.loc["private:rna_0", "img"]


def test_unknown_shares_are_refused(fitted):
    with pytest.raises(ValueError, match="alone, unique, sequential"):
        tl.variance_explained(fitted, share="joint")
    with pytest.raises(ValueError, match="block"):
        tl.variance_explained(fitted, share="unique", by="view")
