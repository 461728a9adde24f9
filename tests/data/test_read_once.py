"""What is read of a cohort is read once, handed on, and let go of."""

import collections
import gc
import weakref

import numpy as np
import pytest

import mvlatent as mv
from mvlatent.data import register, tables
from mvlatent.data.preparation import Preparation
from mvlatent.data.tables import Tables
from mvlatent.fitting.trained import Trained

from .conftest import make_mudata

ROLES = {"batch": "site", "clinical": ["age"], "survival": ("months", "event"), "labels": "subtype"}


@pytest.fixture
def counted(monkeypatch):
    """Number of calls by what is read or built; views by name."""
    counts = collections.Counter()

    def count(owner, name, key):
        function = getattr(owner, name)

        def counting(*args, **options):
            counts[options.get("view", key)] += 1
            return function(*args, **options)

        monkeypatch.setattr(owner, name, counting)

    count(tables, "normalise", "matrix")
    count(tables, "role_columns", "columns")
    count(register, "role_columns", "columns")
    count(Preparation, "transform", "cohort")
    count(Trained, "latents", "posterior")
    return counts


@pytest.fixture(scope="module")
def model():
    return mv.fit(make_mudata(), **ROLES, max_epochs=2, n_shared=2, n_private=1, progress=False)


def test_a_fit_reads_each_view_once(counted):
    mdata = make_mudata()
    mv.fit(mdata, **ROLES, max_epochs=2, n_shared=2, n_private=1, progress=False)
    assert {name: counted[name] for name in mdata.mod} == {"rna": 1, "mut": 1, "img": 1}
    assert counted["columns"] == counted["cohort"] == 1
    counted.clear()
    first, second = (mv.MVLatent(mdata, n_shared=2) for _ in "ab")
    assert not counted and first._tables is second._tables


READINGS = {
    "transform": lambda m, x: m.transform(x),
    "annotate": lambda m, x: m.annotate(x),
    "impute": lambda m, x: m.impute("rna", x),
    "imputation with interval": lambda m, x: m.impute("mut", x, interval=0.9),
    "variance_explained": lambda m, x: m.variance_explained(x),
    "predict_risk": lambda m, x: m.predict_risk(x),
    "predict_survival": lambda m, x: m.predict_survival(mdata=x, interval=0.9, n_samples=5),
    "predict_rmst": lambda m, x: m.predict_rmst(5.0, x),
    "predict_labels": lambda m, x: m.predict_labels(x, proba=True),
    "hazard_ratios": lambda m, x: m.hazard_ratios(mdata=x, n_samples=5),
    "value_of": lambda m, x: m.value_of("img", x, n_samples=5),
    "scaled_views": lambda m, x: mv.tl.scaled_views(m, x),
}


@pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)
def test_a_reading_builds_tables_cohort_and_posterior_once(model, counted, read):
    mdata = make_mudata(1)
    read(model, mdata)
    assert {name: counted[name] for name in mdata.mod} == {"rna": 1, "mut": 1, "img": 1}
    assert counted["columns"] == counted["cohort"] == 1
    assert counted["posterior"] <= 1
    counted.clear()
    if read not in (READINGS["annotate"], READINGS["scaled_views"]):
        read(model, None)
        assert counted["cohort"] == 0 and counted["posterior"] == 1


def test_a_ledger_prepares_new_patients_once(model, counted):
    model.ledger(make_mudata(1), n_samples=5)
    assert counted["cohort"] == counted["columns"] == 1


def test_a_cohort_is_let_go_with_its_model():
    mdata = make_mudata()
    mv.MVLatent.setup_mudata(mdata, batch_key="site")
    model = mv.MVLatent(mdata, n_shared=2, n_private=1)
    kept = [weakref.ref(x) for x in (mdata, model._tables, model.adata, model)]
    del mdata, model
    for _ in "ab":  # the user's object first, then what was kept for it
        gc.collect()
    assert [thing() for thing in kept] == [None] * len(kept)


def test_what_is_set_up_is_what_is_fitted():
    """Models of one set-up see the values as they were then."""
    mdata = make_mudata()
    mv.MVLatent.setup_mudata(mdata, batch_key="site")
    before = Tables.from_mudata(mdata, mv.MVLatent(mdata).roles)
    mdata["rna"].X[:] = 0
    found = mv.MVLatent(mdata)._tables
    assert np.array_equal(found.views["rna"].x, before.views["rna"].x)


def test_readers_refuse_what_is_no_cohort(model):
    for thing in (make_mudata()["rna"].to_df(), "cohort.h5mu"):
        with pytest.raises(TypeError, match=r"is a MuData or an AnnData, not a .*mudata.read"):
            model.transform(thing)
