"""A column of obs is found by its name, and read as what it holds."""

import numpy as np
import pandas as pd
import pytest

from mvlatent.data.obs_columns import (
    are_numbers_in_words,
    as_numbers,
    as_text,
    find_column,
    is_numeric,
    ordered_levels,
)
from mvlatent.data.register import register_mudata
from mvlatent.specs import Roles


def test_a_name_of_two_columns_is_refused(mdata, roles):
    mdata.obs = pd.concat([mdata.obs, mdata.obs[["site"]]], axis=1)
    with pytest.raises(ValueError, match=r"covariate 'site' names 2 columns of mdata.obs; keep"):
        register_mudata(mdata, roles)
    plates = mdata["rna"].obs
    mdata["rna"].obs = pd.concat([plates, plates], axis=1).set_axis(["lane", "lane"], axis=1)
    with pytest.raises(ValueError, match=r"'rna:lane' names 2 columns of the modality's obs"):
        find_column(mdata, "rna:lane")


def test_a_column_of_a_modality_is_missing_where_it_is_lacking(mdata):
    mdata["img"].obs["stain"] = "HE"
    assert as_text(find_column(mdata, "img:stain"))[:11].tolist() == [None] * 10 + ["HE"]


KINDS = {
    "int": (pd.Series([1, 2]), True, False),
    "nullable": (pd.Series([1, None], dtype="Int64"), True, False),
    "bool": (pd.Series([True, False]), False, False),
    "words": (pd.Series(["a", "1"]), False, False),
    "numbers in words": (pd.Series(["1", None, " 2.5 "]), False, True),
    "categories of numbers": (pd.Series(pd.Categorical(["1", "2"])), False, True),
    "codes": (pd.Series(["01", "02"]), False, False),
    "a word for missing": (pd.Series(["1", "[Discrepancy]", "unknown", ">89"]), False, True),
}


@pytest.mark.parametrize(("column", "numeric", "in_words"), KINDS.values(), ids=KINDS)
def test_what_is_a_number(column, numeric, in_words):
    assert is_numeric(column) == numeric and are_numbers_in_words(column) == in_words


def test_numbers():
    for column in (pd.Series([1, None], dtype="Int64"), pd.Series(["1", "NA"])):
        np.testing.assert_array_equal(as_numbers(column, "age"), [1.0, np.nan])
    assert as_numbers(pd.Series([True, None], dtype="boolean"), "dead")[0] == 1.0
    with pytest.raises(ValueError, match="age holds an infinite value"):
        as_numbers(pd.Series([np.inf]), "age")


def test_levels_with_an_order():
    grade = pd.Categorical(["G2", "G1"], ["G1", "G2"], ordered=True)
    assert ordered_levels(pd.Series(grade)) == ["G1", "G2"]
    assert ordered_levels(pd.Series(grade.as_unordered())) is None
    assert ordered_levels(pd.Series(["G1"])) is None


def test_columns_are_read_before_matrices(mdata):
    """A slip in a column's name costs no reading of a large matrix."""
    mdata["rna"].X[0, 0] = np.inf
    with pytest.raises(KeyError, match="'sites' is not in"):
        register_mudata(mdata, Roles(batch="sites"))
