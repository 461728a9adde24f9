"""Options are taken as meant, or refused by name in a sentence before anything is computed."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mvlatent as mv
from mvlatent.fitting.devices import check_devices
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import ON_DEVICES, Plan
from mvlatent.methods.arguments import LOOP, SHAPE

N = 60
NAMES = [f"P{i}" for i in range(N)]
RNG = np.random.default_rng(0)
Z = RNG.normal(size=(N, 2))
VIEWS = {k: Z @ RNG.normal(size=(2, 9)) + RNG.normal(size=(N, 9)) for k in ("rna", "img")}
OBS = pd.DataFrame(
    {
        "time": RNG.exponential(20, N) + 0.1,
        "event": RNG.integers(0, 2, N),
        "site": RNG.choice(list("AB"), N),
        "age": RNG.normal(60, 10, N).round(),
        "kind": np.where(Z[:, 1] > 0, "x", "y"),
    },
    index=NAMES,
)
QUICK = {"max_epochs": 2, "progress": False}
SURVIVAL = {"survival": ("time", "event"), **QUICK}
GRADIENTS = {"decoder": "mlp", "n_shared": 3, "n_private": 2, **SURVIVAL}


def cohort():
    def table(x):
        columns = pd.DataFrame(index=[f"g{j}" for j in range(x.shape[1])])
        return ad.AnnData(x, obs=pd.DataFrame(index=NAMES), var=columns)

    return md.MuData({k: table(x) for k, x in VIEWS.items()}, obs=OBS.copy())


@pytest.fixture(scope="module")
def data():
    return cohort()


@pytest.fixture(scope="module")
def model(data):
    return mv.fit(data, labels="kind", clinical=["age"], batch="site", **SURVIVAL)


@pytest.fixture
def no_training(monkeypatch):
    """Whatever begins to prepare or fit a cohort fails."""

    def begun(*args, **kwargs):
        raise AssertionError("the fit began")

    monkeypatch.setattr("mvlatent.fitting.train.Preparation.fit", begun)


def refused(call, *words):
    """What a call says when it refuses: one short sentence of ours that holds the words."""
    with pytest.raises((TypeError, ValueError, KeyError)) as caught:
        call()
    text = str(caught.value.args[0])
    assert all(word in text for word in words), text
    assert text.endswith(".") and "\n" not in text and len(text) < 700, text
    return text


NAN, INF = float("nan"), float("inf")
NO_WHOLE = [2.5, "10", None, NAN, True, [3], np.float64(2.0), -1, np.int64(-3)]
NO_NUMBER = [NAN, INF, -1, "0.1", True, [0.1], np.float32("nan"), b"1"]
NO_FLAG = ["no", 1, None, 0.0, [True]]
NO_WORD = ["nonsense", 3, ["auto"], np.array(["a", "b"]), None, ("linear",)]
NO_NAMES = [3, ["age", None], {"age": 1}, OBS[["age"]], OBS["age"], b"age", [["age"]], True, 1.5]
NONSENSE = {
    **{key: [*NO_WHOLE, 0] for key in ("n_shared", "n_private", "n_hidden", "n_components")},
    "sweeps": [x for x in NO_WHOLE if x is not None],
    "max_epochs": [x for x in NO_WHOLE if x is not None],
    "batch_size": [1, 0, *(x for x in NO_WHOLE if x is not None)],
    **dict.fromkeys(("refit_epochs", "seed"), NO_WHOLE),
    "patience": [*NO_WHOLE, 0],
    "num_nodes": [*NO_WHOLE, 0, 2],
    "lr": [*NO_NUMBER, 0],
    **dict.fromkeys(("weight_decay", "rho"), NO_NUMBER),
    **{
        key: [*NO_NUMBER, 1]
        for key in ("warmup", "shared_first", "view_dropout", "validation_size")
    },
    **dict.fromkeys(("early_stopping", "progress", "top_down", "stop_gradient"), NO_FLAG),
    **dict.fromkeys(
        ("decoder", "encoder", "effects", "start", "rank", "prior", "loadings"), NO_WORD
    ),
    "accelerator": [*NO_WORD[:1], "gpuu", "tpu", 3, None],
    "strategy": [*NO_WORD[:1], "fsdp", "dp", "deepspeed", "ddp_spawn", None],
    "precision": [*NO_WORD[:1], "bf16-true", "transformer-engine", 8, None, 31.5],
    "devices": [0, -2, "2", [], [-1], None, 1.5, True, 10**6, {"0"}],
    "head_blocks": ["share", 3, [], ["private:c"], {"shared"}, [None], np.zeros((2, 2))],
    "likelihood_power": [0.5, {"c": 0.5}, {"rna": 0}, {"rna": "x"}, {"rna": NAN}, ["rna"]],
    "warm_start": ["model/", 3, True, [None]],
    "seed ": [2**32],
    "views": ["rn", 3, {"rna": 3}, {3: "normal"}, ["rna", "rna"], ["rna", None], OBS, True, [[]]],
    "batch": [["site", "age"], 3, OBS["site"], OBS, {"site"}, "sit", [None], b"site"],
    **{key: [*NO_NAMES, "ag", {"age"}] for key in ("clinical", "technical")},
    "survival": ["time", 3, ("time",), ("time", "event", "age"), OBS, ("time", 3), {"OS": 3}],
    "labels": [3, OBS["kind"], {"a": 3}, [3]],
}
OF_OTHER_WORDS = {"labels": "label"}
BAD = [(name.strip(), value) for name, values in NONSENSE.items() for value in values]


@pytest.mark.parametrize(("name", "value"), BAD, ids=lambda x: str(x)[:20].replace("\n", " "))
def test_nonsense_is_refused_by_name_before_any_fit(data, no_training, name, value):
    text = refused(lambda: mv.fit(data, **{**SURVIVAL, name: value}))
    singular = {"views": "view", "clinical": "covariate", "technical": "covariate"}
    singular |= {"batch": "covariate", "labels": "label"}
    assert name in text or singular.get(name, name) in text, text


def test_so_many_inputs_are_nonsense():
    assert len({(name, repr(value)) for name, value in BAD}) >= 200


OBJECTIVES = ["x", 3, [3], {"cross_view": "x"}, {"cross_view": NAN}, {"cross_view": -1}]
OBJECTIVES += [{"cross_view": True}, {"cross_view": None}, {"crossview": 1}, {3: 1}]
OBJECTIVES += [{"cross_view": {"weigh": 1}}, {"cross_view": {"weight": "1"}}]


@pytest.mark.parametrize("objectives", OBJECTIVES, ids=str)
def test_objectives_that_are_none_are_refused(data, no_training, objectives):
    refused(lambda: mv.fit(data, objectives=objectives, **SURVIVAL))


@pytest.mark.parametrize(
    "make",
    [
        *(lambda w=w: mv.Survival("t", "e", n_intervals=w) for w in (True, 2.0, 0, "3", None)),
        *(lambda w=w: mv.Labels("x", weight=w) for w in ("a", True, NAN, -1, INF, None)),
        *(lambda w=w: mv.Survival("t", "e", kind=w) for w in (None, "coxx", 3)),
        *(lambda w=w: mv.Target("x", kind="ordinal", levels=w) for w in (3, ["a"], "ab", [1, 1])),
        *(lambda w=w: mv.View(w) for w in (3, "nromal", ["nb"], True)),
        *(lambda w=w: mv.View("normal", layer=w) for w in (3, "", ["a"])),
        *(lambda w=w: mv.View("normal", noise=w) for w in (1, "features")),
        *(lambda w=w: mv.View("nb", offset=w) for w in (1, "libary", True)),
        *(lambda w=w: mv.View("normal", scaling=w) for w in ("z", 1, ["zscore"])),
        lambda: mv.Labels("x", name=3),
        lambda: mv.Survival(np.array(["a", "b"]), "e"),
        lambda: mv.Survival("t", ["e"]),
    ],
)
def test_specifications_refuse_nonsense(make):
    refused(make)


NUMBERS = st.one_of(
    st.integers(-3, 2**70),
    st.floats(allow_nan=True, allow_infinity=True),
    st.booleans(),
    st.sampled_from([np.int64(3), np.float32(0.5), np.bool_(True), np.float64("nan"), np.uint8(2)]),
)
ANYTHING = st.one_of(
    NUMBERS,
    st.none(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.sampled_from([word for words in ON_DEVICES.values() for word in words]),
    st.lists(NUMBERS, max_size=3),
    st.dictionaries(st.text(max_size=3), NUMBERS, max_size=2),
)
KINDS = {**dict.fromkeys(sorted(Plan.__dataclass_fields__), Plan)}
KINDS |= dict.fromkeys(sorted(Options.__dataclass_fields__), Options)


@given(name=st.sampled_from(sorted(KINDS)), value=ANYTHING)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_an_option_is_sound_or_refused_by_name(name, value):
    try:
        made = KINDS[name](**{name: value})
    except (TypeError, ValueError, KeyError) as error:
        text = str(error.args[0])
        assert text.endswith(".") and (name in text or "objective" in text), text
        return
    kept = getattr(made, name)
    assert not isinstance(kept, np.generic)
    assert isinstance(made.to_dict(), dict)


@given(names=st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=4))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_names_may_come_in_anything_that_holds_them(names):
    wanted = mv.specs.Roles(clinical=names).clinical
    assert wanted == tuple(names)
    array = np.array(names, dtype=object)
    for held in (
        tuple(names),
        array,
        pd.Index(names, dtype=object),
        iter(names),
        (n for n in names),
    ):
        assert mv.specs.Roles(clinical=held).clinical == wanted


@given(names=st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=4))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_views_may_come_in_anything_that_holds_them(names):
    for held in (names, tuple(names), np.array(names, dtype=object), pd.Index(names, dtype=object)):
        roles = mv.specs.Roles(held)
        assert list(roles.views) == names and not roles.every_view
        assert mv.specs.Roles.from_dict(roles.to_dict()) == roles


TAKEN = [
    {"batch": ["site"]},
    {"batch": ("site",)},
    {"batch": pd.Index(["site"])},
    {"batch": np.str_("site")},
    {"batch": []},
    {"batch": None},
    {"clinical": "age"},
    {"clinical": pd.Index(["age"])},
    {"clinical": np.array(["age"])},
    {"clinical": (name for name in ["age"])},
    {"clinical": None},
    {"technical": {"age": 1}.keys()},
    {"survival": np.array(["time", "event"])},
    {"survival": pd.Index(["time", "event"])},
    {"survival": []},
    {"labels": pd.Index(["kind"])},
    {"labels": ("kind",)},
    {"outcomes": (mv.Labels("kind") for _ in range(1))},
    {"outcomes": None},
    {"views": pd.Index(["rna", "img"])},
    {"views": "rna"},
    {"n_shared": np.int64(4), "n_private": np.uint8(2), "seed": np.int32(3)},
    {"max_epochs": np.int64(1), "patience": np.int16(3), "refit_epochs": np.int64(0)},
    {"validation_size": np.float32(0.25), "lr": np.float32(0.01), "weight_decay": np.int64(1)},
    {"early_stopping": np.bool_(True), "progress": np.bool_(False), "top_down": np.bool_(True)},
    {"likelihood_power": {"rna": np.float32(0.5)}},
    {"head_blocks": "shared"},
    {"head_blocks": np.array(["shared", "scores"])},
    {"objectives": {"cross_view": np.float32(0.5)}},
    {"rank": np.str_("full")},
    {"devices": np.int64(1), "num_nodes": np.int64(1)},
    {"survival": mv.Survival("time", "event", n_intervals=np.int64(4), weight=np.float32(2))},
]


@pytest.mark.parametrize("given_options", TAKEN, ids=lambda x: str(x)[:40])
def test_what_is_meant_is_taken_and_kept_in_a_folder(data, given_options, tmp_path):
    fitted = mv.fit(data, **{**SURVIVAL, **given_options})
    fitted.save(tmp_path / "model")
    again = mv.MVLatent.load(tmp_path / "model", data)
    np.testing.assert_allclose(again.transform(), fitted.transform(), atol=1e-6)


@pytest.mark.parametrize("decoder", ["linear", "mlp"])
@pytest.mark.parametrize("precision", ["64-true", "64", "bf16-mixed", "32-true"])
def test_documented_precisions_work(data, precision, decoder):
    options = {**GRADIENTS, "decoder": decoder, "batch_size": 20, "precision": precision}
    fitted = mv.fit(data, batch="site", rho=0.3, **options)
    plain = mv.fit(data, batch="site", rho=0.3, **{**options, "precision": "32-true"})
    assert np.isfinite(fitted.transform()).all() and fitted.history["elbo"].notna().all()
    assert {p.dtype for p in fitted.trained.vae.parameters()} == {
        plain.transform().dtype and next(plain.trained.vae.parameters()).dtype
    }
    assert abs(fitted.history["elbo"].iloc[-1] / plain.history["elbo"].iloc[-1] - 1) < 0.1


def test_what_this_machine_has_not_is_refused_before_any_fit(data, no_training):
    import torch

    if not torch.cuda.is_available():
        refused(lambda: mv.fit(data, accelerator="cuda", **SURVIVAL), "accelerator='cuda'")
        refused(lambda: mv.fit(data, precision="16-mixed", **SURVIVAL), "precision='16-mixed'")
    with pytest.raises(ValueError, match="more than the"):
        check_devices(Plan(devices=10_000, accelerator="cpu"))


def test_a_closed_form_fit_says_what_it_did_not_use(data):
    fitted = mv.fit(data, accelerator="cpu", precision="64-true", **SURVIVAL)
    assert "without accelerator='cpu', precision='64-true'" in fitted.summary()


DDP = """
import sys, mvlatent as mv
from tests.test_options import GRADIENTS, cohort
if __name__ == "__main__":
    options = {**GRADIENTS, "strategy": "ddp", "accelerator": "cpu", "devices": int(sys.argv[1])}
    print("elbo", mv.fit(cohort(), batch_size=16, **options).history["elbo"].iloc[-1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_several_processes_agree(devices, tmp_path):
    script = tmp_path / "fit.py"
    script.write_text(DDP)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    found = subprocess.run(
        [sys.executable, str(script), str(devices)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
    )
    assert not found.returncode, found.stderr[-500:]
    values = {line for line in found.stdout.splitlines() if line.startswith("elbo")}
    assert len(values) == 1


# --- no views -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without(data):
    return mv.fit(data, views=[], clinical=["age"], batch="site", labels="kind", **SURVIVAL)


def test_no_views_is_not_every_view(data, without):
    assert not without.roles.views and without.transform().shape == (N, 0)
    assert without.transform(block="all").shape == (N, 0)
    assert np.isfinite(without.predict_risk()).all() and without.predict_risk().std() > 0
    assert without.predict_survival([12, 24]).shape == (2, N)
    assert without.predict_labels(proba=True).shape == (N, 2)
    assert without.variance_explained().empty and "no view" in without.summary()
    assert list(mv.fit(data, views=None, **SURVIVAL).roles.views) == ["rna", "img"]


def test_a_model_without_views_reads_new_patients_and_folders(data, without, tmp_path):
    without.save(tmp_path / "m")
    again = mv.MVLatent.load(tmp_path / "m")
    assert not again.roles.views and not again.roles.every_view
    other = md.MuData({"other": ad.AnnData(np.ones((N, 1)), obs=OBS[[]])}, obs=OBS.copy())
    for patients in (data, other):
        np.testing.assert_allclose(again.predict_risk(patients), without.predict_risk())
    new = data.copy()
    again.annotate(new)
    assert new.obsm["X_mvlatent"].shape == (N, 0)


@pytest.mark.parametrize("views", [[], (), {}, pd.Index([])], ids=str)
def test_no_views_of_an_anndata(views):
    adata = ad.AnnData(obs=OBS.copy())
    fitted = mv.fit(adata, views=views, clinical="age", **SURVIVAL)
    assert np.isfinite(fitted.predict_risk()).all()


@pytest.mark.parametrize(
    "options",
    [{"decoder": "mlp"}, {"batch_size": 20}, {"rho": 0.5}, {"validation_size": 0.2}, {"sweeps": 2}],
    ids=str,
)
def test_no_views_with_any_option(data, without, options):
    fitted = mv.fit(data, views=[], clinical=["age"], **{**SURVIVAL, **options})
    assert np.isfinite(fitted.predict_risk()).all()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"survival": None}, "outcome"),
        ({"clinical": ()}, "clinical"),
        ({"head_blocks": ["shared"]}, "clinical"),
        ({"objectives": {"cross_view": 1}}, "views"),
        ({"likelihood_power": {"rna": 0.5}}, "rna"),
    ],
    ids=str,
)
def test_no_views_leaves_some_options_without_sense(data, no_training, options, word):
    options = {**SURVIVAL, "clinical": ["age"], **options}
    refused(lambda: mv.fit(data, views=[], **options), word)


