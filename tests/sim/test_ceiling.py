import numpy as np
import pytest

from mvlatent import sim, tl

SMALL = {
    "rna": sim.ViewSpec(n_features=40, n_private=2),
    "img": sim.ViewSpec(n_features=30, n_private=2),
}


@pytest.fixture(scope="module")
def linear():
    return sim.cohort("easy", n=400, seed=2, views=SMALL)


@pytest.mark.parametrize("probe", ["ridge", "kernel"])
def test_it_is_that_of_the_bayes_posterior_where_mixing_is_linear(linear, probe):
    """Bayes knows the parameters; the regression has to learn them from 320 patients a fold."""
    _, truth = linear
    bayes = tl.block_recovery(sim.oracle_posterior(truth).mean(), truth.shared)
    found = sim.supervised_ceiling(*linear, probe=probe)
    assert bayes - 0.03 < found < bayes + 0.002


def test_ridge_is_that_of_scikit_learn(linear):
    """Every component of every view and the sites, nothing missing: a plain nested ridge."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    mdata, truth = linear

    views = [np.asarray(mdata[v].X, float) for v in SMALL]
    x = np.column_stack([*views, np.eye(4)[truth.site_codes]])
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 25)))
    split = KFold(5, shuffle=True, random_state=3)
    predicted = cross_val_predict(ridge, x, truth.shared, cv=split)
    error = ((truth.shared - predicted) ** 2).sum(0)
    expected = 1 - (error / ((truth.shared - truth.shared.mean(0)) ** 2).sum(0)).mean()
    found = sim.supervised_ceiling(*linear, n_components=40, probe="ridge", seed=3)
    assert found == pytest.approx(expected, abs=0.003)


def test_kernel_sees_more_where_mixing_bends_and_views_are_missing():
    mdata, truth = sim.cohort("nonlinear", n=400, seed=1, missing=0.3)
    ridge, kernel = (
        sim.supervised_ceiling(mdata, truth, probe=probe) for probe in ("ridge", "kernel")
    )
    assert 0.6 < ridge < kernel - 0.01
    assert kernel < sim.supervised_ceiling(*sim.cohort("nonlinear", n=400, seed=1))


def test_nothing_is_learnt_where_the_views_know_nothing():
    mdata, truth = sim.cohort("easy", n=120, seed=1, views=SMALL)
    for view in SMALL:
        noise = np.random.default_rng(0).standard_normal(mdata[view].shape)
        mdata[view].X = noise.astype(np.float32)
    assert -0.1 < sim.supervised_ceiling(mdata, truth) < 0.1


def test_pairwise_factors_count_and_sparse_views_are_read():
    views = {**SMALL, "cnv": sim.ViewSpec(n_features=30, kind="poisson", sparse=True)}
    mdata, truth = sim.cohort("easy", n=200, views=views, pairwise={("rna", "img"): 2})
    assert 0.6 < sim.supervised_ceiling(mdata, truth, probe="ridge") < 0.99


def test_wrong_questions_are_refused(linear):
    mdata, truth = linear
    with pytest.raises(ValueError, match="choose from kernel, ridge"):
        sim.supervised_ceiling(mdata, truth, probe="forest")
    with pytest.raises(ValueError, match="at least 1, got 0"):
        sim.supervised_ceiling(mdata, truth, n_components=0)
    with pytest.raises(ValueError, match="different patients"):
        sim.supervised_ceiling(mdata, truth.new_patients(400)[1])
    with pytest.raises(ValueError, match="folds"):
        sim.supervised_ceiling(mdata, truth, folds=1)
