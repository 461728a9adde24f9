import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mvlatent.tl._latent.probes import (
    PROBES,
    KernelProbe,
    RidgeProbe,
    make_folds,
    make_probe,
    r_squared,
)


def _data(n=120, d=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) * rng.uniform(0.1, 5, d) + 3
    signal = np.tanh((x - 3) @ rng.standard_normal((d, 3)))
    return x, signal + 0.3 * rng.standard_normal((n, 3)) + 5


@pytest.mark.parametrize("kind", PROBES)
def test_every_probe_reads_signal_not_noise_and_blocks_do_not_touch_each_other(kind):
    x, y = _data(300)
    noise = np.random.default_rng(9).standard_normal((300, 2))
    folds = make_folds(300, 5, 0)
    probe = make_probe(kind)
    read, nothing = probe.out_of_fold(x, [y, noise], folds)
    assert r_squared(y, read).mean() > 0.3
    assert -0.06 < r_squared(noise, nothing).mean() < 0.03
    np.testing.assert_allclose(probe.out_of_fold(x, [y], folds)[0], read, atol=1e-9)


@pytest.mark.parametrize("kind", PROBES)
def test_predictions_of_a_fold_do_not_depend_on_its_targets(kind):
    x, y = _data()
    folds = make_folds(len(x), 4, 1)
    changed = y.copy()
    changed[folds[2]] += 1
    before = make_probe(kind).out_of_fold(x, [y], folds)[0][folds[2]]
    after = make_probe(kind).out_of_fold(x, [changed], folds)[0][folds[2]]
    np.testing.assert_allclose(after, before, atol=2e-3)  # the intercept's prior is wide, not flat


def test_ridge_is_scikit_learns():
    x, y = _data()
    alphas = np.logspace(-3, 4, 15)
    folds = KFold(5, shuffle=True, random_state=3)
    for column in y.T:
        pipeline = make_pipeline(StandardScaler(), RidgeCV(alphas))
        reference = cross_val_predict(pipeline, x, column, cv=folds)
        [found] = RidgeProbe().out_of_fold(x, [column[:, None]], make_folds(len(x), 5, 3))
        np.testing.assert_allclose(found[:, 0], reference, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.03, 3.0])
def test_kernel_is_scikit_learns_with_a_free_intercept(alpha):
    x, y = _data()
    z = StandardScaler().fit_transform(x)
    folds = make_folds(len(x), 5, 0)
    [found] = KernelProbe([alpha], [0.1]).out_of_fold(x, [y], folds)
    kernel = np.exp(-0.1 * ((z[:, None] - z[None]) ** 2).sum(-1)) + KernelProbe.intercept
    offset = y.mean(0)
    for test in folds:
        train = np.setdiff1d(np.arange(len(x)), test)
        model = KernelRidge(alpha=alpha, kernel="precomputed")
        model.fit(kernel[np.ix_(train, train)], y[train] - offset)
        reference = model.predict(kernel[np.ix_(test, train)]) + offset
        np.testing.assert_allclose(found[test], reference, atol=1e-7)


def test_kernel_takes_the_penalty_that_leaving_one_out_of_the_training_rows_prefers():
    x, y = _data(60)
    alphas, gammas = [0.03, 3.0], [0.02, 0.5]
    folds = make_folds(60, 3, 0)
    z = StandardScaler().fit_transform(x)
    distance = ((z[:, None] - z[None]) ** 2).sum(-1)
    [found] = KernelProbe(alphas, gammas).out_of_fold(x, [y[:, :1]], folds)
    offset = y[:, 0].mean()
    for test in folds:
        train = np.setdiff1d(np.arange(60), test)
        errors = {}
        for gamma in gammas:
            kernel = np.exp(-gamma * distance) + KernelProbe.intercept
            for alpha in alphas:
                model = KernelRidge(alpha=alpha, kernel="precomputed")
                error = 0.0
                for i in train:
                    rest = train[train != i]
                    model.fit(kernel[np.ix_(rest, rest)], y[rest, 0] - offset)
                    left = y[i, 0] - offset - model.predict(kernel[np.ix_([i], rest)])[0]
                    error += left**2
                model.fit(kernel[np.ix_(train, train)], y[train, 0] - offset)
                errors[error] = model.predict(kernel[np.ix_(test, train)]) + offset
        np.testing.assert_allclose(found[test, 0], errors[min(errors)], atol=1e-7)


def test_constant_axes_and_constant_targets_are_harmless():
    x, y = _data(60)
    x[:, 1] = 2.0
    y[:, 0] = 7.0
    for kind in PROBES:
        [found] = make_probe(kind).out_of_fold(x, [y], make_folds(60, 5, 0))
        np.testing.assert_allclose(found[:, 0], 7.0, atol=1e-4)
        assert np.isfinite(found).all()
        assert r_squared(y, found)[0] == 0


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="ridge, kernel"):
        make_probe("mlp")
    with pytest.raises(ValueError, match="2 to 5"):
        make_folds(10, 6, 0)
