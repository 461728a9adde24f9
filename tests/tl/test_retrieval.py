import numpy as np
import pandas as pd
import pytest

from mvlatent import tl


def test_equal_latents_are_found_at_once_and_shrinkage_does_not_matter():
    z = np.random.default_rng(0).standard_normal((80, 3))
    for metric in ("euclidean", "cosine"):
        found = tl.retrieval(z, 0.2 * z + 1, metric=metric)
        assert (found.ranks == 1).all(axis=None)
        assert found.median_rank == 1
    assert tl.retrieval(z, 0.2 * z + 1, standardise=False).table.loc[1, "mean"] < 0.5


def test_independent_and_constant_latents_are_found_by_chance():
    a, b = np.random.default_rng(1).standard_normal((2, 1000, 4))
    found = tl.retrieval(a, b, k=(1, 50, 500))
    np.testing.assert_allclose(found.table["mean"], found.table["chance"], atol=0.03)
    np.testing.assert_allclose(found.table["chance"], [0.001, 0.05, 0.5])
    assert (tl.retrieval(a, np.zeros_like(b)).ranks["a_to_b"] == 500.5).all()
    assert (tl.retrieval(a, np.zeros_like(b), metric="cosine").ranks == 500.5).all(axis=None)


def test_ranks_are_those_of_the_sorted_distances():
    a, b = np.random.default_rng(2).standard_normal((2, 30, 3))
    b = a + 0.7 * b
    found = tl.retrieval(a, b, standardise=False)
    distance = np.linalg.norm(a[:, None] - b[None], axis=-1)
    expected = [1 + (distance[i] < distance[i, i]).sum() for i in range(30)]
    assert found.ranks["a_to_b"].tolist() == expected
    expected = [1 + (distance[:, i] < distance[i, i]).sum() for i in range(30)]
    assert found.ranks["b_to_a"].tolist() == expected
    curve = found.curve()
    assert curve[5] == pytest.approx(found.table.loc[5, "mean"])
    assert curve.iloc[-1] == 1 and (curve.diff().dropna() >= 0).all()


def test_patients_without_both_views_take_no_part():
    z = np.random.default_rng(3).standard_normal((10, 2))
    gone = z.copy()
    gone[[1, 4]] = np.nan
    found = tl.retrieval(z, pd.DataFrame(gone))
    assert found.ranks.index.tolist() == [0, 2, 3, 5, 6, 7, 8, 9]
    assert found.table.loc[1, "chance"] == 1 / 8


def test_views_of_a_model_find_their_patients(fitted, fitted_mdata):
    pairs = tl.view_retrieval(fitted, k=(1, 10))
    assert [*pairs] == ["rna–mut", "rna–img", "mut–img"]
    both = set(fitted_mdata["rna"].obs_names) & set(fitted_mdata["img"].obs_names)
    found = pairs["rna–img"]
    assert len(found.ranks) == len(both)
    assert found.table.loc[10, "mean"] > found.table.loc[10, "chance"] + 0.1


def test_bad_input_is_refused():
    z = np.eye(4)
    with pytest.raises(ValueError, match="euclidean, cosine"):
        tl.retrieval(z, z, metric="l1")
    with pytest.raises(ValueError, match="shapes differ"):
        tl.retrieval(z, z[:, :2])
    with pytest.raises(ValueError, match="fewer than two"):
        tl.retrieval(z, np.full((4, 4), np.nan))
    with pytest.raises(ValueError, match="positive ranks"):
        tl.retrieval(z, z, k=[0])
