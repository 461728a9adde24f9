"""What all threads share comes back as it was, and threads at once do what one alone does."""

import copy
import pickle
import random
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed

import mvlatent as mv
from mvlatent.process import alone, quiet, seeded, usual_torch

PACKAGE = Path(mv.__file__).parent
DRAWS = {"n_samples": 8}
READERS = {
    "transform": lambda m, d: m.transform(d, block="all"),
    "draws": lambda m, d: m.posterior(d, block="all").sample(3, seed=1),
    "impute": lambda m, d: m.impute("rna", mdata=d, interval=0.9, **DRAWS).lower,
    "risk": lambda m, d: m.predict_risk(d),
    "survival": lambda m, d: m.predict_survival([6, 12], mdata=d, interval=0.9, **DRAWS).upper,
    "labels": lambda m, d: m.predict_labels(d, proba=True, **DRAWS),
    "variance": lambda m, d: m.variance_explained(d),
    "loadings": lambda m, d: m.loadings("img"),
    "hazard_ratios": lambda m, d: m.hazard_ratios(n_samples=20),
    "ledger": lambda m, d: m.ledger(n_samples=20),
    "value_of": lambda m, d: m.value_of("img", n_samples=2),
    "summary": lambda m, d: pd.Series(m.summary().splitlines()[:5]),
}
each_reader = pytest.mark.parametrize("reader", READERS)
FITS = {"closed": {}, "gradients": {"decoder": "mlp", "max_epochs": 2}, "in training": {"rho": 0.5}}


def state():
    """All that a process shares and a user may have set."""
    return {
        "random": random.getstate(),
        "numpy": np.random.get_state()[1].tobytes(),
        "torch": torch.get_rng_state().numpy().tobytes(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "validation": torch.distributions.Distribution._validate_args,
        "threads": torch.get_num_threads(),
        "filters": list(warnings.filters),
    }


@pytest.fixture(autouse=True)
def comes_back():
    """Whatever a test here does, the process is as it was."""
    before = state()
    yield
    after = state()
    assert not [name for name, value in before.items() if after[name] != value]


@pytest.fixture(scope="module")
def new(fitted_mdata):
    return fitted_mdata[:20].copy()


def same(one, two, **close):
    one, two = (x.to_numpy() if hasattr(x, "to_numpy") else np.asarray(x) for x in (one, two))
    if one.dtype == object:
        np.testing.assert_array_equal(one, two)
    else:
        np.testing.assert_allclose(one, two, **{"rtol": 1e-5, "atol": 1e-5, **close})


# --- state ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FITS)
def test_a_fit_gives_everything_back(small_fit, fitted_mdata, kind):
    before = state()
    small_fit(fitted_mdata, **{"max_epochs": 3, **FITS[kind]})
    assert state() == before


@each_reader
def test_a_reading_gives_everything_back(fitted, fitted_mdata, new, reader):
    for mdata in (None, new):
        before = state()
        READERS[reader](fitted, mdata)
        assert state() == before


@pytest.mark.slow
def test_a_sampled_head_gives_everything_back(fitted):
    model, before = copy.deepcopy(fitted), state()
    model.refit_head("nuts", num_samples=5, warmup=5)
    assert state() == before


def test_a_simulation_gives_everything_back():
    mv.datasets.demo(30)  # scipy adds a filter where it is first imported
    before = state()
    mv.datasets.demo(30)
    assert state() == before


def test_a_loading_gives_everything_back(fitted, fitted_mdata, tmp_path):
    before = state()
    fitted.save(tmp_path / "m")
    mv.MVLatent.load(tmp_path / "m", fitted_mdata)
    assert state() == before


@each_reader
def test_torch_set_otherwise_changes_no_reading(fitted, new, reader):
    alone_ = READERS[reader](fitted, new)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            same(READERS[reader](fitted, new), alone_)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("kind", FITS)
def test_torch_set_otherwise_changes_no_fit(small_fit, fitted_mdata, kind):
    options = {"max_epochs": 2, **FITS[kind]}
    usual = small_fit(fitted_mdata, **options).transform()
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            other = small_fit(fitted_mdata, **options)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(before)
    same(other.transform(), usual)


def test_an_error_gives_everything_back(fitted, fitted_mdata, small_fit):
    before = state()
    with pytest.raises(ValueError, match="n_shared"):
        small_fit(fitted_mdata, n_shared=500)
    with pytest.raises(KeyError):
        fitted.transform(given=["nothing"])
    assert state() == before


def test_only_one_file_touches_what_is_shared():
    words = ("fork_rng", "torch.manual_seed(", "set_default_dtype", "simplefilter", "set_rng_seed")
    words += ("catch_warnings", "filterwarnings", "random.seed(", "seed_everything", "setstate(")
    found = {
        path.name
        for path in PACKAGE.rglob("*.py")
        if any(word in path.read_text("utf-8") for word in words)
    }
    assert found == {"process.py", "nuts.py"}  # which seeds within a seeded block


# --- the blocks themselves ------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=10))
def test_filters_come_back_however_blocks_of_threads_overlap(order):
    """A name opens its block the first time and closes it the next."""
    before, blocks = list(warnings.filters), {}
    for name in [*order, *"abcd"]:
        if name in blocks:
            blocks.pop(name).__exit__(None, None, None)
        else:
            blocks[name] = quiet(name)
            blocks[name].__enter__()
    for block in blocks.values():
        block.__exit__(None, None, None)
    assert warnings.filters == before


def test_quiet_ends_where_it_ends():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("inside", stacklevel=1)
            with quiet("no"):
                warnings.warn("deeper", stacklevel=1)
        warnings.warn("outside", stacklevel=1)
    assert [str(each.message) for each in said] == ["outside"]


def test_seeded_draws_in_threads_are_those_of_one():
    def draw(seed):
        with seeded(seed):
            return [torch.rand(200).sum().item() for _ in range(20)]

    expected = [draw(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(8))) == expected


def test_one_at_a_time():
    inside, most = [], []

    def work(_):
        with alone(), usual_torch():
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.002)
            inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(12)))
    assert max(most) == 1


