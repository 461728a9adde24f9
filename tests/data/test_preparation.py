"""What is learnt on the training rows, and only there."""

import json
import warnings

import numpy as np
import pytest
import torch

from mvlatent.data.preparation import Preparation
from mvlatent.data.tables import Tables
from mvlatent.specs import SCALINGS, Roles, View


@pytest.fixture
def tables(mdata, roles):
    return Tables.from_mudata(mdata, roles)


def test_cohort_is_complete(tables, roles, mdata):
    preparation = Preparation.fit(tables, roles)
    cohort = preparation.transform(tables)
    assert cohort.obs_names == tuple(mdata.obs_names)
    assert torch.equal(cohort.views["img"].present, torch.tensor([False] * 10 + [True] * 30))
    img = cohort.views["img"]
    assert img.observed is not None and int((~img.observed[10:]).sum()) == 1
    assert not img.x[~img.observed].any()
    assert cohort.views["rna"].observed is None
    assert torch.equal(cohort.views["mut"].x, torch.tensor(mdata["mut"].X))
    for view in cohort.views.values():
        assert view.x.dtype == torch.float32 and torch.isfinite(view.x).all()
    groups = {g.name: g for g in cohort.technical_groups}
    assert groups["site"].levels == ("A", "B") and groups["site"].kind == "categorical"
    assert (cohort.technical[:, groups["site"].columns].sum(1) == 1).all()
    assert groups["purity"].columns == slice(2, 3) and groups["purity"].kind == "continuous"
    assert cohort.clinical_names == ("age", "is_female=1", "stage=II", "stage=III")
    assert cohort.clinical.shape == (40, 4)
    assert cohort.survival.observed.all() and cohort.survival.event.sum() == 20
    assert np.allclose(cohort.survival.time, mdata.obs["months"])
    assert cohort.labels.categories == ("basal", "luminal")
    subtype = [cohort.labels.categories[i] for i in cohort.labels.codes]
    assert subtype == mdata.obs["subtype"].tolist()


def test_nothing_is_learnt_from_other_rows(mdata, roles):
    train = np.arange(5, 35)
    one = Preparation.fit(Tables.from_mudata(mdata, roles), roles, train)
    for name, mod in mdata.mod.items():
        outside = ~mod.obs_names.isin(mdata.obs_names[train])
        mod.X[outside] = 1.0 if name == "mut" else 1e6
    outside = ~mdata.obs_names.isin(mdata.obs_names[train])
    mdata.obs.loc[outside, ["purity", "age", "months"]] = 1e6
    two = Preparation.fit(Tables.from_mudata(mdata, roles), roles, train)
    (state_one, arrays_one), (state_two, arrays_two) = one.to_dict(), two.to_dict()
    assert state_one == state_two
    assert all(np.array_equal(arrays_one[k], arrays_two[k]) for k in arrays_one)


def test_rows_may_be_a_mask(tables, roles):
    mask = np.arange(40) < 30
    a, b = (Preparation.fit(tables, roles, rows) for rows in (mask, np.flatnonzero(mask)))
    assert all(np.array_equal(a.to_dict()[1][k], v) for k, v in b.to_dict()[1].items())


def test_a_saved_preparation_does_the_same(tables, roles):
    preparation = Preparation.fit(tables, roles, range(30), notes=["guessed"])
    state, arrays = preparation.to_dict()
    again = Preparation.from_dict(json.loads(json.dumps(state)), arrays)
    assert again.notes[0] == "guessed" and again.notes == preparation.notes
    a, b = preparation.transform(tables), again.transform(tables)
    for name, view in a.views.items():
        assert torch.equal(view.x, b.views[name].x)
    assert torch.equal(a.technical, b.technical) and torch.equal(a.clinical, b.clinical)
    assert a.technical_groups == b.technical_groups
    assert torch.equal(a.labels.codes, b.labels.codes)
    assert again.roles == roles


def test_unusable_features_are_dropped_and_listed(mdata, roles):
    mdata["rna"].X[:, 1] = 7.0
    mdata["rna"].X[:, 4] = np.nan
    mdata["mut"].X[:, 0] = 0.0
    tables = Tables.from_mudata(mdata, roles)
    preparation = Preparation.fit(tables, roles)
    assert preparation.features("rna") == ["g0", "g2", "g3", "g5"]
    assert preparation.views["rna"].dropped == {"g1": "constant (7)", "g4": "no value"}
    assert preparation.features("mut") == ["m1", "m2", "m3"]
    assert any("'rna': 2 features dropped" in note and "g4" in note for note in preparation.notes)
    cohort = preparation.transform(tables)
    assert cohort.views["rna"].features == ("g0", "g2", "g3", "g5")
    assert cohort.views["rna"].observed is None, "the empty column does not count"
    assert torch.equal(cohort.views["mut"].x, torch.tensor(mdata["mut"].X[:, 1:]))


def test_a_view_without_usable_feature(mdata, roles):
    mdata["img"].X[:] = 3.0
    with pytest.raises(ValueError, match=r"'img' has no usable feature: all 5"):
        Preparation.fit(Tables.from_mudata(mdata, roles), roles)


