"""Views predicted from one another: at least as well as by ridge regression, with intervals."""

import warnings
from types import SimpleNamespace

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import RidgeCV

import mvlatent as mv
from mvlatent.fitting.judged import error_size
from mvlatent.fitting.ridge import Ridge
from mvlatent.fitting.surfaces import scores_of
from mvlatent.heads.view_head import ViewHead, ViewHeads

SIZES = {"a": 60, "b": 50, "c": 40}
N, N_NEW = 260, 200


def values_of(views, seed=0, n=N + N_NEW):
    """Two factors of all views, and a dozen faint ones that a and b alone have in common."""
    rng = np.random.default_rng(seed)
    z, link = rng.normal(size=(n, 2)), rng.normal(size=(n, 12))
    out = {}
    for name, p in views.items():
        x = z @ rng.normal(size=(2, p)) + 1.5 * rng.normal(size=(n, 1)) @ rng.normal(size=(1, p))
        if name in ("a", "b"):
            x = x + link @ rng.normal(size=(12, p)) * 0.6
        out[name] = x + 1.5 * rng.normal(size=(n, p))
    return out


def to_mudata(values, rows, absent=None):
    names = np.array([f"p{i:03d}" for i in range(len(next(iter(values.values()))))])
    mods = {}
    for name, x in values.items():
        kept = rows if absent is None else [i for i in rows if (i, name) not in absent]
        mods[name] = anndata.AnnData(
            x[kept].astype(np.float32),
            obs=pd.DataFrame(index=names[kept]),
            var=pd.DataFrame(index=[f"{name}{j}" for j in range(x.shape[1])]),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mudata.MuData(mods)[names[rows]].copy()


@pytest.fixture(scope="module")
def linked():
    values = values_of(SIZES)
    train, new = to_mudata(values, np.arange(N)), to_mudata(values, np.arange(N, N + N_NEW))
    views = dict.fromkeys(SIZES, "normal")
    model = mv.fit(train, views=views, progress=False, accelerator="cpu")
    return SimpleNamespace(values=values, train=train, new=new, model=model)


@pytest.fixture(scope="module")
def narrow(linked):
    """A model whose z has no room for what two views alone have in common."""
    views = dict.fromkeys(SIZES, "normal")
    return mv.fit(linked.train, views=views, n_shared=2, progress=False, accelerator="cpu")


def r2(truth, found, train):
    left = np.square(np.asarray(found) - truth).sum()
    return 1 - left / np.square(truth - train.mean(0)).sum()


def by_ridge(linked, view, sources):
    x = np.concatenate([linked.values[s] for s in sources], 1)
    y = linked.values[view]
    ridge = RidgeCV(np.logspace(0, 5, 21)).fit(x[:N], y[:N])
    return ridge.predict(x[N:])


# --- predictions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "given"),
    [("a", ["b", "c"]), ("b", ["a", "c"]), ("c", ["a", "b"]), ("a", ["b"]), ("b", ["a"])],
)
def test_a_view_is_predicted_at_least_as_well_as_by_ridge(linked, view, given):
    truth, train = linked.values[view][N:], linked.values[view][:N]
    found = linked.model.impute(view, linked.new, given=given)
    assert r2(truth, found, train) >= r2(truth, by_ridge(linked, view, given), train) - 0.005


def test_a_link_of_two_views_is_used_beside_z(linked, narrow):
    truth, train = linked.values["a"][N:], linked.values["a"][:N]
    for given in (["b", "c"], ["b"]):
        both = narrow.impute("a", linked.new, given=given)
        latent = narrow.impute("a", linked.new, given=given, through="latent")
        assert r2(truth, both, train) > r2(truth, latent, train) + 0.05
        assert r2(truth, both, train) > r2(truth, by_ridge(linked, "a", given), train) - 0.02
    with pytest.raises(ValueError, match="through must be 'all' or 'latent', not 'z'"):
        linked.model.impute("a", linked.new, through="z")


def test_no_link_adds_nothing(linked, narrow):
    """c shares only z with the others: the head has nothing to say."""
    truth, train = linked.values["c"][N:], linked.values["c"][:N]
    both = narrow.impute("c", linked.new, given=["a", "b"])
    latent = narrow.impute("c", linked.new, given=["a", "b"], through="latent")
    assert abs(r2(truth, both, train) - r2(truth, latent, train)) < 0.01


