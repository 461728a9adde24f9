"""Tables as people have them become one cohort, and what was done to them is said."""

import numpy as np
import pandas as pd
import pytest

import mvlatent as mv

RNG = np.random.default_rng(0)
PATIENTS = [f"TCGA-05-{i:04d}" for i in range(30)]
GENES = [f"g{j}" for j in range(8)]


def matrix(patients=PATIENTS, features=GENES):
    return pd.DataFrame(RNG.normal(size=(len(patients), len(features))), patients, features)


def clinic():
    return pd.DataFrame(
        {
            "site": RNG.choice(["05", "44"], 30),
            "months": RNG.exponential(20, 30).round(1) + 0.1,
            "dead": RNG.integers(0, 2, 30),
        },
        PATIENTS,
    )


def said(mdata):
    return "\n".join(mdata.uns["mvlatent_read"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".parquet", "frame"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_table_is_the_same_in_every_form(suffix, turned, tmp_path):
    whole, other = matrix(), matrix(features=["m1", "m2"])
    table = whole.T if turned else whole
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        table.to_parquet(tmp_path / "rna.parquet")
    elif suffix != "frame":
        table.to_csv(tmp_path / f"rna{suffix}", sep="\t" if suffix == ".tsv" else ",")
    given = table if suffix == "frame" else tmp_path / f"rna{suffix}"
    mdata = mv.read_tables(rna=given, meth=other, obs=clinic(), quiet=True)
    assert list(mdata["rna"].obs_names) == PATIENTS and list(mdata["rna"].var_names) == GENES
    np.testing.assert_allclose(mdata["rna"].X, whole.to_numpy(), rtol=1e-5)
    assert ("turned" in said(mdata)) == turned


@pytest.mark.parametrize("mark", [";", "|", "\t"])
def test_other_separators_are_noticed(mark, tmp_path):
    matrix().to_csv(tmp_path / "rna.csv", sep=mark)
    assert mv.read_tables(rna=tmp_path / "rna.csv", quiet=True)["rna"].shape == (30, 8)


def test_options_of_read_csv_are_taken(tmp_path):
    (tmp_path / "rna.csv").write_text("# made by hand\nid;a;b\np1;1,5;2\np2;3;4,5\n")
    mdata = mv.read_tables(rna=tmp_path / "rna.csv", sep=";", decimal=",", comment="#", quiet=True)
    np.testing.assert_allclose(mdata["rna"].X, [[1.5, 2], [3, 4.5]])


def test_barcodes_of_other_lengths_meet():
    rna = matrix([f"{p}-01A-11R-1858-07" for p in PATIENTS]).T
    rna.columns = [c.replace("-", ".") for c in rna.columns]  # as R writes names of columns
    meth = matrix([f"{p}-01" for p in PATIENTS], ["m1", "m2"])
    mdata = mv.read_tables(rna=rna, meth=meth, obs=clinic(), quiet=True)
    assert sorted(mdata.obs_names) == sorted(PATIENTS) and mdata.obs["dead"].notna().all()
    assert "cut to the patient" in said(mdata)


def test_healthy_samples_are_left_out_and_repeats_averaged():
    rna = matrix([f"{p}-01A" for p in PATIENTS] + [f"{PATIENTS[0]}-11A", f"{PATIENTS[1]}-02A"])
    mdata = mv.read_tables(rna=rna, obs=clinic(), quiet=True)
    assert mdata["rna"].n_obs == 30 and "1 samples of healthy tissue" in said(mdata)
    both = rna.loc[[f"{PATIENTS[1]}-01A", f"{PATIENTS[1]}-02A"]].mean().to_numpy()
    np.testing.assert_allclose(mdata["rna"][PATIENTS[1]].X[0], both, rtol=1e-5)
    with pytest.raises(ValueError, match="occur more than once"):
        mv.read_tables(rna=rna, obs=clinic(), duplicates="refuse", quiet=True)


def test_features_that_repeat_are_averaged():
    rna = matrix(features=[*GENES[:-1], GENES[0]])
    found = mv.read_tables(rna=rna, quiet=True)["rna"]
    assert found.n_vars == 7
    np.testing.assert_allclose(found[:, "g0"].X[:, 0], rna["g0"].mean(axis=1), rtol=1e-5)


def test_words_beside_numbers_are_left_out_and_words_alone_refused():
    rna = matrix().T
    rna.insert(0, "Description", "a gene")
    rna.insert(1, "Entrez_Gene_Id", range(8))
    mdata = mv.read_tables(rna=rna, obs=clinic(), quiet=True)
    assert mdata["rna"].n_obs == 30 and "Description" in said(mdata)
    assert "no patients: 'Entrez_Gene_Id'" in said(mdata)
    with pytest.raises(ValueError, match="'rna' holds words in 1 of 1 columns, such as 'stage'"):
        mv.read_tables(rna=pd.DataFrame({"stage": ["I", "II"]}, ["p1", "p2"]), quiet=True)


def test_patients_of_the_clinical_table_are_found_in_a_column():
    sheet = clinic().rename_axis("bcr_patient_barcode").reset_index()
    sheet.index = [f"row{i}" for i in range(30)]
    mdata = mv.read_tables(rna=matrix(), obs=sheet, quiet=True)
    assert mdata.obs["dead"].notna().all() and "named by column 'bcr_patient" in said(mdata)


def test_who_has_no_view_or_no_row_is_said():
    mdata = mv.read_tables(rna=matrix(PATIENTS[5:]), obs=clinic().iloc[:20], quiet=True)
    assert mdata.n_obs == 25
    assert "5 rows of obs have no view" in said(mdata) and "10 patients have a view" in said(mdata)


def test_the_users_frames_are_not_changed():
    rna, sheet = matrix().T, clinic()
    before = rna.copy(), sheet.copy()
    mv.read_tables(rna=rna, obs=sheet, quiet=True)
    pd.testing.assert_frame_equal(rna, before[0])
    pd.testing.assert_frame_equal(sheet, before[1])


MISTAKES = {
    "no table": ({}, ValueError, "no table is given"),
    "a list": ({"rna": [1, 2]}, TypeError, "'rna' must be a path or a DataFrame"),
    "no file": ({"rna": "nowhere.csv"}, FileNotFoundError, "nowhere.csv"),
    "strangers": (
        {"rna": matrix(), "meth": matrix([f"x{i}" for i in range(9)], ["m1", "m2"])},
        ValueError,
        "'meth' has no patient in common",
    ),
    "another kind of file": ({"rna": __file__}, ValueError, "none of .csv"),
    "a word for duplicates": ({"rna": matrix(), "duplicates": "drop"}, ValueError, "duplicates"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named(mistake):
    given, error, words = mistake
    if "meth" in given:
        given = {**given, "obs": clinic()}
    with pytest.raises(error, match=words):
        mv.read_tables(**given, quiet=True)


def test_rows_without_a_name_are_refused(tmp_path):
    (tmp_path / "rna.csv").write_text("id,a\np1,1\n,2\n")
    with pytest.raises(ValueError, match="1 rows without a name, the first is row 2"):
        mv.read_tables(rna=tmp_path / "rna.csv", quiet=True)


def test_what_was_done_is_printed(capsys):
    mv.read_tables(rna=matrix().T, obs=clinic())
    assert "rna: turned" in capsys.readouterr().out
