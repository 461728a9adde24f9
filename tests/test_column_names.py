"""What is written into a cohort: nothing in-sample stands under a name that hides it."""

import itertools
import json
import warnings

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mvlatent as mv
from mvlatent import cli
from mvlatent.data.known import are_known, name_digests
from mvlatent.data.written import write_predictions

QUICK = {"n_shared": 2, "n_private": 1, "max_epochs": 2, "progress": False}
QUICK |= {"head_blocks": ("shared",), "accelerator": "cpu"}
OUTCOMES = {
    "batch": "site",
    "outcomes": [
        mv.Survival("survival_months", "event"),
        mv.Survival("pfi_months", "pfi_event", name="PFI"),
        mv.Labels("subtype"),
        mv.Target("purity"),
        mv.Target("stage", kind="ordinal"),
    ],
}
PREDICTED = {"risk", "risk_PFI", "label", "target_purity", "target_stage"}
TYPED = ["--n-shared", "2", "--n-private", "1", "--max-epochs", "2"]


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def patients(many_outcomes):
    return many_outcomes(n=90)


@pytest.fixture(scope="module")
def model(patients):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mv.fit(patients, **OUTCOMES, **QUICK)


def renamed(mdata, new):
    """A copy in which some patients have other names."""
    names = [f"N{i}" if i in new else name for i, name in enumerate(mdata.obs_names)]
    to = dict(zip(mdata.obs_names, names, strict=True))
    mods = {k: m.copy() for k, m in mdata.mod.items()}
    for mod in mods.values():
        mod.obs_names = [to[name] for name in mod.obs_names]
    out = mudata.MuData(mods)
    out.obs = mdata.obs.set_axis(names).reindex(out.obs_names)
    return out


def written(data):
    return {c.removeprefix("mvlatent_") for c in data.obs if c.startswith("mvlatent_")}


