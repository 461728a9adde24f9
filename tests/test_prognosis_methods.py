"""Prognosis methods of a fitted model: consistent with its curves, and honest on simulations."""

import numpy as np
import pytest
import torch

import mvlatent as mv
from mvlatent.reading.ledger import variance_shares

OUTCOME = {"batch": "site", "clinical": ["age", "is_female"], "progress": False}
SURVIVAL = ("survival_months", "event")
SMALL = {
    "rna": mv.sim.ViewSpec(n_features=40, n_private=2),
    "cnv": mv.sim.ViewSpec(n_features=30, n_private=2),
    "img": mv.sim.ViewSpec(n_features=20, n_private=2),
}


def simulated(n=250, seed=0, preset="easy", **spec):
    return mv.sim.cohort(preset, n=n, seed=seed, views=SMALL, n_shared=3, **spec)


def fit(mdata, **options):
    quick = {"n_shared": 3, "n_private": 2, "head_blocks": ("shared", "private", "clinical")}
    return mv.fit(mdata, survival=SURVIVAL, max_epochs=20, **{**OUTCOME, **quick, **options})


@pytest.fixture(scope="module")
def cohort():
    return simulated()


@pytest.fixture(scope="module")
def model(cohort):
    return fit(cohort[0])


def test_summaries_are_those_of_the_curves(model, cohort):
    few = cohort[0][:20].copy()
    horizon = 0.8 * model.trained.survival.horizon
    at = model.predict_survival(mdata=few, times=[horizon], interval=0.8)
    risk = model.predict_risk_at(horizon, few, interval=0.8)
    assert list(risk.columns) == ["risk", "lower", "upper"]
    np.testing.assert_allclose(risk["risk"], 1 - at.mean.iloc[0], rtol=1e-9)
    np.testing.assert_allclose(risk["lower"], 1 - at.upper.iloc[0], atol=0.02)
    assert ((risk["lower"] <= risk["risk"]) & (risk["risk"] <= risk["upper"])).all()
    np.testing.assert_allclose(model.predict_risk_at(horizon, few), risk["risk"], rtol=1e-9)
    grid = np.linspace(0, horizon, 400)
    curves = model.predict_survival(mdata=few, times=grid)
    rmst = model.predict_rmst(horizon, few, interval=0.8)
    np.testing.assert_allclose(rmst["rmst"], np.trapezoid(curves, grid, axis=0), rtol=1e-3)
    assert ((rmst["lower"] < rmst["rmst"]) & (rmst["rmst"] < rmst["upper"])).all()
    median = model.predict_median(few, interval=0.8)
    fine = np.linspace(0, model.trained.survival.horizon, 2000)
    full = model.predict_survival(fine, few)
    below = full.to_numpy() <= 0.5
    first = np.where(below.any(0), full.index.to_numpy()[below.argmax(0)], np.inf)
    np.testing.assert_allclose(median["median"], first, rtol=0.01, atol=0.1)
    assert np.isinf(median["upper"]).any()
    assert ((median["lower"] <= median["median"]) & (median["median"] <= median["upper"])).all()
    assert list(median.index) == list(few.obs_names)


def test_medians_agree_with_lifelines():
    from lifelines import CoxPHFitter

    mdata, _ = simulated(n=200)
    survival = mv.Survival(*SURVIVAL, kind="cox")
    own = mv.fit(
        mdata,
        survival=survival,
        clinical=["age", "is_female"],
        n_shared=2,
        n_private=1,
        max_epochs=2,
        head_blocks=("clinical",),
        progress=False,
    )
    frame = mdata.obs[["age", "is_female", *SURVIVAL]].astype(float)
    reference = CoxPHFitter(penalizer=0.02).fit(frame, *SURVIVAL)
    theirs = np.asarray(reference.predict_median(frame), float)
    ours = own.predict_median().to_numpy()
    both = np.isfinite(theirs) & np.isfinite(ours)
    assert both.any()
    assert np.median(np.abs(ours[both] / theirs[both] - 1)) < 0.1


