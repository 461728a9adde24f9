"""A path: warm starts in order, honest held-out scores, and the rule that chooses."""

from importlib import import_module

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import mvlatent as mv
from mvlatent import _fit as fit_module
from mvlatent.specs import Roles
from mvlatent.study import Path, path
from mvlatent.study._patients import PlainCohort
from mvlatent.study._scores import HELD_OUT_SCORES, held_out_scores

QUICK = {"n_shared": 2, "n_private": 1, "max_epochs": 3, "accelerator": "cpu"}
WEIGHTS = [10.0, 0.0, 1.0]


@pytest.fixture(scope="module")
def cohort(small_cohort):
    return small_cohort(n=90)


@pytest.fixture(scope="module")
def calls(cohort, roles):
    """A path, and what was fitted on the way."""
    fitted = []
    fit = fit_module.fit

    def spy(mdata, **options):
        model = fit(mdata, **options)
        fitted.append((set(mdata.obs_names), options, model))
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "fit", spy)
        patch.setattr("mvlatent.study._scores.N_PERMUTATIONS", 2)
        found = path(
            cohort,
            mv.objectives.Alignment(kind="cosine", schedule="constant"),
            WEIGHTS,
            folds=2,
            objectives={"agreement": 0.1},
            **roles,
            **QUICK,
        )
    return found, fitted


def test_table_of_means_and_standard_errors(calls):
    found, _ = calls
    assert list(found.table.index) == sorted(WEIGHTS) and found.table.index.name == "weight"
    assert list(found.table) == [c for name in HELD_OUT_SCORES for c in (name, f"{name}_se")]
    assert found.table.notna().all(axis=None)
    for weight, rows in found.scores.groupby("weight"):
        assert sorted(rows["fold"]) == [0, 1]
        for name in HELD_OUT_SCORES:
            one, other = rows[name]
            mean, error = found.table.loc[weight, [name, f"{name}_se"]]
            assert mean == pytest.approx((one + other) / 2)
            assert error == pytest.approx(abs(one - other) / 2)


