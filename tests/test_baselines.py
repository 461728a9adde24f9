"""The benchmark's opponents agree with lifelines, and its runner keeps and reuses what it did."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mvlatent import sim
from mvlatent.tl import concordance

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("benchmarks/ is not there", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
baselines = importlib.import_module("_baselines")
folds = importlib.import_module("_folds")
results = importlib.import_module("_results")
ridge = importlib.import_module("_ridge_cox")
scoring = importlib.import_module("_scores")
tcga = importlib.import_module("tcga")


def simulate(n, p, *, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    time = rng.exponential(np.exp(-x[:, 0] + 0.5 * x[:, 1]))
    time = np.ceil(4 * time) if ties else time
    event = (rng.random(n) < 0.7).astype(float)
    return (x - x.mean(0)) / x.std(0, ddof=1), time, event


def lifelines_ridge(x, time, event, penalizer):
    from lifelines import CoxPHFitter

    frame = pd.DataFrame(x).assign(time=time, event=event)
    fitter = CoxPHFitter(penalizer=penalizer, l1_ratio=0.0)
    return fitter.fit(frame, "time", "event", fit_options={"precision": 1e-12})


@pytest.mark.parametrize(("n", "p", "ties"), [(80, 5, True), (80, 5, False), (50, 120, True)])
def test_dual_ridge_is_lifelines(n, p, ties):
    x, time, event = simulate(n, p, ties=ties)
    penalizer = 0.05 if p < n else 1.0
    kernel = torch.as_tensor(x @ x.T) / (n * penalizer)
    dual = ridge.fit_dual(kernel, ridge.bound_cox(time, event)).numpy()
    coef = x.T @ dual / (n * penalizer)
    theirs = lifelines_ridge(x, time, event, penalizer).params_.to_numpy()
    np.testing.assert_allclose(coef, theirs, rtol=1e-5, atol=1e-7)


def test_ridge_cox_predicts_as_lifelines_does():
    x, time, event = simulate(90, 4)
    new = simulate(7, 4, seed=1)[0]
    penalizer = 0.1
    view, clinical = torch.as_tensor(x), torch.zeros(90, 0, dtype=torch.float64)
    variance = float(view.square().sum() / 90) / (90 * penalizer)
    bound = ridge.bound_cox(time, event)
    ours = ridge.RidgeCox.fit({"a": view}, clinical, bound, {"a": variance})
    theirs = lifelines_ridge(x, time, event, penalizer)
    risk = ours.risk({"a": torch.as_tensor(new)}, torch.zeros(7, 0, dtype=torch.float64))
    expected = new @ theirs.params_.to_numpy()
    np.testing.assert_allclose(risk.numpy(), expected, rtol=1e-5, atol=1e-7)
    at = np.sort(time[event > 0])
    curves = theirs.predict_survival_function(pd.DataFrame(new), times=at).to_numpy()
    np.testing.assert_allclose(ours.survival(risk, at), curves, rtol=1e-4)


def test_saturated_components_change_nothing():
    x, time, event = simulate(60, 100)
    left, values, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    clinical, bound = torch.as_tensor(x[:, :1]), ridge.bound_cox(time, event)
    risks = []
    for features in (x - x.mean(0), (left * values)[:, :59]):
        view = torch.as_tensor(features)
        fitted = ridge.RidgeCox.fit({"a": view}, clinical, bound, {"a": 0.5})
        risks.append(fitted.risk({"a": view}, clinical).numpy())
    np.testing.assert_allclose(risks[0], risks[1], rtol=1e-6, atol=1e-8)


def partial_likelihood(eta, time, event):
    later = time[None, :] >= time[:, None]
    return float(event @ (eta - np.log(later @ np.exp(eta))))


def test_tuner_is_the_likelihood_that_the_left_out_patients_add():
    from sklearn.model_selection import StratifiedKFold

    x, time, event = simulate(60, 3)
    view, none = torch.as_tensor(x), torch.zeros(60, 0, dtype=torch.float64)
    tuner = ridge.Tuner({"a": view}, none, time, event, seed=3)
    variance, expected = 0.3, 0.0
    scale = variance * 60 / (x**2).sum()
    for rows, _ in StratifiedKFold(5, shuffle=True, random_state=3).split(x, event > 0):
        inner = x[rows]
        sd = inner.std(0, ddof=1)
        # lifelines penalises coefficients of columns that it has standardised itself
        fitted = lifelines_ridge(inner, time[rows], event[rows], sd**-2.0 / (len(rows) * scale))
        eta = x @ fitted.params_.to_numpy()
        expected += partial_likelihood(eta, time, event)
        expected -= partial_likelihood(eta[rows], time[rows], event[rows])
    assert tuner({"a": variance}) == pytest.approx(expected, abs=1e-4)


def test_a_penalty_a_view_turns_noise_down():
    rng = np.random.default_rng(0)
    x, time, event = simulate(150, 5)
    views = {"signal": torch.as_tensor(x), "noise": torch.as_tensor(rng.normal(size=(150, 200)))}
    clinical = torch.zeros(150, 0, dtype=torch.float64)
    tuner = ridge.Tuner(views, clinical, time, event)
    one = ridge.search_one(tuner)
    each = ridge.search_views(tuner, one)
    assert one["noise"] / one["signal"] == pytest.approx(200 / 5, rel=0.2)
    assert each["noise"] < 0.5 * each["signal"]
    assert tuner(each) > tuner(one) + 1.0


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write a simulated cohort as the benchmark reads it; three patients have no fold."""
    folder = tmp_path_factory.mktemp("cohorts")
    mdata, _ = sim.cohort("demo", n=153, seed=1)
    mdata.obs["mcat_fold"] = [None] * 3 + list(range(3)) * 50
    mdata.obs["mcat_fold"] = mdata.obs["mcat_fold"].astype(float)
    mdata.obs.loc[mdata.obs_names[10:14], "age"] = np.nan
    mdata.write(folder / "tcga_toy.h5mu")
    return folder


