import numpy as np
import pandas as pd
import pytest

from mvlatent import sim, tl


@pytest.mark.parametrize("preset", sim.PRESETS)
def test_preset_is_consistent_with_its_truth(preset):
    mdata, truth = sim.cohort(preset, n=120, seed=3)
    assert mdata.obs_names.equals(truth.obs_names)
    np.testing.assert_array_equal(mdata.obs["survival_months"], truth.time)
    np.testing.assert_array_equal(mdata.obs["event"], truth.event)
    assert mdata.obs["site"].tolist() == list(truth.site)
    known = mdata.obs["subtype"].notna()
    assert (mdata.obs["subtype"][known].astype(object) == truth.subtype[known]).all()
    for column, (view, adata) in enumerate(mdata.mod.items()):
        rows = truth.present[:, column]
        assert adata.obs_names.equals(truth.obs_names[rows])
        np.testing.assert_array_equal(adata.X, truth.complete[view][rows])
        assert truth.loadings[view].shape == (adata.n_vars, truth.shared.shape[1])


def test_same_seed_same_cohort_and_another_seed_another():
    first, second, third = (sim.cohort("demo", n=60, seed=s)[0] for s in (5, 5, 6))
    for view in first.mod:
        np.testing.assert_array_equal(first[view].X, second[view].X)
    pd.testing.assert_frame_equal(first.obs, second.obs)
    assert not np.array_equal(first.obs["survival_months"], third.obs["survival_months"])


def test_shared_factors_are_standard_whatever_the_subtypes():
    _, truth = sim.cohort("easy", n=20_000, separation=4.0)
    np.testing.assert_allclose(truth.shared.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(truth.shared.T), np.eye(5), atol=0.04)


def test_linear_view_follows_its_equation():
    _, truth = sim.cohort("easy", n=4000)
    site = pd.Categorical(truth.site, categories=list(truth.spec.sites)).codes
    for view, values in truth.parameters.items():
        explained = (
            truth.shared @ values.loadings.T
            + truth.private[view] @ values.private_loadings.T
            + values.site_effects[:, site].T
        )
        residual = (truth.complete[view] - values.offset) / values.scale - explained
        np.testing.assert_allclose(residual.std(axis=0), values.noise, rtol=0.08)
        np.testing.assert_allclose(residual.mean(axis=0), 0, atol=0.1)


@pytest.mark.parametrize("target", [0.0, 0.3, 0.75])
def test_censoring_meets_its_target(target):
    _, truth = sim.cohort("easy", n=200, censoring=target)
    assert truth.event.mean() == pytest.approx(1 - target, abs=1e-9)
    assert (truth.time <= truth.event_time).all()
    np.testing.assert_array_equal(truth.time < truth.event_time, truth.event == 0)


def _cramers_v(site, subtype):
    table = pd.crosstab(site, subtype).to_numpy().astype(float)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    chi2 = ((table - expected) ** 2 / expected).sum()
    return np.sqrt(chi2 / table.sum() / (min(table.shape) - 1))


def test_confounding_dial_goes_from_independent_to_one_subtype_a_site():
    association = []
    for dial in (0.0, 0.5, 1.0):
        _, truth = sim.cohort("easy", n=1000, confounding=dial)
        association.append(_cramers_v(truth.site, truth.subtype))
    assert association[0] < 0.1
    assert 0.35 < association[1] < 0.65
    assert association[2] == pytest.approx(1.0)


def test_confounding_never_enters_the_shared_factors_beyond_subtype():
    _, truth = sim.cohort("confounded", n=800)
    audit = tl.site_audit(truth.shared, truth.site, truth.subtype, n_permutations=8)
    assert audit.accuracy > audit.chance + 0.15
    assert abs(audit.excess) < 0.06


def test_site_shifts_reach_the_views():
    _, truth = sim.cohort("confounded", n=500)
    from sklearn.decomposition import PCA

    x = truth.complete["rna"]
    centred = x - pd.DataFrame(x).groupby(truth.site).transform("mean").to_numpy()
    raw, flat = (PCA(12, random_state=0).fit_transform(values) for values in (x, centred))
    assert tl.site_audit(raw, truth.site, truth.subtype, n_permutations=4).excess > 0.5
    assert tl.site_audit(flat, truth.site, truth.subtype, n_permutations=4).excess < -0.15


