"""The public class: one chain, documented, and whole beside scvi-tools' base class."""

import inspect
import re

import numpy as np
import pytest

import mvlatent as mv
from mvlatent.data.register import register_cohort

PUBLIC = sorted(name for name in dir(mv.MVLatent) if not name.startswith("_"))
REFUSED = [n for n in PUBLIC if (getattr(mv.MVLatent, n).__doc__ or "").startswith("Not for this")]
METHODS = [
    n for n in PUBLIC if n not in REFUSED and callable(inspect.getattr_static(mv.MVLatent, n))
]
METHODS += [n for n in ("fit", "load", "setup_mudata", "setup_anndata") if n not in METHODS]
CLASSES = ["Imputation", "Posterior", "SurvivalCurves", "TargetPrediction", "View", "Survival"]
CLASSES += ["Labels", "Target", "MVLatent"]


@pytest.fixture(scope="module")
def loaded(example_model, example_mdata, tmp_path_factory):
    path = tmp_path_factory.mktemp("face") / "model"
    example_model.save(path)
    return mv.MVLatent.load(path, example_mdata)


@pytest.fixture(scope="module")
def bare(example_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("bare") / "model"
    example_model.save(path)
    return mv.MVLatent.load(path)


def test_a_chain_with_at_most_two_bases():
    own = [c for c in mv.MVLatent.__mro__ if c.__module__.startswith("mvlatent")]
    assert len(mv.MVLatent.__bases__) <= 2
    assert all(len(c.__bases__) == 1 for c in own[1:])


# --- documentation --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_all_of_itself(name):
    method = getattr(mv.MVLatent, name)
    doc = inspect.getdoc(method)
    assert "Examples\n-----" in doc and ">>>" in doc
    taken = [p for p in inspect.signature(method).parameters if p != "self"]
    if taken:
        assert "Parameters\n-----" in doc
        listed = re.split(r"\n(?:Returns|Raises|Notes|Examples)\n-", doc.split("Parameters\n")[1])[
            0
        ]
        for parameter in taken:
            assert re.search(rf"(?m)^[\w*, ]*\b{parameter}\b[\w, ]*$", listed), parameter
        assert "Raises\n-----" in doc
    if inspect.signature(method).return_annotation not in (None, "None"):
        assert "Returns\n-----" in doc


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_says_what_it_holds(name):
    doc = inspect.getdoc(getattr(mv, name))
    assert ("Parameters\n-----" in doc or "Attributes\n-----" in doc) and ">>>" in doc


def test_fit_says_all_of_itself():
    doc = inspect.getdoc(mv.fit)
    for section in ("Parameters", "Returns", "Raises", "Examples"):
        assert f"{section}\n-----" in doc
    assert "+SKIP" not in doc


# --- what scvi-tools' base class has beside -------------------------------------------------------

ANSWERS = {
    "get_var_names": lambda m: m.get_var_names()["mut"],
    "data_registry": lambda m: np.asarray(m.data_registry("rna")),
    "get_state_registry": lambda m: list(m.get_state_registry("batch")["categorical_mapping"]),
    "get_setup_arg": lambda m: m.get_setup_arg("roles"),
    "adata": lambda m: list(m.adata.obs_names),
    "adata_manager": lambda m: sorted(m.adata_manager.registry["field_registries"]),
    "registry": lambda m: m.registry["setup_args"]["roles"],
    "device": lambda m: str(m.device),
    "is_trained": lambda m: m.is_trained,
    "run_id": lambda m: m.run_id,
    "run_name": lambda m: m.run_name[:4],
    "summary_string": lambda m: m.summary_string.splitlines()[0],
    "trained": lambda m: sorted(m.trained.outcomes),
    "history": lambda m: m.history["elbo"].tolist(),
}


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - set(REFUSED) - set(METHODS) | set(ANSWERS)))
def test_every_other_attribute_answers(example_model, loaded, name):
    found, known = ANSWERS[name](loaded), ANSWERS[name](example_model)
    assert np.array_equal(found, known) if isinstance(known, np.ndarray) else found == known


