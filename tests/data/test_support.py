"""Values that a likelihood cannot take are named before anything is fitted."""

import numpy as np
import pytest
from scipy import sparse

from mvlatent.data.preparation import Preparation
from mvlatent.data.sparse_rows import SparseRows
from mvlatent.data.tables import Tables
from mvlatent.specs import LIKELIHOODS, Roles, View

COUNTS = [name for name, said in LIKELIHOODS.items() if "library" in said.offsets]
WRONG = [
    *[(kind, 1.5, "counts are asked for") for kind in COUNTS],
    ("nb", -1.0, "counts are asked for"),
    ("beta", 1.2, "outside 0..1"),
    ("beta", -0.1, "outside 0..1"),
    ("bernoulli", 2.0, "other than 0 and 1"),
    ("ordinal", 0.5, "whole numbers"),
    ("categorical", 0.5, "whole numbers"),
]


@pytest.mark.parametrize(("likelihood", "value", "why"), WRONG)
@pytest.mark.parametrize("thin", [False, True])
def test_a_wrong_value_names_view_column_and_value(mdata, likelihood, value, why, thin):
    x = mdata["mut"].X.copy()
    x[5, 2] = value
    mdata["mut"].X = sparse.csr_matrix(x) if thin else x
    roles = Roles({"mut": View(likelihood)})
    with pytest.raises(ValueError, match=rf"'mut' is {likelihood} .*{why}.*'m2'.*{value:g}"):
        Preparation.fit(Tables.from_mudata(mdata, roles), roles)


@pytest.mark.parametrize(("likelihood", "where"), [("ordinal", ""), ("categorical", " in 'm1'")])
def test_too_many_levels(mdata, likelihood, where):
    mdata["mut"].X[:, 1] = np.arange(40)
    roles = Roles({"mut": View(likelihood)})
    with pytest.raises(ValueError, match=f"'mut' is {likelihood} but has 40 levels{where}"):
        Preparation.fit(Tables.from_mudata(mdata, roles), roles)


@pytest.mark.parametrize("likelihood", [*COUNTS, "bernoulli"])
def test_sparse_values_stay_sparse_and_are_the_same(mdata, likelihood):
    dense = mdata["mut"].X.copy()
    spec = View(likelihood, offset="burden" if likelihood == "bernoulli" else None)
    roles = Roles({"mut": spec})
    plain = Tables.from_mudata(mdata, roles)
    mdata["mut"].X = sparse.csc_matrix(dense)
    thin = Tables.from_mudata(mdata, roles)
    assert sparse.issparse(thin.views["mut"].x) and not sparse.issparse(plain.views["mut"].x)
    thin, plain = thin.subset(np.arange(39, -1, -1)), plain.subset(np.arange(39, -1, -1))
    one, other = (Preparation.fit(t, roles).transform(t).views["mut"] for t in (thin, plain))
    assert isinstance(one.x, SparseRows)
    np.testing.assert_array_equal(one.values, other.x)
    np.testing.assert_allclose(one.exposure, other.exposure, atol=1e-6)


def test_sparse_rows_follow_the_patients_and_are_empty_where_one_is_lacking(mdata):
    x = np.abs(np.rint(mdata["img"].X * 3))
    x[np.isnan(x)] = 0
    mdata["img"].X = sparse.csr_matrix(x[::-1])
    mdata["img"].obs_names = mdata["img"].obs_names[::-1]
    roles = Roles({"img": View("nb")})
    tables = Tables.from_mudata(mdata, roles)
    raw = tables.views["img"]
    assert raw.present.tolist() == [False] * 10 + [True] * 30
    np.testing.assert_array_equal(raw.x.toarray(), np.vstack([np.zeros((10, 5)), x]))
    view = Preparation.fit(tables, roles).transform(tables).views["img"]
    assert bool((view.exposure[:10] == 0).all()) and view.exposure[10:].std() > 0


def test_a_sparse_view_with_gaps_becomes_dense(mdata):
    x = mdata["mut"].X.copy()
    x[0, 0] = np.nan
    mdata["mut"].X = sparse.csr_matrix(x)
    raw = Tables.from_mudata(mdata, Roles({"mut": View("bernoulli")})).views["mut"]
    assert isinstance(raw.x, np.ndarray) and np.isnan(raw.x[0, 0])


def test_a_count_view_without_offset_has_no_exposure(mdata):
    roles = Roles({"mut": View("poisson", offset="none")})
    tables = Tables.from_mudata(mdata, roles)
    assert Preparation.fit(tables, roles).transform(tables).views["mut"].exposure is None


def test_a_categorical_view_has_a_column_a_level(mdata):
    mdata["mut"].X[:, 1] = np.arange(40) % 3
    mdata["mut"].X[4, 1] = np.nan
    roles = Roles({"mut": View("categorical")})
    tables = Tables.from_mudata(mdata, roles)
    preparation = Preparation.fit(tables, roles)
    view = preparation.transform(tables).views["mut"]
    assert view.levels == (2, 3, 2, 2) and view.x.shape == (40, 9)
    assert preparation.columns("mut")[2:5] == ["m1=0", "m1=1", "m1=2"] == list(view.features[2:5])
    assert preparation.features("mut") == ["m0", "m1", "m2", "m3"]
    assert (~view.observed[4]).tolist() == [False] * 2 + [True] * 3 + [False] * 4
