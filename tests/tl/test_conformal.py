import numpy as np
import pandas as pd
import pytest

from mvlatent import tl
from mvlatent.tl._outcomes.outcome import Censoring

AT = np.linspace(0, 6, 120)
LEVEL = 0.9


def _cohort(n, rng, *, censoring="none", wrong=1.0):
    """Exponential times, and curves whose log hazard ratio is off by a factor."""
    x = rng.standard_normal(n)
    true = rng.exponential(np.exp(-x))
    limit = {
        "none": lambda: np.full(n, np.inf),
        "exponential": lambda: rng.exponential(0.55, n),
        "accrual": lambda: rng.uniform(0.1, 0.93, n),
    }[censoring]()
    curves = pd.DataFrame(np.exp(-AT[:, None] * np.exp(wrong * x)), index=AT)
    return true, np.minimum(true, limit), true <= limit, curves


def _coverage(repeats, n, **options):
    rng = np.random.default_rng(0)
    held, censored = [], []
    for _ in range(repeats):
        _, time, event, curves = _cohort(n, rng, **options)
        bounds = tl.conformal_survival(time, event, curves, level=LEVEL)
        true, _, _, new = _cohort(200, rng, **options)
        held.append(np.mean(true >= bounds.lower(new).to_numpy()))
        censored.append(1 - event.mean())
    return np.mean(held), np.std(held) / np.sqrt(repeats), np.mean(censored)


@pytest.mark.parametrize("wrong", [1.0, 0.0, 0.4, 2.0])
@pytest.mark.parametrize("censoring", ["none", "exponential", "accrual"])
def test_lower_bounds_hold_as_often_as_they_say_whatever_the_model(censoring, wrong):
    share, error, censored = _coverage(80, 150, censoring=censoring, wrong=wrong)
    assert share > LEVEL - 3 * error
    assert share < LEVEL + 3 * error + 0.012  # 1 / (n + 1), and the bounds capped at the cutoff
    assert censored == 0 if censoring == "none" else 0.5 < censored < 0.7


def test_curves_that_end_early_cost_no_level():
    rng = np.random.default_rng(15)
    held = []
    for _ in range(60):
        _, time, event, curves = _cohort(200, rng, censoring="exponential")
        found = tl.conformal_survival(time, event, curves[curves.index < 0.25])
        assert found.cutoff < 0.25
        true, _, _, new = _cohort(200, rng)
        held.append(np.mean(true >= found.lower(new).to_numpy()))
    assert np.mean(held) == pytest.approx(LEVEL, abs=3 * np.std(held) / np.sqrt(60) + 0.006)


def test_bounds_hold_in_a_small_calibration_cohort():
    share, error, _ = _coverage(200, 30, censoring="exponential")
    assert LEVEL - 3 * error < share < LEVEL + 0.06


def test_without_censoring_the_bound_is_split_conformal():
    rng = np.random.default_rng(1)
    true, time, event, curves = _cohort(59, rng)
    score = np.sort([1 - np.interp(t, AT, curves[i]) for i, t in enumerate(true)])
    threshold = score[int(np.floor(0.1 * 60)) - 1]  # the 6th smallest of 59
    new = curves.iloc[:, :5]
    expected = [np.interp(threshold, 1 - new[i], AT) for i in new]
    found = tl.conformal_survival(time, event, curves, cutoff=6.0)
    np.testing.assert_allclose(found.lower(new), expected)


def test_naive_bounds_fail_under_censoring_where_corrected_ones_hold():
    """Taking the uncensored alone: deaths that were seen are early ones, bounds are too short."""
    rng = np.random.default_rng(2)
    _, time, event, curves = _cohort(3000, rng, censoring="exponential")
    true, _, _, new = _cohort(3000, rng)
    naive = tl.conformal_survival(time[event], np.ones(event.sum()), curves.loc[:, event])
    right = tl.conformal_survival(time, event, curves)
    assert np.mean(true >= naive.lower(new).to_numpy()) > 0.93
    assert np.mean(true >= right.lower(new).to_numpy()) == pytest.approx(LEVEL, abs=0.02)


def test_by_site_the_level_holds_in_each_and_pooled_it_does_not():
    rng = np.random.default_rng(3)
    site = np.repeat(["mild", "harsh"], 1000)
    factor = np.where(site == "mild", 0.5, 2.0)
    x = rng.standard_normal((2, 2000))
    true = rng.exponential(np.exp(-x) / factor)
    curves = [pd.DataFrame(np.exp(-AT[:, None] * np.exp(row)), index=AT) for row in x]
    event = np.ones(2000)
    pooled = tl.conformal_survival(true[0], event, curves[0]).lower(curves[1])
    by_site = tl.conformal_survival(true[0], event, curves[0], group=site)
    held = by_site.lower(curves[1], group=site)
    for name in ("mild", "harsh"):
        rows = site == name
        assert np.mean((true[1] >= held)[rows]) == pytest.approx(LEVEL, abs=0.03)
        assert abs(np.mean((true[1] >= pooled)[rows]) - LEVEL) > 0.03