# --- fits and readings at once --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["closed", "gradients"])
def test_two_fits_in_two_threads(small_fit, small_cohort, kind):
    """Also of one and the same cohort, set up in two ways."""
    cohort, options = small_cohort(n=60), {"max_epochs": 2, **FITS[kind]}
    ways = [{"seed": 3}, {"seed": 4, "batch": None, "labels": None}]

    def fit(way):
        return small_fit(cohort, **{**options, **way})

    one = [fit(way) for way in ways]
    both = Parallel(2, backend="threading")(delayed(fit)(way) for way in ways)
    for expected, found in zip(one, both, strict=True):
        assert found.roles == expected.roles
        same(found.transform(), expected.transform())
        same(found.predict_risk(), expected.predict_risk())


def test_four_readers_in_four_threads(fitted, new):
    names = [*READERS] * 2
    expected = {name: READERS[name](fitted, new) for name in READERS}
    found = Parallel(4, backend="threading")(delayed(READERS[n])(fitted, new) for n in names)
    for name, value in zip(names, found, strict=True):
        same(value, expected[name])


def test_a_reader_beside_a_fit(fitted, new, small_fit, small_cohort):
    expected = fitted.predict_risk(new)
    with ThreadPoolExecutor(2) as pool:
        fit = pool.submit(small_fit, small_cohort(n=60), max_epochs=2)
        risks = list(pool.map(lambda _: fitted.predict_risk(new), range(4)))
        assert fit.result().is_trained
    for risk in risks:
        same(risk, expected)


# --- pickle and copy ------------------------------------------------------------------------------

COPIES = {"pickle": lambda m: pickle.loads(pickle.dumps(m)), "deepcopy": copy.deepcopy}
each_copy = pytest.mark.parametrize("how", COPIES)


@pytest.fixture(scope="module")
def loaded(fitted, fitted_mdata, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m"
    fitted.save(path)
    return {"bare": mv.MVLatent.load(path), "with": mv.MVLatent.load(path, fitted_mdata)}


@each_copy
@pytest.mark.parametrize("which", ["fitted", "with", "bare"])
def test_a_copy_reads_as_the_model(fitted, loaded, new, how, which):
    model = fitted if which == "fitted" else loaded[which]
    again = COPIES[how](model)
    for name, read in READERS.items():
        for mdata in (new,) if which == "bare" else (new, None):
            if which == "bare" and name in ("ledger", "value_of", "hazard_ratios"):
                continue  # they are of the model's own patients
            same(read(again, mdata), read(model, mdata))
    pd.testing.assert_frame_equal(again.history, model.history)
    assert again.roles == model.roles and type(again) is type(model)
    if which == "bare":
        with pytest.raises(ValueError, match="loaded without data"):
            again.transform()
    else:
        assert list(again.adata.obs_names) == list(model.adata.obs_names)
    if which == "fitted":
        assert again.summary() == model.summary()


@each_copy
def test_a_copy_shares_nothing(fitted, how):
    again = COPIES[how](fitted)
    z = fitted.transform()
    with torch.no_grad():
        for each in again.trained.vae.parameters():
            each.zero_()
    again.tables().views["rna"].x[:] = 0
    same(fitted.transform(), z)
    assert not np.all(fitted.tables().views["rna"].x == 0)


@each_copy
def test_a_copy_can_be_saved_and_fitted_further(fitted, how, tmp_path):
    again = COPIES[how](fitted)
    again.save(tmp_path / "m")
    same(mv.MVLatent.load(tmp_path / "m").transform(fitted.adata), fitted.transform())
    again.fit(max_epochs=2, progress=False)
    assert again.is_trained


@each_copy
def test_a_copy_of_a_model_that_is_not_fitted(fitted_mdata, roles, how):
    mv.MVLatent.setup_mudata(
        fitted_mdata, batch_key="site", outcomes=[mv.Survival(*roles["survival"])]
    )
    model = mv.MVLatent(fitted_mdata, n_shared=2)
    again = COPIES[how](model)
    one, two = (m.fit(max_epochs=2, progress=False).transform() for m in (model, again))
    same(one, two)


def test_results_are_pickled(fitted, new):
    for value in (
        fitted.posterior(new).mean,
        fitted.impute("rna", mdata=new, interval=0.9, **DRAWS),
        fitted.predict_survival([6], mdata=new, interval=0.9, **DRAWS),
    ):
        pickle.loads(pickle.dumps(value))