def test_through_latent_is_linear_in_z(linked):
    """Its mean is loadings times z: no head is in it."""
    latent = linked.model.impute("a", linked.new, given=["b"], through="latent", units="scaled")
    z = linked.model.transform(linked.new, given=["b"])
    design = np.c_[z, np.ones(len(z))]
    fitted = design @ np.linalg.lstsq(design, latent.to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(latent, fitted, atol=1e-4)


@pytest.mark.parametrize("room", ["wide", "narrow"])
@pytest.mark.parametrize("through", ["all", "latent"])
@pytest.mark.parametrize("given", [["b", "c"], ["b"], ["c"], []], ids=str)
def test_intervals_hold_what_they_say(linked, narrow, given, through, room):
    model = narrow if room == "narrow" else linked.model
    found = model.impute("a", linked.new, given=given, interval=0.9, through=through)
    truth = linked.values["a"][N:]
    inside = (truth >= found.lower.to_numpy()) & (truth <= found.upper.to_numpy())
    assert 0.87 <= inside.mean() <= 0.93


def test_the_less_is_given_the_wider(linked):
    sd = [
        linked.model.impute("a", linked.new, given=g, interval=0.9).sd.to_numpy().mean()
        for g in (["b", "c"], ["b"], ["c"], [])
    ]
    assert sd[0] <= sd[1] * 1.01 and sd[1] < sd[2] < sd[3] * 1.01


def test_nothing_given_is_the_mean_of_the_view(linked):
    found = linked.model.impute("a", linked.new, given=[], units="scaled").to_numpy()
    np.testing.assert_allclose(found, found[:1].repeat(len(found), 0), atol=1e-5)
    np.testing.assert_allclose(found, 0.0, atol=0.05)


def test_patients_that_lack_some_of_the_given_views(linked):
    """Where c is absent z stands in: as good as ridge where both are there, close to b alone."""
    rows = np.arange(N, N + N_NEW)
    absent = {(i, "c") for i in rows[:100]}
    some = to_mudata(linked.values, rows, absent)
    found = linked.model.impute("a", some, given=["b", "c"])
    whole = linked.model.impute("a", linked.new, given=["b", "c"])
    alone = linked.model.impute("a", linked.new, given=["b"])
    has, lacks = whole.index[100:], whole.index[:100]
    np.testing.assert_allclose(found.loc[has], whole.loc[has], atol=1e-4)
    np.testing.assert_allclose(found.loc[lacks], alone.loc[lacks], atol=1e-4)


def test_patients_that_lack_the_view_itself_are_served_by_the_head(linked):
    """Those of whom it is known do not matter to those of whom it is not."""
    rows = np.arange(N, N + N_NEW)
    some = to_mudata(linked.values, rows, {(i, "a") for i in rows[:100]})
    found = linked.model.impute("a", some, given=["a", "b", "c"], interval=0.9)
    blind = linked.model.impute("a", linked.new, given=["b", "c"], interval=0.9)
    lack = blind.mean.index[:100]
    np.testing.assert_allclose(found.mean.loc[lack], blind.mean.loc[lack], atol=1e-4)
    np.testing.assert_allclose(found.sd.loc[lack], blind.sd.loc[lack], rtol=1e-3)


def test_a_saved_model_predicts_the_same(linked, tmp_path):
    linked.model.save(tmp_path / "model")
    loaded = mv.MVLatent.load(tmp_path / "model")
    for given in (["b", "c"], ["c"], []):
        one = linked.model.impute("a", linked.new, given=given, interval=0.9)
        other = loaded.impute("a", linked.new, given=given, interval=0.9)
        for what in ("mean", "sd", "lower", "upper"):
            np.testing.assert_array_equal(getattr(one, what), getattr(other, what))


# --- other kinds --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["studentt", "beta"])
def test_views_of_other_noise_have_heads_too(kind):
    values = values_of({"a": 30, "b": 30, "c": 20}, seed=3)
    a = values["a"] / values["a"].std(0)
    rng = np.random.default_rng(0)
    if kind == "beta":
        values["a"] = np.clip(1 / (1 + np.exp(-a)), 1e-3, 1 - 1e-3)
    else:
        values["a"] = a + np.where(rng.random(a.shape) < 0.03, 4 * rng.standard_t(3, a.shape), 0)
    train, new = to_mudata(values, np.arange(N)), to_mudata(values, np.arange(N, N + N_NEW))
    views = {"a": kind, "b": "normal", "c": "normal"}
    model = mv.fit(train, views=views, progress=False, accelerator="cpu")
    truth = values["a"][N:]
    found = model.impute("a", new, given=["b", "c"], interval=0.9)
    latent = model.impute("a", new, given=["b", "c"], through="latent")
    reference = by_ridge(SimpleNamespace(values=values), "a", ["b", "c"])
    mean = values["a"][:N]
    assert r2(truth, found.mean, mean) >= r2(truth, reference, mean) - 0.01
    assert r2(truth, found.mean, mean) > r2(truth, latent, mean)
    inside = (truth >= found.lower.to_numpy()) & (truth <= found.upper.to_numpy())
    assert 0.86 <= inside.mean() <= 0.94
    if kind == "beta":
        assert found.lower.to_numpy().min() >= 0 and found.upper.to_numpy().max() <= 1


def test_views_of_no_real_numbers_have_none(fitted):
    heads = fitted.trained.view_heads
    assert set(heads.heads) == {"rna", "img"} and set(heads.readers) == {"rna", "mut", "img"}


# --- parts --------------------------------------------------------------------------------------


def test_the_ridge_is_that_of_leave_one_out():
    rng = np.random.default_rng(0)
    for n, p in ((40, 15), (25, 60)):
        x, y = rng.normal(size=(n, p)), rng.normal(size=(n, 3))
        y += x[:, :3]
        found = Ridge(torch.tensor(x), torch.tensor(y))
        errors = {}
        for penalty in np.logspace(-1, 5, 13):
            left = 0.0
            for i in range(n):
                kept = np.arange(n) != i
                centre, level = x[kept].mean(0), y[kept].mean(0)
                a, b = x[kept] - centre, y[kept] - level
                coef = np.linalg.solve(a.T @ a + penalty * np.eye(p), a.T @ b)
                left += np.square(y[i] - level - (x[i] - centre) @ coef).sum()
            errors[penalty] = left
        best = min(errors, key=errors.get)
        assert found.penalty == pytest.approx(best)
        a, b = x - x.mean(0), y - y.mean(0)
        expected = np.linalg.solve(a.T @ a + best * np.eye(p), a.T @ b)
        np.testing.assert_allclose(found.coef, expected, atol=1e-8)
        np.testing.assert_allclose(found(torch.tensor(x)), a @ expected + y.mean(0), atol=1e-8)


def test_a_spread_is_that_of_the_errors_on_features():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 12, generator=generator)
    view = scores_of(x - x.mean(0), torch.ones(200, dtype=torch.bool))
    error = torch.randn(80, 12, generator=generator) * torch.linspace(1, 3, 12)
    found = error_size(error, view)
    lifted = error @ view.directions.T
    torch.testing.assert_close(found.variance, lifted.square().mean(0), rtol=1e-4, atol=1e-5)
    inside = lifted.abs() <= 1.6448536 * found.scale * found.variance.sqrt()
    assert float(inside.double().mean()) == pytest.approx(0.9, abs=2e-3)


def test_heads_come_back_from_their_arrays(fitted):
    heads = fitted.trained.view_heads
    again = ViewHeads.from_state(*heads.state())
    assert list(again.readers) == list(heads.readers)
    json, arrays = heads.state()
    json_again, arrays_again = again.state()
    assert json == json_again and arrays.keys() == arrays_again.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, arrays_again[name], err_msg=name)


def test_which_head_serves_whom(fitted):
    head = fitted.trained.view_heads.heads["rna"]
    assert isinstance(head, ViewHead) and head.sources == ("img", "mut")
    assert head.key(["mut", "img"]) == "" and head.key([]) == ""
    for one in head.sources:
        assert head.key([one]) == (one if one in head.coef else "")
    assert set(head.coef) == set(head.origin) == set(head.level) and set(head.errors) <= set(
        head.coef
    )