def test_weights_of_a_known_censoring_and_the_cutoff():
    rng = np.random.default_rng(4)
    _, time, event, curves = _cohort(300, rng, censoring="exponential")
    found = tl.conformal_survival(time, event, curves)
    censoring = Censoring(time, event)
    assert censoring.before(np.array([found.cutoff]))[0] >= 0.1
    early = tl.conformal_survival(time, event, curves, cutoff=0.05)
    assert early.lower(curves).max() == pytest.approx(0.05)
    other = tl.conformal_survival(time, event, curves, train=(time[:200], event[:200]))
    np.testing.assert_allclose(other.lower(curves), found.lower(curves), atol=0.2)
    near = np.where(np.arange(300) < 30, "near", "far")  # a site with short follow-up
    time = np.where(near == "near", np.minimum(time, 0.1), time)
    event = event & (time != 0.1)
    by_site = tl.conformal_survival(time, event, curves, cutoff=0.5, group=near).scores.by_group
    assert by_site["near"].cutoff <= 0.1
    assert by_site["far"].cutoff == 0.5


def test_few_patients_promise_nothing():
    rng = np.random.default_rng(5)
    _, time, event, curves = _cohort(8, rng)
    assert (tl.conformal_survival(time, event, curves).lower(curves) == 0).all()
    p = pd.DataFrame({"a": [0.9] * 8, "b": [0.1] * 8})
    assert tl.conformal_labels(["a"] * 8, p).sets(p).all(axis=None)


def test_an_unseen_group_gets_the_pooled_correction_and_a_warning():
    rng = np.random.default_rng(6)
    _, time, event, curves = _cohort(60, rng)
    site = np.repeat(["x", "y"], 30)
    site = np.where(np.arange(60) % 7 == 0, None, site)  # these are in the pooled one only
    found = tl.conformal_survival(time, event, curves, group=site)
    assert set(found.scores.by_group) == {"x", "y"}
    new = curves.iloc[:, :2]
    with pytest.warns(UserWarning, match="'z'"):
        bounds = found.lower(new, group=["z", "z"])
    np.testing.assert_allclose(bounds, tl.conformal_survival(time, event, curves).lower(new))
    with pytest.raises(ValueError, match="give group"):
        found.lower(new)
    with pytest.raises(ValueError, match="leave group out"):
        tl.conformal_survival(time, event, curves).lower(new, group=["x", "y"])


def test_what_cannot_be_calibrated_is_named():
    rng = np.random.default_rng(7)
    _, time, event, curves = _cohort(20, rng, censoring="accrual")
    with pytest.raises(ValueError, match="no patient dies before the cutoff"):
        tl.conformal_survival(time, np.zeros(20), curves)
    with pytest.raises(ValueError, match="censored before the cutoff"):
        tl.conformal_survival(time, ~event, curves, cutoff=99.0, train=(time, np.zeros(20)))
    with pytest.raises(ValueError, match="level"):
        tl.conformal_survival(time, event, curves, level=90)


# --- label sets -------------------------------------------------------------------------------

CLASSES = ["a", "b", "c", "d"]


def _labels(n, rng, *, power=1.0, bias=0.0):
    logits = 1.5 * rng.standard_normal((n, 4))
    p = np.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    labels = np.array([CLASSES[rng.choice(4, p=row)] for row in p])
    said = np.exp(power * logits + bias * np.arange(4))
    return labels, pd.DataFrame(said / said.sum(axis=1, keepdims=True), columns=CLASSES)


def _holds(sets, labels):
    return sets.to_numpy()[np.arange(len(labels)), sets.columns.get_indexer(labels)]


@pytest.mark.parametrize("power", [1.0, 4.0, 0.1])
@pytest.mark.parametrize("score", ["aps", "lac"])
def test_sets_hold_the_label_as_often_as_they_say_whatever_the_model(score, power):
    rng = np.random.default_rng(8)
    held = []
    for seed in range(40):
        labels, p = _labels(99, rng, power=power)
        found = tl.conformal_labels(labels, p, level=0.8, score=score, seed=seed)
        truth, new = _labels(200, rng, power=power)
        held.append(_holds(found.sets(new, seed=seed), truth).mean())
    error = np.std(held) / np.sqrt(40)
    assert np.mean(held) > 0.8 - 3 * error
    assert np.mean(held) < 0.8 + 3 * error + 0.03  # the most probable class is always in


