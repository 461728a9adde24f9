"""Objectives, switches and warm starts through the public face."""

import json

import numpy as np
import pytest

import mvlatent as mv
from mvlatent.objectives import TERMS, Alignment, CrossView

ALL = dict.fromkeys(TERMS, 0.5)


@pytest.fixture(scope="module")
def everything(small_fit, fitted_mdata):
    """Every term at once, minibatches, hidden views, validation and a refit."""
    return small_fit(
        fitted_mdata,
        objectives=ALL,
        shared_first=0.2,
        max_epochs=6,
        batch_size=20,
        view_dropout=0.3,
        validation_size=0.15,
        refit_epochs=2,
    )


def test_every_term_is_in_the_history(everything):
    history = everything.history
    assert history.drop(columns=[c for c in history if "valid" in c]).notna().all(axis=None)
    for name in TERMS:
        assert (history[name] != 0).all() and history[f"weight:{name}"].iloc[-1] == 0.5
    assert (history["kl:w:rna"].iloc[:2] == 0).all() and (history["kl:w:rna"].iloc[2:] < 0).all()
    assert "beside the ELBO: cross_view 0.5, agreement 0.5" in everything.summary()


def test_options_are_kept_with_the_model(small_fit, fitted_mdata, tmp_path):
    objectives = [CrossView(weight=0.3, n_samples=2), Alignment(kind="cca", schedule=(0.1, 0.2))]
    model = small_fit(
        fitted_mdata, objectives=objectives, top_down=False, stop_gradient=True, max_epochs=2
    )
    model.save(tmp_path / "model")
    loaded = mv.MVLatent.load(tmp_path / "model", fitted_mdata)
    assert loaded.options == model.options and loaded.options.objectives == tuple(objectives)
    np.testing.assert_allclose(
        loaded.transform(block="private:rna"), model.transform(block="private:rna"), atol=1e-6
    )
    spec = json.loads((tmp_path / "model" / "spec.json").read_text())
    assert spec["design"]["top_down"] is False


def test_no_objective_is_the_default_and_weight_zero_is_none(small_fit, fitted_mdata, fitted):
    zero = small_fit(fitted_mdata, objectives={"cross_view": 0.0})
    np.testing.assert_allclose(zero.transform(), fitted.transform(), atol=1e-3)
    assert not set(TERMS) & set(zero.history) and fitted.options.objectives == ()


def test_a_term_does_what_it_is_for(small_fit, fitted_mdata):
    """Cosine alignment brings what two views say of a patient together."""
    names = [set(fitted_mdata.mod[view].obs_names) for view in ("rna", "img")]
    both = fitted_mdata.obs_names.isin(names[0] & names[1])

    def misfit(**options):
        model = small_fit(fitted_mdata, rank="full", max_epochs=25, **options)
        means = [model.transform(given=[view])[both] for view in ("rna", "img")]
        a, b = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in means)
        return 1 - float((a * b).sum(1).mean())

    plain = misfit()
    aligned = misfit(objectives={"alignment": {"kind": "cosine", "weight": 100.0}})
    assert aligned < 0.8 * plain


def test_a_warm_start_goes_on_where_the_other_ended(small_fit, fitted_mdata, fitted):
    warm = small_fit(fitted_mdata, warm_start=fitted, max_epochs=1, lr=1e-6)
    loop = {"start": "random", "batch_size": fitted_mdata.n_obs}  # no closed form, one step
    cold = small_fit(fitted_mdata, max_epochs=1, lr=1e-6, **loop)
    np.testing.assert_allclose(warm.transform(), fitted.transform(), atol=0.02)
    assert np.abs(cold.transform() - fitted.transform()).max() > 0.1
    assert warm.history["elbo"].iloc[0] > cold.history["elbo"].iloc[0]
    assert "started from a fitted model" in warm.summary()
    with pytest.raises(ValueError, match="warm_start: n_shared is 3 there and 4 here"):
        small_fit(fitted_mdata, warm_start=fitted, n_shared=4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"objectives": {"crossview": 1.0}}, KeyError, "no objective 'crossview'"),
        ({"stop_gradient": True}, ValueError, "add the cross-view term"),
        ({"stop_gradient": True, "objectives": {"cross_view": 0.0}}, ValueError, "cross-view"),
        ({"stop_gradient": True, "objectives": ["cross_view"], "rho": 0.1}, ValueError, "rho"),
        ({"shared_first": 0.2}, ValueError, "shared_first clamps .* add objectives"),
        ({"shared_first": 1.0}, ValueError, "shared_first must be in"),
        ({"objectives": ["agreement"], "views": {"rna": "normal"}}, ValueError, "at least 2 views"),
    ],
)
def test_what_cannot_be_is_named_before_training(
    small_fit, fitted_mdata, monkeypatch, options, error, message
):
    monkeypatch.setattr("mvlatent.fitting.gradients.fit", lambda *a, **k: pytest.fail("trained"))
    with pytest.raises(error, match=message):
        small_fit(fitted_mdata, **options)
