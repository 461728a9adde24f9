"""Order is no input: of patients, features, views and classes, in a fit and in what is read."""

from __future__ import annotations

import warnings

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mvlatent as mv
from mvlatent.data.names import by_name, rows_by_name
from mvlatent.vae.own_noise import OwnNoise

N = 60
ATOL = 1e-4
IDS = [f"TCGA-{i:04d}" for i in np.random.default_rng(5).permutation(N)]
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(N, 2))
FEATURES = {"rna": [f"g{j}" for j in range(12)], "img": list("qwertyuio"), "mut": list("zxcvbn")}
VALUES = {
    "rna": Z @ RNG.normal(size=(2, 12)) + RNG.normal(size=(N, 12)),
    "img": Z @ RNG.normal(size=(2, 9)) + RNG.normal(size=(N, 9)),
    "mut": (Z @ RNG.normal(size=(2, 6)) + RNG.normal(size=(N, 6)) > 0).astype(float),
}
OBS = pd.DataFrame(
    {
        "time": RNG.exponential(np.exp(-Z[:, 0])) + 0.1,
        "event": RNG.integers(0, 2, N),
        "site": RNG.choice(list("AB"), N),
        "age": RNG.normal(60, 10, N).round(),
        "kind": np.where(Z[:, 1] > 0, "x", np.where(Z[:, 0] > 0, "y", "w")),
    },
    index=IDS,
)
LACKING = {"img": [3, 4, 5, 20, 21, 40], "mut": [5, 6, 20, 50]}


def cohort(rows=None, views=("rna", "img", "mut"), features=None, obs=OBS) -> md.MuData:
    """The cohort with its patients, views and features in another order."""
    rows = list(range(N)) if rows is None else list(rows)
    mods = {}
    for name in views:
        held = [i for i in rows if i not in LACKING.get(name, [])]
        columns = list(range(len(FEATURES[name]))) if features is None else features[name]
        mods[name] = ad.AnnData(
            VALUES[name][np.ix_(held, columns)],
            obs=pd.DataFrame(index=[IDS[i] for i in held]),
            var=pd.DataFrame(index=[FEATURES[name][j] for j in columns]),
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = md.MuData(mods)
        own = obs.iloc[rows]
        return md.MuData(mods, obs=own.loc[whole.obs_names])


def fit(mdata: md.MuData, **options) -> mv.MVLatent:
    options = {"max_epochs": 3, "n_shared": 3, "n_private": 2, "seed": 0, **options}
    likelihoods = {"rna": "normal", "img": "normal", "mut": "bernoulli"}
    return mv.fit(
        mdata,
        views={name: likelihoods[name] for name in mdata.mod},
        batch="site",
        clinical=["age"],
        survival=("time", "event"),
        labels="kind",
        progress=False,
        **options,
    )


def readings(model: mv.MVLatent, mdata: md.MuData, ids: list[str]) -> dict[str, np.ndarray]:
    """What is read of the patients named, whatever order they are in."""
    at = pd.Index(mdata.obs_names).get_indexer(ids)
    found = {
        "z": model.transform(mdata)[at],
        "risk": model.predict_risk(mdata)[ids],
        "S(t)": model.predict_survival([0.5, 1, 2], mdata, interval=0.9).lower[ids].T,
        "probability": model.predict_labels(mdata, proba=True).loc[ids, ["w", "x", "y"]],
        "draws": np.swapaxes(model.posterior(mdata).sample(4), 0, 1)[at],
    }
    for view in model.roles.views:
        found[f"private:{view}"] = model.transform(mdata, block=f"private:{view}")[at]
        imputed = model.impute(view, mdata, interval=0.9, n_samples=40)
        found[f"imputation:{view}"] = imputed.mean.loc[ids, FEATURES[view]]
        found[f"bound:{view}"] = imputed.upper.loc[ids, FEATURES[view]]
    return {name: np.asarray(x, float) for name, x in found.items()}


def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(np.abs(one[name] - other[name]).max()) for name in one}


