"""Outcomes as they are typed: short forms, levels, and mistakes named before any training."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mvlatent as mv
from mvlatent import cli
from mvlatent.specs import Roles
from mvlatent.specs.typed import as_outcomes

OS = mv.Survival("survival_months", "event", name="OS")


@pytest.fixture(scope="module")
def patients(many_outcomes):
    return many_outcomes(n=60)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ({"survival": ("t", "e")}, ["e"]),
        ({"survival": ["t", "e"]}, ["e"]),
        ({"survival": [("t", "e"), ("u", "f")]}, ["e", "f"]),
        ({"survival": {"OS": ("t", "e"), "PFI": mv.Survival("u", "f")}}, ["OS", "PFI"]),
        ({"survival": mv.Survival("t", "e", name="OS"), "labels": "y"}, ["OS", "y"]),
        ({"labels": ["y", mv.Labels("x", name="z")]}, ["y", "z"]),
        ({"labels": ("y", "x")}, ["y", "x"]),
        ({"labels": {"z": "x"}}, ["z"]),
        ({"targets": "p"}, ["p"]),
        ({"targets": ["p", mv.Target("s", kind="ordinal")]}, ["p", "s"]),
        ({"targets": {"p": "continuous", "s": "ordinal", "q": mv.Target("r")}}, ["p", "s", "q"]),
        ({"outcomes": mv.Labels("y")}, ["y"]),
    ],
)
def test_short_forms(typed, names):
    assert [outcome.name for outcome in as_outcomes(**typed)] == names


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"survival": "t"}, "survival is"),
        ({"survival": [("t", "e", "f")]}, "survival is"),
        ({"survival": ("t", "e", "OS")}, r"not \('t', 'e', 'OS'\)"),
        ({"labels": 3}, "labels are"),
        ({"targets": {"p": 3}}, "a target is"),
        ({"targets": {"p": "count"}}, "target kind 'count' is not one of"),
        ({"outcomes": ["y"]}, "an outcome is"),
    ],
)
def test_what_is_no_outcome(typed, message):
    with pytest.raises(ValueError, match=message):
        as_outcomes(**typed)


def setup(mdata, *outcomes, **roles):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mv.MVLatent.setup_mudata(mdata, outcomes=outcomes, **roles)


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ([OS, mv.Survival("pfi_months", "pfi_event", name="OS")], "two outcomes are named 'OS'"),
        ([mv.Labels("subtype"), mv.Target("subtype", kind="ordinal")], "two roles"),
        ([mv.Labels("subtype", name="x"), mv.Labels("immune", name="x")], "named 'x'"),
        ([OS, mv.Survival("event", "pfi_event")], "'event' has two roles"),
        ([mv.Target("stage")], "which is not a number; take kind='ordinal'"),
        ([mv.Target("empty")], "no value in any row"),
        ([mv.Target("empty", kind="ordinal")], "no value in any row"),
        ([mv.Target("constant")], "one value only"),
        ([mv.Target("constant", kind="ordinal")], "one level only"),
        ([mv.Target("stage", kind="ordinal", levels=["I", "II"])], "'III', which is not among"),
        ([mv.Target("below", scaling="log1p")], "negative values, which log1p"),
    ],
)
def test_outcomes_that_cannot_be(patients, outcomes, message):
    mdata = patients.copy()
    mdata.obs["empty"], mdata.obs["constant"] = np.nan, 1.0
    mdata.obs["below"] = mdata.obs["purity"] - 10
    with pytest.raises(ValueError, match=message):
        setup(mdata, *outcomes)


def test_a_column_that_is_not_there(patients):
    with pytest.raises(
        KeyError, match=r"target 'purty' is not in mdata\.obs; did you mean 'purity'"
    ):
        setup(patients, mv.Target("purty"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "ordinal", "scaling": "zscore"}, "continuous targets only"),
        ({"levels": ["a", "b"]}, "ordinal targets only"),
        ({"kind": "ordinal", "levels": ["a", "a"]}, "each once"),
        ({"scaling": "sqrt"}, "target scaling 'sqrt'"),
        ({"weight": -1}, "weight of outcome 'y'"),
        ({"weight": True}, "weight of outcome 'y'"),
        ({"name": 3}, "name of an outcome"),
    ],
)
def test_target_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        mv.Target("y", **options)


@pytest.mark.parametrize(
    ("column", "levels", "order"),
    [
        (pd.Series([3, 10, 3.0]), (3, 10), "of numbers"),
        (pd.Series(["b", "a", None]), ("a", "b"), "of the alphabet"),
        (
            pd.Series(pd.Categorical(["lo", "hi"], ["lo", "mid", "hi"], ordered=True)),
            ("lo", "hi"),
            "of the ordered categories",
        ),
    ],
)
def test_order_of_levels(column, levels, order):
    from mvlatent.data.targets import target_levels

    assert target_levels(column, mv.Target("y", kind="ordinal")) == (levels, order)


def test_ordered_categories_survive_the_way(small_fit, patients):
    mdata = patients.copy()
    mdata.obs["stage"] = pd.Categorical(mdata.obs["stage"], ["III", "I", "II"], ordered=True)
    model = small_fit(mdata, survival=None, labels=None, targets={"stage": "ordinal"}, max_epochs=1)
    assert list(model.predict_target(proba=True)) == ["III", "I", "II"]


def test_roles_hold_outcomes_in_one_order():
    """Survival first, then labels, then targets."""
    given = (mv.Target("p"), mv.Labels("y"), OS, mv.Labels("x"))
    roles = Roles(outcome_specs=given)
    assert list(roles.named) == ["OS", "y", "x", "p"]
    assert roles.survival == OS and roles.labels == mv.Labels("y")
    assert roles.outcome_specs == (OS, mv.Labels("y"), mv.Labels("x"), mv.Target("p"))
    assert Roles.from_dict(roles.to_dict()) == roles
    assert roles == Roles(outcome_specs=roles.outcome_specs)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--survival", "t"], "two columns"), (["--target", "a=b"], "target kind 'b'")],
)
def test_mistakes_on_the_command_line(arguments, said, capsys, tmp_path):
    with pytest.raises(SystemExit):
        cli.main(["fit", "c.h5mu", "--out", str(tmp_path / "m"), *arguments])
    assert said in capsys.readouterr().err