def test_bands_widen_as_views_are_taken_away(cohort):
    mdata, truth = simulated(seed=1, private_prognosis=0.3)
    new, _ = truth.new_patients(80)
    for blocks in (("shared", "private", "clinical"), ("scores", "clinical")):
        own = fit(mdata, head_blocks=blocks)
        width = []
        for given in (["rna", "cnv", "img"], ["rna", "cnv"], ["cnv"], []):
            band = own.predict_rmst(20.0, new, given=given, interval=0.9)
            width.append(float((band["upper"] - band["lower"]).mean()))
        assert np.diff(width).min() > 0, (blocks, width)


def test_factors_that_are_off_do_not_widen_bands():
    mdata, truth = simulated(seed=2)
    new, _ = truth.new_patients(60)
    width = []
    for n_shared in (3, 8):
        own = fit(mdata, n_shared=n_shared, head_blocks=("shared", "clinical"))
        band = own.predict_rmst(20.0, new, interval=0.9)
        width.append(float((band["upper"] - band["lower"]).mean()))
    assert not bool(own.trained.vae.active.all())
    assert width[1] < 1.2 * width[0]


def test_hazard_ratios_make_a_forest(model, cohort):
    table = model.hazard_ratios()
    assert {"clinical:age", "clinical:is_female=1", "shared_0", "private:rna_1"} <= {*table.index}
    assert ((table["lower"] <= table["hr"]) & (table["hr"] <= table["upper"])).all()
    assert not any(name.startswith("scores") for name in table.index)
    # age was scaled by its sd: a year has the sd-th root of a sd's ratio
    unit = model.hazard_ratios(per="unit").loc["clinical:age", "hr"]
    sd = cohort[0].obs["age"].astype(float).std(ddof=0)
    assert np.log(table.loc["clinical:age", "hr"]) == pytest.approx(sd * np.log(unit), rel=0.02)
    blocks = model.hazard_ratios(by="block")
    assert list(blocks.index) == list(model.trained.survival.full.coef)
    assert blocks["hr"].idxmax() == "shared"
    mv.pl.forest(table)
    with pytest.raises(ValueError, match="per must be"):
        model.hazard_ratios(per="year")
    with pytest.raises(KeyError, match="no survival outcome"):
        model.hazard_ratios("os")
    with pytest.raises(ValueError, match="cause"):
        model.hazard_ratios(cause=2)


def true_shares(truth, mdata):
    spec = truth.spec
    share = spec.private_prognosis
    age = mdata.obs["age"].to_numpy(float)
    parts = [
        np.sqrt(1 - share) * spec.hazard_sd * (truth.shared @ truth.hazard.shared),
        np.sqrt(share) * spec.hazard_sd * (truth.private["rna"] @ truth.hazard.private),
        spec.age_effect * (age - 60) / 10,
    ]
    found = variance_shares(torch.tensor(np.stack(parts, 1))).numpy()
    return dict(zip(("shared", "private:rna", "clinical"), found, strict=True))


def test_the_ledger_knows_where_prognosis_lives():
    inside, error = [], []
    worlds = ({}, {"private_prognosis": 0.6}, {"hazard_sd": 0.0, "age_effect": 0.6})
    for world, spec in enumerate(worlds):
        mdata, truth = simulated(seed=world, **spec)
        table = fit(mdata).ledger()
        assert table["share"].sum() == pytest.approx(1.0)
        assert (table["share"] >= 0).all()
        known = true_shares(truth, mdata)
        truth_of = np.array([known.get(name, 0.0) for name in table.index])
        inside += [*(table["lower"] <= truth_of) & (truth_of <= table["upper"])]
        error.append(np.abs(table["share"] - truth_of).max())
    assert np.mean(inside) > 0.85
    assert np.mean(error) < 0.2
    assert table.index[0] == "shared"
    assert {"private:rna", "scores:img", "clinical", "technical"} <= {*table.index}
    mv.pl.ledger(table)


