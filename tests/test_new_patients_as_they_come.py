"""New patients as people have them: without an outcome, with odd ones, fewer features, slips."""

from __future__ import annotations

import warnings

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mvlatent as mv

N = 60
IDS = [f"P{i}" for i in range(N)]
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(N, 2))
VIEWS = {
    "a": Z @ RNG.normal(size=(2, 8)) + RNG.normal(size=(N, 8)),
    "b": Z @ RNG.normal(size=(2, 7)) + RNG.normal(size=(N, 7)),
    "c": RNG.poisson(5, (N, 6)).astype(float),
}
OBS = pd.DataFrame(
    {
        "time": RNG.exponential(20, N) + 0.1,
        "event": RNG.integers(0, 2, N),
        "kind": np.where(Z[:, 1] > 0, "x", "y"),
        "score": Z[:, 0],
        "site": RNG.choice(list("AB"), N),
        "age": RNG.normal(60, 10, N).round(),
        "purity": RNG.random(N),
    },
    index=IDS,
)
OUTCOMES = ["time", "event", "kind", "score"]
TRIED: dict[str, set[str]] = {}
KNOWN: dict[str, np.ndarray] = {}


def cohort(obs: pd.DataFrame = OBS, **views: np.ndarray) -> md.MuData:
    views = views or {name: x[: len(obs)] for name, x in VIEWS.items()}
    mods = {}
    for name, x in views.items():
        var = pd.DataFrame(index=[f"{name}{j}" for j in range(x.shape[1])])
        mods[name] = ad.AnnData(x.copy(), obs=pd.DataFrame(index=obs.index), var=var)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return md.MuData(mods, obs=obs.copy())


def fit(scaling: str = "rank_normal") -> mv.MVLatent:
    mdata = cohort()
    roles = {
        "views": {"a": mv.View("normal", scaling=scaling), "b": "normal", "c": None},
        "batch_key": "site",
        "technical_keys": ["purity"],
        "clinical_keys": ["age"],
        "outcomes": [mv.Survival("time", "event"), mv.Labels("kind"), mv.Target("score")],
    }
    mv.MVLatent.setup_mudata(mdata, **roles)
    return mv.MVLatent(mdata, n_shared=3, n_private=2).fit(max_epochs=3, progress=False)


@pytest.fixture(scope="module")
def model() -> mv.MVLatent:
    return fit()


@pytest.fixture(scope="module")
def unscaled() -> mv.MVLatent:
    return fit("none")


def readings(model: mv.MVLatent, new: md.MuData, **options) -> dict[str, np.ndarray]:
    """Every reading of new patients; none may hold NaN."""
    curves = model.predict_survival([0, 10, 30], new, interval=0.9, n_samples=20, **options)
    imputed = model.impute("c", new, interval=0.9, n_samples=20, **options)
    found = {
        "z": model.transform(new, block="all", **options),
        "sd": model.posterior(new, **options).sd,
        "risk": model.predict_risk(new, **options),
        "curve": curves.mean,
        "lower": curves.lower,
        "rmst": model.predict_rmst(20, new, n_samples=20, **options),
        "class": model.predict_labels(new, proba=True, n_samples=20, **options),
        "score": model.predict_target(new, n_samples=20, **options),
        "imputed": imputed.mean,
        "upper": imputed.upper,
    }
    arrays = {name: np.asarray(x, float) for name, x in found.items()}
    assert all(np.isfinite(x).all() for x in arrays.values()), [
        name for name, x in arrays.items() if not np.isfinite(x).all()
    ]
    return arrays


odd = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-9, 9),
    st.text(max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(OUTCOMES), st.integers(0, 4), odd), min_size=1, max_size=6),
    st.sets(st.sampled_from(OUTCOMES), max_size=3),
)
def test_readers_ignore_outcomes(model, slips, dropped):
    if not KNOWN:
        KNOWN.update(readings(model, cohort(OBS.iloc[:5])))
    obs = OBS.iloc[:5].astype(dict.fromkeys(OUTCOMES, object))
    for column, row, value in slips:
        obs.loc[obs.index[row], column] = value
    obs = obs.drop(columns=list(dropped))
    TRIED.setdefault("outcomes", set()).add(repr((slips, dropped)))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = readings(model, cohort(obs))
    for name, x in KNOWN.items():
        np.testing.assert_array_equal(found[name], x, err_msg=name)


def test_who_judges_says_that_an_outcome_is_not_sound(model, tmp_path):
    obs = OBS.copy()
    obs["event"] = obs.event.astype(float)
    obs.loc["P0", "event"] = np.nan
    half = cohort(obs)
    with pytest.raises(ValueError, match="'event' is missing but 'time' is not for 'P0'"):
        model.cohort(half)
    with pytest.raises(ValueError, match="'P0'"):
        mv.tl.conformalize(model, half, level=0.8)
    model.save(tmp_path / "model")
    again = mv.MVLatent.load(tmp_path / "model", half)
    np.testing.assert_array_equal(again.transform(), model.transform(half))
    with pytest.raises(ValueError, match="'P0'"):
        again.refit_head()


