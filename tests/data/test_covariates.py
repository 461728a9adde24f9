"""Encoders: what each kind of column becomes, and what happens to missing and new values."""

import warnings

import numpy as np
import pandas as pd
import pytest

from mvlatent.data.covariates import Encoder, fit_encoder


def column(values, name="x"):
    return pd.Series(values, name=name)


def fitted(values, role):
    encoder, _ = fit_encoder(column(values), role)
    assert encoder is not None
    return encoder


def test_site_gets_a_column_each_and_missing_is_unknown():
    encoder, notes = fit_encoder(column(["B", "A", None, "B"]), "batch")
    assert encoder.columns == ("A", "B")
    assert encoder.encode(column(["B", "A", None])).tolist() == [[0, 1], [1, 0], [0, 0]]
    assert notes == ["batch covariate 'x': 1 missing, taken as unknown"]


def test_unseen_site_warns_and_names_it():
    encoder = fitted(["B", "A"], "batch")
    with pytest.warns(UserWarning, match=r"'x' holds sites .*: 'ZZ'; taken as unknown"):
        assert encoder.encode(column(["ZZ", "A"])).tolist() == [[0, 0], [1, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder.encode(column([None, "A"]))


def test_a_numeric_batch_is_categorical_and_a_numeric_technical_is_not():
    assert fitted([1, 2, 2], "batch").columns == ("1", "2")
    assert fitted([1.0, 2.0, np.nan], "batch").levels == ("1", "2")
    assert fitted([1, 2, 2], "technical").kind == "continuous"
    assert fitted([True, False, True], "technical").columns == ("False", "True")


@pytest.mark.parametrize("role", ["technical", "clinical"])
def test_continuous_is_standardised_and_filled_with_the_median(role):
    encoder, notes = fit_encoder(column([1.0, 2.0, 9.0, np.nan]), role)
    assert encoder.columns == ("x", "x (missing)")
    out = encoder.encode(column([1.0, 2.0, 9.0, np.nan]))
    assert out.dtype == np.float32
    assert np.allclose(out[:, 0].mean(), 0, atol=1e-6) and np.allclose(out[:, 0].std(), 1)
    assert out[3, 0] == out[1, 0], "the median is 2"
    assert out[:, 1].tolist() == [0, 0, 0, 1]
    assert "median 2" in notes[0] and "1 missing" in notes[0]
    assert fitted([1.0, 2.0, 9.0], role).columns == ("x",)


def test_clinical_categories_leave_out_the_first_and_fill_the_mode():
    encoder, notes = fit_encoder(column(["II", "I", "III", "II", None]), "clinical")
    assert encoder.columns == ("x=II", "x=III", "x (missing)")
    assert encoder.encode(column(["I", "II", "III", None])).tolist() == [
        [0, 0, 0],
        [1, 0, 0],
        [0, 1, 0],
        [1, 0, 1],
    ]
    assert "mode 'II'" in notes[0]
    with pytest.warns(UserWarning, match=r"levels .*: 'IV'; taken as the mode 'II'"):
        assert encoder.encode(column(["IV"])).tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("values", [[0, 1, 1], [False, True, True], ["0", "1", "1"]])
def test_two_levels_become_one_column(values):
    encoder = fitted(values, "clinical")
    assert len(encoder.columns) == 1
    assert encoder.encode(column(values)).ravel().tolist() == [0, 1, 1]


def test_constant_is_dropped_with_a_note_and_empty_is_an_error():
    encoder, notes = fit_encoder(column(["A", None, "A"]), "batch")
    assert encoder is None and notes == ["batch covariate 'x': one value only ('A'), dropped"]
    with pytest.raises(ValueError, match="clinical covariate 'x' has no value"):
        fit_encoder(column([np.nan, np.nan]), "clinical")


@pytest.mark.parametrize("values", [["a", "b", None], [1.0, 2.0, 3.0]])
@pytest.mark.parametrize("role", ["batch", "technical", "clinical"])
def test_encoders_come_back_from_dict(values, role):
    encoder = fitted(values, role)
    assert Encoder.from_dict(encoder.to_dict()) == encoder
    assert encoder.encode(column(values)).shape == (3, len(encoder.columns))


def test_a_name_is_no_clinical_class():
    with pytest.raises(ValueError, match="clinical covariate 'x' has another value in each"):
        fit_encoder(column([f"P{i}" for i in range(20)]), "clinical")
    assert len(fitted(["a", "b", "c"], "clinical").levels) == 3


def test_numbers_written_as_text_are_told():
    ages = [str(30 + i % 15) for i in range(40)]
    encoder, notes = fit_encoder(column(ages, "age"), "clinical")
    assert encoder is not None and encoder.kind == "continuous"
    assert "written as text, taken as numbers; for classes: mdata.obs" in notes[0]
    few, notes = fit_encoder(column(["1", "2", "3"] * 9, "cluster"), "clinical")
    assert few is not None and few.kind == "categorical" and "taken as 3 classes" in notes[0]
    assert not fit_encoder(column(["0", "1"] * 20), "clinical")[1]