def command(arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert not end.value.code


def ends(columns, end):
    return {c.removesuffix(end) for c in columns if c.endswith(end)}


def test_fitted_patients_are_written_as_fitted(model, patients):
    data = patients.copy()
    model.annotate(data)
    assert written(data) and ends(written(data), "_fitted") >= PREDICTED
    assert all(c.endswith("_fitted") for c in written(data))
    risk = model.predict_risk()[data.obs_names]  # a copy of a MuData may have another order
    np.testing.assert_allclose(data.obs["mvlatent_risk_fitted"], risk, atol=1e-5)
    shares = [c for c in data.obs if c.startswith("mvlatent_probability_stage_")]
    np.testing.assert_allclose(data.obs[shares].sum(axis=1), 1.0, rtol=1e-5)


def test_new_patients_have_plain_names(model, patients):
    new = renamed(patients, set(range(90)))
    model.annotate(new)
    assert written(new) >= PREDICTED
    assert not ends(written(new), "_fitted") | ends(written(new), "_oof")
    assert new.uns["mvlatent"]["n_fitted"] == 0


@pytest.mark.parametrize("loaded", [False, True])
def test_in_a_cohort_of_both_each_sort_has_its_column(model, patients, tmp_path, loaded):
    if loaded:  # a folder knows its patients without holding their names
        model.save(tmp_path / "m")
        model = mv.MVLatent.load(tmp_path / "m")
        assert not [
            n for n in patients.obs_names if f'"{n}"' in (tmp_path / "m/spec.json").read_text()
        ]
    mixed = renamed(patients, {3, 5, 8})
    model.annotate(mixed)
    isnew = pd.Series(mixed.obs_names, mixed.obs_names).str.startswith("N")
    for name in ends(written(mixed), "_fitted"):
        plain, fitted = mixed.obs[f"mvlatent_{name}"], mixed.obs[f"mvlatent_{name}_fitted"]
        assert (plain.notna() == isnew).all() and (fitted.notna() == ~isnew).all()
    risk = model.predict_risk(mixed)
    np.testing.assert_allclose(mixed.obs["mvlatent_risk"][isnew], risk[isnew], atol=1e-5)
    assert mixed.uns["mvlatent"]["n_fitted"] == 87
    mixed.write(tmp_path / "mixed.h5mu")
    again = mudata.read(tmp_path / "mixed.h5mu").obs["mvlatent_label"]
    assert set(again.dropna()) <= {"A", "B", "C", "D"} and again.notna().sum() == 3


def test_what_an_earlier_model_wrote_does_not_stay(model, patients):
    data = patients.copy()
    data.obs["mvlatent_risk"] = 1.0  # of a model that had not seen them; this one has
    data.obs["mvlatent_risk_oof"] = 2.0
    model.annotate(data)
    assert "mvlatent_risk" not in data.obs and "mvlatent_risk_oof" in data.obs


def test_a_cohort_without_an_outcome_has_latents_alone(patients):
    data = patients.copy()
    mv.fit(data, views=["rna", "img"], **{**QUICK, "head_blocks": ("shared",)}).annotate(data)
    assert "X_mvlatent" in data.obsm and not written(data)


def test_out_of_fold_columns_are_those_of_a_model_with_another_end(model, patients):
    fold = pd.Series(np.arange(90) % 2, patients.obs_names, dtype=float)
    fold.iloc[::9] = np.nan
    data = patients.copy()
    found = mv.study.out_of_fold(patients, folds=fold, **OUTCOMES, **QUICK)
    assert written(patients) == set()
    found.annotate(data)
    model.annotate(data)
    assert ends(written(data), "_oof") == ends(written(data), "_fitted")
    assert written(data) - {"fold"} == {c for c in written(data) if c.endswith(("_oof", "_fitted"))}
    assert (data.obs["mvlatent_fold"].isna()[fold.index] == fold.isna()).all()
    for name, column in (("risk", "risk"), ("label", "predicted_label")):
        left = data.obs[f"mvlatent_{name}_oof"].reindex(found.table.index)
        right = found.table[column]
        assert (left.isna() == fold.isna()).all()
        assert (left.dropna() == right.dropna()).all()
    some = patients[patients.obs_names[::-2]].copy()
    found.annotate(some)
    pd.testing.assert_series_equal(
        some.obs["mvlatent_risk_oof"], found.table["risk"][some.obs_names], check_names=False
    )
    with pytest.raises(ValueError, match="3 of 90 patients of mdata have no place in the folds"):
        found.annotate(renamed(patients, {1, 2, 4}))


def test_the_command_line_writes_what_annotate_writes(patients, tmp_path, capsys):
    patients.write(tmp_path / "c.h5mu")
    roles = ["--survival", "survival_months", "event", "--labels", "subtype", "--batch", "site"]
    command(["fit", str(tmp_path / "c.h5mu"), *roles, *TYPED, "--folds", "2",
              "--out", str(tmp_path / "m"), "--out-data", str(tmp_path / "o.h5mu")])  # fmt: skip
    typed = mudata.read(tmp_path / "o.h5mu")
    model = mv.MVLatent.load(tmp_path / "m")
    data = mudata.read(tmp_path / "c.h5mu")
    model.annotate(data)
    oof = ends(written(typed), "_oof")
    assert written(typed) == written(data) | {"fold"} | {f"{name}_oof" for name in oof}
    assert oof == ends(written(data), "_fitted") and "risk" in oof
    assert typed.obs["mvlatent_fold"].nunique() == 2
    for name in written(data):
        one, other = typed.obs[f"mvlatent_{name}"], data.obs[f"mvlatent_{name}"]
        assert np.allclose(one, other) if one.dtype.kind == "f" else (one == other).all()
    assert {*typed.obsm} == {*data.obsm} and {*typed.uns["mvlatent"]} == {*data.uns["mvlatent"]}
    capsys.readouterr()
    renamed(patients, {0, 1}).write(tmp_path / "new.h5mu")
    command(["transform", str(tmp_path / "m"), str(tmp_path / "new.h5mu"),
              "--out", str(tmp_path / "n.h5mu")])  # fmt: skip
    said = capsys.readouterr().out
    assert "88 of them bear names of patients that the model was fitted on" in said
    assert {"risk", "risk_fitted"} <= written(mudata.read(tmp_path / "n.h5mu"))


def test_a_frame_of_latents_bears_names(model, patients):
    frame = model.transform(as_frame=True)
    assert [*frame] == ["z0", "z1"] and [*frame.index] == [*patients.obs_names]
    np.testing.assert_allclose(frame, model.transform())
    everything = model.get_latent_representation(patients, block="all", as_frame=True)
    assert [*everything][2:4] == ["private:rna_0", "private:mut_0"] and everything.columns.is_unique
    np.testing.assert_allclose(everything, model.transform(block="all"), atol=1e-5)
    risk = model.predict_risk()[::-1]
    assert mv.tl.site_audit(frame, patients.obs["site"].sample(frac=1), n_permutations=1).n == 90
    assert mv.tl.block_recovery(frame[::-1], risk.to_frame()) > 0


# --- the rule, on any columns ----------------------------------------------------------------

TRIED: set[str] = set()
CLASSES = [["I", "II"], [0, 1, 2], [True, False], ["None", "a"], [np.int64(7)]]
KINDS = [st.floats(-5, 5), *(st.sampled_from(classes) for classes in CLASSES)]


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 12), st.sampled_from(KINDS))
def test_each_value_is_written_once_and_survives_the_file(data, n, kind):
    values = data.draw(st.lists(kind, min_size=n, max_size=n))
    fitted = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    TRIED.add(json.dumps([repr(values), fitted.tolist()]))
    names = [f"P{i}" for i in range(n)]
    cohort = anndata.AnnData(obs=pd.DataFrame({"mvlatent_x": 0.0}, index=names))
    write_predictions(cohort, pd.DataFrame({"mvlatent_x": values}, index=names), fitted)
    assert {*cohort.obs} == {
        name
        for name, any_ in (("mvlatent_x", (~fitted).any()), ("mvlatent_x_fitted", fitted.any()))
        if any_
    }
    for name, rows in (("mvlatent_x", ~fitted), ("mvlatent_x_fitted", fitted)):
        if rows.any():
            column = cohort.obs[name]
            assert (column.notna() == rows).all()
            assert [*column[rows]] == [*itertools.compress(values, rows)]


