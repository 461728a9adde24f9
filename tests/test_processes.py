"""Folds on several processes and threads: the same numbers, the same sentences, nothing lost."""

import copy
import os
import pickle
import subprocess
import sys
import warnings

import joblib
import mudata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from mudata import MuData
from scipy import sparse

import mvlatent as mv
from mvlatent import _fit
from mvlatent.specs import Roles, View
from mvlatent.study import OutOfFold, out_of_fold
from mvlatent.study._patients import PlainCohort

QUICK = {"n_shared": 2, "n_private": 1, "max_epochs": 2, "accelerator": "cpu"}
QUICK |= {"head_blocks": ("shared", "clinical"), "progress": False}
SURVIVAL = {"survival": ("time", "event"), **QUICK}


def cohort(n=60, seed=0):
    rng = np.random.default_rng(seed)
    ids = [f"p{i:03d}" for i in range(n)]
    z = rng.normal(size=(n, 2))
    obs = pd.DataFrame(
        {
            "time": rng.exponential(20, n) + 0.1,
            "event": rng.integers(0, 2, n),
            "class": rng.choice(["x", "y"], n),
        },
        index=ids,
    )

    def view(p):
        x = z @ rng.normal(size=(2, p)) + rng.normal(size=(n, p))
        var = pd.DataFrame(index=[f"g{j}" for j in range(p)])
        return AnnData(x, obs=pd.DataFrame({"batch": rng.choice(list("AB"), n)}, ids), var=var)

    return MuData({"a": view(8), "b": view(6)}, obs=obs)


@pytest.fixture
def of_a_file(tmp_path):
    cohort().write(tmp_path / "c.h5mu")
    return mudata.read(tmp_path / "c.h5mu")


@pytest.fixture
def no_fit(monkeypatch):
    """Fail where anything is fitted."""

    def fit(*_, **__):
        raise AssertionError("something was fitted before it was refused")

    monkeypatch.setattr(_fit, "fit", fit)


def agree(one, two):
    assert list(one.columns) == list(two.columns) and one.index.equals(two.index)
    for name in one:
        if one[name].dtype == object:
            assert one[name].equals(two[name])
        else:
            np.testing.assert_allclose(one[name], two[name], rtol=1e-6, atol=1e-9)


# --- the same numbers -----------------------------------------------------------------------------


def test_two_processes_are_one(of_a_file):
    one, two = (out_of_fold(of_a_file, folds=2, n_jobs=n, **SURVIVAL) for n in (1, 2))
    agree(one.table, two.table)
    for again in (pickle.loads(pickle.dumps(two)), copy.deepcopy(two)):
        assert again.concordance() == one.concordance()


@pytest.mark.parametrize("of", ["numpy", "sparse", "layer", "anndata", "modality column"])
def test_threads_are_one_whatever_holds_the_values(of):
    data, options = cohort(), dict(SURVIVAL)
    if of == "sparse":
        data.mod["a"] = AnnData(
            sparse.csc_matrix(np.abs(np.round(data.mod["a"].X))),
            obs=data.mod["a"].obs, var=data.mod["a"].var,
        )  # fmt: skip
        options["views"] = {"a": "nb", "b": "normal"}
    elif of == "layer":
        data.mod["a"].layers["log"] = data.mod["a"].X
        data.mod["a"].X = None
        options["views"] = {"a": View(layer="log"), "b": None}
    elif of == "anndata":
        other = data.mod["b"].X
        data = AnnData(data.mod["a"].X, obs=data.obs.copy(), obsm={"b": other})
        options["views"] = {"rna": "normal", "b": "normal"}
    elif of == "modality column":
        options["batch"] = "a:batch"
    one = out_of_fold(data, folds=2, **options)
    with joblib.parallel_config(backend="threading"):
        agree(out_of_fold(data, folds=2, n_jobs=2, **options).table, one.table)


@pytest.mark.slow
def test_a_path_on_two_processes_is_that_of_one(of_a_file):
    one, two = (
        mv.study.path(of_a_file, "agreement", [0, 0.1], folds=2, n_jobs=n, **SURVIVAL)
        for n in (1, 2)
    )
    agree(one.scores, two.scores)


def test_a_path_in_threads_is_that_of_one():
    data = cohort()
    one = mv.study.path(data, "agreement", [0, 0.1], folds=2, **SURVIVAL)
    with joblib.parallel_config(backend="threading"):
        two = mv.study.path(data, "agreement", [0, 0.1], folds=2, n_jobs=2, **SURVIVAL)
    agree(one.scores, two.scores)


