"""Sparse rows are the matrix they were made of, whatever is asked of them."""

import pytest
import torch
from scipy import sparse

from mvlatent.data import cohort as cohort_module
from mvlatent.data.cohort import CohortView
from mvlatent.data.sparse_rows import SparseRows


@pytest.fixture
def matrix():
    return sparse.random(9, 5, density=0.3, format="csr", random_state=0, dtype="float32")


@pytest.mark.parametrize(
    "rows", [[3, 0, 3], [], [-1], list(range(9)), torch.arange(9) % 2 == 0], ids=str
)
def test_rows(matrix, rows):
    index = torch.as_tensor(rows)
    index = index if index.dtype == torch.bool else index.long()
    found = SparseRows.from_scipy(matrix)[index]
    torch.testing.assert_close(found.dense(), torch.from_numpy(matrix.toarray())[index])
    assert found.shape == found.dense().shape


def test_views_of_sparse_rows_behave_like_dense_ones(matrix, monkeypatch):
    present = torch.arange(9) > 1
    view = CohortView(SparseRows.from_scipy(matrix), present, None, "nb", "feature", tuple("abcde"))
    assert isinstance(view.subset(torch.tensor([4, 2])).x, SparseRows)
    torch.testing.assert_close(view.dense().x, torch.from_numpy(matrix.toarray()))
    nothing = view.absent()
    assert nothing.values.shape == (9, 5) and not nothing.values.any()
    assert [len(rows) for rows in view.chunks()] == [9]
    monkeypatch.setattr(cohort_module, "CHUNK_ELEMENTS", 21)
    assert [len(rows) for rows in view.chunks()] == [4, 4, 1]
    assert [len(rows) for rows in view.dense().chunks()] == [9]
