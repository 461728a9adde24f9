"""The command line, called in this process, gives what the library gives."""

import warnings

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import mvlatent as mv
from mvlatent import cli
from mvlatent.commands.outcomes import parse_survival
from mvlatent.specs import SURVIVAL_KINDS

ROLES = ["--batch", "site", "--survival", "survival_months", "event", "--labels", "subtype"]
QUICK = ["--n-shared", "2", "--n-private", "1", "--max-epochs", "2"]


def run(*arguments) -> None:
    """Run a command; its exit status must be 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cli.main([str(a) for a in arguments])
        except SystemExit as end:
            assert not end.code, end


@pytest.fixture(scope="module")
def place(small_cohort, tmp_path_factory):
    """A folder with a cohort, a model and the cohort with predictions."""
    folder = tmp_path_factory.mktemp("cli")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small_cohort(n=120).write(folder / "cohort.h5mu")
        rng = np.random.default_rng(0)
        table = anndata.AnnData(sparse.csr_matrix(rng.poisson(3.0, (40, 9)).astype("float32")))
        table.obsm["img"] = rng.normal(size=(40, 5))
        table.write_h5ad(folder / "table.h5ad")
    run("fit", folder / "cohort.h5mu", *ROLES, "--clinical", "age", "is_female", *QUICK,
        "--out", folder / "model", "--out-data", folder / "annotated.h5mu")  # fmt: skip
    return folder


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mudata.read(path)


def test_transform_gives_what_fit_gave(place):
    run("transform", place / "model", place / "cohort.h5mu", "--out", place / "again.h5mu")
    one, other = read(place / "annotated.h5mu"), read(place / "again.h5mu")
    assert list(one.obs_names) == list(other.obs_names)
    for key in ("X_mvlatent", "X_mvlatent_sd", "X_mvlatent_private_rna"):
        np.testing.assert_allclose(one.obsm[key], other.obsm[key], atol=1e-5)
    for data in (one, other):
        assert not [c for c in data.obs if c.startswith("mvlatent_") and not c.endswith("_fitted")]
    risk = "mvlatent_risk_fitted"
    np.testing.assert_allclose(one.obs[risk], other.obs[risk], atol=1e-5)
    shares = [c for c in other.obs if c.startswith("mvlatent_probability_")]
    np.testing.assert_allclose(other.obs[shares].sum(axis=1), 1.0, rtol=1e-5)
    assert other.obs["mvlatent_label_fitted"].isin(["A", "B", "C", "D"]).all()


def test_the_files_hold_what_the_library_says(place):
    model, data = mv.MVLatent.load(place / "model"), read(place / "cohort.h5mu")
    assert model.roles.clinical == ("age", "is_female")
    assert model.options.n_shared == 2 and model.trained.plan.max_epochs == 2
    found = read(place / "annotated.h5mu")
    known = dict(zip(data.obs_names, model.transform(data), strict=True))
    np.testing.assert_allclose(
        found.obsm["X_mvlatent"], [known[name] for name in found.obs_names], atol=1e-5
    )
    risk = model.predict_risk(data)[found.obs_names]
    np.testing.assert_allclose(found.obs["mvlatent_risk_fitted"], risk, atol=1e-5)


def test_folds_add_estimates(place, tmp_path, capsys):
    run("fit", place / "cohort.h5mu", *ROLES, *QUICK, "--folds", "2", "--out", tmp_path / "m")
    said = capsys.readouterr().out
    assert "Harrell's C, all blocks" in said and "accuracy of subtype" in said
    assert "variance explained" in said and str(tmp_path / "m") in said


def test_without_folds_it_says_so(place, tmp_path, capsys):
    run("fit", place / "cohort.h5mu", "--views", "rna", "mut=bernoulli", *QUICK,
        "--out", tmp_path / "m")  # fmt: skip
    assert "no out-of-fold estimate" in capsys.readouterr().out
    views = mv.MVLatent.load(tmp_path / "m").roles.views
    assert {k: v.likelihood for k, v in views.items()} == {"rna": "normal", "mut": "bernoulli"}


@pytest.fixture(scope="module")
def several(many_outcomes, tmp_path_factory):
    """A folder with a cohort of several outcomes and a model that names them."""
    folder = tmp_path_factory.mktemp("several")
    mdata = many_outcomes(n=150)
    mdata.obs["start"] = 0.2 * mdata.obs["pfi_months"]
    mdata.obs["arm"] = np.where(np.arange(150) % 2, "a", "b")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdata.write(folder / "cohort.h5mu")
    run("fit", folder / "cohort.h5mu", "--survival", "OS=survival_months", "event",
        "--survival", "PFI=pfi_months", "pfi_event", "--survival-kind", "PFI=cox",
        "--strata", "arm", "--entry", "PFI=start", "--labels", "type=subtype", "--clinical", "age",
        *QUICK, "--out", folder / "model")  # fmt: skip
    return folder


def test_outcomes_are_named_stratified_and_entered_late(several):
    roles = mv.MVLatent.load(several / "model").roles
    os, pfi, label = roles.outcome_specs
    assert (os.name, os.time, os.event, os.kind) == (
        "OS", "survival_months", "event", "piecewise",
    )  # fmt: skip
    assert (pfi.name, pfi.time, pfi.kind) == ("PFI", "pfi_months", "cox")
    assert (os.strata, os.entry, pfi.strata, pfi.entry) == ("arm", None, "arm", "start")
    assert (label.name, label.column) == ("type", "subtype")


def test_the_outcome_that_is_asked_for_is_predicted(several, tmp_path):
    run("transform", several / "model", several / "cohort.h5mu", "--outcome", "PFI",
        "--out", tmp_path / "out.h5mu")  # fmt: skip
    found = read(tmp_path / "out.h5mu")
    assert [c for c in found.obs if c.startswith("mvlatent_")] == ["mvlatent_risk_PFI_fitted"]
    model, data = mv.MVLatent.load(several / "model"), read(several / "cohort.h5mu")
    risk = model.predict_risk(data, outcome="PFI")[found.obs_names]
    np.testing.assert_allclose(found.obs["mvlatent_risk_PFI_fitted"], risk, atol=1e-5)


def test_patients_without_clinical_columns_have_latents(several, tmp_path, capsys):
    data = read(several / "cohort.h5mu")
    del data.obs["age"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.write(tmp_path / "new.h5mu")
        model = mv.MVLatent.load(several / "model")
    taking = [k for k, head in model.trained.outcomes.items() if "clinical" in head.full.coef]
    assert taking
    run("transform", several / "model", tmp_path / "new.h5mu", "--out", tmp_path / "out.h5mu")
    assert f"no predictions of {', '.join(taking)}: " in capsys.readouterr().out
    found = read(tmp_path / "out.h5mu")
    assert np.isfinite(found.obsm["X_mvlatent"]).all()
    asked = ["transform", several / "model", tmp_path / "new.h5mu", "--outcome", taking[0]]
    with pytest.raises(SystemExit) as end:
        cli.main([*map(str, asked), "--out", str(tmp_path / "no.h5mu")])
    assert end.value.code == 1 and "'age'" in capsys.readouterr().err
    assert not (tmp_path / "no.h5mu").exists()


def test_options_of_one_outcome_go_before_those_of_all():
    typed = ["OS=t", "dead", "u", "back"]
    os, back = parse_survival(typed, kinds=["back=cox", "discrete"], entries=["OS=start"])
    assert (os.kind, os.entry, back.name, back.kind) == ("discrete", "start", "back", "cox")
    assert back.entry is None
    with pytest.raises(ValueError, match=r"--strata a: given twice; name the outcome, NAME=a"):
        parse_survival(typed, strata=["b", "a"])


MISTAKES = {
    "no file": (["fit", "nowhere.h5mu", "--out", "M"], "nowhere.h5mu"),
    "one fold": (["fit", "COHORT", "--folds", "1", "--out", "M"], "folds must be between 2 and"),
    "no folds": (["fit", "COHORT", "--folds", "fold", "--out", "M"], "no column 'fold' of folds"),
    "no column": (["fit", "COHORT", "--batch", "hospital", "--out", "M"], "hospital"),
    "no view": (["fit", "COHORT", "--views", "dna", "--out", "M"], "dna"),
    "no likelihood": (["fit", "COHORT", "--views", "rna=gauss", "--out", "M"], "gauss"),
    "a model is there": (["fit", "COHORT", "--out", "MODEL"], "--overwrite"),
    "a file for a folder": (["fit", "COHORT", "--out", "COHORT"], "a model is a folder"),
    "a folder in a file": (["fit", "COHORT", "--out", "BELOW"], "is a file"),
    "no model": (["transform", "nothing", "COHORT", "--out", "x.h5mu"], "spec.json"),
    "wrong suffix": (["transform", "MODEL", "COHORT", "--out", "x.csv"], "x.csv"),
    "file is there": (["transform", "MODEL", "COHORT", "--out", "COHORT"], "--overwrite"),
    "no folder": (["transform", "MODEL", "COHORT", "--out", "no/x.h5mu"], "no folder"),
    "views of one table": (["fit", "TABLE", "--out", "M"], "--views"),
    "no such entry": (["fit", "TABLE", "--views", "rna", "ADT", "--out", "M"], "'ADT'"),
    "no outcome to stratify": (
        ["fit", "COHORT", "--strata", "site", "--out", "M"],
        "--strata site",
    ),
    "entry of no outcome": (
        ["fit", "COHORT", "--survival", "OS=a", "b", "--entry", "PFI=c", "--out", "M"],
        "--entry PFI=c: no survival outcome 'PFI'; there are 'OS'",
    ),
    "half a survival": (["fit", "COHORT", "--survival", "OS=a", "--out", "M"], "--survival OS=a"),
    "no such outcome": (
        ["transform", "MODEL", "COHORT", "--outcome", "OS", "--out", "x.h5mu"],
        "--outcome OS: no such outcome; the model has 'event', 'subtype'",
    ),
    "no survival kind": (
        ["fit", "COHORT", "--survival", "a", "b", "--survival-kind", "aft", "--out", "M"],
        "aft",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.filterwarnings("ignore")
def test_mistakes_are_one_line(place, tmp_path, monkeypatch, capsys, mistake):
    monkeypatch.chdir(tmp_path)
    arguments, said = MISTAKES[mistake]
    named = {"COHORT": place / "cohort.h5mu", "MODEL": place / "model"}
    named |= {"TABLE": place / "table.h5ad", "BELOW": place / "cohort.h5mu" / "m"}
    with pytest.raises(SystemExit) as end:
        cli.main([str(named.get(a, a)) for a in arguments])
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("mvlatent: ") and said in error
    assert error.count("\n") == 1 and "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_views_of_one_table(place, tmp_path, capsys):
    run("fit", place / "table.h5ad", "--views", "rna=zinb", "img", *QUICK, "--out", tmp_path / "m")
    assert "view 'img': likelihood guessed: normal" in capsys.readouterr().out
    views = mv.MVLatent.load(tmp_path / "m").roles.views
    assert {k: v.likelihood for k, v in views.items()} == {"rna": "zinb", "img": "normal"}


def test_a_cohort_is_read_whose_modalities_name_their_index(place, tmp_path):
    data = read(place / "cohort.h5mu")
    for table in data.mod.values():
        table.obs.index.name = "patient"
    data.write(tmp_path / "named.h5mu")
    run("transform", place / "model", tmp_path / "named.h5mu", "--out", tmp_path / "out.h5mu")
    known = read(place / "annotated.h5mu").obs["mvlatent_risk_fitted"]
    found = read(tmp_path / "out.h5mu").obs["mvlatent_risk_fitted"]
    np.testing.assert_allclose(found[known.index], known, atol=1e-5)


def test_debug_shows_where(tmp_path):
    with pytest.raises(FileNotFoundError):
        cli.main(["fit", str(tmp_path / "none.h5mu"), "--out", str(tmp_path / "m"), "--debug"])


@pytest.mark.parametrize(
    ("typed", "given"),
    [
        ("--clinical a b --out M", "--clinical a --clinical b --out M"),
        ("--views x y c.h5mu", "--views x --views y c.h5mu"),
        ("--survival t e c.h5mu", "--survival t e c.h5mu"),
        ("--technical a --clinical b c", "--technical a --clinical b --clinical c"),
        ("c.h5mu --clinical a", "c.h5mu --clinical a"),
    ],
)
def test_an_option_is_repeated_before_each_value(typed, given):
    assert cli.repeated(typed.split()) == given.split()


def test_help_names_every_survival_kind(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        cli.main(["fit", "--help"])
    said = capsys.readouterr().out
    assert all(kind in said for kind in SURVIVAL_KINDS)


def test_a_cohort_may_be_tables(tmp_path, capsys):
    rng = np.random.default_rng(0)
    names = [f"p{i}" for i in range(40)]
    z = rng.normal(size=(40, 2))
    for name in ("rna", "meth"):
        x = z @ rng.normal(size=(2, 6)) + rng.normal(size=(40, 6))
        table = pd.DataFrame(x, names, [f"{name}{j}" for j in range(6)])
        (table.T if name == "rna" else table).to_csv(tmp_path / f"{name}.csv")
    pd.DataFrame({"age": rng.normal(60, 9, 40)}, names).to_csv(tmp_path / "clinic.csv")
    tables = [f"--table={name}={tmp_path / name}.csv" for name in ("rna", "meth")]
    out = ["--out", tmp_path / "m", "--max-epochs", 1, "--out-data", tmp_path / "c.h5mu"]
    with pytest.raises(SystemExit) as ended:
        cli.main(list(map(str, ["fit", *tables, "--obs", tmp_path / "clinic.csv", *out])))
    assert not ended.value.code
    assert "rna: turned" in capsys.readouterr().out
    assert (tmp_path / "m" / "spec.json").is_file() and (tmp_path / "c.h5mu").is_file()
    for wrong, words in (
        (["fit", "--out", "m"], "give a cohort"),
        (["fit", "c.h5mu", "--table", "rna=a.csv", "--out", "m"], "not both"),
        (["fit", "--table", "a.csv", "--out", "m"], "names no view"),
    ):
        with pytest.raises(SystemExit):
            cli.main(wrong)
        assert words in capsys.readouterr().err