@pytest.mark.slow
def test_the_command_line_takes_jobs(tmp_path):
    cohort().write(tmp_path / "c.h5mu")
    said = {}
    for jobs in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "mvlatent.cli", "fit", str(tmp_path / "c.h5mu"), "--survival",
             "time", "event", "--n-shared", "2", "--max-epochs", "2", "--folds", "2", "--jobs",
             jobs, "--out", str(tmp_path / jobs)], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        said[jobs] = [line for line in done.stdout.splitlines() if "interval" in line]
    assert said["1"] == said["2"] and len(said["1"]) == 2


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_plain_cohort_is_the_cohort(data):
    """Rows, gaps and containers of any kind, cut anywhere, also after a pickle."""
    n, seed = data.draw(st.integers(6, 12)), data.draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    ids = np.array([f"p{i}" for i in rng.permutation(n)], dtype=object)
    hold = data.draw(
        st.sampled_from([np.asarray, sparse.csr_matrix, sparse.csc_matrix, np.asfortranarray])
    )
    mods, values = {}, {}
    for name, p in (("a", 3), ("b", 2)):
        has = np.sort(rng.choice(n, data.draw(st.integers(2, n)), replace=False))
        has = rng.permutation(has)
        x = rng.poisson(1, (len(has), p)).astype(np.float32)
        mods[name] = AnnData(hold(x), obs=pd.DataFrame(index=ids[has]))
        values[name] = pd.DataFrame(x, ids[has])
    mdata = MuData(mods)
    mdata.obs["age"] = np.arange(mdata.n_obs)
    plain = PlainCohort.of(mdata, Roles(clinical=["age"]))
    plain = data.draw(st.sampled_from([plain, pickle.loads(pickle.dumps(plain))]))
    rows = rng.permutation(mdata.n_obs)[: data.draw(st.integers(1, mdata.n_obs))]
    cut = plain.mudata(rows)
    assert list(cut.obs_names) == list(mdata.obs_names[rows])
    assert list(cut.obs["age"]) == list(rows)
    for name, expected in values.items():
        mod = cut.mod[name]
        assert set(mod.obs_names) == set(expected.index) & set(cut.obs_names)
        x = mod.X.toarray() if sparse.issparse(mod.X) else mod.X
        np.testing.assert_array_equal(x, expected.loc[mod.obs_names].to_numpy())


# --- the same sentences ---------------------------------------------------------------------------


def _breaks(*_, **__):
    raise ValueError("view 'a' holds what cannot be fitted; leave it out.")


def test_an_error_of_a_worker_is_the_same_sentence():
    from mvlatent.study._jobs import Folded

    folded = Folded(PlainCohort.of(cohort(), Roles()), np.arange(60) % 2, ["0", "1"], {})
    for n_jobs in (1, 2):
        with pytest.raises(ValueError, match="leave it out") as error:
            folded.run(_breaks, [0, 1], n_jobs)
        assert str(error.value) == "view 'a' holds what cannot be fitted; leave it out."


def _ends(*_, **__):
    os._exit(9)


@pytest.mark.slow
def test_a_worker_that_is_ended_is_said_to_be():
    from mvlatent.study._jobs import Folded

    folded = Folded(PlainCohort.of(cohort(), Roles()), np.arange(60) % 2, ["0", "1"], {})
    with pytest.raises(ChildProcessError, match="memory; take fewer folds at a time"):
        folded.run(_ends, [0, 1], 2)


@pytest.mark.parametrize("n_jobs", [0, 1.5, "two", True, None])
def test_jobs_that_make_no_sense(n_jobs, no_fit):
    for study in (
        lambda: out_of_fold(cohort(), n_jobs=n_jobs, **SURVIVAL),
        lambda: mv.study.path(cohort(), "agreement", [0], n_jobs=n_jobs, **SURVIVAL),
    ):
        with pytest.raises((TypeError, ValueError), match="n_jobs must be"):
            study()


def test_no_jobs_on_the_command_line(tmp_path, capsys):
    from mvlatent.cli import main

    cohort().write(tmp_path / "c.h5mu")
    with pytest.raises(SystemExit):
        main(["fit", str(tmp_path / "c.h5mu"), "--folds", "2", "--jobs", "0", "--out", "M"])
    assert "--jobs must be 1 or more" in capsys.readouterr().err


# --- before the first fit -------------------------------------------------------------------------


def test_without_an_outcome_nothing_is_fitted(no_fit):
    with pytest.raises(ValueError, match=r"no outcome to predict.*survival="):
        out_of_fold(cohort(), folds=2, **QUICK)


