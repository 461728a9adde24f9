from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mvlatent import sim, tl
from mvlatent.tl._latent.probes import PROBES


def _truth(n=500, seed=0):
    rng = np.random.default_rng(seed)
    truth = {"shared": rng.standard_normal((n, 3)), "shared:rna+img": rng.standard_normal((n, 2))}
    truth |= {f"private:{view}": rng.standard_normal((n, 2)) for view in ("rna", "cnv", "img")}
    return truth, rng


def _latents(truth):
    z = np.hstack([truth["shared"], truth["shared:rna+img"]])
    return {"shared": z} | {name: w for name, w in truth.items() if name.startswith("private")}


@pytest.mark.parametrize("probe", PROBES)
def test_the_truth_has_full_diagonals_and_no_leak(probe):
    truth, _ = _truth(300)
    found = tl.leakage_matrix(_latents(truth), truth, probe=probe)
    assert found.expected.loc["shared"].tolist() == [True, True, False, False, False]
    assert found.expected.to_numpy().sum() == 5
    assert found.diagonal_mean > 0.99
    assert found.leak_max < 0.01
    assert found.leak_mean == pytest.approx(0, abs=0.005)
    assert found.summary()["leak_max"] == found.leak_max


def test_a_known_mixture_leaks_its_share():
    """Half of the variance of private:rna is z: R² of each is 1/2; rotation changes nothing."""
    truth, rng = _truth(4000)
    latents = _latents(truth)
    latents["private:rna"] = truth["private:rna"] + truth["shared"][:, :2]
    found = tl.leakage_matrix(latents, truth)
    assert found.worst == ("private:rna", "shared")
    # two of three shared factors are read with R² 1/2
    assert found.leak_max == pytest.approx(1 / 3, abs=0.02)
    assert found.table.loc["private:rna", "private:rna"] == pytest.approx(1 / 2, abs=0.03)
    turned = {
        k: z @ np.linalg.qr(rng.standard_normal((z.shape[1],) * 2))[0] for k, z in latents.items()
    }
    np.testing.assert_allclose(tl.leakage_matrix(turned, truth).table, found.table, atol=1e-3)


@pytest.mark.parametrize("probe", PROBES)
def test_correlated_truths_are_no_leak_but_what_is_read_beyond_them_is(probe):
    truth, _ = _truth(400)
    truth["private:cnv"] = 0.6 * truth["shared"][:, :2] + 0.8 * truth["private:cnv"]
    latents = _latents(truth)
    clean = tl.leakage_matrix(latents, truth, probe=probe)
    assert clean.table.loc["shared", "private:cnv"] == pytest.approx(0.36, abs=0.1)
    assert clean.leak_max < 0.015
    latents["shared"] = np.hstack([latents["shared"], truth["private:cnv"][:, :1]])
    leaking = tl.leakage_matrix(latents, truth, probe=probe)
    # of the leaked factor 0.64 of the variance is its own; it is one of two
    assert leaking.beyond.loc["shared", "private:cnv"] == pytest.approx(0.32, abs=0.06)
    assert leaking.worst == ("shared", "private:cnv")


def test_independent_truths_make_both_tables_agree():
    truth, _ = _truth(1000)
    latents = _latents(truth)
    latents["shared"] = latents["shared"] + 0.5 * np.random.default_rng(1).standard_normal(
        (1000, 5)
    )
    latents["private:img"] = truth["private:img"] + truth["private:rna"]
    found = tl.leakage_matrix(latents, truth)
    np.testing.assert_allclose(found.beyond, found.table, atol=0.03)


def test_patients_without_the_view_take_no_part():
    truth, _ = _truth(400)
    latents = _latents(truth)
    gone = np.arange(400) % 2 == 0
    latents["private:rna"] = np.where(gone[:, None], np.nan, latents["private:rna"])
    found = tl.leakage_matrix(latents, truth)
    assert found.table.loc["private:rna", "private:rna"] > 0.99
    half = tl.block_recovery(truth["private:rna"][~gone], truth["private:rna"][~gone])
    assert found.table.loc["private:rna", "private:rna"] == pytest.approx(half)


def test_a_model_is_read_against_the_truth_by_names_of_patients(fitted, fitted_mdata):
    names = list(fitted_mdata.obs_names)
    rng = np.random.default_rng(0)
    z = pd.DataFrame(fitted.transform(), names)
    order = rng.permutation(names)
    blocks = {
        "shared": z.loc[order].sum(axis=1).to_numpy(),
        "private:rna": rng.standard_normal((len(names), 1)),
    }
    truth = SimpleNamespace(obs_names=order, blocks=blocks)
    found = tl.leakage_matrix(fitted, truth)
    assert found.table.loc["shared", "shared"] > 0.99
    assert [*found.table.index] == ["shared", "private:img", "private:mut", "private:rna"]
    with pytest.raises(KeyError, match="lacks 1 patients"):
        tl.leakage_matrix(
            fitted, SimpleNamespace(obs_names=order[1:], blocks={"shared": blocks["shared"][1:]})
        )