def test_readers_of_a_model_without_views_name_no_view(without):
    for call in (lambda: without.impute("rna"), lambda: without.loadings("rna")):
        refused(call, "'rna'", "no view")


# --- arguments in another's place -----------------------------------------------------------------


def test_a_misspelt_role_is_named(data):
    for typed, meant in (("survivl", "survival"), ("clincal", "clinical"), ("batch_key", "batch")):
        refused(lambda typed=typed: mv.fit(data, **{typed: "x"}), f"did you mean {meant!r}?")


def test_swapped_arguments_print_no_cohort(model, data):
    calls = [
        lambda: model.predict_risk_at(data, 36),
        lambda: model.predict_rmst(data, 36),
        lambda: model.predict_survival(data, [12]),
        lambda: model.impute(data, "rna"),
        lambda: model.loadings(data),
        lambda: model.value_of(data, "rna"),
        lambda: model.transform(given=data),
        lambda: mv.tl.imputation_calibration(model, data),
        lambda: mv.pl.forest(data),
    ]
    for call in calls:
        assert len(refused(call, "MuData")) < 250


THINGS = [3, "c.h5mu", np.ones((3, 3)), OBS, ["c"]]


@pytest.mark.parametrize("thing", THINGS, ids=lambda x: type(x).__name__)
def test_what_is_no_cohort_is_refused_alike(model, thing):
    calls = [
        lambda: mv.fit(thing, **SURVIVAL),
        lambda: model.transform(thing),
        lambda: mv.study.folds(thing),
        lambda: mv.study.out_of_fold(thing, **SURVIVAL),
        lambda: mv.study.path(thing, "alignment", [0, 1]),
        lambda: mv.tl.latent_blocks(model, thing),
        lambda: mv.tl.scaled_views(model, thing),
        lambda: mv.tl.variance_explained(model, thing),
        lambda: mv.tl.cross_view(model, thing),
        lambda: mv.tl.view_retrieval(model, thing),
        lambda: mv.tl.imputation_calibration(model, "rna", thing),
        lambda: mv.tl.conformalize(model, thing),
    ]
    assert len({refused(call, "a MuData or an AnnData") for call in calls}) == 1


