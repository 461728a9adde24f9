"""Outcomes: every way in which people spell them, and every way in which they go wrong."""

import warnings

import numpy as np
import pandas as pd
import pytest

from mvlatent.data.coding import (
    code_labels,
    code_survival,
    count_causes,
    label_categories,
    positive_times,
    time_floor,
    warn_of_zero_times,
)
from mvlatent.data.obs_columns import as_numbers, as_text
from mvlatent.specs import Labels, Survival

SPEC = Survival("t", "e")


def table(time, event, **more):
    names = [f"p{i}" for i in range(len(time))]
    return pd.DataFrame({"t": time, "e": event, **more}, index=names)


@pytest.mark.parametrize(
    "event",
    [
        [1, 0, 1],
        [1.0, 0.0, 1.0],
        [True, False, True],
        ["1", "0", "1"],
        ["True", "False", "True"],
        ["TRUE", " false", "true"],
        pd.Categorical(["True", "False", "True"]),
        pd.array([True, False, True], dtype="boolean"),
        pd.array([1, 0, 1], dtype="Int64"),
    ],
)
def test_every_spelling_of_an_event(event):
    values = code_survival(table([1.0, 2.0, 3.0], event), SPEC)
    assert values.event.tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("event", [[2, 0, 1], ["Dead", "Alive", "Dead"], [0.5, 0, 1], [-1, 0, 1]])
def test_an_event_that_is_none(event):
    with pytest.raises(ValueError, match=r"survival event 'e' must be 0/1 or True/False"):
        code_survival(table([1.0, 2.0, 3.0], event), SPEC)


@pytest.mark.parametrize(
    ("event", "advice"),
    [
        (["Deceased", "Living", "Living"], r'{"Living": 0, "Deceased": 1}'),
        (["event-free", "relapse", "relapse"], r'{"event-free": 0, "relapse": 1}'),
        (["Dead", "Alive", "Lost"], r'{"Alive": 0, "Lost": 0, "Dead": 1}'),
        ([0, 1, 3], "take kind='competing'"),
    ],
)
def test_advice_on_an_event(event, advice):
    with pytest.raises(ValueError) as error:
        code_survival(table([1.0, 2.0, 3.0], event), SPEC)
    assert advice in str(error.value)


def test_the_recoding_line_runs():
    obs = table([1.0, 2.0, 3.0], ["Dead", "Alive", "Dead"])
    with pytest.raises(ValueError) as error:
        code_survival(obs, SPEC)
    line = str(error.value).split("for example ")[1]

    class Patients:
        pass

    Patients.obs = obs
    exec(line, {"mdata": Patients})
    assert obs["e"].tolist() == [1, 0, 1]


def test_times_as_strings():
    values = code_survival(table(pd.Categorical(["10", "2.5", None]), [1, 0, None]), SPEC)
    assert values.time[:2].tolist() == [10.0, 2.5]
    assert values.observed.tolist() == [True, True, False]
    with pytest.raises(ValueError, match=r"time 't' holds 'soon', which is not a number"):
        code_survival(table(["10", "soon"], [1, 0]), SPEC)
    with pytest.raises(ValueError, match="infinite"):
        code_survival(table([1.0, np.inf], [1, 0]), SPEC)


def test_negative_time_names_the_patient():
    with pytest.raises(ValueError, match=r"time 't' is negative for 'p1'"):
        code_survival(table([1.0, -2.0], [1, 0]), SPEC)


def test_exactly_one_missing_names_the_patient():
    time, event = np.arange(1.0, 11.0), np.arange(10) % 2.0
    event[3] = np.nan
    with pytest.raises(ValueError, match=r"'e' is missing but 't' is not for 'p3'"):
        code_survival(table(time, event), SPEC)
    event[3], time[6] = 1.0, np.nan
    with pytest.raises(ValueError, match=r"'t' is missing but 'e' is not for 'p6'"):
        code_survival(table(time, event), SPEC)


@pytest.mark.parametrize("swap", [False, True])
def test_time_spread_over_two_columns(swap):
    event = np.array([1, 1, 0, 0, 0, 1])
    death = pd.Series(["5", "6", None, None, None, "9"])
    last = pd.Series([None, None, "7", "8", "3", None])
    time, other = (last, death) if swap else (death, last)
    years = pd.Series([60, 61, 62, 63, 64, 65])
    obs = table(time.to_numpy(), event, other=other.to_numpy(), years=years.to_numpy())
    with pytest.raises(ValueError, match="two columns") as error:
        code_survival(obs, SPEC, others=obs)
    line = str(error.value).split("make one first: ")[1]
    assert "\n" not in line

    class Patients:
        pass

    Patients.obs = obs
    exec(line, {"mdata": Patients})
    assert obs["time"].tolist() == [5.0, 6.0, 7.0, 8.0, 3.0, 9.0]
    with pytest.raises(ValueError, match="<the other time column>"):
        code_survival(obs, SPEC)


COMPETING = Survival("t", "e", kind="competing")
LATE = Survival("t", "e", entry="start")


