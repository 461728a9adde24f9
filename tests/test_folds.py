"""Folds keep groups whole and balance events, in whatever order the rows are; one reads them."""

import warnings

import mudata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st

import mvlatent as mv
from mvlatent.study import folds
from mvlatent.study._folds import read_folds


def cohort(site, event, names=None):
    names = [f"p{i:03d}" for i in range(len(site))] if names is None else list(names)
    obs = pd.DataFrame({"site": site, "event": event}, index=names)
    adata = AnnData(np.zeros((len(obs), 1), np.float32), obs=pd.DataFrame(index=obs.index))
    with mudata.set_options(pull_on_update=False):
        mdata = mudata.MuData({"rna": adata})
        mdata.obs = obs
    return mdata


@st.composite
def cohorts(draw):
    n_sites, seed = draw(st.integers(6, 12)), draw(st.integers(0, 10**6))
    return made(n_sites, seed), seed


def made(n_sites, seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(8, 16, n_sites)
    site = np.repeat([f"s{j}" for j in range(n_sites)], sizes).astype(object)
    event = (rng.random(len(site)) < 0.5).astype(float)
    order = rng.permutation(len(site))
    return cohort(site[order], event[order])


@settings(max_examples=15, deadline=None)
@given(cohorts(), st.integers(2, 3))
def test_sites_whole_events_balanced_order_of_no_account(drawn, n):
    mdata, seed = drawn
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fold = folds(mdata, n, seed=seed)
    obs = mdata.obs
    assert list(fold.index) == list(mdata.obs_names) and fold.name == "fold"
    assert fold.dtype.kind == "i" and sorted(fold.unique()) == list(range(n))
    assert (fold.groupby(obs["site"]).nunique() == 1).all()
    even = obs["event"].sum() / n
    assert (obs["event"].groupby(fold).sum() - even).abs().max() <= 16  # at most a site's patients
    order = np.random.default_rng(seed).permutation(len(obs))
    turned = cohort(obs["site"].iloc[order], obs["event"].iloc[order], obs.index[order])
    pd.testing.assert_series_equal(folds(turned, n, seed=seed)[fold.index], fold)
    pd.testing.assert_series_equal(folds(mdata, n, seed=seed), fold)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_without_groups_events_and_sizes_differ_by_one(seed, n):
    rng = np.random.default_rng(seed)
    event = (rng.random(60) < 0.4).astype(float)
    event[rng.random(60) < 0.1] = np.nan  # unknown is a value too, however rare
    mdata = cohort(["a"] * 60, event)
    fold = folds(mdata, n, groups=None, seed=seed)
    for value in (0.0, 1.0, np.nan):
        rows = mdata.obs["event"].isna() if np.isnan(value) else mdata.obs["event"] == value
        counts = fold[rows].value_counts().reindex(range(n), fill_value=0)
        assert counts.max() - counts.min() <= 1
    bare = folds(mdata, n, groups=None, stratify=None, seed=seed).value_counts()
    assert bare.max() - bare.min() <= 1


def test_another_seed_is_another_split():
    mdata = cohort(["a"] * 40, np.arange(40) % 2)
    first, other = (folds(mdata, groups=None, seed=seed) for seed in (0, 1))
    assert not first.equals(other)


def test_series_are_aligned_by_patient():
    mdata = cohort([f"s{i % 8}" for i in range(64)], np.arange(64) % 2)
    site, event = mdata.obs["site"].iloc[::-1], mdata.obs["event"].sample(frac=1, random_state=0)
    more = pd.concat([site, pd.Series(["z"], index=["a stranger"])])
    expected = folds(mdata, 4)
    pd.testing.assert_series_equal(folds(mdata, 4, groups=more, stratify=event), expected)
    mdata.obs["cut"] = expected
    for given_folds in ("cut", expected.iloc[::-1]):
        np.testing.assert_array_equal(read_folds(mdata, given_folds), expected)


def test_patients_of_unknown_site_are_groups_alone():
    site = np.array([f"s{i % 4}" for i in range(40)] + [None] * 40, dtype=object)
    mdata = cohort(site, np.arange(80) % 2)
    fold = folds(mdata, 4, seed=3)
    assert fold.iloc[40:].nunique() == 4
    assert (fold.iloc[:40].groupby(site[:40]).nunique() == 1).all()


def test_patients_without_a_fold_have_none():
    mdata = cohort(["a"] * 6, np.arange(6) % 2)
    fold = pd.Series([1, 0, np.nan, 1, 0, 0], index=mdata.obs_names)
    np.testing.assert_array_equal(read_folds(mdata, fold), [1, 0, -1, 1, 0, 0])


def test_a_large_site_is_named():
    mdata = cohort(["big"] * 30 + [f"s{i}" for i in range(30)], np.arange(60) % 2)
    with pytest.warns(UserWarning, match=r"'big' holds 50% of the patients .* uneven"):
        fold = folds(mdata, 5)
    assert fold.iloc[:30].nunique() == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"groups": "ward"},
            KeyError,
            "no column 'ward' of groups in .*'event'.* pass groups=None",
        ),
        (
            {"n": 3, "stratify": "dead"},
            KeyError,
            "no column 'dead' of stratify in .* pass stratify=None",
        ),
        ({"n": 4}, ValueError, "column 'site' holds 3 groups, too few for 4 folds.*take n=3"),
        ({"n": 1}, ValueError, "n must be between 2 and 12 folds, not 1"),
        ({"n": "site"}, ValueError, "n must be a number of folds, not 'site'"),
        ({"n": 3, "stratify": "name"}, ValueError, "24 values and none in 3 patients"),
        ({"n": 3, "groups": pd.Series({"p000": 1})}, ValueError, "no value for 23 of 24 patients"),
        (
            {"n": 3, "groups": pd.Series([1, 2], index=["p000"] * 2)},
            ValueError,
            "patient 'p000' has two values",
        ),
    ],
)
def test_mistakes_are_named(options, error, message):
    mdata = cohort([f"s{i % 3}" for i in range(24)], np.arange(24) % 2)
    if options.get("stratify") == "name":
        options = {**options, "stratify": pd.Series(mdata.obs_names, index=mdata.obs_names)}
    with pytest.raises(error, match=message):
        folds(mdata, **options)


