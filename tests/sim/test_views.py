import numpy as np
import pytest

from mvlatent import sim
from mvlatent.sim._cohort.kinds import MEASURED_AS
from mvlatent.sim._cohort.spec import VIEW_KINDS

VIEWS = {"rna": 40, "cnv": 30, "img": 20}


def _views(**options):
    return {name: sim.ViewSpec(n_features=p, **options) for name, p in VIEWS.items()}


def test_every_kind_has_its_measure():
    assert set(VIEW_KINDS) == set(MEASURED_AS)


def _is_integer(x):
    return bool((x == np.round(x)).all())


SUPPORT = {
    "normal": lambda x: np.isfinite(x).all(),
    "studentt": lambda x: np.isfinite(x).all(),
    "bernoulli": lambda x: set(np.unique(x)) == {0, 1},
    "poisson": lambda x: x.min() == 0 and _is_integer(x),
    "nb": lambda x: x.min() == 0 and _is_integer(x),
    "zinb": lambda x: x.min() == 0 and _is_integer(x),
    "beta": lambda x: 0 < x.min() < 0.1 and 0.9 < x.max() < 1,
    "ordinal": lambda x: set(np.unique(x)) == {-2, -1, 0, 1, 2},
    "copy_number": lambda x: set(np.unique(x)) == {-2, -1, 0, 1, 2},
    "categorical": lambda x: set(np.unique(x)) == {0, 1, 2},
}


@pytest.mark.parametrize("mixing", ["linear", "additive", "mlp"])
@pytest.mark.parametrize("kind", VIEW_KINDS)
def test_every_kind_has_its_support_and_follows_the_factors(kind, mixing):
    mdata, truth = sim.cohort(
        "easy", n=600, views=_views(kind=kind, n_private=1), mixing=mixing, seed=2
    )
    _, test = truth.new_patients(800)
    for x in (truth.complete["rna"], test.complete["rna"]):
        assert x.dtype == np.float32
        assert SUPPORT[kind](x)
    means = truth.complete["rna"].mean(axis=0), test.complete["rna"].mean(axis=0)
    assert np.abs(means[0] - means[1]).mean() < 0.2 * max(1, np.abs(means[0]).mean())
    assert mdata["rna"].shape == (600, 40)
    codes = test.complete["rna"].astype(float)
    predicted = sim.probe_prediction(truth, test, "rna")
    assert sim.cross_view_r2(test, "rna", predicted) > 0.03
    assert np.isfinite(codes).all()


def test_counts_follow_their_equation():
    """Mean and variance of negative binomial counts given rate and library."""
    _, truth = sim.cohort(
        "easy",
        n=4000,
        views=_views(kind="nb", private_scale=0.0, library_sd=0.8, dispersion=2.0),
    )
    values, library = truth.parameters["rna"], truth.exposure["rna"]
    assert np.median(library) == pytest.approx(1, rel=0.06)
    assert np.log(library).std() == pytest.approx(0.8, rel=0.05)
    signal = truth.shared @ values.loadings.T + values.site_effects[:, truth.site_codes].T
    mean = np.exp(values.offset + values.scale * signal) * library[:, None]
    theta = values.likelihood["dispersion"]
    standardised = (truth.complete["rna"] - mean) / np.sqrt(mean + mean**2 / theta)
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=0.08)
    assert standardised.var() == pytest.approx(1, abs=0.05)


def test_zero_inflation_adds_its_share_of_zeros():
    views = _views(kind="zinb", base_mean=(40, 60), link_scale=0.2, dropout=0.3)
    _, truth = sim.cohort("easy", n=4000, views=views)
    zeros = (truth.complete["img"] == 0).mean(axis=0)
    np.testing.assert_allclose(zeros, truth.parameters["img"].likelihood["dropout"], atol=0.03)


def test_burden_raises_every_mutation_of_a_patient():
    _, truth = sim.cohort("easy", n=3000, views=_views(kind="bernoulli", burden_sd=1.0))
    load = truth.complete["rna"].mean(axis=1)
    assert np.corrcoef(load, np.log(truth.exposure["rna"]))[0, 1] > 0.6
    rates = truth.complete["rna"].mean(axis=0)
    assert rates.min() > 0.03
    assert rates.max() < 0.28
    assert sim.cohort("easy", n=50, views=_views(kind="bernoulli"))[1].exposure == {}


def test_sparse_views_hold_the_same_numbers():
    from scipy.sparse import issparse

    mdata, truth = sim.cohort("easy", n=50, views=_views(kind="poisson", sparse=True))
    assert issparse(mdata["img"].X)
    np.testing.assert_array_equal(mdata["img"].X.toarray(), truth.complete["img"])


def test_student_views_have_heavier_tails():
    from scipy.stats import kurtosis

    tails = []
    for kind in ("normal", "studentt"):
        _, truth = sim.cohort("easy", n=4000, views=_views(kind=kind))
        values = truth.parameters["rna"]
        explained = (
            truth.shared @ values.loadings.T
            + truth.private["rna"] @ values.private_loadings.T
            + values.site_effects[:, truth.site_codes].T
        )
        tails.append(np.median(kurtosis(truth.complete["rna"] - explained, axis=0)))
    assert tails[0] < 0.3 < 1.5 < tails[1]


