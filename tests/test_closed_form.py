"""Which options leave the fit its closed form, and what a model of it is."""

import numpy as np
import pytest
import torch

import mvlatent as mv
from mvlatent.fitting.closed import closed_form
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.objectives.terms import as_terms

TERMS = as_terms({"cross_view": 1.0})
NONE = as_terms({"cross_view": 0.0, "alignment": 0.0})


@pytest.mark.parametrize(
    ("options", "plan"),
    [
        ({}, {}),
        ({"encoder": "exact"}, {}),
        ({"objectives": NONE}, {}),
        ({"effects": "free"}, {"max_epochs": 0}),
        ({"start": "random", "rank": "full", "sweeps": 3}, {"seed": 3}),
        ({}, {"lr": 0.5, "warmup": 0.2, "weight_decay": 0.0}),
    ],
    ids=str,
)
def test_linear_decoders_and_exact_experts_have_a_closed_form(options, plan):
    assert closed_form(Options(**options), Plan(**plan))


@pytest.mark.parametrize(
    ("options", "plan"),
    [
        ({"decoder": "mlp"}, {}),
        ({"decoder": "additive"}, {}),
        ({"encoder": "mlp"}, {}),
        ({"encoder": "linear"}, {}),
        ({"prior": "mixture"}, {}),
        ({"prior": "flow"}, {}),
        ({"loadings": "ard"}, {}),
        ({"loadings": "horseshoe"}, {}),
        ({"objectives": TERMS}, {}),
        ({"objectives": TERMS, "stop_gradient": True}, {}),
        ({"rho": 0.1}, {}),
        ({"likelihood_power": {"a": 0.5}}, {}),
        ({"top_down": False}, {}),
        ({}, {"batch_size": 32}),
    ],
    ids=str,
)
def test_what_is_learnt_by_gradients_has_none(options, plan):
    assert not closed_form(Options(**options), Plan(**plan))


@pytest.fixture
def counted(monkeypatch):
    """How often each way of fitting was taken."""
    calls = {"climb": 0, "fit": 0}
    from mvlatent.fitting import closed, gradients

    def count(module, name):
        own = getattr(module, name)

        def called(*args, **options):
            calls[name] += 1
            return own(*args, **options)

        monkeypatch.setattr(module, name, called)

    count(closed, "climb"), count(gradients, "fit")
    return calls


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"climb": 1, "fit": 0}),
        ({"objectives": {"cross_view": 0.0}}, {"climb": 1, "fit": 0}),
        ({"objectives": {"cross_view": 1.0}, "max_epochs": 2}, {"climb": 0, "fit": 1}),
        ({"decoder": "mlp", "max_epochs": 2}, {"climb": 0, "fit": 1}),
        ({"batch_size": 40, "max_epochs": 2}, {"climb": 0, "fit": 1}),
    ],
    ids=str,
)
def test_the_way_taken(small_fit, fitted_mdata, counted, options, expected):
    model = small_fit(fitted_mdata, **options)
    assert counted == expected
    assert model.trained.is_closed == bool(expected["climb"])
    assert (model.trained.view_heads is not None) == bool(expected["climb"])


def test_a_warm_start_is_followed_by_the_loop(small_fit, fitted_mdata, fitted, counted):
    small_fit(fitted_mdata, warm_start=fitted, max_epochs=1)
    assert counted == {"climb": 0, "fit": 1}


def test_the_same_seed_gives_the_same_model(small_fit, fitted_mdata, fitted):
    again = small_fit(fitted_mdata)
    np.testing.assert_array_equal(again.transform(), fitted.transform())
    np.testing.assert_array_equal(again.impute("rna"), fitted.impute("rna"))


def test_the_state_of_random_numbers_is_left_as_it_was(small_fit, fitted_mdata):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    small_fit(fitted_mdata)
    assert torch.equal(before, torch.get_rng_state())


def test_validation_patients_are_not_fitted_to(small_fit, fitted_mdata, small_cohort):
    """Their values say nothing of z, rank or loadings."""
    from mvlatent.fitting.checks import validation_rows

    rows = validation_rows(fitted_mdata.n_obs, 0.25, 0)
    changed = small_cohort()
    for name in ("rna", "img"):
        mod = changed.mod[name]
        held = mod.obs_names.isin(changed.obs_names[rows])
        x = np.array(mod.X)
        x[held] = x[held][::-1]
        mod.X = x
    one, other = (small_fit(m, validation_size=0.25) for m in (fitted_mdata, changed))
    np.testing.assert_allclose(one.loadings("rna"), other.loadings("rna"), atol=1e-5)
    assert one.history.equals(other.history)


@pytest.mark.parametrize(("world", "n"), [("easy", 6), ("easy", 12), ("missing50", 30)])
def test_few_patients_are_fitted(world, n):
    mdata, _ = mv.sim.cohort(world, n=n)
    model = mv.fit(mdata, batch="site", progress=False, accelerator="cpu")
    assert "too few patients to hold some out" in model.summary()
    assert np.isfinite(model.transform()).all()
    assert np.isfinite(model.impute("rna", given=["cnv"]).to_numpy()).all()
    assert model.trained.view_heads is None and float(model.trained.vae.caution) == 1.0


def test_one_view_is_fitted():
    mdata, _ = mv.sim.cohort("easy", n=60)
    model = mv.fit(mdata, views=["rna"], progress=False, accelerator="cpu")
    assert "one view: leading components, in closed form" in model.summary()
    assert np.isfinite(model.transform()).all() and len(model.history) == 1


def test_the_order_of_patients_does_not_matter():
    """Other folds, the same factors."""
    mdata, _ = mv.sim.cohort("easy", n=120)
    order = np.random.default_rng(0).permutation(120)
    turned = mdata[order].copy()
    one, other = (
        mv.fit(m, batch="site", progress=False, accelerator="cpu").posterior()
        for m in (mdata, turned)
    )
    places = [one.obs_names.index(name) for name in other.obs_names]
    assert places == order.tolist()
    a, b = one.mean[places], other.mean
    left = b - a @ np.linalg.lstsq(a, b, rcond=None)[0]
    assert np.square(left).sum() < 1e-3 * np.square(b).sum()