@pytest.mark.parametrize("thing", [3, "model/", cohort(), None], ids=lambda x: type(x).__name__)
def test_tools_ask_for_a_model(thing, data):
    calls = [
        lambda: mv.tl.latent_blocks(thing),
        lambda: mv.tl.scaled_views(thing),
        lambda: mv.tl.variance_explained(thing),
        lambda: mv.tl.cross_view(thing, data),
        lambda: mv.tl.view_retrieval(thing),
        lambda: mv.tl.view_leakage(thing),
        lambda: mv.tl.leakage_matrix(thing, {}),
        lambda: mv.tl.imputation_calibration(thing, "rna"),
        lambda: mv.tl.conformalize(thing, data),
    ]
    for call in calls:
        refused(call, "a fitted MVLatent comes first")


ONE = sorted(set(mv.pl.__all__) - {"history", "kaplan_meier", "overview", "weights"})


@pytest.mark.parametrize("name", ONE)
def test_plots_of_a_model_say_what_to_pass(name, model, data):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    for thing in (None, "model/", 3) + (() if name == "latent" else (model, data)):
        refused(lambda thing=thing: getattr(mv.pl, name)(thing), f"mv.pl.{name}", "pass it")
    assert plt.get_fignums() == before


def test_other_plots_say_what_to_pass(model, data):
    refused(lambda: mv.pl.kaplan_meier(model, OBS.time, OBS.event), "mv.pl.kaplan_meier")
    refused(lambda: mv.pl.history(data), "mv.pl.history")