def test_each_weight_starts_from_the_one_before_and_no_held_out_patient_is_seen(calls, cohort):
    _, fitted = calls
    assert len(fitted) == 6
    for k, (names, options, model) in enumerate(fitted):
        agreement, alignment = options["objectives"]
        assert (agreement.name, agreement.weight) == ("agreement", 0.1)
        assert alignment.kind == "cosine" and alignment.weight == sorted(WEIGHTS)[k % 3]
        before = fitted[k - 1][2] if k % 3 else None
        assert options["warm_start"] is before
        assert ("alignment" in model.history) == (alignment.weight > 0)
        assert names == fitted[3 * (k // 3)][0]
    assert not (fitted[0][0] ^ set(cohort.obs_names)) & (fitted[3][0] ^ set(cohort.obs_names))


def test_scores_are_those_of_the_held_out_patients(calls, cohort, monkeypatch):
    found, fitted = calls
    names, _, model = fitted[0]
    # in the cohort's order: slicing a MuData with gaps may give another, and draws go by place
    held_out = PlainCohort.of(cohort, Roles()).mudata(~cohort.obs_names.isin([*names]))
    row = found.scores.iloc[0]
    monkeypatch.setattr("mvlatent.study._scores.N_PERMUTATIONS", 2)
    again = held_out_scores(model, held_out)
    assert {k: row[k] for k in again} == pytest.approx(again, rel=1e-4)
    table = mv.tl.cross_view(model, held_out, baselines=(), each=False).set_index("view")["r2"]
    for view, r2 in table.items():
        assert row[f"cross_view:{view}"] == pytest.approx(r2, rel=1e-4)
    assert row["cross_view"] == pytest.approx(table.mean(), rel=1e-4)
    explained = model.variance_explained(held_out).loc["private"]
    assert row["private"] == pytest.approx(explained.mean(), rel=1e-4)
    labels, site = (held_out.obs[c].astype(object) for c in ("subtype", "site"))
    audit = mv.tl.site_audit(model.transform(held_out), site, labels, n_splits=3, n_permutations=2)
    assert row["site_accuracy"] == pytest.approx(audit.accuracy, abs=1e-6)
    assert row["site_excess"] == pytest.approx(audit.excess, abs=1e-6)
    risk = model.predict_risk(held_out, blocks="shared")
    known = held_out.obs["survival_months"].notna()
    columns = held_out.obs.loc[known, ["survival_months", "event"]]
    c = mv.tl.concordance(columns["survival_months"], columns["event"], risk[known])
    assert row["c_index"] == pytest.approx(c)


@pytest.mark.parametrize("typed", ["survival", "outcomes"])
def test_the_outcome_that_is_asked_for_is_scored(many_outcomes, monkeypatch, typed):
    mdata, models, fit = many_outcomes(n=90), [], fit_module.fit
    monkeypatch.setattr(
        fit_module, "fit", lambda *a, **k: models.append(fit(*a, **k)) or models[-1]
    )
    pairs = {"OS": ("survival_months", "event"), "PFI": ("pfi_months", "pfi_event")}
    specs = {"survival": pairs, "outcomes": [mv.Survival(*c, name=k) for k, c in pairs.items()]}
    found = path(
        mdata, "alignment", [1.0], holdout=0.4, outcome="PFI", **{typed: specs[typed]}, **QUICK
    )
    (model,) = models
    held_out = mdata[~mdata.obs_names.isin(model.adata.obs_names)].copy()
    known = held_out.obs["pfi_months"].notna()
    risk = model.predict_risk(held_out, outcome="PFI", blocks="shared")[known]
    columns = held_out.obs.loc[known]
    c = mv.tl.concordance(columns["pfi_months"], columns["pfi_event"], risk)
    assert found.table["c_index"].item() == pytest.approx(c)


def test_folds_are_stratified_by_the_events_of_the_outcome(many_outcomes, monkeypatch):
    mdata, seen = many_outcomes(n=90), []
    module = import_module("mvlatent.study._path")
    monkeypatch.setattr(module, "_one_fold", lambda m, fold, *rest: seen.append(fold) or [])
    monkeypatch.setattr(module, "_summary", lambda scores: scores)
    pairs = {"OS": ("survival_months", "event"), "PFI": ("pfi_months", "pfi_event")}
    for outcome, event in (("OS", "event"), ("PFI", "pfi_event")):
        path(mdata, "alignment", [1.0], folds=3, survival=pairs, outcome=outcome)
        counts = pd.crosstab(seen[-1], mdata.obs[event].astype(str).to_numpy())
        assert (counts.max() - counts.min() <= 1).all()


def test_without_roles_there_is_less_to_score(cohort):
    found = path(cohort, "separation", [1.0], holdout=0.3, **QUICK)
    assert {c for c in found.table if not c.endswith("_se")} == {"cross_view", "private"}
    assert found.best == 1.0 and found.table["cross_view_se"].isna().all()


def test_too_strong_an_objective_is_seen_in_the_scores():
    """What a path is for: cross-view terms that drown the views cost held-out prediction."""
    mdata, _ = mv.sim.cohort("easy", n=180, seed=1)
    found = path(
        mdata, "alignment", [0.0, 1e4], folds=2, n_shared=5, n_private=3, max_epochs=20, lr=0.03,
        accelerator="cpu",
    )  # fmt: skip
    weak, strong = found.table["cross_view"]
    assert weak > 0.2 and strong < weak - 0.05 and found.best == 0.0


def table_of(means, errors, weights=(0.0, 0.1, 1.0, 10.0)):
    return pd.DataFrame({"cross_view": means, "cross_view_se": errors}, index=list(weights))


@pytest.mark.parametrize(
    ("means", "errors", "strongest", "weakest"),
    [
        ([0.20, 0.30, 0.29, 0.10], [0.02] * 4, 1.0, 0.1),
        ([0.29, 0.30, 0.29, 0.10], [0.5, 0.02, 0.5, 0.5], 1.0, 0.0),  # the error is the best's own
        ([0.20, 0.30, 0.29, 0.10], [np.nan] * 4, 0.1, 0.1),
        ([0.30, 0.30, 0.30, 0.30], [0.0] * 4, 10.0, 0.0),
    ],
)
def test_one_standard_error_rule(means, errors, strongest, weakest):
    table = table_of(means, errors)
    assert Path("alignment", table, table).best == strongest
    assert Path("alignment", table, table, "weakest").best == weakest
    assert Path("alignment", table, table).choose(prefer="weakest") == weakest


def test_what_cannot_be_chosen_by():
    table = table_of([0.1] * 4, [0.1] * 4).assign(site_accuracy=0.5, site_accuracy_se=0.1)
    with pytest.raises(KeyError, match=r"no score 'c'; the scores are cross_view, site_accuracy"):
        Path("alignment", table, table).choose("c")
    with pytest.raises(ValueError, match="better where it is lower"):
        Path("alignment", table, table).choose("site_accuracy")


@pytest.mark.parametrize(
    ("objective", "weights", "options", "error", "message"),
    [
        ("aligment", [1.0], {}, KeyError, "no objective 'aligment'"),
        ("alignment", [], {}, ValueError, "at least one weight"),
        ("alignment", [1.0, -1.0], {}, ValueError, "alignment: weight must be 0 or more"),
        ("alignment", [1.0, 1], {}, ValueError, "weight 1 is given twice"),
        ("alignment", [1.0], {"objectives": {"alignment": 1.0}}, ValueError, "is swept"),
        ("alignment", [1.0], {"holdout": 1.5}, ValueError, "holdout must be a share"),
        ("alignment", [1.0], {"folds": "nowhere"}, KeyError, "no column 'nowhere'"),
        ("alignment", [1.0], {"prefer": "best"}, ValueError, "'strongest' or 'weakest'"),
        ("alignment", [1.0], {"outcome": "OS"}, KeyError, "outcome 'OS'; there are none"),
        (
            "alignment",
            [1.0],
            {"outcome": "DSS", "survival": {"OS": ("survival_months", "event")}},
            KeyError,
            "no survival outcome 'DSS'; there are 'OS'",
        ),
    ],
)
def test_mistakes_are_named_before_anything_is_fitted(
    cohort, monkeypatch, objective, weights, options, error, message
):
    monkeypatch.setattr(fit_module, "fit", lambda *a, **k: pytest.fail("fitted"))
    with pytest.raises(error, match=message):
        path(cohort, objective, weights, **options)


def test_plot_draws_the_scores_and_marks_the_choice(calls):
    found, _ = calls
    ax = mv.pl.path(found)
    lines = {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}
    assert lines[f"chosen: {found.best:g}"].get_xdata()[0] == list(found.table.index).index(
        found.best
    )
    curves = {c.get_label(): c.lines[0] for c in ax.containers}
    for name in ("cross_view", "private", "c_index", "site_accuracy"):
        drawn = np.asarray(curves[HELD_OUT_SCORES[name]].get_ydata(), float)
        np.testing.assert_allclose(drawn, found.table[name])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1", "10"]
    given = plt.subplots()[1]
    assert mv.pl.path(found, metrics=["site_excess"], ax=given) is given
    assert [c.get_label() for c in given.containers] == [HELD_OUT_SCORES["site_excess"]]
    with pytest.raises(KeyError, match="no score 'leak'"):
        mv.pl.path(found, metrics=["leak"])
    plt.close("all")