@pytest.mark.parametrize(
    "event", [[2, 0, 1, None], ["2", "0", "1", "nan"], pd.array([2, 0, 1, None], dtype="Int64")]
)
def test_competing_causes_are_codes(event):
    values = code_survival(table([1.0, 2.0, 3.0, None], event), COMPETING)
    assert values.cause[:3].tolist() == [2, 0, 1] and np.isnan(values.cause[3])
    assert values.event[:3].tolist() == [1, 0, 1] and np.isnan(values.event[3])
    assert count_causes(values, COMPETING) == 2
    assert count_causes(code_survival(table([1.0, 2.0], [1, 0]), SPEC), SPEC) == 1


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (["relapse", "0", "1"], "holds 'relapse', which is not a number; code it 0 where censored"),
        ([0.5, 0, 1], "holds '0.5'; code it 0"),
        ([-1, 0, 1], "holds '-1'; code it 0"),
    ],
)
def test_causes_that_are_none(event, message):
    with pytest.raises(ValueError, match=message):
        code_survival(table([1.0, 2.0, 3.0], event), COMPETING)


def test_causes_without_a_gap():
    with pytest.raises(ValueError, match=r"no event of cause '2'.*but of cause 3"):
        count_causes(code_survival(table([1.0, 2.0, 3.0], [3, 0, 1]), COMPETING), COMPETING)
    with pytest.raises(ValueError, match="one cause only; take kind='piecewise'"):
        count_causes(code_survival(table([1.0, 2.0, 3.0], [1, 0, 1]), COMPETING), COMPETING)


def test_entries():
    obs = table([5.0, 0.0, None, 4.0], [1, 0, None, 1], start=[2.0, 0.0, 9.0, "1"])
    assert code_survival(obs, LATE).entry.tolist() == [2.0, 0.0, 0.0, 1.0]
    assert code_survival(obs, SPEC).entry is None


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ([0.0, 2.0, 1.0], r"entry 'start' is not before 't' for 'p1'"),
        ([0.0, None, 3.5], r"entry 'start' is missing for 'p1'"),
        ([-1.0, 0.0, 0.0], r"entry 'start' is negative for 'p0'"),
        (["soon", 0.0, 0.0], r"entry 'start' holds 'soon'"),
    ],
)
def test_entries_that_are_none_name_the_patient(start, message):
    with pytest.raises(ValueError, match=message):
        code_survival(table([1.0, 2.0, 3.0], [1, 0, 1], start=start), LATE)
    with pytest.raises(KeyError, match=r"entry 'start' is not in mdata\.obs"):
        code_survival(table([1.0, 2.0, 3.0], [1, 0, 1]), LATE)


def test_no_events_and_no_values():
    with pytest.raises(ValueError, match="'e' has no event"):
        time_floor(code_survival(table([1.0, 2.0], [0, 0]), SPEC), SPEC)
    with pytest.raises(ValueError, match="'t' has no value"):
        time_floor(code_survival(table([None, None], [None, None]), SPEC), SPEC)
    with pytest.raises(ValueError, match="no positive value"):
        time_floor(code_survival(table([0.0, 0.0], [1, 0]), SPEC), SPEC)


def test_time_zero_moves_to_half_the_smallest_with_a_warning():
    values = code_survival(table([0.0, 4.0, 3.0, None], [1, 1, 0, None]), SPEC)
    names = np.array(["p0", "p1", "p2", "p3"])
    assert time_floor(values, SPEC) == 1.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert positive_times(values, 1.5)[:3].tolist() == [1.5, 4.0, 3.0]
    with pytest.warns(UserWarning, match="time is 0 for 'p0'; taken as 1.5"):
        assert warn_of_zero_times(values, 1.5, names) == 1
    values = code_survival(table([1.0, 4.0], [1, 1]), SPEC)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert warn_of_zero_times(values, 0.5, names[:2]) == 0


def test_labels():
    column = pd.Series(["b", None, "a", "b", "nan", ""])
    assert label_categories(column, Labels("y")) == ("a", "b")
    assert code_labels(column, ("a", "b"), "y").tolist() == [1, -1, 0, 1, -1, -1]
    with pytest.warns(UserWarning, match=r"labels 'y' hold classes.*'c'"):
        codes = code_labels(pd.Series(["c", "a"]), ("a", "b"), "labels 'y'")
    assert codes.tolist() == [-1, 0]


def test_labels_without_use():
    with pytest.raises(ValueError, match="labels 'y' have no value in any row"):
        label_categories(pd.Series([np.nan, np.nan]), Labels("y"))
    with pytest.raises(ValueError, match=r"one class only \('a'\)"):
        label_categories(pd.Series(["a", "a", None]), Labels("y"))


def test_numbers_and_text_agree_on_what_is_missing():
    column = pd.Series(["1", "NA", "", "nan", None, "<NA>"])
    assert as_text(column).tolist() == ["1", None, None, None, None, None]
    assert np.isnan(as_numbers(column, "x")).tolist() == [False, True, True, True, True, True]
    assert as_text(pd.Series([1.0, 2.5, np.nan])).tolist() == ["1", "2.5", None]
    assert as_text(pd.Series([1, 2])).tolist() == ["1", "2"]


def test_names_are_no_labels():
    with pytest.raises(ValueError, match="have a class for each patient"):
        label_categories(pd.Series([f"P{i}" for i in range(20)]), Labels("y"))
    assert label_categories(pd.Series(list("abc")), Labels("y")) == ("a", "b", "c")