def test_a_view_without_training_patient(tables, roles):
    with pytest.raises(ValueError, match="'img': no training row has it"):
        Preparation.fit(tables, roles, range(10))


def test_a_patient_with_values_only_in_dropped_features_is_absent(mdata):
    roles = Roles({"rna": View()})
    mdata["rna"].X[:, 0] = 1.0
    mdata["rna"].X[6, 1:] = np.nan
    tables = Tables.from_mudata(mdata, roles)
    assert tables.views["rna"].present.all()
    present = Preparation.fit(tables, roles).transform(tables).views["rna"].present
    assert (~present).nonzero().ravel().tolist() == [
        list(mdata.obs_names).index(mdata["rna"].obs_names[6])
    ]


def test_values_outside_the_support(mdata):
    roles = Roles({"img": View("bernoulli")})
    with pytest.raises(ValueError, match=r"'img' is bernoulli but .*'i0'"):
        Preparation.fit(Tables.from_mudata(mdata, roles), roles)
    roles = Roles({"img": View(scaling="log1p")})
    with pytest.raises(ValueError, match=r"'img': scaling 'log1p' .*'i0'"):
        Preparation.fit(Tables.from_mudata(mdata, roles), roles)
    roles = Roles({"rna": View(scaling="log1p")})
    tables = Tables.from_mudata(mdata, roles)
    preparation = Preparation.fit(tables, roles)
    tables.views["rna"].x[0, 2] = -3.0
    with pytest.raises(ValueError, match=r"'rna': scaling 'log1p' .*'g2'"):
        preparation.transform(tables)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_inverse_gives_the_users_units(mdata, scaling):
    roles = Roles({"rna": View(scaling=scaling)})
    tables = Tables.from_mudata(mdata, roles)
    preparation = Preparation.fit(tables, roles)
    scaled = preparation.transform(tables).views["rna"].x.numpy()
    back = preparation.inverse("rna", scaled)
    inside = np.abs(scaled) < 4.99
    assert inside.mean() > 0.9 and np.allclose(
        back[inside], tables.views["rna"].x[inside], rtol=1e-3
    )
    with pytest.raises(KeyError, match=r"'cnv'.*'rna'"):
        preparation.inverse("cnv", scaled)


def test_outcomes_are_checked_before_any_training(mdata, roles):
    mdata.obs["event"] = 0
    with pytest.raises(ValueError, match="'event' has no event"):
        Preparation.fit(Tables.from_mudata(mdata, roles), roles)


def test_unobserved_outcomes_and_time_zero(mdata, roles):
    mdata.obs["event"] = mdata.obs["event"].astype(float)
    mdata.obs.loc[["p03", "p04"], ["months", "event"]] = np.nan
    mdata.obs.loc["p05", "months"] = 0.0
    mdata.obs["subtype"] = mdata.obs["subtype"].astype(object)
    mdata.obs.loc["p06", "subtype"] = None
    tables = Tables.from_mudata(mdata, roles)
    with pytest.warns(UserWarning, match="time is 0 for 'p05'"):
        preparation = Preparation.fit(tables, roles)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cohort = preparation.transform(tables)
    survival = cohort.survival
    assert (~survival.observed).nonzero().ravel().tolist() == [3, 4]
    assert survival.time[3:5].tolist() == [1, 1] and survival.event[3:5].tolist() == [0, 0]
    months = mdata.obs["months"]
    assert survival.time[5] == pytest.approx(months[months > 0].min() / 2)
    assert cohort.labels.codes[6] == -1
    assert "survival: 2 of 40 patients have no outcome" in preparation.notes
    assert any("time is 0 for 1 patients" in note for note in preparation.notes)


def test_new_patients_of_an_unseen_site(mdata, roles):
    preparation = Preparation.fit(Tables.from_mudata(mdata, roles), roles)
    new = mdata.copy()
    new.obs["site"] = "ZZ"
    tables = Tables.from_mudata(new, roles, features=preparation.kept)
    with pytest.warns(UserWarning, match="'ZZ'; taken as unknown"):
        cohort = preparation.transform(tables)
    assert not cohort.technical[:, :2].any()


def test_patients_without_any_view_are_noted(mdata):
    roles = Roles({"img": View()})
    tables = Tables.from_mudata(mdata, roles)
    preparation = Preparation.fit(tables, roles)
    assert any(note.startswith("10 patients have no view: 'p00'") for note in preparation.notes)
    assert not preparation.transform(tables).presence[:10].any()


def test_a_feature_named_like_an_outcome_is_noted(mdata, roles):
    said = Preparation.fit(Tables.from_mudata(mdata, roles), roles).notes
    assert not any("beside the outcome" in note for note in said)
    mdata["mut"].var_names = ["Subtype", *mdata["mut"].var_names[1:]]
    said = Preparation.fit(Tables.from_mudata(mdata, roles), roles).notes
    known = "view 'mut' has a feature 'Subtype' beside the outcome 'subtype'"
    assert sum(known in note for note in said) == 1