def test_latents_without_truth_of_their_own_are_judged_by_plain_r2():
    truth, _ = _truth(300)
    found = tl.leakage_matrix({"pca": truth["shared"]}, truth)
    assert not found.expected.to_numpy().any()
    assert np.isnan(found.diagonal_mean)
    np.testing.assert_allclose(found.beyond, found.table)


def _views(n=3000, seed=0):
    """Views of unit variance a part: z and own; rna and img share one factor more."""
    rng = np.random.default_rng(seed)
    z, pair, *own = rng.standard_normal((5, n, 2))
    views = {"rna": z + pair + own[0], "img": z + pair + own[1], "cnv": z + own[2]}
    return z, pair, dict(zip(views, own, strict=True)), views


def test_view_leakage_finds_what_z_lacks():
    z, pair, own, views = _views()
    private = {f"private:{view}": w for view, w in own.items()}
    good = tl.view_leakage({"shared": np.hstack([z, pair])} | private, views)
    assert good.leak_max < 0.01
    assert good.alone.loc["shared", "rna"] == pytest.approx(2 / 3, abs=0.04)
    assert good.beyond.loc["private:rna", "rna"] == pytest.approx(1 / 3, abs=0.04)
    assert good.beyond.loc["shared"].isna().all()
    hidden = private | {"private:rna": np.hstack([own["rna"], pair])}
    bad = tl.view_leakage({"shared": z} | hidden, views)
    assert bad.leaks.index[0] == ("private:rna", "img")
    assert bad.leak_max == pytest.approx(1 / 3, abs=0.04)
    assert bad.leak_mean == pytest.approx(bad.leak_max / 6, abs=0.01)


def test_view_leakage_scores_measured_entries_only():
    z, pair, own, views = _views()
    blocks = {"shared": np.hstack([z, pair])} | {f"private:{v}": w for v, w in own.items()}
    whole = tl.view_leakage(blocks, views)
    gaps = {name: x.copy() for name, x in views.items()}
    gaps["img"][:1000] = np.nan
    gaps["img"][1000:1500, 0] = np.nan
    found = tl.view_leakage(blocks, gaps)
    np.testing.assert_allclose(found.alone["rna"], whole.alone["rna"])
    assert found.alone.loc["shared", "img"] == pytest.approx(
        whole.alone.loc["shared", "img"], abs=0.06
    )


def test_view_leakage_of_a_model_does_not_look_at_the_view(fitted):
    found = tl.view_leakage(fitted)
    assert [*found.alone.index] == ["shared", "private:img", "private:mut", "private:rna"]
    assert [*found.alone.columns] == ["img", "mut", "rna"]
    blocks = tl.latent_blocks(fitted, given=["mut", "img"])
    rna = tl.scaled_views(fitted)["rna"]
    by_hand = tl.view_leakage(blocks, {"rna": rna})
    assert found.alone.loc["shared", "rna"] == pytest.approx(by_hand.alone.loc["shared", "rna"])
    assert "private:rna" not in blocks
    assert found.beyond.loc["private:rna", "rna"] > 0


def test_view_leakage_says_what_it_needs():
    with pytest.raises(ValueError, match="without views"):
        tl.view_leakage({"shared": np.eye(4)})
    with pytest.raises(KeyError, match="no block 'shared'"):
        tl.view_leakage({"private:a": np.eye(4)}, {"a": np.eye(4)})


def test_what_two_views_share_belongs_to_z_in_a_simulated_cohort():
    _, truth = sim.cohort("easy", n=400, pairwise={("rna", "img"): 2})
    blocks = dict(truth.blocks)
    pairwise = [name for name in blocks if name.startswith("shared:")]
    assert pairwise == ["shared:rna+img"]
    z = np.hstack([blocks["shared"], blocks["shared:rna+img"]])
    private = {name: w for name, w in blocks.items() if name.startswith("private")}
    found = tl.leakage_matrix({"shared": z} | private, truth)
    assert found.diagonal_mean > 0.99
    assert found.leak_max < 0.02
    hidden = private | {"private:img": np.hstack([private["private:img"], z[:, -2:]])}
    leaking = tl.leakage_matrix({"shared": blocks["shared"]} | hidden, truth)
    assert leaking.worst == ("private:img", "shared:rna+img")
    assert leaking.leak_max > 0.95
