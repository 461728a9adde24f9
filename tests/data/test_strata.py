"""Strata: who has a baseline of its own, and what becomes of the others."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from mvlatent.data.coding import code_survival
from mvlatent.data.strata import Strata, fit_strata
from mvlatent.specs import Survival


def learn(sizes, *, kind="piecewise", event=None, missing=0):
    """Strata of levels with so many events each, and their notes."""
    level = [name for name, n in sizes.items() for _ in range(n)] + [None] * missing
    codes = np.ones(len(level)) if event is None else event(np.arange(len(level)))
    obs = pd.DataFrame({"t": 1.0 + np.arange(len(level)), "e": codes, "arm": level})
    values = code_survival(obs, Survival("t", "e", kind=kind))
    return fit_strata(obs["arm"], values)


def test_levels_with_events_are_strata():
    strata, notes = learn({"b": 20, "a": 30})
    assert strata.names == ("a", "b") and strata.usual == "a" and notes == []
    assert strata.encode(pd.Series(["b", "a", "b"]), 3).tolist() == [1, 0, 1]


def test_small_levels_are_pooled():
    strata, notes = learn({"a": 30, "b": 12, "c": 10, "d": 25})
    assert strata.names == ("a", "d", "other")
    assert strata.encode(pd.Series(["b", "c", "d"]), 3).tolist() == [2, 2, 1]
    assert notes == ["strata 'arm': 'b', 'c' with fewer than 20 events pooled as 'other'"]


def test_a_pool_that_is_too_small_joins_the_smallest():
    strata, notes = learn({"a": 30, "b": 3, "d": 25}, missing=2)
    assert strata.names == ("a", "d") and strata.member["b"] == "d"
    assert "'b' with fewer than 20 events joined to 'd'" in notes[0]
    assert notes[1] == "strata 'arm': 2 missing, taken as 'a'"


def test_one_stratum_is_said_and_none_is_an_error():
    strata, notes = learn({"a": 30, "b": 3})
    assert strata.names == ("a",) and "nothing is stratified" in notes[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert strata.encode(None, 2).tolist() == [0, 0]
    strata, _ = learn({"a": 12, "b": 12})
    assert strata.names == ("other",)
    with pytest.raises(ValueError, match=r"strata 'arm' have fewer than 20 events.*leave strata"):
        learn({"a": 9, "b": 9})


def test_every_cause_needs_events():
    strata, _ = learn({"a": 60, "b": 60}, kind="competing", event=lambda i: 1.0 + i % 2)
    assert strata.names == ("a", "b")
    strata, _ = learn({"a": 60, "b": 60}, kind="competing", event=lambda i: 1.0 + (i < 58))
    assert strata.names == ("other",)  # b has the first cause only, a nearly the second only


def test_unknown_levels_are_named():
    strata, _ = learn({"a": 30, "b": 40})
    with pytest.warns(UserWarning, match=r"'arm' hold levels.*'x'.*no value for 1.*'b'"):
        assert strata.encode(pd.Series(["x", None, "a"]), 3).tolist() == [1, 1, 0]
    with pytest.warns(UserWarning, match="no value for 2 patients"):
        assert strata.encode(None, 2).tolist() == [1, 1]


def test_strata_come_back_from_json():
    strata, _ = learn({"a": 30, "b": 3, "d": 25})
    assert Strata.from_dict(json.loads(json.dumps(strata.to_dict()))) == strata