def test_lac_gives_the_smaller_sets_and_aps_the_evener_ones():
    rng = np.random.default_rng(9)
    labels, p = _labels(3000, rng)
    truth, new = _labels(3000, rng)
    sure = (new.max(axis=1) > 0.7).to_numpy()
    size, gap = {}, {}
    for score in ("aps", "lac"):
        sets = tl.conformal_labels(labels, p, score=score).sets(new)
        held = _holds(sets, truth)
        size[score], gap[score] = sets.sum(axis=1).mean(), held[sure].mean() - held[~sure].mean()
    assert size["lac"] < size["aps"]
    assert abs(gap["aps"]) < abs(gap["lac"])


def test_lac_threshold_is_the_order_statistic():
    rng = np.random.default_rng(10)
    labels, p = _labels(49, rng)
    own = 1 - p.to_numpy()[np.arange(49), p.columns.get_indexer(labels)]
    found = tl.conformal_labels(labels, p, score="lac")
    assert found.threshold.pooled == np.sort(own)[44]  # ceil(0.9 · 50) = 45th


def test_by_site_sets_hold_in_each():
    rng = np.random.default_rng(11)
    site = np.repeat(["fair", "biased"], 1500)
    drawn = [[_labels(1500, rng), _labels(1500, rng, bias=1.5)] for _ in range(2)]
    labels, truth = (np.concatenate([part[0] for part in side]) for side in drawn)
    p, new = (pd.concat([part[1] for part in side], ignore_index=True) for side in drawn)
    pooled = _holds(tl.conformal_labels(labels, p, score="lac").sets(new), truth)
    found = tl.conformal_labels(labels, p, score="lac", group=site)
    held = _holds(found.sets(new, group=site), truth)
    for name in ("fair", "biased"):
        assert held[site == name].mean() == pytest.approx(LEVEL, abs=0.025)
        assert abs(pooled[site == name].mean() - LEVEL) > 0.025


def test_another_mix_of_sites_breaks_what_was_pooled():
    """What the docstring says: without exchangeability the level is lost."""
    rng = np.random.default_rng(12)
    labels, p = _labels(1000, rng)
    truth, new = _labels(1000, rng, bias=2.0)
    held = _holds(tl.conformal_labels(labels, p, score="lac").sets(new), truth)
    assert held.mean() < LEVEL - 0.1


def test_missing_labels_keep_their_groups_apart():
    rng = np.random.default_rng(13)
    labels, p = _labels(40, rng)
    held, site = labels.astype(object), np.repeat(["x", "y"], 20)
    held[10:20] = None
    found = tl.conformal_labels(held, p, group=site, score="lac", level=0.5)
    alone = tl.conformal_labels(labels[:10], p.iloc[:10], score="lac", level=0.5)
    assert found.threshold.by_group["x"] == alone.threshold.pooled


def test_bad_sets_are_named():
    rng = np.random.default_rng(14)
    labels, p = _labels(40, rng)
    with pytest.raises(ValueError, match="aps, lac"):
        tl.conformal_labels(labels, p, score="raps")
    with pytest.raises(ValueError, match="classes differ"):
        tl.conformal_labels(labels, p).sets(p[["b", "a", "c", "d"]])
    with pytest.raises(ValueError, match="group must have one value"):
        tl.conformal_labels(labels, p, group=["x"])


# --- a fitted model ---------------------------------------------------------------------------


def test_a_fitted_model_is_corrected_on_patients_it_has_not_seen(fitted, small_cohort):
    calibration, new = small_cohort(n=90, seed=5), small_cohort(n=30, seed=6)
    for data in (calibration, new):
        data.obs_names = [f"{name}-new" for name in data.obs_names]
        for modality in data.mod.values():
            modality.obs_names = [f"{name}-new" for name in modality.obs_names]
    bounds = tl.conformalize(fitted, calibration, level=0.8)
    lower = bounds.lower(fitted.predict_survival(mdata=new))
    assert lower.index.equals(new.obs_names)
    assert ((lower >= 0) & (lower <= bounds.cutoff)).all()
    sets = tl.conformalize(fitted, calibration, outcome="labels", by="site", level=0.8).sets(
        fitted.predict_labels(new, proba=True), group=new.obs["site"]
    )
    assert sets.index.equals(new.obs_names)
    assert sets.any(axis=1).all()
    calibration.obs[["survival_months", "event"]] = np.nan
    with pytest.raises(ValueError, match=r"no patient of|no survival"):
        tl.conformalize(fitted, calibration)
    with pytest.raises(KeyError, match="hospital"):
        tl.conformalize(fitted, calibration, by="hospital")
    with pytest.raises(ValueError, match="survival, labels"):
        tl.conformalize(fitted, calibration, outcome="relapse")


def test_the_fitted_patients_are_no_calibration_cohort(fitted, fitted_mdata):
    with pytest.warns(UserWarning, match="that the model was fitted on"):
        tl.conformalize(fitted, fitted_mdata)
