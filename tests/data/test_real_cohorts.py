"""Real cohorts, with their oddities, go through unchanged data and finite tensors."""

import warnings

import mudata
import numpy as np
import pytest
import torch

from mvlatent.data.preparation import Preparation
from mvlatent.data.register import guess_views, register_mudata
from mvlatent.data.registered import registered_notes, registered_roles
from mvlatent.data.tables import Tables
from mvlatent.specs import Labels, Roles, Survival

MONTHS = Survival("survival_months", "event")
COHORTS = {
    "tcga_luad": (
        Roles(
            batch="site",
            technical=("purity_cpe",),
            clinical=("age", "is_female"),
            outcome_specs=(MONTHS, Labels("mol_subtype")),
        ),
        {"patients": 453, "events": 158, "sites": 33, "labelled": 197, "img": 422, "ddr": 417},
    ),
    "tcga_blca": (
        Roles(batch="site", clinical=("age", "stage", "grade"), outcome_specs=(MONTHS,)),
        {"patients": 373, "events": 169, "sites": 33},
    ),
    "tcga_brca": (
        Roles(batch="site", clinical=("age",), outcome_specs=(MONTHS, Labels("mol_subtype"))),
        {
            "patients": 956,
            "events": 130,
            "sites": 37,
            "labelled": 473,
            "meth": 325,
            "mirna": 325,
            "ddr": 911,
        },
    ),
    "tcga_gbmlgg": (
        Roles(batch="site", clinical=("age",), outcome_specs=(MONTHS, Labels("mol_subtype"))),
        {"patients": 569, "events": 187, "sites": 35, "labelled": 539},
    ),
    "cll": (
        Roles(outcome_specs=(Survival("T6", "died"), Labels("IGHV"))),
        {"patients": 200, "drugs": 184},
    ),
}


def read(folder, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mudata.read(folder / f"{name}.h5mu")


def prepare(mdata, roles):
    manager = register_mudata(mdata, roles)
    roles = registered_roles(manager)
    tables = Tables.from_mudata(manager.adata, roles)
    preparation = Preparation.fit(tables, roles, notes=registered_notes(manager))
    return preparation, tables


@pytest.mark.parametrize("name", COHORTS)
def test_cohort_loads_with_its_oddities(data_dir, name):
    roles, known = COHORTS[name]
    mdata = read(data_dir, name)
    uns = dict(mdata.uns)
    preparation, tables = prepare(mdata, roles)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cohort = preparation.transform(tables)
    assert dict(mdata.uns) == uns
    assert cohort.obs_names == tuple(mdata.obs_names) and len(cohort) == known["patients"]
    for key, view in cohort.views.items():
        assert torch.isfinite(view.x).all() and int(view.present.sum()) == known.get(
            key, known["patients"]
        )
        if view.likelihood == "normal":
            assert view.x.abs().max() < len(cohort) ** 0.5, "no z-score of n values exceeds it"
    if "events" in known:
        assert int(cohort.survival.event.sum()) == known["events"]
    if "sites" in known:
        assert len(cohort.technical_groups[0].levels) == known["sites"]
    if "labelled" in known:
        assert int((cohort.labels.codes >= 0).sum()) == known["labelled"]


def test_blca_subtype_is_all_missing(data_dir):
    with pytest.raises(ValueError, match="'mol_subtype' have no value in any row"):
        register_mudata(read(data_dir, "tcga_blca"), Roles(outcome_specs=(Labels("mol_subtype"),)))


def test_cll_names_the_patients_with_half_an_outcome(data_dir):
    with pytest.raises(ValueError, match=r"'T5' is missing but 'treatedAfter' is not for 'H040'"):
        register_mudata(
            read(data_dir, "cll"), Roles(outcome_specs=(Survival("T5", "treatedAfter"),))
        )


def test_scaled_values_come_back_in_luads_units(data_dir):
    preparation, tables = prepare(read(data_dir, "tcga_luad"), Roles())
    x = preparation.transform(tables).views["img"]
    back = preparation.inverse("img", x.x.numpy())
    kept = [tables.views["img"].features.index(f) for f in x.features]
    raw, present = tables.views["img"].x[:, kept], x.present.numpy()
    spread = np.nanpercentile(raw, 90, axis=0) - np.nanpercentile(raw, 10, axis=0)
    error = np.nanmedian(np.abs(back - raw)[present], axis=0)
    assert (error <= 0.02 * np.maximum(spread, 1e-6)).all()


def test_miniacc_tells_how_to_join_the_two_time_columns(data_dir):
    mdata = read(data_dir, "acc_miniacc")
    roles = Roles(
        clinical=("pathologic_stage",),
        outcome_specs=(Survival("days_to_death", "vital_status"), Labels("COC")),
    )
    with pytest.raises(ValueError, match="two columns") as error:
        register_mudata(mdata, roles)
    line = str(error.value).split("make one first: ")[1]
    assert "days_to_last_followup" in line
    exec(line, {"mdata": mdata})
    given = (Survival("time", "vital_status"), Labels("COC"))
    roles = Roles(**{**vars(roles), "outcome_specs": given})
    with pytest.warns(UserWarning, match="time is 0"):
        preparation, tables = prepare(mdata, roles)
    cohort = preparation.transform(tables)
    assert len(cohort) == 92 and cohort.survival.observed.all()
    assert int(cohort.presence.all(dim=1).sum()) == 43
    frame = mdata["rppa"].to_df()
    column = list(cohort.views["rppa"].features).index(frame.columns[0])
    values = cohort.views["rppa"].x[:, column].numpy()
    order = [cohort.obs_names.index(n) for n in frame.index[np.argsort(frame.iloc[:, 0])]]
    assert (np.diff(values[order]) >= 0).all(), "rows are aligned by name"


def test_breast_test_set_lacks_the_protein_view(data_dir):
    roles = Roles(outcome_specs=(Labels("subtype"),))
    preparation, tables = prepare(read(data_dir, "breast_mixomics_train"), roles)
    assert preparation.transform(tables).presence.all()
    test = read(data_dir, "breast_mixomics_test")
    new = Tables.from_mudata(test, preparation.roles, features=preparation.kept)
    cohort = preparation.transform(new)
    assert len(cohort) == 70 and cohort.labels.codes.min() >= 0
    present = dict(zip(cohort.views, cohort.presence.float().mean(0).tolist(), strict=True))
    assert present == {"mrna": 1.0, "mirna": 1.0, "protein": 0.0}


GUESSED = {
    "tcga_luad": "normal ordinal bernoulli normal normal",
    "tcga_brca": "normal ordinal bernoulli beta normal normal",
    "acc_miniacc": "normal ordinal normal bernoulli nb",
    "cll": "normal bernoulli",
    "breast_mixomics_train": "normal normal normal",
}


@pytest.mark.parametrize("name", GUESSED)
def test_likelihoods_of_real_views_are_guessed(data_dir, name):
    views = guess_views(read(data_dir, name))
    assert " ".join(str(v.likelihood) for v in views.values()) == GUESSED[name], list(views)