def test_a_patient_who_occurs_twice_is_refused():
    adata = AnnData(np.zeros((4, 1), np.float32), obs=pd.DataFrame(index=["a", "b", "b", "c"]))
    with pytest.raises(ValueError, match="patient 'b' occurs twice"):
        folds(adata, 2, groups=None, stratify=None)


@pytest.mark.parametrize(
    ("given_folds", "message"),
    [
        (2.5, "a number .an int., a column of obs or a Series"),
        (pd.Series({"p000": 0}), "folds: the Series has no value for 23 of 24"),
        (pd.Series(0, index=[f"p{i:03d}" for i in range(24)]), "Series of folds holds 1 folds"),
    ],
)
def test_folds_that_cannot_be_read(given_folds, message):
    mdata = cohort(["a"] * 24, np.arange(24) % 2)
    with pytest.raises(ValueError, match=message):
        read_folds(mdata, given_folds)


def test_a_series_of_folds_is_what_out_of_fold_and_path_take(small_cohort, roles):
    mdata = small_cohort(n=70)
    fold = folds(mdata, 2, groups=None)
    quick = {"n_shared": 2, "n_private": 1, "max_epochs": 2, "accelerator": "cpu"}
    quick |= {"head_blocks": ("shared", "clinical"), "validation_size": 0.0, **roles}
    found = mv.study.out_of_fold(mdata, folds=fold.iloc[::-1], **quick)
    np.testing.assert_array_equal(found.table["fold"], fold)
    swept = mv.study.path(mdata, "agreement", [0.1], folds=fold, **quick)
    assert sorted(swept.scores["fold"]) == [0, 1]


def test_columns_are_read_as_those_of_roles_are():
    """One of a modality may be named, and words for missing are missing."""
    site = np.array(["s1", "s2", "s3", "s4", "NA"] * 8, dtype=object)
    mdata = cohort(["a"] * 40, np.arange(40) % 2)
    mdata.mod["rna"].obs["ward"] = site
    fold = folds(mdata, 2, groups="rna:ward")
    known = site != "NA"
    assert (fold[known].groupby(site[known]).nunique() == 1).all() and fold[~known].nunique() == 2


def test_of_an_anndata():
    adata = AnnData(np.zeros((12, 1), np.float32), obs=pd.DataFrame({"event": [0, 1] * 6}))
    adata.obs_names = [f"p{i}" for i in range(12)]
    fold = folds(adata, 3, groups=None)
    assert list(fold.index) == list(adata.obs_names) and fold.value_counts().eq(4).all()
    with pytest.raises(KeyError, match=r"no column 'site' of groups in obs; .* are 'event'"):
        folds(adata, 3)