@pytest.mark.parametrize("which", ["fitted", "loaded", "bare"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_there_is_not_says_what_to_use(request, example_model, name, which):
    model = example_model if which == "fitted" else request.getfixturevalue(which)
    with pytest.raises(AttributeError, match=rf"MVLatent has no {name}: .*\w.*\.$"):
        getattr(model, name)()


def test_nothing_inherited_is_left_out(bare):
    from scvi.model.base import BaseModelClass

    theirs = {name for name in dir(BaseModelClass) if not name.startswith("_")}
    own = {n for c in mv.MVLatent.__mro__ if c.__module__.startswith("mvlatent") for n in vars(c)}
    assert theirs - own == {"registry", "is_trained", "run_id", "run_name"}
    assert bare.get_var_names()["mut"] and bare.adata is None
    with pytest.raises(ValueError, match="loaded without data"):
        bare.data_registry("rna")
    with pytest.raises(AttributeError, match="loaded without data"):
        _ = bare.adata_manager
    assert not hasattr(bare, "adata_manager") and hasattr(bare, "history")


def test_what_is_not_registered_is_named(example_model):
    with pytest.raises(KeyError, match="'dna'; there are rna, mut, img, batch"):
        example_model.data_registry("dna")
    with pytest.raises(ValueError, match="setup_arg must be 'roles' or 'notes'"):
        example_model.get_setup_arg("batch")


def test_a_loaded_model_does_not_replace_what_its_data_were_set_up_for(loaded, example_mdata):
    mv.MVLatent.setup_mudata(example_mdata, views=["rna"])
    assert loaded.adata_manager is not None
    assert list(mv.MVLatent(example_mdata, n_shared=2).roles.views) == ["rna"]
    with pytest.raises(TypeError, match="MuData or an AnnData"):
        register_cohort("cohort.h5mu", loaded.roles)


# --- arguments ------------------------------------------------------------------------------------

WRONG = [
    ({"n_samples": 0}, ValueError, "n_samples must be 1 or more, not 0"),
    ({"n_samples": 2.5}, TypeError, "n_samples must be an integer, not 2.5"),
    ({"n_samples": True}, TypeError, "n_samples must be an integer, not True"),
    ({"seed": -1}, ValueError, "seed must be 0 or more, not -1"),
    ({"seed": "a"}, TypeError, "seed must be an integer, not 'a'"),
    ({"blocks": "all"}, ValueError, "blocks must be 'full' or 'shared', not 'all'"),
    ({"given": ["dna"]}, KeyError, "no view 'dna'; the views are rna, mut, img"),
    ({"given": 3}, TypeError, "given must be names of views, not 3; the views are rna, mut, img"),
    ({"given": ["rna", None]}, TypeError, "given must be names of views"),
    ({"interval": 90}, ValueError, "interval must be between 0 and 1, not 90"),
    ({"interval": "0.9"}, TypeError, "interval must be a number between 0 and 1"),
    ({"interval": True}, TypeError, "interval must be a number between 0 and 1"),
    ({"level": 0}, ValueError, "level must be between 0 and 1, not 0"),
    ({"cause": 3, "outcome": "cause"}, ValueError, "cause 3 is not one of 1, 2"),
    ({"cause": 1.0, "outcome": "cause"}, TypeError, "cause must be an integer from 1, not 1.0"),
    ({"horizon": -1.0}, ValueError, "horizon must be positive and at most the last training"),
    ({"horizon": "soon"}, TypeError, "horizon must be a number, a time, not 'soon'"),
    ({"horizon": True}, TypeError, "horizon must be a number"),
    ({"mdata": "cohort.h5mu"}, TypeError, "a cohort is a MuData or an AnnData, not a str"),
    ({"block": "private:dna"}, KeyError, "no block 'private:dna'; the blocks are shared"),
    ({"outcome": "PFI"}, KeyError, "no .* outcome 'PFI'"),
]
FIRST = {"impute": ("img",), "value_of": ("img",), "predict_rmst": (12,), "predict_risk_at": (12,)}
READERS = ["posterior", "transform", "latents", "impute", "predict_risk", "predict_survival"]
READERS += ["predict_cumulative_incidence", "predict_labels", "predict_target", "predict_median"]
READERS += ["predict_rmst", "predict_risk_at", "hazard_ratios", "ledger", "value_of"]
READERS += ["variance_explained", "cohort", "annotate"]


def takers(options):
    """Methods that take all of some options."""
    taken = {name: inspect.signature(getattr(mv.MVLatent, name)).parameters for name in READERS}
    return [name for name in READERS if options.keys() <= taken[name].keys()]


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [(name, *wrong) for wrong in WRONG for name in takers(wrong[0])],
)
def test_arguments_are_checked_before_anything_is_computed(
    example_model, monkeypatch, name, options, error, message
):
    if "mdata" not in options:  # patients are read after the checks
        monkeypatch.setattr(example_model, "cohort", None)
    first = FIRST.get(name, ())
    if "horizon" in options and name != "value_of":
        first = ()
    with pytest.raises(error, match=message):
        getattr(example_model, name)(*first, **options)


@pytest.mark.parametrize("name", ["predict_survival", "predict_cumulative_incidence"])
def test_patients_are_not_times(example_model, example_mdata, name):
    with pytest.raises(TypeError, match=r"times must be numbers, not a MuData; .*mdata=new"):
        getattr(example_model, name)(example_mdata)


def test_sizes_are_integers(example_mdata):
    mv.MVLatent.setup_mudata(example_mdata, views=["rna"])
    for wrong in (True, 2.5, "3"):
        with pytest.raises(TypeError, match="n_shared must be a positive integer"):
            mv.MVLatent(example_mdata, n_shared=wrong)
    with pytest.raises(ValueError, match="n_private must be a positive integer, not 0"):
        mv.MVLatent(example_mdata, n_private=0)
    model = mv.MVLatent(example_mdata, n_shared=np.int64(2))
    assert type(model.options.n_shared) is int
    with pytest.raises(TypeError, match="warm_start must be a fitted MVLatent"):
        model.fit(warm_start="model", progress=False)


def test_integers_of_numpy_are_integers(example_model):
    options = {"n_samples": np.int64(5), "seed": np.int32(1), "given": np.array(["rna"])}
    found = example_model.predict_labels(proba=True, **options)
    known = example_model.predict_labels(proba=True, n_samples=5, seed=1, given="rna")
    np.testing.assert_array_equal(found, known)
    assert example_model.predict_risk(outcome="cause", cause=np.int64(2)).notna().all()
    assert example_model.predict_rmst(np.float32(12.0), n_samples=5).notna().all()