@pytest.fixture(scope="module")
def fold(data):
    return folds.cut(folds.read(data, "toy"), "toy", "mcat_fold", 1, None)


def test_a_fold_hides_the_outcome_and_learns_on_training_rows_only(data, fold):
    assert len(fold.train) == 100 and len(fold.test) == 50
    assert not set(fold.train.obs_names) & set(fold.test.obs_names)
    assert fold.test.survival is None and "event" not in fold.test_mdata.obs
    seen = fold.train.views["rna"].present
    centre = fold.train.views["rna"].x[seen].mean(0)
    torch.testing.assert_close(centre, torch.zeros_like(centre), atol=1e-5, rtol=0)
    other = folds.cut(folds.read(data, "toy"), "toy", "mcat_fold", 1, ["rna"])
    assert list(other.train.views) == ["rna"]


@pytest.mark.parametrize("arm", [a for a in baselines.OPPONENTS if a != "forest"])
def test_arms_give_a_risk_and_a_curve_to_every_patient(arm, fold, data):
    times = np.linspace(0.5, 200.0, 40)
    risk, survival, _ = baselines.OPPONENTS[arm](fold, times)
    assert risk.shape == (50,) and survival.shape == (40, 50)
    assert np.isfinite(risk).all()
    assert ((survival >= 0) & (survival <= 1)).all() and (np.diff(survival, axis=0) <= 1e-9).all()
    truth = folds.outcomes(folds.read(data, "toy"), "mcat_fold").loc[list(fold.test.obs_names)]
    if arm.startswith("ridge"):
        assert concordance(truth["time"], truth["event"], risk) > 0.6
    if arm != "km":
        middle = survival[10]
        assert (np.diff(middle[np.argsort(risk)]) <= 1e-9).all()


def test_clinical_cox_survives_separation(fold):
    from dataclasses import replace

    died = fold.train.survival.event
    separated = replace(fold.train, clinical=died[:, None] * 2 - 1, clinical_names=("oracle",))
    new = replace(fold.test, clinical=torch.ones(50, 1), clinical_names=("oracle",))
    risk, *_ = baselines.clinical_cox(replace(fold, train=separated, test=new), np.ones(1))
    assert np.isfinite(risk).all() and (risk > 0.5).all()