def test_columns_of_every_type_can_be_read_again(tmp_path):
    names, rows = ["P0", "P1", "P2"], np.array([True, False, True])
    for i, values in enumerate([["I", "II", "I"], [0, 1, 2], [True, False, True], [0.5, 1.0, 2.0]]):
        cohort = anndata.AnnData(obs=pd.DataFrame(index=names))
        write_predictions(cohort, pd.DataFrame({"mvlatent_x": values}, index=names), rows)
        cohort.write_h5ad(tmp_path / f"{i}.h5ad")
        again = anndata.read_h5ad(tmp_path / f"{i}.h5ad").obs
        assert [*again["mvlatent_x_fitted"][rows]] == [*itertools.compress(values, rows)]
        assert again["mvlatent_x"].isna().tolist() == [True, False, True]


@settings(max_examples=100, deadline=None)
@given(st.sets(st.text(min_size=1, max_size=12), max_size=10), st.sets(st.text(max_size=12)))
def test_names_are_recognised_and_no_others(own, others):
    TRIED.add(json.dumps([sorted(own), sorted(others)]))
    digests = name_digests(own)
    assert are_known(sorted(own), digests).all()
    assert not are_known(sorted(others - own), digests).any()


def test_how_many_inputs():
    print(f"{len(TRIED)} distinct inputs tried")
