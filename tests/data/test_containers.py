"""Whatever holds a matrix, the model is fitted to the same inputs, or says what is wrong."""

import re
import warnings

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

import mvlatent as mv
from mvlatent.data.assemble import mudata_from_anndata
from mvlatent.data.guess import guess_likelihood
from mvlatent.data.preparation import Preparation
from mvlatent.data.register import register_mudata
from mvlatent.reading.annotate import slots
from mvlatent.specs import Roles, View

N, P = 24, 6
PATIENTS = [f"P{i}" for i in range(N)]
FEATURES = [f"g{j}" for j in range(P)]
QUICK = {"max_epochs": 2, "progress": False}


def values(kind, seed=0):
    rng = np.random.default_rng(seed)
    draw = {
        "continuous": lambda: rng.normal(size=(N, P)).round(4),
        "counts": lambda: rng.poisson(4, (N, P)).astype(float),
        "binary": lambda: (rng.random((N, P)) < 0.4).astype(float),
        "levels": lambda: rng.integers(-2, 3, (N, P)).astype(float),
        "shares": lambda: rng.beta(2, 3, (N, P)).round(4),
    }
    return draw[kind]()


def with_axes(x):
    return anndata.AnnData(
        x, obs=pd.DataFrame(index=PATIENTS), var=pd.DataFrame(index=FEATURES[: x.shape[1]])
    )


def cohort(x, layer=None, other=None):
    """A MuData whose view ``a`` holds values of any container."""
    mod = with_axes(np.zeros((N, P))) if layer else with_axes(x)
    if layer:
        mod.layers[layer] = x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        second = with_axes(values("continuous", 9) if other is None else other)
        return mudata.MuData({"a": mod, "b": second})