def test_pairwise_factors_load_only_on_their_views():
    _, truth = sim.cohort("easy", n=4000, views=_views(), pairwise={("img", "rna"): 2})
    block = truth.blocks["shared:rna+img"]
    assert [*truth.blocks][:2] == ["shared", "shared:rna+img"]
    np.testing.assert_allclose(np.cov(block.T), np.eye(2), atol=0.06)
    np.testing.assert_allclose(np.corrcoef(block.T, truth.shared.T)[:2, 2:], 0, atol=0.05)
    for view, members in {"rna": True, "cnv": False, "img": True}.items():
        values = truth.parameters[view]
        assert ("shared:rna+img" in values.pairwise_loadings) is members
        design = np.column_stack([block, np.ones(len(block))])
        slopes = np.linalg.lstsq(design, truth.complete[view], rcond=None)[0][:2].T
        expected = values.pairwise_loadings["shared:rna+img"] if members else 0 * slopes
        np.testing.assert_allclose(slopes, expected, atol=0.15)


def test_pairwise_factors_leave_the_rest_as_it_was():
    _, without = sim.cohort("easy", n=60)
    _, with_pairs = sim.cohort("easy", n=60, pairwise={("rna", "img"): 2})
    np.testing.assert_array_equal(without.shared, with_pairs.shared)
    np.testing.assert_array_equal(without.complete["cnv"], with_pairs.complete["cnv"])
    np.testing.assert_array_equal(without.loadings["rna"], with_pairs.loadings["rna"])


@pytest.mark.parametrize("mixing", ["additive", "mlp"])
def test_networks_do_not_depend_on_the_sample(mixing):
    options = {"mixing": mixing, "pairwise": {("rna", "cnv"): 1}, "views": _views()}
    (_, small), (_, large) = (sim.cohort("easy", n=n, seed=3, **options) for n in (50, 700))
    for view in VIEWS:
        a, b = small.parameters[view], large.parameters[view]
        np.testing.assert_array_equal(a.network.second, b.network.second)
        np.testing.assert_array_equal(a.network.scale, b.network.scale)
        np.testing.assert_array_equal(a.site_effects, b.site_effects)
        np.testing.assert_array_equal(a.noise, b.noise)
    sd = large.new_patients(6000)[1].complete["img"].std(axis=0)
    values = large.parameters["img"]
    linear = (values.private_loadings**2).sum(axis=1) if mixing == "additive" else 1
    site = (values.site_effects**2).mean(axis=1)
    expected = np.sqrt(1 + linear + values.noise**2 + site)
    np.testing.assert_allclose(sd, expected, rtol=0.06)


def test_additive_mixing_bends_the_shared_part_only():
    views = _views(noise=0.01, n_private=2)
    _, truth = sim.cohort("easy", n=3000, mixing="additive", site_sd=0.0, views=views)
    x, values = truth.complete["rna"], truth.parameters["rna"]
    network = values.network(truth.shared)
    np.testing.assert_allclose(
        x, network + truth.private["rna"] @ values.private_loadings.T, atol=0.1
    )
    design = np.column_stack([truth.shared, np.ones(3000)])
    residual = network - design @ np.linalg.lstsq(design, network, rcond=None)[0]
    assert residual.var() / network.var() > 0.1
    covariance = (network - network.mean(axis=0)).T @ truth.shared / 3000
    np.testing.assert_allclose(values.loadings, covariance, atol=0.08)


def test_purity_shifts_features_by_its_effects():
    mdata, truth = sim.cohort("easy", n=5000, purity_sd=0.7)
    purity = mdata.obs["purity"].to_numpy()
    np.testing.assert_array_equal(purity, truth.purity)
    assert purity.min() > 0
    assert purity.max() < 1
    standard = (purity - purity.mean()) / purity.std()
    slopes = truth.complete["rna"].T @ standard / len(standard)
    np.testing.assert_allclose(slopes, truth.parameters["rna"].purity_effects, atol=0.12)
    assert truth.parameters["rna"].purity_effects.std() == pytest.approx(0.7, rel=0.15)
    assert "purity" not in sim.cohort("easy", n=20)[0].obs


def test_wrong_options_of_views_and_pairs_are_refused():
    with pytest.raises(ValueError, match="'gamma'; choose from normal"):
        sim.ViewSpec(n_features=3, kind="gamma")
    for option in (
        {"private_decay": -0.1},
        {"dropout": 1.0},
        {"df": 0.0},
        {"n_levels": 1},
        {"base_mean": (2.0, 1.0)},
    ):
        with pytest.raises(ValueError, match=next(iter(option))):
            sim.ViewSpec(n_features=3, **option)
    for pairs, message in (
        ({("rna", "protein"): 1}, "tuples of .*'rna'"),
        ({"rna": 1}, "tuples of"),
        ({("rna", "cnv", "img"): 1}, "those are n_shared"),
        ({("rna", "rna"): 1}, "two different views"),
        ({("rna", "img"): 0}, "at least one factor"),
        ({("rna", "img"): 1, ("img", "rna"): 1}, "twice"),
    ):
        with pytest.raises(ValueError, match=message):
            sim.cohort("easy", pairwise=pairs)
