"""What the user says is checked where it is typed."""

import json
import subprocess
import sys

import pytest

from mvlatent.specs import LIKELIHOODS, SCALINGS, SURVIVAL_KINDS, Labels, Roles, Survival, View


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_view_defaults_follow_the_likelihood(likelihood):
    expected = "rank_normal" if likelihood in ("normal", "studentt") else "none"
    assert View(likelihood).scaling == expected
    assert View(likelihood).noise == "feature"


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        ({"likelihood": "gaussian"}, LIKELIHOODS),
        ({"scaling": "ranks"}, SCALINGS),
        ({"noise": "gene"}, ("feature", "view")),
    ],
)
def test_a_wrong_view_names_the_choices(options, choices):
    with pytest.raises(ValueError) as error:
        View(**options)
    for choice in (*choices, *options.values()):
        assert choice in str(error.value)


def test_a_bernoulli_view_cannot_be_scaled():
    with pytest.raises(ValueError, match="bernoulli"):
        View("bernoulli", scaling="zscore")


@pytest.mark.parametrize("kind", SURVIVAL_KINDS)
def test_survival_kinds(kind):
    assert Survival("t", "e", kind=kind).kind == kind


def test_wrong_survival():
    with pytest.raises(ValueError, match=r"gamma.*piecewise.*cox"):
        Survival("t", "e", kind="gamma")
    with pytest.raises(ValueError, match="same column"):
        Survival("t", "t")
    with pytest.raises(ValueError, match="n_intervals"):
        Survival("t", "e", n_intervals=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "weibull", "strata": "arm"}, r"'weibull' has no strata.*'piecewise'.*'arm'"),
        ({"ties": "breslow"}, "option of a Cox likelihood"),
        ({"kind": "competing", "ties": "breslow"}, "option of a Cox likelihood"),
        ({"ties": "exact", "kind": "cox"}, "'efron', 'breslow'"),
        ({"hazard": "cox"}, "competing causes"),
        ({"kind": "competing", "hazard": "weibull"}, "'piecewise', 'cox'"),
        ({"strata": "t"}, "time and strata are the same column 't'"),
        ({"strata": "arm", "entry": "arm"}, "strata and entry are the same column 'arm'"),
        ({"entry": 3}, "entry must be the name of a column"),
    ],
)
def test_survival_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        Survival("t", "e", **options)


def test_strata_may_be_a_covariate_and_entry_may_not():
    stratified = Survival("t", "e", strata="site", entry="start")
    assert Roles(batch="site", outcome_specs=[stratified]).columns == ("site", "t", "e", "start")
    assert Roles(outcome_specs=[stratified]).columns == ("t", "e", "start", "site")
    with pytest.raises(ValueError, match="'start' has two roles"):
        Roles(clinical=["start"], outcome_specs=[stratified])


def test_survival_of_other_versions_is_read():
    roles = Roles(
        outcome_specs=[Survival("t", "e", kind="cox", ties="breslow", strata="s", entry="b")]
    )
    state = json.loads(json.dumps(roles.to_dict()))
    assert Roles.from_dict(state) == roles
    state["outcomes"][0]["frailty"] = "site"
    assert Roles.from_dict(state) == roles
    older = {"role": "survival", "time": "t", "event": "e", "kind": "cox", "n_intervals": 5}
    found = Roles.from_dict({**state, "outcomes": [older]}).survival
    assert found == Survival("t", "e", kind="cox", n_intervals=5)


def test_two_time_columns_give_a_line_that_runs():
    import pandas as pd

    with pytest.raises(ValueError, match="one column") as error:
        Survival(("death", "followup"), "e")
    line = str(error.value).split("make one first: ")[1]

    class Patients:
        obs = pd.DataFrame(
            {
                "death": pd.Categorical(["5", None, "7"]),
                "followup": pd.Categorical([None, "9", "8"]),
            }
        )

    exec(line, {"mdata": Patients})
    assert Patients.obs["time"].tolist() == [5.0, 9.0, 7.0]


def test_roles_come_back_from_json():
    roles = Roles(
        {"rna": View("studentt", scaling="log1p", layer="tpm", noise="view"), "mut": "bernoulli"},
        batch="site",
        technical=["purity"],
        clinical="age",
        outcome_specs=[Survival("t", "e", kind="cox", n_intervals=9), Labels("y")],
    )
    assert Roles.from_dict(json.loads(json.dumps(roles.to_dict()))) == roles
    assert roles.columns == ("site", "purity", "age", "t", "e", "y")
    assert roles.views["mut"] == View("bernoulli")
    assert Roles.from_dict(Roles().to_dict()) == Roles()


def test_a_column_has_one_role():
    with pytest.raises(ValueError, match="'site' has two roles"):
        Roles(batch="site", clinical=("site",))


def test_specs_import_nothing_heavy():
    code = "import sys, mvlatent.specs; print([m for m in ('numpy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
