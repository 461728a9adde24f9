"""A fitted model as two files, without a pickle and without a patient."""

import json

import numpy as np
import pytest

import mvlatent as mv
from mvlatent.io import FORMAT, load_trained


@pytest.fixture(scope="module")
def folder(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    fitted.save(path)
    return path


@pytest.fixture(scope="module")
def loaded(folder, fitted_mdata):
    return mv.MVLatent.load(folder, fitted_mdata)


def test_two_files_and_no_pickle(folder):
    assert sorted(p.name for p in folder.iterdir()) == ["spec.json", "weights.safetensors"]
    assert json.loads((folder / "spec.json").read_text())["format"] == FORMAT
    for file in folder.iterdir():
        # a pickle of protocol 2+ starts with \x80; torch's zip archives with PK
        assert file.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x04", b"\x80\x05", b"PK")


READS = {
    "transform": lambda m: m.transform(block="all"),
    "sd": lambda m: m.posterior(block="all").sd,
    "given": lambda m: m.transform(given=["img"]),
    "impute": lambda m: m.impute("rna", interval=0.9).upper,
    "bernoulli": lambda m: m.impute("mut"),
    "loadings": lambda m: m.loadings("rna"),
    "variance": lambda m: m.variance_explained(),
    "risk": lambda m: m.predict_risk(),
    "survival": lambda m: m.predict_survival(times=[1.0, 20.0], interval=0.9).lower,
    "labels": lambda m: m.predict_labels(proba=True),
    "history": lambda m: m.history.drop(columns=[c for c in m.history if "second" in c]),
}


@pytest.mark.parametrize("read", READS)
def test_round_trip(fitted, loaded, read):
    found, known = READS[read](loaded), READS[read](fitted)
    np.testing.assert_allclose(np.asarray(found), np.asarray(known), rtol=1e-6, atol=1e-6)


def test_what_is_known_without_data(folder, fitted, fitted_mdata):
    bare = mv.MVLatent.load(folder)
    assert bare.summary().splitlines()[0] == fitted.summary().splitlines()[0]
    np.testing.assert_allclose(bare.loadings("rna"), fitted.loadings("rna"), atol=1e-6)
    np.testing.assert_allclose(bare.transform(fitted_mdata), fitted.transform(), atol=1e-5)
    with pytest.raises(ValueError, match="pass mdata"):
        bare.transform()
    with pytest.raises(ValueError, match="cannot be fitted"):
        bare.fit()


def test_saved_again_it_is_the_same(loaded, folder, tmp_path):
    loaded.save(tmp_path / "again")
    for name in ("spec.json", "weights.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_weights_hold_no_patient(fitted, fitted_mdata, folder):
    """No array has a row (or column) that follows the values of one training patient."""
    from safetensors.numpy import load_file

    cohort = fitted.cohort()
    spec = json.loads((folder / "spec.json").read_text())
    arrays = load_file(folder / "weights.safetensors")
    assert not set(fitted_mdata.obs_names) & set(_strings(spec))
    n = len(cohort)
    checked = 0
    for name, array in arrays.items():
        assert n not in array.shape, name
        for view in cohort.views.values():
            x = view.x[view.present].numpy()
            if x.shape[1] < 20:  # any direction of few features resembles one of many patients
                continue
            for matrix in (array, array.T) if array.ndim == 2 else ():
                matrix = matrix.astype(float)
                matrix = matrix[np.isfinite(matrix).all(axis=1) & (matrix.std(axis=1) > 0)]
                if matrix.shape[1] == x.shape[1] and len(matrix):
                    # across features in scaled units, where all have mean 0 and sd 1
                    found = np.corrcoef(matrix, x)[: len(matrix), len(matrix) :]
                    assert np.nanmax(np.abs(found)) < 0.97, name
                    checked += 1
    assert checked > 5


def _strings(value):
    if isinstance(value, str):
        yield value
    if isinstance(value, dict):
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from _strings(inner)


def test_a_model_is_not_overwritten_by_accident(fitted, folder, tmp_path):
    with pytest.raises(FileExistsError, match="overwrite"):
        fitted.save(folder)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(FileExistsError, match="is a file"):
        fitted.save(file)
    fitted.save(tmp_path / "model")
    fitted.save(tmp_path / "model", overwrite=True)


def test_folders_that_hold_no_model(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"spec\.json"):
        load_trained(tmp_path)
    (tmp_path / "spec.json").write_text((folder / "spec.json").read_text())
    with pytest.raises(FileNotFoundError, match="weights"):
        load_trained(tmp_path)
    spec = json.loads((folder / "spec.json").read_text())
    (tmp_path / "spec.json").write_text(json.dumps({**spec, "format": 99}))
    (tmp_path / "weights.safetensors").write_bytes((folder / "weights.safetensors").read_bytes())
    with pytest.raises(ValueError, match="format 99"):
        load_trained(tmp_path)
