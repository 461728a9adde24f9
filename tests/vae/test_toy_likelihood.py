"""A likelihood of one class and one declaration: guessed, fitted, imputed, kept, forgotten."""

import warnings

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import mvlatent as mv
from mvlatent.specs.likelihoods import LIKELIHOODS, Declaration, registered
from mvlatent.specs.values import Support
from mvlatent.vae.likelihoods import Likelihood

N, P = 150, 12
QUICK = {"n_shared": 2, "n_private": 1, "max_epochs": 15, "progress": False, "accelerator": "cpu"}
EULER = 0.5772156649


class Exponential(Likelihood):
    """Waiting times, x ~ Exponential(mean e^η); their logarithms are measured as normal ones are.

    Nothing else in the package knows of it.
    """

    measures = True
    quantiles = "linear"
    fill = 1.0

    def entries(self, x: Tensor, eta: Tensor) -> Tensor:
        return -eta - x * (-eta).exp()

    def mean(self, eta: Tensor) -> Tensor:
        return eta.exp()

    def variance(self, eta: Tensor) -> Tensor:
        return (2 * eta).exp()

    def draw(self, eta: Tensor) -> Tensor:
        return eta.exp() * torch.empty_like(eta).exponential_()

    def link(self, mean: Tensor) -> Tensor:
        return mean.clamp_min(1e-6).log()

    @staticmethod
    def surface(x: Tensor, exposure: Tensor | None = None) -> Tensor:
        return x.clamp_min(1e-6).log()

    def unsurface(self, surface: Tensor) -> Tensor:
        return surface.exp()

    def expected_surface(self, eta: Tensor) -> Tensor:
        return eta - EULER

    def curvature(self, x: Tensor, eta: Tensor) -> tuple[Tensor, Tensor]:
        relative = x * (-eta).exp()
        return relative - 1, relative

    def information(self, eta: Tensor) -> Tensor:
        return torch.ones_like(eta)


DECLARED = Declaration(
    f"{__name__}:Exponential",
    Support(lambda x: x > 0, "holds values that are not positive"),
    guess=lambda seen: (not seen.whole and seen.low > 0 and seen.high > 2, "positive fractions"),
)


@pytest.fixture(scope="module", autouse=True)
def known():
    with registered("exponential", DECLARED):
        yield
    assert "exponential" not in LIKELIHOODS
    with pytest.raises(ValueError, match="'exponential' is not one of"):
        mv.View("exponential")


@pytest.fixture(scope="module")
def mdata():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(N, 2))
    names = [f"p{i:03d}" for i in range(N)]
    times = np.exp(1 + z @ rng.normal(size=(2, P))) * rng.exponential(size=(N, P))
    times[rng.random(times.shape) < 0.04] = np.nan
    image = z @ rng.normal(size=(2, 10)) + 0.3 * rng.normal(size=(N, 10))
    keep = np.arange(N) % 9 > 0
    views = {
        "wait": anndata.AnnData(times[keep], obs=pd.DataFrame(index=np.array(names)[keep])),
        "img": anndata.AnnData(image, obs=pd.DataFrame(index=names)),
    }
    for name, view in views.items():
        view.var_names = [f"{name}{j}" for j in range(view.n_vars)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mudata.MuData(views)


@pytest.fixture(scope="module")
def model(mdata):
    return mv.fit(mdata, **QUICK)  # guessed


def test_it_is_guessed_and_says_its_defaults(model):
    assert model.roles.views["wait"] == mv.View("exponential")
    assert model.roles.views["img"].likelihood == "normal"
    assert "exponential (positive fractions)" in model.summary()
    assert (mv.View("exponential").scaling, mv.View("exponential").offset) == ("none", "none")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scaling": "zscore"}, "exponential view cannot be scaled"),
        ({"offset": "burden"}, "burden"),
    ],
)
def test_what_it_does_not_take_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        mv.View("exponential", **options)


def test_values_outside_of_its_support_are_named(mdata):
    wrong = mdata.copy()
    wrong["wait"].X[3, 2] = -1.0
    with pytest.raises(ValueError, match=r"'wait' is exponential but .* not positive in 'wait2'"):
        mv.fit(wrong, views={"wait": "exponential", "img": "normal"}, **QUICK)


@pytest.mark.parametrize("given", [["img"], ["wait"], None])
def test_intervals_hold_new_values_in_the_users_units(model, mdata, given):
    found = model.impute("wait", given=given, interval=0.9)
    true = mdata["wait"].to_df().reindex(index=found.mean.index).to_numpy()
    seen = ~np.isnan(true)
    lower, upper, mean = (getattr(found, name).to_numpy() for name in ("lower", "upper", "mean"))
    assert (lower > 0).all() and (lower <= upper).all()
    assert 0.84 < ((lower <= true) & (true <= upper))[seen].mean() < 0.97
    assert np.corrcoef(np.log(mean[seen]), np.log(true[seen]))[0, 1] > 0.45


def test_it_is_kept_and_loaded(model, mdata, tmp_path):
    model.save(tmp_path / "model")
    again = mv.MVLatent.load(tmp_path / "model", mdata)
    np.testing.assert_allclose(again.transform(), model.transform(), atol=1e-6)
    one, other = (m.impute("wait", interval=0.8).upper for m in (model, again))
    pd.testing.assert_frame_equal(one, other)


def test_it_is_trained_by_gradients_too(mdata):
    views = {"wait": "exponential", "img": "normal"}
    found = mv.fit(mdata, views=views, decoder="mlp", **{**QUICK, "n_hidden": 8})
    assert found.history["elbo"].iloc[-1] > found.history["elbo"].iloc[0]
    assert np.isfinite(found.variance_explained().to_numpy(dtype=float)).all()


def test_a_name_is_registered_once():
    with pytest.raises(ValueError, match="registered already"), registered("nb", DECLARED):
        pass
