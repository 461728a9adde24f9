"""A matrix is the same values whatever holds it, and the user's own is left as it was."""

import pickle

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from mvlatent.data.guess import guess_likelihood
from mvlatent.data.matrix import dense, entries_of, has_value, in_memory, normalise, place_rows
from mvlatent.data.tables import Tables
from mvlatent.specs import Roles, View

NAMES = [f"g{j}" for j in range(4)]


def counts(gaps: bool) -> np.ndarray:
    """Small counts with many zeros; NaN in places if asked for."""
    x = np.random.default_rng(0).poisson(1.0, (9, 4)).astype(np.float64)
    if gaps:
        x[[0, 3, 3], [1, 0, 2]] = np.nan
    return x


def nullable(x, kind="Float64"):
    return pd.DataFrame(
        {n: pd.array(pd.Series(c), dtype=kind) for n, c in zip(NAMES, x.T, strict=True)},
        index=[f"P{i}" for i in range(len(x))],
    )


def objects(x, missing):
    return np.where(np.isnan(x), missing, x.astype(object))


def backed(x, folder, mode=lambda x: x):
    path = folder / f"{len(list(folder.iterdir()))}.h5ad"
    anndata.AnnData(mode(x)).write_h5ad(path)
    return anndata.read_h5ad(path, backed="r").X


class Lazy:
    """What dask does, where it is not installed: values that are computed when asked for."""

    def __init__(self, x):
        self.compute = lambda: x


def on_dask(x):
    return pytest.importorskip("dask.array").from_array(x, chunks=(3, 2))


def twice(x):
    """Compressed rows that hold the first entry of each row in two halves, out of order."""
    one = sparse.csr_matrix(x)
    rows = [(one[i].indices, one[i].data) for i in range(x.shape[0])]
    columns = [np.r_[c[::-1], c[:1]] for c, _ in rows]
    data = [np.r_[np.r_[v[:1] / 2, v[1:]][::-1], v[:1] / 2] for _, v in rows]
    starts = np.r_[0, np.cumsum([len(c) for c in columns])]
    return sparse.csr_matrix((np.concatenate(data), np.concatenate(columns), starts), x.shape)


DENSE = {  # containers that may hold gaps
    "array": lambda x, _: x,
    "float32": lambda x, _: x.astype(np.float32),
    "big-endian": lambda x, _: x.astype(">f8"),
    "Fortran order": lambda x, _: np.asfortranarray(x),
    "every second row": lambda x, _: np.repeat(x, 2, axis=0)[::2],
    "masked": lambda x, _: np.ma.array(np.nan_to_num(x, nan=7.0), mask=np.isnan(x)),
    "masked integers": lambda x, _: np.ma.array(
        np.nan_to_num(x, nan=7.0).astype(int), mask=np.isnan(x)
    ),
    "DataFrame": lambda x, _: pd.DataFrame(x),
    "nullable": lambda x, _: nullable(x),
    "nullable integers": lambda x, _: nullable(x, "Int64"),
    "objects with None": lambda x, _: objects(x, None),
    "objects with NA": lambda x, _: objects(x, pd.NA),
    "numbers in words": lambda x, _: x.astype(str),
    "backed": backed,
    "dask": lambda x, _: on_dask(x),
    "lazy": lambda x, _: Lazy(x),
}
SPARSE = {
    "csr": lambda x, _: sparse.csr_matrix(x),
    "csr of float32": lambda x, _: sparse.csr_matrix(x.astype(np.float32)),
    "csr array": lambda x, _: sparse.csr_array(x),
    "csc": lambda x, _: sparse.csc_matrix(x),
    "coo": lambda x, _: sparse.coo_matrix(x),
    "integers": lambda x, _: sparse.csr_matrix(x.astype(int)),
    "entries twice": lambda x, _: twice(x),
    "explicit zeros": lambda x, _: sparse.csr_matrix(x + 1) - sparse.csr_matrix(np.ones(x.shape)),
    "backed": lambda x, folder: backed(x, folder, sparse.csr_matrix),
    "backed csc": lambda x, folder: backed(x, folder, sparse.csc_matrix),
}
WHOLE = {
    "matrix": lambda x, _: np.matrix(x),
    "integers": lambda x, _: x.astype(int),
    "objects": lambda x, _: x.astype(object),
}


def remembered(values):
    """What a container in memory holds, byte by byte."""
    if sparse.issparse(values):
        parts = ("data", "indices", "indptr", "row", "col")
        return [getattr(values, k).tobytes() for k in parts if hasattr(values, k)]
    return pickle.dumps(values) if isinstance(values, np.ndarray | pd.DataFrame) else None


CASES = [
    *(pytest.param(v, gaps, False, id=f"{k}-{gaps}") for k, v in DENSE.items() for gaps in (0, 1)),
    *(pytest.param(v, 0, False, id=k) for k, v in WHOLE.items()),
    *(pytest.param(v, 0, True, id=f"sparse {k}") for k, v in SPARSE.items()),
]


