"""Levels go to the model and come back."""

import numpy as np
import pytest

from mvlatent.data.levels import CODINGS, OneHot, Ordered


def test_ordered_levels_of_the_whole_view():
    x = np.array([[-2.0, 0.0], [np.nan, 1.0], [0.0, 2.0]])
    levels = Ordered().fit(x)
    assert levels.sizes == (5,)
    np.testing.assert_array_equal(levels.transform(x), x + 2)
    np.testing.assert_array_equal(levels.inverse(levels.transform(x)), x)
    with pytest.warns(UserWarning, match="1 ordinal values are beyond the levels -2..2"):
        assert levels.transform(np.array([[7.0, 0.0]])).tolist() == [[4.0, 2.0]]


def test_one_column_a_level():
    x = np.array([[3.0, 0.0], [np.nan, 1.0], [5.0, 1.0], [4.0, 0.0]])
    levels = OneHot().fit(x)
    assert levels.sizes == (3, 2)
    assert levels.columns(("a", "b")) == ("a=3", "a=4", "a=5", "b=0", "b=1")
    hot = levels.transform(x)
    assert hot[0].tolist() == [1, 0, 0, 1, 0] and np.isnan(hot[1, :3]).all()
    np.testing.assert_array_equal(levels.inverse(np.nan_to_num(hot))[[0, 2, 3]], x[[0, 2, 3]])
    with pytest.warns(UserWarning, match="1 categorical values are levels that the training rows"):
        assert np.isnan(levels.transform(np.array([[9.0, 1.0]]))[0, :3]).all()


@pytest.mark.parametrize("kind", CODINGS.values())
def test_state(kind):
    x = np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 2.0]])
    levels = kind().fit(x)
    again = kind.from_state(levels.state())
    np.testing.assert_array_equal(again.transform(x), levels.transform(x))
    assert again.sizes == levels.sizes