def inputs(mdata, spec):
    """What a model would be fitted to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        manager = register_mudata(mdata, Roles({"a": spec, "b": View("normal")}))
        found = Preparation.fit(manager.tables, manager.roles).transform(manager.tables)
    view = found.views["a"]
    return view.likelihood, view.features, view.values, view.present, view.observed


def duplicated(x):
    one = sparse.csr_matrix(x)
    if not one.nnz:
        return one
    data = np.r_[one.data[:1] / 2, one.data[:1] / 2, one.data[1:]]
    row = int((np.diff(one.indptr) > 0).argmax())
    starts = one.indptr + (np.arange(len(one.indptr)) > row)
    return sparse.csr_matrix((data, np.r_[one.indices[:1], one.indices], starts), one.shape)


def nullable(x, kind="Float64"):
    columns = {f: pd.array(pd.Series(c), kind) for f, c in zip(FEATURES, x.T, strict=True)}
    return pd.DataFrame(columns, index=PATIENTS)


CONTAINERS = {
    "array": lambda x: x,
    "big-endian": lambda x: x.astype(">f8"),
    "float32": lambda x: x.astype("f4"),
    "fortran": np.asfortranarray,
    "masked": lambda x: np.ma.array(np.where(np.isnan(x), 5, x), mask=np.isnan(x)),
    "frame": lambda x: pd.DataFrame(x, PATIENTS, FEATURES),
    "nullable": nullable,
    "objects": lambda x: np.where(np.isnan(x), None, x.astype(object)),
    "object frame": lambda x: pd.DataFrame(x, PATIENTS, FEATURES).astype(object),
    "words": lambda x: x.astype(str),
    "bytes": lambda x: x.astype("S"),
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_matrix,
    "csr array": sparse.csr_array,
    "entries twice": duplicated,
    "complex": lambda x: x.astype(complex),
    "dates": lambda x: np.nan_to_num(x).astype("i8").astype("M8[D]"),
    "spans": lambda x: np.nan_to_num(x).astype("i8").astype("m8[D]"),
    "objects of spans": lambda x: np.array(
        [[np.timedelta64(3, "D") if j else v for j, v in enumerate(row)] for row in x], object
    ),
}
NEVER = {"complex", "dates", "spans", "objects of spans"}  # hold no numbers, whatever is in them

ODD = {  # a value, and whether it is refused whatever the likelihood
    "none": (None, False),
    "missing": (np.nan, False),
    "infinite": (np.inf, True),
    "minus infinite": (-np.inf, True),
    "huge": (1e30, True),
    "beyond float32": (1e300, True),
    "no integer": (-2147483648.0, True),
    "-9999": (-9999.0, True),
    "-999": (-999.0, True),
    "tiny": (1e-30, False),
}
TRIED: set[tuple[object, ...]] = set()


def judge(kind, container, odd, where, seed, layer):
    """An input is fitted as the plain matrix is, or refused in a sentence that names the view."""
    x = values(kind, seed)
    value, always = ODD[odd]
    if value is not None:
        x[where] = value
    try:
        with np.errstate(all="ignore"):
            made = CONTAINERS[container](x)
    except (ValueError, TypeError, OverflowError):  # numpy and pandas make no such thing
        return False
    spec = View(None, layer=layer)
    refused = always or container in NEVER
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mdata = cohort(made, layer)
    except (ValueError, TypeError):  # anndata takes no such thing
        return False
    try:
        found = inputs(mdata, spec)
    except ValueError as error:
        assert refused, error
        assert re.match(r"view 'a' .*\.$", str(error)), error
        if container not in NEVER:
            patient, feature = PATIENTS[where[0]], FEATURES[where[1]]
            assert patient in str(error) and feature in str(error), error
        return True
    assert not refused, (container, odd)
    plain = inputs(cohort(x.astype("f4")), View(None))
    assert found[:2] == plain[:2]
    for ours, theirs in zip(found[2:], plain[2:], strict=True):
        assert (ours is None) == (theirs is None)
        assert ours is None or torch.equal(ours, theirs)
    assert guess_likelihood(made)[0] == found[0]
    return True


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_with_every_odd_value(container, odd):
    if judge("continuous", container, odd, (3, 2), 0, None):
        TRIED.add(("continuous", container, odd, (3, 2), 0, None))


@settings(
    deadline=None,
    max_examples=120,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.sampled_from(["continuous", "counts", "binary", "levels", "shares"]),
    st.sampled_from(sorted(CONTAINERS)),
    st.sampled_from(sorted(set(ODD) - {"tiny"})),
    st.tuples(st.integers(0, N - 1), st.integers(0, P - 1)),
    st.integers(0, 3),
    st.sampled_from([None, "raw"]),
)
def test_any_matrix_is_the_plain_one_or_refused(kind, container, odd, where, seed, layer):
    if judge(kind, container, odd, where, seed, layer):
        TRIED.add((kind, container, odd, where, seed, layer))


def test_enough_was_tried():
    print(f"\n{len(TRIED)} distinct matrices")
    assert len(TRIED) >= 150 or len(TRIED) == 0  # none where this test runs alone


def test_values_of_a_backed_file_are_those_in_memory(tmp_path):
    x = values("counts")
    cohort(sparse.csr_matrix(x)).write(tmp_path / "c.h5mu")
    for backed in (None, "r"):
        mdata = mudata.read_h5mu(tmp_path / "c.h5mu", backed=backed)
        found = inputs(mdata, View(None))
        assert found[0] == "nb"
        np.testing.assert_array_equal(found[2].numpy(), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x.astype(object), r"not numbers: 'low' \(patient 'P3', feature 'g2'\)"),
        (lambda x: x.astype("U8"), r"not numbers: 'low' \(patient 'P3', feature 'g2'\)"),
    ],
)
def test_a_word_is_named(make, message):
    x = make(values("continuous"))
    x[3, 2] = "low"
    with pytest.raises(ValueError, match=message):
        inputs(cohort(x), View(None))


def test_the_infinite_value_in_a_sparse_matrix_is_found():
    x = sparse.lil_matrix(values("binary"))
    x[5, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinite values in 'g1' \(first inf of patient 'P5'\)"):
        inputs(cohort(x.tocsr()), View(None))


def test_entries_twice_are_added_up_and_left_alone():
    x = values("counts") * 2
    held = duplicated(x)
    mdata = cohort(held)
    data = mdata["a"].X.data.copy()
    np.testing.assert_array_equal(inputs(mdata, View("poisson"))[2].numpy(), x)
    np.testing.assert_array_equal(mdata["a"].X.data, data)


@pytest.mark.parametrize("name", [np.nan, "nan", "<NA>", "None", ""])
@pytest.mark.parametrize("axis", ["obs_names", "var_names"])
def test_missing_names_are_refused(axis, name):
    one, two = with_axes(values("continuous")), with_axes(values("continuous", 1))
    names = list(getattr(one, axis))
    names[2] = name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        setattr(one, axis, names)
        mdata = mudata.MuData({"a": one, "b": two})
    what = "patients" if axis == "obs_names" else "features"
    with pytest.raises(ValueError, match=rf"{what} of view 'a' lack a name: .* in place 2 .*\.$"):
        register_mudata(mdata, Roles())


def test_a_modality_without_values_or_features():
    empty = anndata.AnnData(obs=pd.DataFrame(index=PATIENTS), var=pd.DataFrame(index=["u", "v"]))
    for mod, message in ((empty, "no values in X"), (with_axes(np.zeros((N, 0))), "no feature")):
        mdata = mudata.MuData({"a": with_axes(values("continuous")), "b": mod})
        with pytest.raises(ValueError, match=rf"view 'b' has {message}"):
            inputs(mdata, View("normal"))


def test_a_block_of_obsm_that_is_no_table():
    adata = with_axes(values("continuous"))
    adata.obsm["img"] = np.zeros((N, 2, 3))
    with pytest.raises(ValueError, match=r"view 'img' has 3 dimensions"):
        mudata_from_anndata(adata, ["rna", "img"])


@pytest.mark.parametrize("decoder", ["linear", "mlp"])
@pytest.mark.parametrize("name", ["rna.tpm", "img/tile", "a:b", "x.y/z w"])
def test_names_of_views_may_hold_anything(name, decoder, tmp_path):
    mdata = mudata.MuData(
        {name: with_axes(values("continuous")), "b": with_axes(values("continuous", 1))}
    )
    model = mv.fit(mdata, decoder=decoder, **QUICK)
    model.save(tmp_path / "m")
    again = mv.MVLatent.load(tmp_path / "m")
    np.testing.assert_allclose(again.impute(name, mdata=mdata), model.impute(name))
    private = again.transform(mdata, block=f"private:{name}")
    again.annotate(mdata)
    slot = f"X_mvlatent_private_{name.replace('/', '_')}"
    np.testing.assert_array_equal(mdata.obsm[slot], private)
    assert again.loadings(name).shape[0] == P
    assert model.data_registry(name).shape == (N, P)
    assert list(model.get_state_registry(name))


def test_slots_of_views_differ():
    assert len(set(slots(["a/b", "a_b", "a/b_", "a_b_"]).values())) == 4
    assert slots(["a/b", "a_b"])["a_b"] == "X_mvlatent_private_a_b"