@pytest.mark.parametrize("what", ["events", "covariate"])
def test_a_fold_that_takes_all_there_is_is_named(what, no_fit):
    data, options = cohort(), dict(SURVIVAL)
    late = np.arange(60) >= 40
    data.obs["fold"] = np.where(late, "late", np.where(np.arange(60) < 20, "early", "middle"))
    words = {"events": "event", "covariate": "stage"}[what]
    if what == "events":
        data.obs["event"] = (late & (np.arange(60) % 2 == 0)).astype(int)
    else:
        data.obs["stage"] = np.where(late, "I", None)
        options["clinical"] = ["stage"]
    for study in (out_of_fold, lambda d, **o: mv.study.path(d, "agreement", [0.1], **o)):
        with pytest.raises((ValueError, KeyError), match=f"fold 'late': .*{words}"):
            study(data, folds="fold", **options)


def test_the_command_line_names_the_fold_before_the_model(tmp_path, capsys, no_fit):
    from mvlatent.cli import main

    data = cohort()
    data.obs["fold"] = np.arange(60) % 2
    data.obs["event"] = (np.arange(60) % 4 == 0).astype(int)
    data.write(tmp_path / "c.h5mu")
    with pytest.raises(SystemExit):
        main(["fit", str(tmp_path / "c.h5mu"), "--survival", "time", "event", "--folds", "fold",
              "--n-shared", "2", "--out", str(tmp_path / "M")])  # fmt: skip
    assert "fold 0: the patients outside it cannot be fitted to" in capsys.readouterr().err
    assert not (tmp_path / "M").exists()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"views": ["a", "c"]}, KeyError, "no view 'c'.*'a', 'b'"),
        ({"batch": "ward"}, KeyError, "'ward' is not in mdata.obs"),
        ({"survival": ("months", "event")}, KeyError, "months"),
        ({"n_share": 3}, TypeError, "did you mean 'n_shared'"),
        ({"lr": -1.0}, ValueError, "lr"),
        ({"n_shared": 80}, ValueError, "n_shared=80"),
    ],
)
def test_what_a_fit_refuses_is_refused_before_the_first(options, error, words, no_fit):
    for n_jobs in (1, 2):
        with pytest.raises(error, match=words):
            out_of_fold(cohort(), folds=2, n_jobs=n_jobs, **{**SURVIVAL, **options})


# --- nothing lost afterwards ----------------------------------------------------------------------


def table(events, n=30, folds=3):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "fold": np.arange(n) % folds,
            "risk": rng.normal(size=n),
            "time": rng.exponential(size=n),
            "event": np.isin(np.arange(n), events).astype(float),
        }
    )


def test_resamples_without_pairs_are_left_out():
    """One event a fold: a third of the resamples have none."""
    rows = table([3, 4, 5])
    rows.loc[[3, 4, 5], "time"] = 0.001
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        c, lower, upper = OutOfFold(rows).concordance()
    assert np.isfinite([c, lower, upper]).all() and 0 <= lower <= c <= upper <= 1


def test_a_fold_without_pairs_is_named_and_left_out():
    rows = table(range(0, 30, 2)[1:])
    rows.loc[rows["fold"] == 1, "event"] = 0.0
    with pytest.warns(UserWarning, match=r"^fold 1: no two patients .* other 2\.$"):
        c, lower, upper = OutOfFold(rows).concordance()
    kept = [mv.tl.concordance(t["time"], t["event"], t["risk"])
            for k, t in rows.groupby("fold") if k != 1]  # fmt: skip
    assert c == pytest.approx(np.mean(kept)) and lower <= c <= upper
    with pytest.warns(UserWarning, match="^fold 'west': "):
        OutOfFold(rows, names={0: "'north'", 1: "'west'", 2: "'south'"}).concordance()


def test_without_any_pair_there_is_no_number():
    with pytest.warns(UserWarning, match="fold 0, 1, 2: no two"):
        assert np.isnan(OutOfFold(table([])).concordance()).all()


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 29), max_size=6), st.integers(2, 5))
def test_concordance_never_raises(events, folds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        c, lower, upper = OutOfFold(table(list(events), folds=folds)).concordance()
    assert np.isnan([c, lower, upper]).all() or 0 <= lower <= upper <= 1


def test_folds_with_few_events_are_fitted_and_said():
    data = cohort()
    data.obs["fold"] = np.where(np.arange(60) < 30, "east", "west")
    data.obs["event"] = (np.arange(60) < 20).astype(int)
    data.obs.loc[data.obs_names[45], "event"] = 1
    data.obs.loc[data.obs_names[45], "time"] = 500.0
    found = out_of_fold(data, folds="fold", **SURVIVAL)
    with pytest.warns(UserWarning, match="fold 'west': no two patients"):
        c, *_ = found.concordance()
    assert 0 <= c <= 1 and found.table["risk"].notna().all()
