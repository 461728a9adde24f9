"""Scalers against closed forms, and one test over the whole family."""

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from mvlatent.data.scaling import N_KNOTS, SCALERS, RankNormal, ZScore, make_scaler


def values(n=60, p=7, seed=0):
    x = np.random.default_rng(seed).lognormal(size=(n, p)).astype(np.float32)
    x[:, 0] = np.round(x[:, 0])  # ties
    x[3, 1] = np.nan
    return x


def usable(name, x):
    return (x > 1).astype(np.float32) if name == "none" else x


@pytest.mark.parametrize("name", SCALERS)
def test_family(name):
    """Shapes, types, NaN, moments, inverse and state of every scaler."""
    x = usable(name, values())
    scaler = make_scaler(name).fit(x)
    y = scaler.transform(x)
    assert y.shape == x.shape and y.dtype == np.float32
    assert np.array_equal(np.isnan(y), np.isnan(x))
    if name != "none":
        assert np.abs(np.nanmean(y, axis=0)).max() < 0.1
        assert np.abs(np.nanstd(y, axis=0) - 1).max() < 0.15
    inside = np.abs(y) < 4.99
    assert np.allclose(scaler.inverse(y)[inside], x[inside], rtol=1e-4, atol=1e-4)
    again = SCALERS[name].from_state({k: v.copy() for k, v in scaler.state().items()})
    assert np.array_equal(again.transform(x), y, equal_nan=True)
    order = np.argsort(x[:, 2])
    assert (np.diff(y[order, 2]) >= 0).all()


def test_unknown_scaler_names_the_choices():
    with pytest.raises(KeyError, match=r"ranks.*rank_normal"):
        make_scaler("ranks")


def test_rank_normal_equals_standardised_van_der_waerden_scores():
    x = values(n=100)
    y = RankNormal().fit(x).transform(x)
    for j in range(x.shape[1]):
        seen = ~np.isnan(x[:, j])
        scores = norm.ppf((rankdata(x[seen, j]) - 0.5) / seen.sum())
        expected = (scores - scores.mean()) / scores.std()
        assert np.allclose(y[seen, j], expected, atol=1e-5)


def test_rank_normal_saturates_at_the_training_range():
    x = values()
    scaler = RankNormal().fit(x)
    y = scaler.transform(np.full((1, 7), 1e9))
    assert np.array_equal(y, np.nanmax(scaler.transform(x), axis=0)[None])
    assert np.allclose(scaler.inverse(np.full((1, 7), 50.0)), np.nanmax(x, axis=0))
    assert np.allclose(scaler.inverse(np.full((1, 7), -50.0)), np.nanmin(x, axis=0))


def test_rank_normal_keeps_few_knots_and_stays_accurate():
    x = np.random.default_rng(1).lognormal(size=(2000, 3)).astype(np.float32)
    scaler = RankNormal().fit(x)
    assert 200 < len(scaler.knots) <= N_KNOTS
    assert np.array_equal(scaler.knots.max(axis=0), x.max(axis=0))
    assert np.array_equal(scaler.knots.min(axis=0), x.min(axis=0))
    y = scaler.transform(x)
    expected = norm.ppf((rankdata(x[:, 0]) - 0.5) / 2000)
    assert np.abs(y[:, 0] - expected / expected.std()).max() < 0.02
    assert np.abs(y.mean(axis=0)).max() < 1e-4 and np.abs(y.std(axis=0) - 1).max() < 1e-4


def test_rank_normal_keeps_one_knot_a_level():
    x = np.repeat(np.arange(-2.0, 3.0), 40)[:, None]
    scaler = RankNormal().fit(x)
    assert scaler.knots.shape == (5, 1)
    assert np.array_equal(scaler.inverse(scaler.transform(x)), x)


def test_rank_normal_is_the_same_in_chunks():
    x = np.random.default_rng(2).normal(size=(20, 1500)).astype(np.float32)
    x[:, 1100:] = np.round(x[:, 1100:])  # the later chunk has fewer knots in some columns
    whole = RankNormal().fit(x).transform(x)
    alone = RankNormal().fit(x[:, 1200:1210]).transform(x[:, 1200:1210])
    assert np.array_equal(whole[:, 1200:1210], alone)


def test_zscore_clips_and_log1p_refuses_negatives():
    x = np.array([[0.0, 1.0], [2.0, -1.0]])
    scaler = ZScore().fit(x)
    assert scaler.transform(np.array([[1e6, 0.0]])).tolist() == [[5.0, 0.0]]
    assert make_scaler("log1p").refused(x).tolist() == [False, True]
    assert not scaler.refused(x).any()
