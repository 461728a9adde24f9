"""Several outcomes of a cohort at once, each with its own name, missing rows and weight."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import mvlatent as mv
from mvlatent import cli
from mvlatent.heads.choice import EVERY, SHARED_ONLY, InnerFolds
from mvlatent.io import load_trained
from mvlatent.study import OutOfFold

TIMES = [5.0, 20.0]
N = 120
STAGES = ["I", "II", "III"]
OS = mv.Survival("survival_months", "event", name="OS")
PFI = mv.Survival("pfi_months", "pfi_event", name="PFI", kind="cox")
OUTCOMES = [
    OS,
    mv.Labels("subtype"),
    PFI,
    mv.Labels("immune", weight=0.5),
    mv.Target("purity", kind="continuous"),
    mv.Target("stage", kind="ordinal"),
]
NO_DEFAULTS = {"survival": None, "labels": None}


@pytest.fixture(scope="module")
def patients(many_outcomes):
    return many_outcomes()


@pytest.fixture(scope="module")
def model(small_fit, patients):
    return small_fit(patients, **NO_DEFAULTS, outcomes=OUTCOMES)


READS = {
    "OS": lambda m, d=None, **o: m.predict_survival(TIMES, d, n_samples=20, **o),
    "risk of OS": lambda m, d=None, **o: m.predict_risk(d, **o),
    "PFI": lambda m, d=None, **o: m.predict_survival(TIMES, d, n_samples=20, **o),
    "risk of PFI": lambda m, d=None, **o: m.predict_risk(d, **o),
    "subtype": lambda m, d=None, **o: m.predict_labels(d, proba=True, n_samples=20, **o),
    "immune": lambda m, d=None, **o: m.predict_labels(d, proba=True, n_samples=20, **o),
    "purity": lambda m, d=None, **o: m.predict_target(d, n_samples=20, **o),
    "stage": lambda m, d=None, **o: m.predict_target(d, proba=True, n_samples=20, **o),
}
NAMES = {read: read.removeprefix("risk of ") for read in READS}


@pytest.mark.parametrize("name", dict.fromkeys(NAMES.values()))
def test_each_head_is_that_of_the_outcome_alone(model, small_fit, patients, name):
    spec = next(o for o in OUTCOMES if o.name == name)
    alone = small_fit(patients, **NO_DEFAULTS, outcomes=[spec])
    assert list(alone.trained.outcomes) == [name]
    for pair in ("full", "shared_only"):
        one, two = (getattr(m.trained.outcomes[name], pair) for m in (model, alone))
        assert one.tau == pytest.approx(two.tau, rel=1e-5, abs=1e-6)
        for block, coef in one.coef.items():
            np.testing.assert_allclose(coef, two.coef[block], rtol=1e-6, atol=1e-6)
    for read in (r for r, n in NAMES.items() if n == name):
        found, known = READS[read](model, outcome=name), READS[read](alone)
        np.testing.assert_allclose(found, known, rtol=1e-5, atol=1e-6)


def test_each_outcome_has_its_own_missing_rows(model, patients):
    held = model.cohort().outcomes
    columns = ["survival_months", "pfi_months", "subtype", "immune", "purity", "stage"]
    assert list(held) == ["OS", "PFI", "subtype", "immune", "purity", "stage"]
    for data, column in zip(held.values(), columns, strict=True):
        np.testing.assert_array_equal(data.observed, patients.obs[column].notna())
    n = len(patients.obs)
    assert len({int(data.observed.sum()) for data in held.values()} | {n}) > 4


def test_the_first_of_a_kind_is_the_default(model):
    for read, name in (("risk of OS", "OS"), ("subtype", "subtype"), ("purity", "purity")):
        pd.testing.assert_series_equal(
            pd.Series(np.ravel(READS[read](model))),
            pd.Series(np.ravel(READS[read](model, outcome=name))),
        )
    assert not np.allclose(model.predict_risk(), model.predict_risk(outcome="PFI"))
    assert model.trained.survival is model.trained.outcomes["OS"]
    assert model.trained.labels is model.trained.outcomes["subtype"]
    assert model.cohort().survival is model.cohort().outcomes["OS"]
    assert model.cohort().labels is model.cohort().outcomes["subtype"]


def test_unknown_outcomes_are_named(model):
    with pytest.raises(KeyError, match="no survival outcome 'DSS'; there are 'OS', 'PFI'"):
        model.predict_risk(outcome="DSS")
    with pytest.raises(KeyError, match="'immune' is of kind labels"):
        model.predict_survival(TIMES, outcome="immune")
    with pytest.raises(KeyError, match="'subtype', 'immune'"):
        model.predict_labels(outcome="stage")
    with pytest.raises(KeyError, match="'purity', 'stage'"):
        model.predict_target(outcome="OS")
    with pytest.raises(ValueError, match="ordinal: take proba=True"):
        model.predict_target(outcome="stage", interval=0.9)
    with pytest.raises(ValueError, match="continuous: take interval"):
        model.predict_target(outcome="purity", proba=True)
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.predict_target(outcome="purity", interval=90)
    with pytest.raises(ValueError, match="no competing causes"):
        model.predict_cumulative_incidence(TIMES, outcome="PFI")


def test_a_model_without_targets_says_so(fitted):
    with pytest.raises(ValueError, match="fitted without a target"):
        fitted.predict_target()


def test_targets_come_in_their_own_units(model, patients):
    value = patients.obs["purity"]
    found = model.predict_target(outcome="purity", interval=0.9, n_samples=200)
    assert found.mean.corr(value) > 0.5
    inside = (found.lower <= value) & (value <= found.upper)
    assert 0.8 < inside[value.notna()].mean() <= 1.0
    half = model.predict_target(outcome="purity", interval=0.5, n_samples=200)
    assert ((half.upper - half.lower) < (found.upper - found.lower)).all()
    np.testing.assert_allclose(found.mean, model.predict_target(), rtol=1e-6)
    blind = model.predict_target(given=["img"], interval=0.9)
    assert blind.sd.mean() > found.sd.mean()
    stage = model.predict_target(outcome="stage")
    probability = model.predict_target(outcome="stage", proba=True)
    assert list(probability.columns) == STAGES and stage.isin(STAGES).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1.0)
    known = patients.obs["stage"].dropna()
    order = probability @ np.arange(3)
    assert order[known.index].corr(known.map(STAGES.index).astype(float)) > 0.4


@pytest.mark.parametrize("scaling", ["rank_normal", "log1p"])
def test_other_scalings_of_a_target(small_fit, patients, scaling):
    target = mv.Target("purity", scaling=scaling)
    found = small_fit(patients, **NO_DEFAULTS, targets=target, max_epochs=2)
    value = patients.obs["purity"].dropna()
    band = found.predict_target(interval=0.9)
    assert band.mean.between(value.min() - 0.2, value.max() + 0.2).all()
    assert (band.lower <= band.upper).all() and band.mean.corr(patients.obs["purity"]) > 0.3


# --- keeping --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("several") / "model"
    model.save(path)
    return path


def test_round_trip(model, folder, patients):
    loaded = mv.MVLatent.load(folder, patients)
    assert loaded.roles == model.roles
    for read, name in NAMES.items():
        found, known = (READS[read](m, outcome=name) for m in (loaded, model))
        np.testing.assert_allclose(found, known, rtol=1e-5, atol=1e-6, err_msg=read)
    spec = json.loads((folder / "spec.json").read_text())
    assert sorted(spec["heads"]) == sorted(o.name for o in OUTCOMES)
    assert loaded.summary() == model.summary()


def test_new_patients_may_lack_some_outcomes(model, patients):
    new = patients[patients.obs_names[:30]].copy()
    whole = {read: READS[read](model, new, outcome=name) for read, name in NAMES.items()}
    for column in ("survival_months", "event", "immune", "purity"):
        del new.obs[column]
    assert list(model.cohort(new).outcomes) == ["PFI", "subtype", "stage"]
    for read, name in NAMES.items():
        np.testing.assert_allclose(READS[read](model, new, outcome=name), whole[read], rtol=1e-5)
    del new.obs["pfi_event"]
    for read, name in NAMES.items():
        np.testing.assert_allclose(READS[read](model, new, outcome=name), whole[read], rtol=1e-5)
    with pytest.raises(KeyError, match="'pfi_event' is not in"):
        model.cohort(new)  # which holds outcomes


def test_outcomes_may_share_a_time(small_fit, patients):
    """Death of any cause and of the disease have one follow-up; a cause may be unknown."""
    mdata = patients.copy()
    mdata.obs["dead_of_it"] = mdata.obs["event"] * (np.arange(N) % 2)
    unknown = mdata.obs["event"].notna() & (np.arange(N) % 10 == 7)  # why they died
    mdata.obs.loc[unknown, "dead_of_it"] = np.nan
    with pytest.raises(ValueError, match="'dead_of_it' is missing but 'survival_months' is not"):
        small_fit(mdata, survival=("survival_months", "dead_of_it"), labels=None)
    spec = {"OS": ("survival_months", "event"), "DSS": ("survival_months", "dead_of_it")}
    model = small_fit(mdata, survival=spec, labels=None, max_epochs=2)
    assert model.roles.outcomes == ("survival_months", "event", "dead_of_it")
    held = model.cohort().outcomes
    assert int(held["OS"].observed.sum() - held["DSS"].observed.sum()) == unknown.sum() > 0
    new = mdata[mdata.obs_names[:20]].copy()
    del new.obs["dead_of_it"]
    assert list(model.cohort(new).outcomes) == ["OS"]
    assert model.predict_risk(new, outcome="DSS").notna().all()


def test_strata_of_one_outcome_are_not_those_of_another(small_fit, patients):
    mdata = patients.copy()
    mdata.obs["arm"] = np.where(np.arange(N) % 2, "x", "y")
    stratified = mv.Survival("pfi_months", "pfi_event", strata="arm")
    model = small_fit(mdata, survival=[OS, stratified], labels=None, max_epochs=2)
    alone = small_fit(mdata, survival=stratified, labels=None, max_epochs=2)
    new = mdata[mdata.obs_names[:20]].copy()
    for column in ("survival_months", "event", "pfi_months", "pfi_event"):
        del new.obs[column]
    options = {"n_samples": 20}
    found = model.predict_survival(TIMES, new, outcome="pfi_event", **options)
    np.testing.assert_allclose(found, alone.predict_survival(TIMES, new, **options), rtol=1e-5)
    assert model.predict_survival(TIMES, new, **options).notna().all(None)


@pytest.mark.parametrize("method", ["laplace", "nuts"])
def test_bands_of_a_target_are_kept(model, folder, patients, method):
    """With sds averaged over, as they are by default, and with draws of a sampler."""
    loaded = mv.MVLatent.load(folder, patients)
    for name in ("purity", "stage"):
        if method == "nuts":
            loaded.refit_head(outcome=name, method="nuts", num_samples=30, warmup=20)
        else:
            assert len(loaded.trained.outcomes[name].full.posterior.components) > 4
    loaded.save(folder.parent / method)
    again = mv.MVLatent.load(folder.parent / method)
    options = {"n_samples": 40, "seed": 1}
    one, two = (m.predict_target(patients, interval=0.8, **options) for m in (loaded, again))
    for part in ("mean", "sd", "lower", "upper"):
        np.testing.assert_allclose(getattr(one, part), getattr(two, part), rtol=1e-5, atol=1e-6)
    assert (one.lower < one.mean).all() and (one.mean < one.upper).all()
    value = patients.obs["purity"]
    inside = (one.lower <= value) & (value <= one.upper)
    assert 0.65 < inside[value.notna()].mean() < 0.95
    options |= {"outcome": "stage", "proba": True}
    levels = [m.predict_target(patients, **options) for m in (loaded, again)]
    np.testing.assert_allclose(*levels, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(levels[0].sum(axis=1), 1.0)


# --- refitting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", dict.fromkeys(NAMES.values()))
def test_a_refit_is_of_one_outcome_and_its_own_rows(model, folder, patients, name):
    """Whatever head stands there, it comes out as `fit` made it; the others stay."""
    own = mv.MVLatent.load(folder, patients)
    reported, known = own.trained.outcomes[name], model.trained.outcomes[name]
    others = {k: (r.full, r.shared_only) for k, r in own.trained.outcomes.items() if k != name}
    for pair in ("full", "shared_only"):  # away from where they were, to see them come back
        head = getattr(reported, pair)
        setattr(reported, pair, replace(head, _mode=torch.zeros_like(head._mode)))
    for head in (reported.full, reported.shared_only):
        assert not any(coef.any() for coef in head.coef.values())
    own.refit_head(outcome=name)
    for pair in ("full", "shared_only"):
        one, two = getattr(reported, pair), getattr(known, pair)
        # the evidence is flat to a hundredth of a nat where an sd moves by this much
        assert one.tau == pytest.approx(two.tau, rel=0.1, abs=1e-3)
        for block, coef in one.coef.items():
            np.testing.assert_allclose(coef, two.coef[block], rtol=0.12, atol=1e-3)
    for k, (full, shared) in others.items():
        kept = own.trained.outcomes[k]
        assert kept.full is full and kept.shared_only is shared
    for read in (r for r, n in NAMES.items() if n == name):
        found, before = (READS[read](m, patients, outcome=name) for m in (own, model))
        np.testing.assert_allclose(found, before, rtol=5e-3, atol=1e-3)


def test_a_refit_on_others_learns_their_last_event_and_slopes(folder, patients):
    some = patients[patients.obs_names[: 2 * N // 3]].copy()
    seen = some.obs["event"] == 1
    some.obs["survival_months"] = some.obs["survival_months"].clip(upper=10.0)
    own = mv.MVLatent.load(folder, some)
    os, classes = own.trained.outcomes["OS"], own.trained.outcomes["subtype"]
    known = classes.slopes
    assert os.horizon > 10
    own.refit_head(outcome="OS")
    assert os.horizon == some.obs["survival_months"][seen].max() == 10
    own.refit_head(outcome="subtype")
    assert classes.slopes != known


@pytest.mark.parametrize("method", ["laplace", "nuts"])
def test_heads_of_the_same_blocks_are_refitted_once(folder, patients, method):
    own = mv.MVLatent.load(folder, patients)
    reported = own.trained.outcomes["OS"]
    reported.full = reported.shared_only = replace(reported.shared_only)
    own.save(folder.parent / f"alone_{method}")
    again = mv.MVLatent.load(folder.parent / f"alone_{method}", patients)
    again.refit_head(method=method, num_samples=4, warmup=4)
    found = again.trained.outcomes["OS"]
    assert found.full is found.shared_only


def test_the_summary_says_what_inner_folds_learnt(folder, patients):
    own = mv.MVLatent.load(folder, patients)
    reported = own.trained.outcomes["subtype"]
    assert f"  logits times {reported.slopes['full']:.2f}, as" in own.summary()
    assert own.summary().count("logits times") == 2  # of two label columns
    reported.off = 0.5
    own.refit_head(outcome="subtype")
    likely = "labels subtype head, probability that a block has an effect: shared"
    assert likely in own.summary()
    own.refit_head(outcome="subtype", method="nuts", num_samples=4, warmup=4)
    assert likely not in own.summary()  # the sampler has every block on
    assert "labels subtype head, prior sd a block: shared" in own.summary()


def test_the_first_survival_outcome_is_refitted_by_default(folder, patients, small_fit):
    own = mv.MVLatent.load(folder, patients)
    before = {k: r.full for k, r in own.trained.outcomes.items()}
    own.refit_head(method="nuts", num_samples=20, warmup=20)
    changed = [k for k, r in own.trained.outcomes.items() if r.full is not before[k]]
    assert changed == ["OS"]
    with pytest.raises(KeyError, match="no survival outcome 'DSS'; there are 'OS', 'PFI'"):
        own.refit_head(outcome="DSS")
    alone = small_fit(patients, survival=None, labels="subtype", max_epochs=2)
    with pytest.raises(ValueError, match="without a survival outcome"):
        alone.refit_head()
    alone.refit_head(outcome="subtype")


# --- in training ----------------------------------------------------------------------------------


def test_heads_in_training(small_fit, patients):
    specs = [*OUTCOMES[:-1], mv.Target("stage", kind="ordinal", weight=0.0)]
    model = small_fit(patients, **NO_DEFAULTS, outcomes=specs, rho=0.2, max_epochs=3)
    terms = {c for c in model.history if c.startswith("outcome:")}
    assert terms == {
        *("outcome:survival", "outcome:survival:PFI", "outcome:labels"),
        *("outcome:labels:immune", "outcome:target"),
    }
    assert np.isfinite(model.history[sorted(terms)]).all(None)
    assert model.predict_target(outcome="stage").isin(STAGES).all()


def test_weights_are_relative_pulls(small_fit, patients, make_vae):
    """The head of an outcome of weight 3 pulls three times as hard."""
    from mvlatent.objectives.objective import Objective
    from mvlatent.outcomes.training import training_heads
    from mvlatent.specs import Roles

    specs = (OS, mv.Target("stage", kind="ordinal", weight=3.0), mv.Target("purity", weight=0.5))
    model = small_fit(patients, **NO_DEFAULTS, outcomes=specs, max_epochs=1)
    cohort = model.cohort()
    cohort = cohort.subset(torch.arange(len(cohort)))
    heads = training_heads(3, cohort, Roles(outcome_specs=specs))
    vae = make_vae(cohort, heads=heads, effects="none")
    objective = Objective(vae, rho=0.4)
    for _ in range(60):
        torch.manual_seed(0)
        objective(cohort, N, rebalance=True)
    torch.manual_seed(0)
    terms = objective.bound(cohort, N, 1.0)
    z = objective.elbo.draw["z"]
    views = sum(term for name, term in terms.items() if name.startswith("x:"))
    (data,) = torch.autograd.grad(views, z, retain_graph=True)
    pulls = [
        torch.autograd.grad(terms[head.site], z, retain_graph=True)[0].norm() / data.norm()
        for head in vae.heads
    ]
    np.testing.assert_allclose(pulls, [0.4, 0.2, 1.2] if heads[1].name == "purity" else
                               [0.4, 1.2, 0.2], rtol=1e-3)  # fmt: skip


def test_targets_take_every_block(small_fit, patients):
    specs = OUTCOMES[4:]
    model = small_fit(patients, **NO_DEFAULTS, outcomes=specs, head_blocks=("auto",), max_epochs=2)
    for name in ("purity", "stage"):
        reported = model.trained.outcomes[name]
        assert {"shared", "scores:rna"} <= set(reported.full.tau) and reported.off == 0.5
        assert set(reported.shared_only.tau) <= {"shared", "clinical", "technical"}
        assert not reported.inner_scores
    assert "probability that a block has an effect" in model.summary()


# --- what is written ------------------------------------------------------------------------------


def test_columns_of_predictions(model, patients):
    from mvlatent.reading.annotate import outcome_columns

    table = outcome_columns(model.trained, model.latents())
    classes = sorted(patients.obs["subtype"].dropna().unique())
    assert list(table) == [
        "mvlatent_risk",
        "mvlatent_risk_PFI",
        "mvlatent_label",
        *(f"mvlatent_probability_{c}" for c in classes),
        "mvlatent_label_immune",
        "mvlatent_probability_immune_cold",
        "mvlatent_probability_immune_hot",
        "mvlatent_target_purity",
        "mvlatent_target_stage",
        *(f"mvlatent_probability_stage_{level}" for level in STAGES),
    ]
    np.testing.assert_allclose(table["mvlatent_risk_PFI"], model.predict_risk(outcome="PFI"))
    known = model.predict_target(outcome="purity")
    np.testing.assert_allclose(table["mvlatent_target_purity"], known, rtol=1e-6)
    assert (table["mvlatent_target_stage"] == model.predict_target(outcome="stage")).all()


def test_the_summary_names_every_outcome(model):
    said = model.summary()
    for line in (
        "survival OS: survival_months, event (piecewise)",
        "survival PFI: pfi_months, pfi_event (cox)",
        "labels immune: immune",
        "target purity: purity (continuous)",
        "target stage: I < II < III, the order of the alphabet",
        "survival OS head, prior sd a block",
        "target purity head",
    ):
        assert line in said


def test_conformal_correction_of_a_named_outcome(model, many_outcomes):
    from mvlatent import tl

    calibration = many_outcomes(n=90, seed=5)
    for data in (calibration, *calibration.mod.values()):
        data.obs_names = [f"{name}-new" for name in data.obs_names]
    curves = model.predict_survival(mdata=calibration, outcome="PFI")
    named = tl.conformalize(model, calibration, outcome="PFI", level=0.8).lower(curves)
    held = model.cohort(calibration).outcomes["PFI"]
    seen = held.observed.numpy()
    known = tl.conformal_survival(
        held.time.numpy()[seen], held.event.numpy()[seen], curves.loc[:, seen], level=0.8
    )
    np.testing.assert_allclose(named, known.lower(curves))
    sets = tl.conformalize(model, calibration, outcome="immune", level=0.8)
    assert list(sets.sets(model.predict_labels(calibration, outcome="immune", proba=True))) == [
        "cold",
        "hot",
    ]
    with pytest.raises(ValueError, match="survival, labels, OS, PFI, subtype, immune"):
        tl.conformalize(model, calibration, outcome="relapse")
    with pytest.raises(ValueError, match=r"outcome 'purity' is a target.*conformal_labels"):
        tl.conformalize(model, calibration, outcome="purity")


QUICK = {"n_shared": 2, "n_private": 1, "max_epochs": 2, "accelerator": "cpu"}
QUICK |= {"head_blocks": ("shared", "clinical")}


@pytest.fixture(scope="module")
def found(patients):
    return mv.study.out_of_fold(patients, folds=2, batch="site", outcomes=OUTCOMES, **QUICK)


def test_out_of_fold_table(found, patients):
    table, obs = found.table, patients.obs
    assert list(table.index) == list(patients.obs_names)
    for column, known in (
        ("time", "survival_months"),
        ("time_PFI", "pfi_months"),
        ("event_PFI", "pfi_event"),
        ("target_purity", "purity"),
    ):
        np.testing.assert_allclose(table[column], obs[known], rtol=1e-5)
    for column, known in (("label_immune", "immune"), ("target_stage", "stage")):
        assert (table[column].dropna() == obs[known].dropna()).all()
        assert table[f"predicted_{column}"].notna().all()
    assert table[["risk", "risk_PFI", "risk_shared_PFI"]].notna().all(None)
    assert found.concordance(outcome="OS") == found.concordance()
    assert found.concordance(outcome="PFI") != found.concordance()
    known = [
        mv.tl.concordance(t["time_PFI"], t["event_PFI"], t["risk_PFI"])
        for _, t in table.dropna(subset=["time_PFI"]).groupby("fold")
    ]
    assert found.concordance(outcome="PFI")[0] == pytest.approx(np.mean(known))
    for name in ("subtype", "immune", "stage"):
        assert 0 < found.accuracy(name) <= 1
    assert found.accuracy() == found.accuracy("subtype") != found.accuracy("immune")
    assert -1 < found.r2("purity") < 1
    with pytest.raises(ValueError, match="ordinal"):
        found.r2("stage")
    for read in (found.concordance, found.accuracy, found.r2):
        with pytest.raises(KeyError, match="'DSS'"):
            read(outcome="DSS")


def test_concordance_keeps_to_strata_and_entry():
    """Who was not yet, or in another arm, is compared with nobody."""
    time, n = np.arange(1.0, 41.0), 40
    table = pd.DataFrame({"fold": 0, "time": time, "event": 1.0, "risk": -time})
    assert OutOfFold(table).concordance()[0] == 1.0
    late = table.assign(entry=np.where(time > 20, 20.0, 0.0))
    late.loc[time > 20, "risk"] += 100  # wrong only against those who had died before
    assert OutOfFold(table.assign(risk=late["risk"])).concordance()[0] < 0.6
    assert OutOfFold(late).concordance()[0] == 1.0
    arms = table.assign(stratum=np.arange(n) % 2, risk=-time + 100 * (np.arange(n) % 2))
    assert OutOfFold(arms.drop(columns="stratum")).concordance()[0] < 0.8
    assert OutOfFold(arms).concordance()[0] == 1.0


def test_out_of_fold_with_strata_and_entry(patients):
    mdata = patients.copy()
    mdata.obs["arm"] = np.where(np.arange(N) % 2, "x", "y")
    mdata.obs["start"] = 0.3 * mdata.obs["pfi_months"]
    mdata.obs["pfi_event"] = mdata.obs["pfi_event"].where(mdata.obs["pfi_event"].isna(), 1.0)
    spec = mv.Survival("pfi_months", "pfi_event", strata="arm", entry="start")
    found = mv.study.out_of_fold(mdata, folds=2, survival=spec, **QUICK)
    seen = found.table["time"].notna()
    assert (found.table["stratum"] == mdata.obs["arm"]).all()
    np.testing.assert_allclose(
        found.table["entry"][seen], mdata.obs["start"].astype(float)[seen], rtol=1e-5
    )
    assert 0 < found.concordance()[0] < 1


# --- the command line -----------------------------------------------------------------------------


def run(*arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cli.main([str(a) for a in arguments])
        except SystemExit as end:
            assert not end.code, end


def test_command_line(patients, tmp_path, capsys, monkeypatch):
    # what inner folds say is tested elsewhere
    sets = [SHARED_ONLY, EVERY, tuple(kind for kind in EVERY if kind != "technical")]
    found = InnerFolds(dict.fromkeys(sets, 0.5), dict.fromkeys(sets, 1.5))
    monkeypatch.setattr("mvlatent.heads.reported.judge_blocks", lambda *_, **__: found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patients.write(tmp_path / "c.h5mu")
    run(
        *("fit", tmp_path / "c.h5mu", "--out", tmp_path / "m", "--batch", "site"),
        *("--survival", "survival_months", "event", "--survival", "pfi_months", "pfi_event"),
        *("--labels", "is_female", "--labels", "immune", "--target", "purity"),
        *("--target", "stage=ordinal", "--folds", "2", "--out-data", tmp_path / "o.h5mu"),
        *("--n-shared", "2", "--n-private", "1", "--max-epochs", "2"),
    )
    said = capsys.readouterr().out
    for line in ("Harrell's C, all", "C of pfi_event, all", "accuracy of immune", "R² of purity"):
        assert line in said
    loaded = load_trained(tmp_path / "m")
    assert loaded.outcomes["immune"].slopes == {"full": 1.5, "shared": 1.5}
    roles = loaded.roles
    assert list(roles.named) == ["event", "pfi_event", "is_female", "immune", "purity", "stage"]
    import mudata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        columns = set(mudata.read(tmp_path / "o.h5mu").obs)
    for name in ("risk", "risk_pfi_event", "target_stage"):
        assert {f"mvlatent_{name}_fitted", f"mvlatent_{name}_oof"} <= columns
        assert f"mvlatent_{name}" not in columns