WAYS = {
    "linear": {},
    "validated": {"validation_size": 0.2},
    "network": {"decoder": "mlp", "max_epochs": 2},
    "minibatches": {"batch_size": 16, "max_epochs": 2},
    "mixture": {"prior": "mixture", "max_epochs": 2},
    "supervised": {"rho": 1.0, "max_epochs": 2},
}


@pytest.fixture(scope="module", params=WAYS)
def fitted(request):
    options = WAYS[request.param]
    mdata = cohort()
    model = fit(mdata, **options)
    return model, mdata, readings(model, mdata, IDS), options


def other_orders() -> dict[str, md.MuData]:
    rng = np.random.default_rng(7)
    columns = {name: rng.permutation(len(f)) for name, f in FEATURES.items()}
    classes = OBS.assign(kind=pd.Categorical(OBS.kind, ["y", "x", "w"]))
    return {
        "rows": cohort(rng.permutation(N)),
        "views": cohort(views=("mut", "rna", "img")),
        "features": cohort(features=columns),
        "classes": cohort(obs=classes),
        "all": cohort(rng.permutation(N), ("img", "mut", "rna"), columns, classes),
    }


@pytest.mark.parametrize("order", ["rows", "views", "features", "classes", "all"])
def test_order_is_no_input_of_a_fit(fitted, order):
    _, _, known, options = fitted
    if options and order != "all":
        pytest.skip("one order after another in the default fit, all at once in the others")
    mdata = other_orders()[order]
    found = difference(known, readings(fit(mdata, **options), mdata, IDS))
    print(order, {k: f"{v:.1e}" for k, v in found.items()})
    assert max(found.values()) < ATOL, found


def test_one_patient_at_a_time(fitted):
    model, _, known, _ = fitted
    for i in (0, 3, 5, 6):  # some lack a view, some are seen in the rna alone
        alone = cohort([i], [v for v in VALUES if i not in LACKING.get(v, [])])
        found = readings(model, alone, [IDS[i]])
        worst = difference({k: x[[i]] for k, x in known.items()}, found)
        assert max(worst.values()) < ATOL, (i, worst)


def test_patients_asked_for_in_any_company(fitted):
    model, _, known, _ = fitted

    @settings(max_examples=4, deadline=None)
    @given(rows=st.lists(st.integers(0, N - 1), min_size=1, max_size=8, unique=True))
    def check(rows):
        some = cohort(rows)
        found = readings(model, some, [IDS[i] for i in rows])
        worst = difference({k: x[rows] for k, x in known.items()}, found)
        assert max(worst.values()) < ATOL, (rows, worst)

    check()


def test_a_patient_without_any_view_changes_nobody(fitted):
    """With a learnt prior such a patient is read in another way; the others are not."""
    model, _, known, _ = fitted
    some = cohort([0, 3, 5, 8])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        empty = {
            k: ad.AnnData(np.full((1, m.n_vars), np.nan), var=m.var) for k, m in some.mod.items()
        }
        for one in empty.values():
            one.obs_names = ["nobody"]
        mods = {k: ad.concat([m, empty[k]]) for k, m in some.mod.items()}
        obs = pd.concat([some.obs[OBS.columns], OBS.iloc[[0]].set_axis(["nobody"])])
        whole = md.MuData(mods)
        whole = md.MuData(mods, obs=obs.loc[whole.obs_names])
    rows = [0, 3, 5, 8]
    found = readings(model, whole, [IDS[i] for i in rows])
    worst = difference({k: x[rows] for k, x in known.items()}, found)
    assert max(worst.values()) < ATOL, worst


