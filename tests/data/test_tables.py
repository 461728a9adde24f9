"""Tables follow the patients' names, and say what is wrong with the data."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from mvlatent.data.preparation import Preparation
from mvlatent.data.tables import Tables
from mvlatent.specs import Roles, View

VIEWS = {"rna": View(), "mut": View("bernoulli"), "img": View()}


def test_rows_follow_obs_names_whatever_the_modality_order(mdata, roles):
    assert list(mdata["rna"].obs_names) != list(mdata.obs_names)
    tables = Tables.from_mudata(mdata, roles)
    assert tables.obs_names.tolist() == list(mdata.obs_names)
    frame = mdata["rna"].to_df().loc[mdata.obs_names]
    assert np.array_equal(tables.views["rna"].x, frame.to_numpy())
    assert list(tables.views) == list(roles.views)
    assert set(tables.obs.columns) == set(roles.columns)
    assert tables.obs["age"].tolist() == mdata.obs["age"].tolist()


def test_presence(mdata, roles):
    tables = Tables.from_mudata(mdata, roles)
    assert np.array_equal(tables.views["img"].present, mdata.obsm["img"].ravel())
    assert np.isnan(tables.views["img"].x[:10]).all()
    mdata["rna"].X[0] = np.nan
    name = mdata["rna"].obs_names[0]
    present = Tables.from_mudata(mdata, roles).views["rna"].present
    assert tables.obs_names[~present].tolist() == [name]


def test_sparse_layer_and_integers_become_dense_float32(mdata):
    dense = mdata["rna"].X.copy()
    mdata["rna"].layers["sparse"] = sparse.csr_matrix(dense)
    mdata["rna"].layers["whole"] = np.ones(dense.shape, dtype=np.int64)
    plain = Tables.from_mudata(mdata, Roles({"rna": View()})).views["rna"].x
    thin = Tables.from_mudata(mdata, Roles({"rna": View(layer="sparse")})).views["rna"].x
    whole = Tables.from_mudata(mdata, Roles({"rna": View(layer="whole")})).views["rna"].x
    assert isinstance(thin, np.ndarray) and np.array_equal(plain, thin)
    assert whole.dtype == np.float32 and (whole == 1).all()
    with pytest.raises(KeyError, match=r"'rna' has no layer 'tpm'.*'sparse', 'whole'"):
        Tables.from_mudata(mdata, Roles({"rna": View(layer="tpm")}))


def test_the_data_are_not_changed(mdata, roles):
    before = mdata["rna"].X.copy()
    tables = Tables.from_mudata(mdata, roles)
    tables.views["rna"].x[:] = 0
    assert np.array_equal(mdata["rna"].X, before)


def test_infinite_values_name_view_and_feature(mdata, roles):
    mdata["img"].X[0, 4] = -np.inf
    with pytest.raises(ValueError, match=r"'img' holds infinite values in 'i4'"):
        Tables.from_mudata(mdata, roles)


def test_missing_column_suggests_and_lists(mdata):
    with pytest.raises(KeyError, match=r"'ages' is not in mdata.obs; did you mean 'age'.*'site'"):
        Tables.from_mudata(mdata, Roles(VIEWS, clinical=("ages",)))


def test_column_of_one_modality(mdata):
    with pytest.raises(KeyError, match="write 'rna:plate'"):
        Tables.from_mudata(mdata, Roles(VIEWS, batch="plate"))
    tables = Tables.from_mudata(mdata, Roles(VIEWS, batch="rna:plate"))
    assert tables.obs["rna:plate"].tolist() == list(mdata.obs_names)


def test_missing_view_names_the_modalities(mdata):
    with pytest.raises(KeyError, match=r"no view 'cnv'.*'mut', 'rna', 'img'"):
        Tables.from_mudata(mdata, Roles({"cnv": View()}))


def test_duplicated_patients_and_features(mdata, roles):
    mdata["mut"].var_names = ["m0", "m1", "m1", "m3"]
    with pytest.raises(ValueError, match=r"features of view 'mut' occur more than once: 'm1'"):
        Tables.from_mudata(mdata, roles)
    mdata["mut"].var_names = ["m0", "m1", "m2", "m3"]
    mdata["mut"].obs_names = ["p00", *mdata["mut"].obs_names[:-1]]
    with pytest.raises(ValueError, match=r"patients of view 'mut' occur more than once: 'p00'"):
        Tables.from_mudata(mdata, roles)


def test_reference_realigns_features_by_name(mdata, roles):
    tables = Tables.from_mudata(mdata, roles)
    preparation = Preparation.fit(tables, roles)
    shuffled = mdata.copy()
    shuffled.mod["rna"] = shuffled["rna"][:, ::-1].copy()
    again = Tables.from_mudata(shuffled, roles, features=preparation.kept)
    assert again.views["rna"].features == tables.views["rna"].features
    assert np.array_equal(again.views["rna"].x, tables.views["rna"].x)


def test_reference_names_lacking_features_and_ignores_more(mdata, roles):
    preparation = Preparation.fit(Tables.from_mudata(mdata, roles), roles)
    fewer = mdata.copy()
    fewer.mod["rna"] = fewer["rna"][:, ["g0", "g1", "g4", "g5"]].copy()
    with pytest.raises(KeyError, match=r"'rna' lacks 2 of the 6 features.*'g2', 'g3'"):
        Tables.from_mudata(fewer, roles, features=preparation.kept)
    nameless = mdata.copy()
    del nameless.obs[roles.batch]
    with pytest.raises(KeyError, match="New patients need that column too, empty where"):
        Tables.from_mudata(nameless, roles, features=preparation.kept)
    small = Roles({"rna": View()})
    preparation = Preparation.fit(Tables.from_mudata(fewer, small), small)
    more = Tables.from_mudata(mdata, small, features=preparation.kept)
    assert more.views["rna"].features == ["g0", "g1", "g4", "g5"]


def test_reference_allows_a_missing_view_and_missing_outcomes(mdata, roles):
    preparation = Preparation.fit(Tables.from_mudata(mdata, roles), roles)
    new = mdata.copy()
    del new.mod["img"]
    new.obs = new.obs.drop(columns=["months", "event", "subtype"])
    tables = Tables.from_mudata(new, roles, features=preparation.kept)
    assert not tables.views["img"].present.any() and tables.views["img"].x.shape == (40, 5)
    cohort = preparation.transform(tables)
    assert cohort.survival is None and cohort.labels is None
    new.obs = new.obs.drop(columns=["age"])
    cohort = preparation.transform(Tables.from_mudata(new, roles, features=preparation.kept))
    assert cohort.lacking == ("age",) and cohort.subset([0, 2]).lacking == ("age",)
    unknown = torch.tensor([name.startswith("age") for name in cohort.clinical_names])
    assert unknown.any() and not unknown.all()
    assert torch.equal(cohort.clinical.isnan(), unknown.expand(40, -1))
    with pytest.raises(KeyError, match="'age'"):
        Tables.from_mudata(new, Roles({"rna": View()}, clinical=("age",)))
    new.obs = mdata.obs.drop(columns=["event"])
    with pytest.raises(KeyError, match="'event'"):
        Tables.from_mudata(new, roles, features=preparation.kept)


def test_no_known_view_at_all(mdata, roles):
    preparation = Preparation.fit(Tables.from_mudata(mdata, roles), roles)
    for name in ("rna", "mut", "img"):
        mdata.mod[f"old_{name}"] = mdata.mod.pop(name)
    with pytest.raises(KeyError, match="none of the views"):
        Tables.from_mudata(mdata, roles, features=preparation.kept)


def test_subset(mdata, roles):
    tables = Tables.from_mudata(mdata, roles)
    part = tables.subset([5, 2])
    assert part.obs_names.tolist() == ["p05", "p02"] == list(part.obs.index)
    assert np.array_equal(part.views["rna"].x, tables.views["rna"].x[[5, 2]])
    mask = pd.Series(tables.obs_names == "p07").to_numpy()
    assert tables.subset(mask).obs_names.tolist() == ["p07"]


def test_empty_is_one_patient_of_whom_nothing_is_known(mdata, roles):
    preparation = Preparation.fit(Tables.from_mudata(mdata, roles), roles)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cohort = preparation.transform(Tables.empty(roles, preparation.kept))
    assert len(cohort) == 1 and not cohort.presence.any()
    assert not cohort.technical[:, :2].any(), "an unknown site"
    assert cohort.survival is None and cohort.labels is None
