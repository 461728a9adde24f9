import numpy as np
import pytest
from scipy.spatial import procrustes

from mvlatent import tl


def _rotation(d, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


def test_a_turned_copy_is_the_same_but_for_its_axes():
    z = np.random.default_rng(0).standard_normal((400, 4))
    found = tl.stability([z, 3 * z @ _rotation(4) + 5]).table.loc["latent"]
    assert found["procrustes"] == pytest.approx(0, abs=1e-9)
    assert found["subspace"] == pytest.approx(1)
    assert 0.99 < found["cka"] <= 1 + 1e-12
    assert found["axes"] < 0.95


def test_signs_and_order_of_axes_do_not_matter():
    z = np.random.default_rng(0).standard_normal((400, 4))
    found = tl.stability([z, -z[:, [2, 0, 3, 1]]]).table.loc["latent"]
    assert found["axes"] == pytest.approx(1)


def test_procrustes_is_scipys():
    a, b = np.random.default_rng(1).standard_normal((2, 60, 3))
    b += a
    found = tl.stability([a, b]).table.loc["latent", "procrustes"]
    assert found == pytest.approx(procrustes(a, b)[2])


def test_independent_latents_agree_by_chance_only():
    a, b = np.random.default_rng(2).standard_normal((2, 500, 10))
    found = tl.stability([a, b]).table.loc["latent"]
    assert found["chance"] == 10 / 499
    assert found["subspace"] == pytest.approx(found["chance"], abs=0.01)
    assert found["procrustes"] > 0.9
    assert found["cka"] < 0.05


def test_subspace_of_a_part_is_whole_and_spare_noise_lowers_it():
    rng = np.random.default_rng(3)
    z, other, another = rng.standard_normal((3, 1000, 2))
    assert tl.stability([z, np.hstack([z, other])]).table.loc[
        "latent", "subspace"
    ] == pytest.approx(1)
    noisy = tl.stability([np.hstack([z, 0.01 * other]), np.hstack([z, 0.01 * another])])
    assert noisy.table.loc["latent", "subspace"] == pytest.approx(0.5, abs=0.01)
    assert noisy.table.loc["latent", "cka"] > 0.99
    assert noisy.table.loc["latent", "procrustes"] < 0.01


def test_blocks_and_seeds_are_named_and_gaps_are_left_out():
    rng = np.random.default_rng(4)
    z, w = rng.standard_normal((2, 100, 2))
    gone = w.copy()
    gone[:30] = np.nan
    fits = {7: {"shared": z, "private:a": w}, 8: {"shared": z, "private:a": gone}, 9: {"shared": z}}
    found = tl.stability(fits)
    assert found.pairs["block"].tolist() == ["shared"] * 3 + ["private:a"]
    assert found.pairs[["a", "b"]].to_numpy().tolist() == [[7, 8], [7, 9], [8, 9], [7, 8]]
    assert found.pairs["n"].tolist() == [100, 100, 100, 70]
    assert found.table.loc["private:a", "procrustes"] == pytest.approx(0, abs=1e-9)


def test_an_empty_block_is_no_number_and_bad_input_is_refused():
    z = np.random.default_rng(5).standard_normal((20, 2))
    assert np.isnan(tl.stability([z, 0 * z]).table.loc["latent", "procrustes"])
    with pytest.raises(ValueError, match="at least two fits"):
        tl.stability([z])
    with pytest.raises(ValueError, match="rows differ"):
        tl.stability([z, z[1:]])


def test_fitted_models_are_compared_block_by_block(fitted):
    found = tl.stability([fitted, fitted]).table
    assert set(found.index) == set(tl.latent_blocks(fitted))
    assert found.loc["shared", "procrustes"] == pytest.approx(0, abs=1e-9)