@pytest.mark.parametrize("thing", [pd.DataFrame(VIEWS["a"]), VIEWS["a"], "c.h5mu", 3, [1]])
def test_what_is_no_cohort_is_refused_by_every_reader(model, thing):
    readers = [
        *(model.transform, model.posterior, model.annotate, model.predict_risk),
        *(model.predict_labels, model.predict_target, model.predict_median, model.ledger),
        *(model.variance_explained, model.latents, model.cohort, model.tables),
        lambda x: model.impute("a", x),
        lambda x: model.predict_survival([1], x),
        lambda x: model.predict_rmst(9, x),
        lambda x: model.value_of("a", x),
    ]
    for reader in readers:
        with pytest.raises(TypeError, match="a cohort is a MuData or an AnnData"):
            reader(thing)


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({name: st.sets(st.integers(0, 5)) for name in VIEWS}))
def test_missing_features_are_integrated_out(model, gone):
    new = cohort(OBS.iloc[:5])
    kept = {
        name: mod[:, [j for j in range(mod.n_vars) if j not in gone[name]]].copy()
        for name, mod in new.mod.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fewer = md.MuData(kept, obs=new.obs[OBS.columns])
    TRIED.setdefault("features", set()).add(repr(gone))
    lacking = {name: features for name, features in gone.items() if features}
    if not lacking:
        readings(model, fewer)
        return
    name = min(lacking)
    with pytest.raises(KeyError, match=f"view '{name}' lacks {len(lacking[name])} of the .*integr"):
        model.transform(fewer)
    with pytest.warns(UserWarning, match="taken as not measured") as said:
        model.transform(fewer, missing_features="integrate")
    ours = [str(w.message) for w in said if "not measured" in str(w.message)]
    assert len(ours) == 1
    for name, features in lacking.items():
        assert f"view {name!r} lacks {len(features)} of {new.mod[name].n_vars}" in ours[0]
    hidden = cohort(OBS.iloc[:5])
    for name, features in gone.items():
        hidden.mod[name].X[:, sorted(features)] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = readings(model, fewer, missing_features="integrate")
    for name, x in readings(model, hidden).items():  # as entries that nobody measured
        np.testing.assert_allclose(found[name], x, atol=1e-5, err_msg=name)


def test_a_choice_for_missing_features_that_is_none(model):
    with pytest.raises(ValueError, match="missing_features must be 'refuse' or 'integrate'"):
        model.transform(missing_features="drop")


def test_no_known_feature_at_all(model):
    other = cohort(OBS.iloc[:5])
    for mod in other.mod.values():
        mod.var_names = [f"other{j}" for j in range(mod.n_vars)]
    with pytest.raises(KeyError, match="no feature of the views"):
        model.transform(other, missing_features="integrate")


@settings(max_examples=40, deadline=None)
@given(
    where=st.sampled_from(["age", "purity", "a", "b", "c"]),
    size=st.floats(1e3, 3e38),
    minus=st.booleans(),
)
def test_extreme_values_give_no_nan(unscaled, where, size, minus):
    TRIED.setdefault("extremes", set()).add(repr((where, size, minus)))
    value = float(np.floor(size)) if where == "c" else size * (-1 if minus else 1)
    obs, views = OBS.iloc[:4].copy(), {name: x[:4].copy() for name, x in VIEWS.items()}
    if where in views:
        views[where][0, 0] = value
    else:
        obs.loc["P0", where] = value
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if where in views and np.float32(size) > 1e15:  # no measurement
            with pytest.raises(ValueError, match="holds values beyond"):
                readings(unscaled, cohort(obs, **views))
            return
        readings(unscaled, cohort(obs, **views))
    told = [str(w.message) for w in said if f"covariate {where!r}" in str(w.message)]
    far = where in obs and abs(value - OBS[where].mean()) > 1000 * OBS[where].std(ddof=0)
    assert bool(told) == bool(far)
    assert all("'P0'" in line for line in told)


@pytest.mark.parametrize("where", ["age", "purity", "a"])
def test_infinite_values_are_refused(model, where):
    obs, views = OBS.iloc[:4].copy(), {name: x[:4].copy() for name, x in VIEWS.items()}
    if where in views:
        views[where][0, 0] = np.inf
    else:
        obs.loc["P0", where] = np.inf
    with pytest.raises(ValueError, match=f"{where!r} holds.* infinite value"):
        model.transform(cohort(obs, **views))


def test_enough_was_tried():
    counts = {what: len(tried) for what, tried in TRIED.items()}
    print(f"{sum(counts.values())} distinct cohorts of new patients: {counts}")
    if len(counts) < 3:
        pytest.skip("only some of the tests above were run")
    assert sum(counts.values()) >= 100
