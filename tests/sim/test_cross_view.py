import numpy as np
import pytest

from mvlatent import sim

VIEWS = {
    "rna": sim.ViewSpec(n_features=30, n_private=2, natural_scale=True),
    "cnv": sim.ViewSpec(n_features=20, n_private=2, noise=2.0),
    "img": sim.ViewSpec(n_features=15, n_private=2, natural_scale=True),
}


@pytest.fixture(scope="module")
def world():
    _, train = sim.cohort("easy", n=6000, views=VIEWS, pairwise={("rna", "img"): 2}, seed=2)
    return train, train.new_patients(3000)[1]


def test_bayes_prediction_is_the_joint_normal_regression(world):
    """E[x_img | x_rna] from the covariance of the two views, after the sites' known shifts."""
    _, test = world
    rna, img = test.parameters["rna"], test.parameters["img"]
    block = "shared:rna+img"
    seen = np.column_stack([rna.loadings, rna.pairwise_loadings[block]])
    wanted = np.column_stack([img.loadings, img.pairwise_loadings[block]])
    own = seen @ seen.T + rna.private_loadings @ rna.private_loadings.T + np.diag(rna.noise**2)
    g = (test.complete["rna"] - rna.offset) / rna.scale - rna.site_effects[:, test.site_codes].T
    signal = g @ np.linalg.solve(own, seen @ wanted.T) + img.site_effects[:, test.site_codes].T
    predicted = sim.oracle_prediction(test, "img", given=["rna"])
    np.testing.assert_allclose(predicted, img.offset + img.scale * signal, atol=2e-4)
    assert predicted.columns[0] == "img_001"


def test_bayes_prediction_beats_ridge_from_the_views(world):
    """Ridge has no more to learn at n = 6000: Bayes is ahead by a little, never behind."""
    from sklearn.linear_model import RidgeCV

    train, test = world
    sites = np.eye(4)
    design = [
        np.column_stack([t.complete["rna"], t.complete["cnv"], sites[t.site_codes]]) for t in world
    ]
    scale = design[0].std(axis=0)
    ridge = RidgeCV(np.logspace(-1, 4, 8)).fit(design[0] / scale, train.complete["img"])
    learnt = sim.cross_view_r2(test, "img", ridge.predict(design[1] / scale))
    bayes = sim.cross_view_r2(test, "img", sim.oracle_prediction(test, "img"))
    assert learnt < bayes < learnt + 0.02


def test_more_views_and_the_true_prior_predict_better(world):
    _, test = world
    one, both = (
        sim.cross_view_r2(test, "img", sim.oracle_prediction(test, "img", given=given))
        for given in (["cnv"], ["cnv", "rna"])
    )
    exact = sim.cross_view_r2(test, "img", sim.oracle_prediction(test, "img", prior="mixture"))
    assert one + 0.05 < both < exact + 0.005


def test_true_factors_predict_better_than_their_posterior(world):
    train, test = world
    bayes = sim.cross_view_r2(test, "cnv", sim.oracle_prediction(test, "cnv"))
    probe = sim.cross_view_r2(test, "cnv", sim.probe_prediction(train, test, "cnv"))
    assert bayes < probe + 0.003 < bayes + 0.1


def test_probe_uses_only_factors_that_the_given_views_know(world):
    train, test = world
    with_pair, without = (
        sim.cross_view_r2(test, "img", sim.probe_prediction(train, test, "img", given=given))
        for given in (["rna"], ["cnv"])
    )
    share = (test.parameters["img"].pairwise_loadings["shared:rna+img"] ** 2).sum(axis=1)
    assert share.mean() == pytest.approx(1, abs=0.4)
    assert with_pair > without + 0.1


def test_kernel_probe_follows_what_ridge_cannot():
    _, train = sim.cohort("nonlinear", n=800, views=VIEWS, missing=0.3)
    _, test = train.new_patients(800)
    ridge, kernel = (
        sim.cross_view_r2(test, "rna", sim.probe_prediction(train, test, "rna", probe=probe))
        for probe in ("ridge", "kernel")
    )
    assert kernel > ridge + 0.01
    with pytest.raises(ValueError, match="choose from ridge, kernel"):
        sim.probe_prediction(train, test, "rna", probe="forest")


def test_r2_counts_the_chosen_patients_and_every_feature_alike(world):
    _, test = world
    predicted = sim.oracle_prediction(test, "img")
    rows = np.arange(3000) < 500
    x = test.complete["img"].astype(float)[rows]
    error = ((x - predicted.to_numpy()[rows]) ** 2).sum(axis=0)
    r2 = 1 - error / ((x - x.mean(axis=0)) ** 2).sum(axis=0)
    assert sim.cross_view_r2(test, "img", predicted, rows=rows) == pytest.approx(r2.mean())
    with pytest.raises(ValueError, match="shapes differ"):
        sim.cross_view_r2(test, "img", predicted[rows])


def test_wrong_questions_are_refused(world):
    train, test = world
    with pytest.raises(ValueError, match="from itself"):
        sim.oracle_prediction(test, "img", given=["img", "rna"])
    with pytest.raises(ValueError, match=r"\['protein'\]"):
        sim.oracle_prediction(test, "img", given=["protein"])
    with pytest.raises(ValueError, match="unknown view"):
        sim.probe_prediction(train, test, "protein")
    with pytest.raises(ValueError, match="different worlds"):
        sim.probe_prediction(train, sim.cohort("easy", n=20, views=VIEWS)[1], "img")
    with pytest.raises(ValueError, match="probe_prediction"):
        sim.oracle_prediction(sim.cohort("nonlinear", n=20)[1], "img")
