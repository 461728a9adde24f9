"""Out-of-fold predictions come from models that did not see the patient."""

import numpy as np
import pandas as pd
import pytest

import mvlatent as mv
from mvlatent.study import OutOfFold, out_of_fold

QUICK = {"n_shared": 2, "n_private": 1, "max_epochs": 2, "accelerator": "cpu"}
QUICK |= {"head_blocks": ("shared", "clinical"), "validation_size": 0.0}


@pytest.fixture(scope="module")
def cohort(small_cohort):
    return small_cohort(n=70)


@pytest.fixture(scope="module")
def found(cohort, roles):
    return out_of_fold(cohort, folds=2, **roles, **QUICK)


def test_every_patient_is_predicted_once(found, cohort):
    table = found.table
    assert list(table.index) == list(cohort.obs_names)
    assert sorted(table["fold"].unique()) == [0, 1]
    assert table[["risk", "risk_shared", "predicted_label"]].notna().all(axis=None)
    known = cohort.obs["survival_months"].notna()
    assert (table["time"].notna() == known).all()
    np.testing.assert_allclose(table["event"][known], cohort.obs["event"][known])
    labels = cohort.obs["subtype"]
    assert (table["label"].notna() == labels.notna()).all()
    assert (table["label"][labels.notna()] == labels.dropna().astype(str)).all()


def test_folds_are_stratified_by_event(found):
    rates = found.table.groupby("fold")["event"].mean()
    assert abs(rates[0] - rates[1]) < 0.1


def test_held_out_patients_are_not_trained_on(found, cohort, roles, monkeypatch):
    from mvlatent import _fit

    trained, fit = [], _fit.fit

    def spy(mdata, **options):
        trained.append(set(mdata.obs_names))
        return fit(mdata, **options)

    monkeypatch.setattr(_fit, "fit", spy)
    again = out_of_fold(cohort, folds=2, **roles, **QUICK)
    for fold, names in enumerate(trained):
        held_out = set(again.table.index[again.table["fold"] == fold])
        assert not names & held_out and names | held_out == set(cohort.obs_names)
    np.testing.assert_allclose(again.table["risk"], found.table["risk"], atol=1e-3)


def test_folds_of_a_column(small_cohort, roles):
    cohort = small_cohort(n=70)
    fold = pd.Series(np.where(np.arange(70) % 2, "x", "y"), index=cohort.obs_names, dtype=object)
    fold.iloc[:6] = None
    cohort.obs["split"] = fold
    table = out_of_fold(cohort, folds="split", **{**roles, "labels": None}, **QUICK).table
    assert table["risk"].iloc[:6].isna().all() and table["risk"].iloc[6:].notna().all()
    assert (table["fold"].iloc[6:] == (fold.iloc[6:] == "y")).all()
    assert "label" not in table


@pytest.mark.parametrize(
    ("folds", "error"),
    [(1, ValueError), (60, ValueError), ("nowhere", KeyError), ("is_female", None)],
)
def test_impossible_folds(cohort, folds, error):
    from mvlatent.study._folds import read_folds

    if error is None:
        assert set(read_folds(cohort, folds, 0, None)) == {0, 1}
        return
    with pytest.raises(error, match="folds"):
        out_of_fold(cohort, folds=folds)


def test_concordance_pairs_patients_within_folds():
    """Risks of different models share no scale: a shift of one fold changes nothing."""
    rng = np.random.default_rng(0)
    n = 200
    risk = rng.normal(size=n)
    time = rng.exponential(np.exp(-risk))
    table = pd.DataFrame(
        {"fold": np.arange(n) % 4, "risk": risk, "time": time, "event": np.ones(n)}
    )
    shifted = table.assign(risk=table["risk"] + 100 * table["fold"])
    c, lower, upper = OutOfFold(table).concordance()
    assert OutOfFold(shifted).concordance() == (c, lower, upper)
    known = [mv.tl.concordance(t["time"], t["event"], t["risk"]) for _, t in table.groupby("fold")]
    assert c == pytest.approx(np.mean(known))
    assert lower < c < upper and 0.02 < upper - lower < 0.2


def test_accuracy_is_that_of_the_labelled():
    table = pd.DataFrame({"label": ["a", "b", None, "a"], "predicted_label": ["a", "a", "b", "a"]})
    assert OutOfFold(table).accuracy() == pytest.approx(2 / 3)