def test_forest_says_that_it_is_not_installed(fold, monkeypatch):
    for name in ("sksurv", "sksurv.ensemble"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(baselines.NotInstalled, match="scikit-survival"):
        baselines.random_survival_forest(fold, np.ones(1))


def test_forest_where_it_is_installed(fold):
    pytest.importorskip("sksurv.ensemble")
    risk, survival, _ = baselines.random_survival_forest(fold, np.array([0.001, 20.0, 1e4]))
    assert risk.shape == (50,)
    assert (survival[0] > 0.95).all() and (np.diff(survival, axis=0) <= 0).all()


def run(data, out, *arguments):
    return tcga.main(
        ["--data", str(data), "--cohorts", "toy", "--jobs", "1", "--out", str(out), *arguments]
    )


def test_runner_keeps_what_it_did(data, tmp_path, monkeypatch, capsys):
    for name in ("sksurv", "sksurv.ensemble"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run(data, tmp_path, "--arms", "clinical", "ridge", "forest") == 0
    said = capsys.readouterr().out
    assert "toy: 150 patients" in said and "3 without a fold left out" in said
    text = (tmp_path / "table.md").read_text()
    assert "| clinical Cox |" in text and "random survival forest: not installed" in text
    kept = sorted(tmp_path.glob("toy/fold*/*.csv"))
    assert [p.stem for p in kept] == ["clinical", "ridge"] * 3
    before = {p: p.stat().st_mtime_ns for p in kept}
    assert run(data, tmp_path, "--arms", "clinical") == 0
    assert before == {p: p.stat().st_mtime_ns for p in kept}
    assert run(data, tmp_path, "--arms", "clinical", "--force") == 0
    changed = {p.stem for p in kept if p.stat().st_mtime_ns != before[p]}
    assert changed == {"clinical"}
    with pytest.raises(ValueError, match="another --out"):
        run(data, tmp_path, "--arms", "km", "--views", "rna")


def test_a_failing_arm_stops_no_other(data, tmp_path, monkeypatch):
    def broken(fold, times):
        raise RuntimeError("no luck")

    monkeypatch.setitem(baselines.OPPONENTS, "clinical", broken)
    assert run(data, tmp_path, "--arms", "clinical", "km") == 1
    text = (tmp_path / "table.md").read_text()
    assert "| Kaplan–Meier | 0.500 | 0.500 |" in text and "no luck" in text


def test_scores_are_those_of_the_predictions(data, tmp_path):
    run(data, tmp_path, "--arms", "clinical", "ridge")
    kept = results.Results(tmp_path, {"folds": "mcat_fold", "views": None})
    scores = scoring.fold_scores(kept, ["toy"]).set_index(["fold", "arm"])
    truth = kept.outcomes("toy")
    test = truth[truth["fold"] == 2]
    found = kept.load("toy", 2, "ridge")
    risk = found.risk.loc[test.index]
    assert scores.loc[(2, "ridge"), "c"] == concordance(test["time"], test["event"], risk)
    # the curve and the value at the patient's own time are of one prediction
    inside = test.index[test["time"] < found.curves.index[-2]]
    for patient in inside:
        at = np.searchsorted(found.curves.index, test.loc[patient, "time"])
        above = 1.0 if at == 0 else found.curves[patient].iloc[at - 1]
        assert found.curves[patient].iloc[at] <= found.own[patient] + 1e-6 <= above + 2e-6
    differences = scores["c"].unstack("arm")
    mean = (differences["clinical"] - differences["ridge"]).mean()
    assert f"{mean:+.3f} ± " in (tmp_path / "table.md").read_text()


def test_options_of_our_arms_need_a_tag(data, tmp_path):
    assert tcga.parse_options(["n_shared=8", "start=gcca"]) == {"n_shared": 8, "start": "gcca"}
    with pytest.raises(SystemExit):
        run(data, tmp_path, "--arms", "km", "--option", "n_shared=8")


@pytest.mark.slow
def test_our_arms_run(data, tmp_path):
    options = ("--option", "max_epochs=3", "--option", "n_shared=4", "--tag", "small")
    assert run(data, tmp_path, "--arms", "ours", *options) == 0
    kept = {p.stem for p in tmp_path.glob("toy/fold1/*.csv")}
    given = {f"ours_given_{view}@small" for view in ("rna", "cnv", "mut", "img")}
    heads = ("ours", "ours_every_no_site", "ours_chosen", "ours_z", "ours_zw")
    assert kept == {*(f"{head}@small" for head in heads), *given}
    assert "| ours, given rna only (small) |" in (tmp_path / "table.md").read_text()