@pytest.mark.parametrize("n_jobs", [0, 1.5, "2", None, True])
def test_jobs_that_are_none(data, no_training, n_jobs):
    refused(lambda: mv.study.out_of_fold(data, folds=2, n_jobs=n_jobs, **SURVIVAL), "n_jobs")
    refused(lambda: mv.study.path(data, "alignment", [0, 1], n_jobs=n_jobs), "n_jobs")


def test_every_option_is_known_to_this_module():
    known = {name.strip() for name in NONSENSE} | {"objectives"}
    assert known >= SHAPE | LOOP


# --- the module and the command line --------------------------------------------------------------


def test_dir_holds_what_is_public():
    import mvlatent.specs

    assert mvlatent.specs
    assert {name for name in dir(mv) if not name.startswith("__")} == set(mv.__all__)


@pytest.fixture(scope="module")
def file(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("options") / "c.h5mu"
    data.copy().write(path)
    return path


def typed(capsys, *arguments):
    from mvlatent.cli import main

    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return end.value.code, out.out, out.err


def test_version(capsys):
    code, out, _ = typed(capsys, "--version")
    assert not code and out.strip() == f"mvlatent {importlib.metadata.version('mvlatent')}"


@pytest.mark.parametrize("command", ["demo", "fit", "transform"])
def test_help_speaks_of_columns_and_files(capsys, command):
    code, out, _ = typed(capsys, command, "--help")
    assert not code and "list[" not in out and "<str>" not in out and "<int>" not in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--views", "rnaa"], ["'rnaa'", "did you mean 'rna'?"]),
        (["--views", "rna=nromal"], ["nromal", "did you mean 'normal'?"]),
        (["--views", "rna", "rna"], ["'rna' is named twice"]),
        (["--views", "=normal"], ["no name"]),
        (["--views", "rna", "--no-views"], ["--no-views"]),
        (["--no-views"], ["outcome"]),
        (["--clinical", "agee"], ["'agee'", "did you mean 'age'?"]),
        (["--batch", "sit"], ["'sit'", "did you mean 'site'?"]),
        (["--n-shared", "0"], ["n_shared"]),
        (["--n-private", "-3"], ["n_private"]),
        (["--max-epochs", "-1"], ["max_epochs"]),
        (["--seed", "-1"], ["seed"]),
        (["--jobs", "0"], ["--jobs"]),
        (["--folds", "1"], ["folds"]),
        (["--folds", "sit"], ["'sit'"]),
    ],
    ids=str,
)
def test_the_command_line_refuses_in_one_line(capsys, no_training, file, tmp_path, options, words):
    code, _, err = typed(capsys, "fit", file, "--out", tmp_path / "m", *options)
    assert code == 1 and len(err.strip().splitlines()) == 1
    assert all(word in err for word in words), err
    assert not (tmp_path / "m").exists()


def test_a_folder_is_no_cohort(capsys, model, tmp_path):
    model.save(tmp_path / "m")
    code, _, err = typed(capsys, "fit", tmp_path / "m", "--out", tmp_path / "n")
    assert code == 1 and "is a folder that holds a model" in err
    code, _, err = typed(capsys, "transform", tmp_path / "m", tmp_path, "--out", "o.h5mu")
    assert code == 1 and "is a folder; a cohort is a file" in err


def test_no_views_on_the_command_line(file, tmp_path):
    from mvlatent.cli import main

    arguments = ["fit", file, "--out", tmp_path / "m", "--no-views", "--clinical", "age"]
    try:
        main([*map(str, arguments), "--survival", "time", "event"])
    except SystemExit as end:
        assert not end.code
    assert not mv.MVLatent.load(tmp_path / "m").roles.views