@pytest.mark.parametrize(("make", "gaps", "thin"), CASES)
def test_every_container_is_the_same_matrix(make, gaps, thin, tmp_path):
    x = counts(gaps)
    values = make(x, tmp_path)
    before = remembered(values)
    found = normalise(values, view="a")
    assert sparse.issparse(found) == thin
    assert found.dtype == np.float32 and type(found) in (np.ndarray, sparse.csr_matrix)
    np.testing.assert_array_equal(dense(found), x.astype(np.float32))
    some = normalise(make(x, tmp_path), view="a", columns=[2, 0])
    np.testing.assert_array_equal(dense(some), x[:, [2, 0]].astype(np.float32))
    assert remembered(values) == before
    assert guess_likelihood(values) == guess_likelihood(x)


def test_entries_are_stored_once_and_in_order():
    values = twice(counts(False))
    stored = values.data.size
    found = normalise(values, view="a")
    assert found.has_canonical_format and found.nnz == sparse.csr_matrix(counts(False)).nnz
    assert values.data.size == stored > found.nnz


def test_sparse_values_with_a_gap_become_dense():
    x = counts(True)
    found = normalise(sparse.csr_matrix(x), view="a")
    np.testing.assert_array_equal(found, x.astype(np.float32))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (np.array([[1.0, np.inf]]), r"'a' holds infinite values in 'g3'"),
        (np.array([[1.0, 1e300]]), r"'a' holds infinite values in 'g3'"),
        (sparse.csr_matrix([[0.0, -np.inf]]), r"'a' holds infinite values in 'g3'"),
        (np.array([[1.0, "x"]], dtype=object), r"not numbers: 'x' \(patient 'P7', feature 'g3'\)"),
        (np.array([["1", "[NA]"]]), r"not numbers: '\[NA\]' \(patient 'P7', feature 'g3'\)"),
        (np.array([[1, 1j]]), r"'a' holds values that are not numbers \(complex128\)"),
        (sparse.csr_matrix([[1, 1j]]), r"not numbers \(complex128\)"),
        (np.array([["2020-01-01", "NaT"]], "M8[D]"), r"not numbers \(datetime64\[D\]\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_is_no_number_is_named(value, why):
    with pytest.raises(ValueError, match=why) as error:
        normalise(value, view="a", features=["g1", "g3"], patients=["P7"])
    assert str(error.value).endswith(".")


def test_a_message_names_the_feature_among_the_columns_taken():
    x = np.array([["a", 1.0, "b"]], dtype=object)
    with pytest.raises(ValueError, match="feature 'z'"):
        normalise(x, view="a", features=["x", "y", "z"], columns=[1, 2])
    with pytest.raises(ValueError, match="infinite values in '2'"):
        normalise(np.array([[0, 1, np.inf]]), view="a", columns=[2])


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_rows_go_to_their_places(data):
    x = counts(False)[: data.draw(st.integers(1, 9))]
    where = np.array(data.draw(st.lists(st.integers(-1, len(x) - 1), max_size=12)), dtype=np.intp)
    for values, lacking in ((x, np.nan), (sparse.csr_matrix(x), 0.0)):
        matrix = normalise(values, view="a")
        found = dense(place_rows(matrix, where))
        expected = np.where((where >= 0)[:, None], x[where], lacking) if len(where) else x[:0]
        np.testing.assert_array_equal(found, expected)


def test_rows_without_a_value():
    x = counts(False)
    x[2] = np.nan
    for values in (x, objects(x, pd.NA), nullable(x)):
        assert np.flatnonzero(~has_value(in_memory(values))).tolist() == [2]
    assert has_value(sparse.csr_matrix((3, 2))).all() and has_value(np.zeros((2, 2), int)).all()


def test_stored_entries():
    x = counts(False)
    assert entries_of(normalise(x, view="a")).shape == x.shape
    assert entries_of(normalise(sparse.csr_matrix(x), view="a")).size == (x > 0).sum()


KEPT = {
    "nullable": lambda x: anndata.AnnData(nullable(x)),
    "masked": lambda x: anndata.AnnData(np.ma.array(x, mask=np.zeros(x.shape, bool))),
    "entries twice": lambda x: anndata.AnnData(twice(x)),
    "csc": lambda x: anndata.AnnData(sparse.csc_matrix(x)),
    "integers": lambda x: anndata.AnnData(x.astype(int)),
}


@pytest.mark.parametrize("likelihood", ["normal", "poisson"])
@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
def test_tables_of_every_container(make, likelihood):
    x = counts(False)
    mod = make(x)
    mod.obs_names = [f"P{i}" for i in range(9)]
    before = remembered(mod.X)
    mdata = mudata.MuData({"a": mod})
    raw = Tables.from_mudata(mdata, Roles({"a": View(likelihood)})).views["a"]
    np.testing.assert_array_equal(dense(raw.x), x.astype(np.float32))
    assert raw.present.all() and remembered(mdata["a"].X) == before
    assert raw.features == [str(n) for n in mod.var_names]
