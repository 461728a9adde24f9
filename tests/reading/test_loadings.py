"""Priors and random loadings through the front door: options, readings, summary and disk."""

import numpy as np
import pandas as pd
import pytest
import torch

import mvlatent as mv
from mvlatent.fitting.options import Options
from mvlatent.posterior import Latents
from mvlatent.reading.impute import predict_view
from mvlatent.vae.basis import Basis
from mvlatent.vae.loadings import LOADINGS
from mvlatent.vae.priors import PRIORS

SHAPES = [{"prior": p, "n_components": 3} for p in PRIORS if p != "normal"]
SHAPES += [{"loadings": kind} for kind in LOADINGS]


@pytest.fixture(scope="module", params=SHAPES, ids=lambda o: next(iter(o.values())))
def shaped(request, small_fit, fitted_mdata):
    """A model with one of its families changed, and the options that changed it."""
    return small_fit(fitted_mdata, max_epochs=4, **request.param), request.param


def test_round_trip(shaped, fitted_mdata, tmp_path):
    model, options = shaped
    model.save(tmp_path / "m")
    again = mv.MVLatent.load(tmp_path / "m", fitted_mdata)
    assert all(getattr(again.options, k) == v for k, v in options.items())
    np.testing.assert_allclose(again.transform(), model.transform(), atol=1e-5)
    for given in (None, []):
        one, other = (m.impute("rna", given=given, interval=0.8) for m in (again, model))
        np.testing.assert_allclose(one.upper, other.upper, rtol=1e-4)
        assert bool((one.lower < one.mean).to_numpy().all())
    pd.testing.assert_series_equal(again.predict_risk(), model.predict_risk(), rtol=1e-4)
    assert again.summary() == model.summary()


def test_summary_names_what_is_not_the_default(shaped, fitted):
    model, options = shaped
    kind = next(iter(options.values()))
    assert kind in model.summary() and kind not in fitted.summary()


def test_loadings_with_intervals(shaped):
    model, options = shaped
    if "loadings" not in options:
        with pytest.raises(ValueError, match="loadings='ard'"):
            model.loadings("rna", interval=0.9)
        with pytest.raises(ValueError, match="loadings='ard'"):
            model.active_factors()
        return
    for block, width in (("shared", 3), ("private", 2), ("private:rna", 2)):
        found = model.loadings("rna", block=block, interval=0.9)
        known = model.loadings("rna", block=block)
        assert known.shape == (24, width)
        pd.testing.assert_frame_equal(found.mean, known, check_dtype=False)
        half = (found.upper - found.lower) / 2
        np.testing.assert_allclose(half, 1.6449 * found.sd, rtol=1e-3)
        np.testing.assert_allclose((found.upper + found.lower) / 2, found.mean, atol=1e-9)
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.loadings("rna", interval=1.0)
    active, size = model.active_factors(), model.active_factors(sd=True)
    assert list(active.columns) == ["rna", "mut", "img"] and active.shape == (3 + 3 * 2, 3)
    assert active.dtypes.eq(bool).all() and active.to_numpy().any()
    assert not active.loc["private:rna_0", "mut"] and np.isnan(size.loc["private:rna_0", "mut"])
    shared = model.loadings("rna", interval=0.9)
    rms = np.sqrt((shared.mean**2 + shared.sd**2).mean())
    np.testing.assert_allclose(size.loc[list(shared.mean.columns), "rna"], rms, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "gaussian"}, "prior 'gaussian' is not one of 'normal', 'mixture'"),
        ({"loadings": "lasso"}, "loadings 'lasso' is not one of 'point', 'ard'"),
        ({"n_components": 0}, "n_components must be a positive integer"),
    ],
)
def test_names_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_intervals_need_a_linear_decoder(small_fit, fitted_mdata):
    model = small_fit(fitted_mdata, max_epochs=1, loadings="ard", decoder="additive")
    with pytest.raises(ValueError, match="decoder='linear'"):
        model.loadings("rna", interval=0.9)


def test_the_defaults_are_normal_and_point(small_fit, fitted, fitted_mdata):
    """Naming them changes no number, and neither adds a parameter."""
    named = small_fit(fitted_mdata, prior="normal", loadings="point")
    pd.testing.assert_frame_equal(named.history, fitted.history, rtol=1e-4)
    state = named.trained.vae.state_dict()
    assert not any("prior." in name or "decoder.random_loadings" in name for name in state)


@torch.no_grad()
def test_a_view_predicted_from_nothing_has_the_priors_quantiles(make_cohort, make_vae):
    """Two far components: a Gaussian of the same moments would put its quartiles elsewhere."""
    cohort = make_cohort({"a": 4, "b": 3}, n=6)
    vae = make_vae(cohort, n_shared=1, n_private=1, prior="mixture", n_components=2)
    vae.prior.logits.zero_()
    vae.prior.means.copy_(torch.tensor([[-3.0], [3.0]]))
    vae.prior.log_scale.fill_(-2.0)
    vae.prior.low_rank.zero_()
    part = vae.part("a")
    part.decoder.shared.fill_(2.0)
    part.decoder.private.fill_(0.1)
    part.decoder.intercept.zero_()
    part.likelihood.log_scale.fill_(-1.0)
    basis = Basis.fit(cohort.views["a"])
    latents = Latents(vae, cohort.mask_views([]))
    found = predict_view(latents, "a", basis, lambda x: x, level=0.5, n_samples=4000, seed=0)
    np.testing.assert_allclose(found.sd, 6.0, atol=0.15)
    np.testing.assert_allclose(found.mean, 0.0, atol=0.4)
    np.testing.assert_allclose(found.upper, 6.0, atol=0.1)  # a normal one: 4.0
    np.testing.assert_allclose(found.lower, -6.0, atol=0.1)


@torch.no_grad()
def test_predictive_intervals_hold_the_spread_of_the_loadings(make_cohort, make_vae):
    cohort = make_cohort({"a": 4, "b": 60}, n=30)
    vae = make_vae(cohort, n_shared=2, n_private=1, loadings="ard")
    basis = Basis.fit(cohort.views["a"])

    def variance():
        latents = Latents(vae, cohort.mask_views(["b"]))
        return predict_view(latents, "a", basis, lambda x: x).sd ** 2, latents

    vae.part("a").decoder.random_loadings.log_sd.fill_(-20.0)
    narrow, latents = variance()
    vae.part("a").decoder.random_loadings.log_sd.fill_(float(np.log(0.5)))
    wide, _ = variance()
    energy = (latents.z.mean.square() + latents.z.variance).sum(1) + 1.0  # w at its prior
    known = 0.25 * energy[:, None].expand(30, 4)
    np.testing.assert_allclose(wide - narrow, known, rtol=1e-3)