@pytest.mark.parametrize("missing", [0.2, 0.5])
def test_missing_views_meet_their_rate_and_leave_one_view(missing):
    mdata, truth = sim.cohort("easy", n=4000, missing=missing)
    assert truth.present.any(axis=1).all()
    np.testing.assert_allclose(1 - truth.present.mean(axis=0), missing, atol=0.025)
    assert mdata.n_obs == 4000


def test_missing_rates_can_differ_by_view():
    _, truth = sim.cohort("easy", n=2000, missing={"img": 0.4})
    np.testing.assert_allclose(1 - truth.present.mean(axis=0), [0, 0, 0.4], atol=0.04)


def test_mutations_are_rare_and_copy_numbers_are_states():
    mdata, truth = sim.cohort("demo", n=2000)
    rates = truth.complete["mut"].mean(axis=0)
    assert set(np.unique(mdata["mut"].X)) == {0, 1}
    assert rates.min() < 0.05
    assert 0.2 < rates.max() < 0.42
    assert set(np.unique(mdata["cnv"].X)) == {-2, -1, 0, 1, 2}
    x = truth.complete["cnv"]
    neighbours = np.corrcoef(x[:, 0], x[:, 1])[0, 1]
    strangers = np.abs(np.corrcoef(x[:, ::12].T) - np.eye(10)).mean()
    assert neighbours > 0.7 > 0.5 > strangers


def test_demo_features_have_scales_of_their_own():
    mdata, _ = sim.cohort("demo", n=300)
    spread = mdata["rna"].X.std(axis=0)
    assert spread.max() / spread.min() > 20
    assert mdata.obs["age"].isna().any()
    assert mdata.obs["subtype"].isna().any()


def test_nonlinear_mixing_is_not_linear():
    r2 = {}
    for preset in ("easy", "nonlinear"):
        _, truth = sim.cohort(
            preset,
            n=1500,
            site_sd=0.0,
            views={"rna": sim.ViewSpec(n_features=40, n_private=2, noise=0.01)},
        )
        factors = np.column_stack([truth.shared, truth.private["rna"]])
        r2[preset] = tl.block_recovery(factors, truth.complete["rna"])
    assert r2["easy"] > 0.999
    assert r2["nonlinear"] < 0.95


def test_private_scale_dominates():
    _, truth = sim.cohort("private_dominates", n=50)
    for values in truth.parameters.values():
        ratio = (values.private_loadings**2).sum() / (values.loadings**2).sum()
        assert 5 < ratio < 15


@pytest.mark.parametrize("mixing", ["linear", "additive", "mlp"])
def test_private_factors_weaken_as_they_were_told(mixing):
    view = sim.ViewSpec(n_features=4000, n_private=10, private_scale=2.0, private_decay=0.8)
    _, truth = sim.cohort("easy", n=10, site_sd=0.0, mixing=mixing, views={"rna": view})
    sd = np.sqrt((truth.parameters["rna"].private_loadings ** 2).mean(axis=0))
    slope, _ = np.polyfit(np.log(np.arange(1, 11)), np.log(sd), 1)
    assert slope == pytest.approx(-0.8, abs=0.05 if mixing != "mlp" else 0.25)
    if mixing != "mlp":  # a network of all factors splits its variance between them as it likes
        assert (sd**2).sum() == pytest.approx(4, rel=0.05)


def test_rich_private_outnumbers_and_outweighs_what_is_shared():
    mdata, truth = sim.cohort("rich_private", n=500)
    for view, values in truth.parameters.items():
        assert mdata[view].n_vars > 500
        strength = (values.private_loadings**2).mean(axis=0)
        assert len(strength) == 30
        assert np.sqrt(strength[0] / (values.loadings**2).mean(axis=0).max()) > 3


def test_unknown_names_list_the_choices():
    with pytest.raises(ValueError, match="easy, nonlinear"):
        sim.cohort("hard")
    with pytest.raises(ValueError, match=r"\['sites_sd'\].*site_sd"):
        sim.cohort("easy", sites_sd=1.0)
    with pytest.raises(ValueError, match="keeps one of 3 views"):
        sim.cohort("easy", missing=0.9)
    with pytest.raises(ValueError, match="choose from linear, additive, mlp"):
        sim.cohort("easy", mixing="spline")