def test_a_ledger_of_other_patients_and_of_a_loaded_model(model, cohort, tmp_path):
    mdata, truth = cohort
    new, _ = truth.new_patients(60)
    own = model.ledger(new, n_samples=300)
    assert own["share"].sum() == pytest.approx(1.0)
    model.save(tmp_path / "m")
    loaded = mv.MVLatent.load(tmp_path / "m")
    again = loaded.ledger(mdata, n_samples=300)
    np.testing.assert_allclose(again["share"], model.ledger(n_samples=300)["share"], atol=0.02)
    with pytest.raises(ValueError, match="without data"):
        loaded.ledger()


def test_value_of_a_view_ranks_those_who_lack_it(model, cohort):
    _, truth = cohort
    new, _ = truth.new_patients(60)
    mdata, _ = simulated(n=60, seed=5, missing=0.4)
    values = model.value_of("rna", mdata, n_samples=60)
    lacking = set(mdata.obs_names) - set(mdata.mod["rna"].obs_names)
    assert set(values.index) == lacking
    assert (values.diff().dropna() <= 0).all()
    assert (values > 0).all()
    others = mdata.obs_names.isin(mdata.mod["cnv"].obs_names).astype(int)
    others += mdata.obs_names.isin(mdata.mod["img"].obs_names)
    count = dict(zip(mdata.obs_names, others, strict=True))
    of = {k: np.mean([v for name, v in values.items() if count[name] == k]) for k in (1, 2)}
    assert of[1] > of[2]
    assert model.value_of("rna", mdata, horizon=20.0, n_samples=30).between(0, 0.25).all()
    with pytest.warns(UserWarning, match="all 60 patients have view 'rna'"):
        nobody = model.value_of("rna", new)
    assert nobody.empty and nobody.name == values.name and nobody.dtype == values.dtype
    with pytest.raises(KeyError, match="no view 'blood'"):
        model.value_of("blood")
    with pytest.raises(ValueError, match="horizon"):
        model.value_of("rna", mdata, horizon=1e6)


def test_refits(cohort):
    mdata, _ = simulated(n=120)
    own = fit(mdata, head_blocks=("shared", "clinical", "technical"))
    before = own.predict_risk()
    own.refit_head()
    np.testing.assert_allclose(own.predict_risk(), before, rtol=1e-6, atol=1e-8)
    own.refit_head(method="nuts", num_samples=40, warmup=60)
    assert np.corrcoef(own.predict_risk(), before)[0, 1] > 0.97
    band = own.predict_survival(times=[20.0], interval=0.9)
    assert (band.upper - band.lower).to_numpy().min() > 0
    assert own.trained.survival.shared_only is own.trained.survival.full
    with pytest.raises(ValueError, match="'laplace', 'nuts'"):
        own.refit_head(method="vi")


def test_one_patient_has_no_sd(model, cohort):
    one = cohort[0][:1].copy()
    for options in ({}, {"by": "block"}):
        with pytest.raises(ValueError, match="one patient has no sd"):
            model.hazard_ratios(mdata=one, **options)
    assert len(model.hazard_ratios(mdata=one, per="unit"))


def test_factors_that_are_off_have_no_hazard_ratio(cohort):
    wide = fit(cohort[0], n_shared=8)
    active = int(wide.trained.vae.active.sum())
    assert active < 8
    for per in ("sd", "unit"):
        rows = wide.hazard_ratios(per=per).filter(like="shared_", axis=0)
        assert len(rows) == active
        assert (rows["lower"] < rows["upper"]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.predict_survival(times=[1.0, np.nan]), "times must be finite"),
        (lambda m: m.predict_survival(times="soon"), "times must be numbers"),
        (lambda m: m.predict_survival(n_samples=0), "n_samples must be 1 or more"),
        (lambda m: m.refit_head(method="nuts", num_samples=0), "num_samples must be 2 or more"),
    ],
)
def test_options_that_cannot_be(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_one_time_is_a_row(model):
    assert model.predict_survival(times=12).equals(model.predict_survival(times=[12.0]))