def test_tables_keep_the_order_of_the_user():
    rng = np.random.default_rng(3)
    columns = {name: rng.permutation(len(f)) for name, f in FEATURES.items()}
    mdata = cohort(views=("rna", "mut", "img"), features=columns)
    model = fit(mdata)
    assert list(model.roles.views) == ["rna", "mut", "img"]
    for name, mod in mdata.mod.items():
        assert model.loadings(name).index.tolist() == mod.var_names.tolist()
        assert model.impute(name).columns.tolist() == mod.var_names.tolist()
        assert model.get_var_names()[name] == mod.var_names.tolist()
    assert model.variance_explained().columns.tolist() == ["rna", "mut", "img"]
    blocks = [model.transform(block=f"private:{name}") for name in ("rna", "mut", "img")]
    together = model.transform(block="all")
    np.testing.assert_array_equal(together, np.hstack([model.transform(), *blocks]))


def test_a_saved_model_keeps_the_order_of_the_user(tmp_path):
    columns = {name: np.arange(len(f))[::-1] for name, f in FEATURES.items()}
    mdata = cohort(features=columns)
    model = fit(mdata)
    model.save(tmp_path / "model")
    again = mv.MVLatent.load(tmp_path / "model", mdata)
    pd.testing.assert_frame_equal(again.loadings("img"), model.loadings("img"))
    pd.testing.assert_frame_equal(again.impute("rna"), model.impute("rna"))


def test_months_or_days():
    obs = OBS.assign(time=OBS.time * 30.4375)
    months, days = cohort(), cohort(obs=obs)
    of_months, of_days = fit(months), fit(days)
    risk = np.abs(of_months.predict_risk() - of_days.predict_risk()).max()
    curves = of_months.predict_survival([0.5, 1, 2]).to_numpy()
    in_days = of_days.predict_survival(np.array([0.5, 1, 2]) * 30.4375).to_numpy()
    assert risk < 1e-3 and np.abs(curves - in_days).max() < 1e-3


names = st.text(st.characters(codec="utf-8"), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(names, st.from_regex(r"[ab][0-9]{1,3}", fullmatch=True)), unique=True))
def test_names_have_one_order(given_names):
    ordered = [given_names[i] for i in rows_by_name(given_names)]
    assert ordered == sorted(given_names, key=by_name)
    assert sorted(ordered) == sorted(given_names)


def test_numbers_in_names_are_sorted_by_size():
    assert sorted(["P10", "P9", "P09", "P", "1", "a1b2", "a1b10"], key=by_name) == [
        *("1", "P", "P09", "P9", "P10", "a1b2", "a1b10"),
    ]


DRAWS = {
    "normal": lambda n: torch.randn(6, n, 2),
    "uniform": lambda n: torch.rand((6, n)),
    "like": lambda n: torch.randn_like(torch.zeros(6, n, 2)),
    "poisson": lambda n: torch.poisson(torch.full((6, n, 2), 40.0)),
    "gamma": lambda n: torch.distributions.Gamma(torch.ones(6, n, 2), 1.0).sample(),
    "beta": lambda n: torch.distributions.Beta(torch.ones(6, n, 2), torch.ones(6, n, 2)).sample(),
    "t": lambda n: torch.distributions.StudentT(torch.full((6, n, 2), 3.0)).sample(),
    "classes": lambda n: torch.distributions.Categorical(torch.ones(50)).sample((6, n)),
    "gumbel": lambda n: torch.distributions.Gumbel(torch.zeros(6, n), 1.0).sample(),
    "in place": lambda n: torch.zeros(6, n, 2).exponential_(),
}


@pytest.mark.parametrize("draw", DRAWS)
def test_noise_is_a_patients_own(draw):
    with OwnNoise(["a", "b", "c"], 3, "w"):
        together = DRAWS[draw](3)
    for i, name in enumerate("abc"):
        with OwnNoise([name], 3, "w"):
            assert torch.equal(DRAWS[draw](1)[:, 0], together[:, i])
    assert not torch.equal(together[:, 0], together[:, 1])
    with OwnNoise(["a", "b", "c"], 4, "w"):
        assert not torch.equal(DRAWS[draw](3), together)


def test_noise_leaves_the_state_of_torch():
    torch.manual_seed(1)
    with OwnNoise(["a"], 0, "z"):
        torch.randn(3, 1)
    first = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(first, torch.rand(1))
