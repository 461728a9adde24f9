"""A damaged, edited or mixed folder ends in a sentence of ours or predicts what it did."""

import copy
import json
import re
import resource
import shutil
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import mvlatent as mv
from mvlatent.io import load_trained
from mvlatent.io.digests import digests_of

SPEC, WEIGHTS = "spec.json", "weights.safetensors"
HEAD = ("format", "version", "weights", "digests")
TRIED: dict[str, int] = {}  # damaged folders by how they ended


@pytest.fixture(scope="module")
def data(example_mdata):
    return example_mdata


@pytest.fixture(scope="module")
def whole(example_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "model"
    example_model.save(folder)
    return folder


@pytest.fixture(scope="module")
def other(example_mdata, tmp_path_factory):
    """A model of other patients, with the same views and sizes."""
    folder = tmp_path_factory.mktemp("other") / "model"
    mv.fit(example_mdata[::-1][:70].copy(), views=["rna", "mut"], batch="site",
           survival=("survival_months", "event"), n_shared=3, n_private=2, max_epochs=2,
           progress=False).save(folder)  # fmt: skip
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


@pytest.fixture(scope="module")
def known(example_model, example_mdata):
    return predictions(example_model, example_mdata)


def predictions(model, mdata):
    few = mdata[:12].copy()
    return [
        model.transform(few, block="all"),
        model.predict_risk(few).to_numpy(),
        model.predict_labels(few, proba=True).to_numpy(),
        model.impute("rna", mdata=few).to_numpy(),
    ]


def refused(folder, known=None, mdata=None):
    """The sentence a folder is refused with; with predictions, it may load to the same."""
    try:
        begun = time.perf_counter()
        model = mv.MVLatent.load(folder)
    except (ValueError, FileNotFoundError) as error:
        TRIED["refused"] = TRIED.get("refused", 0) + 1
        said = str(error)
        assert type(error) in (ValueError, FileNotFoundError), repr(error)
        assert said.endswith(".") and "\n" not in said, said
        assert (SPEC in said or WEIGHTS in said) and str(folder) in said, said
        assert time.perf_counter() - begun < 20
        return said
    assert known is not None, "a damaged folder was loaded"
    for found, right in zip(predictions(model, mdata), known, strict=True):
        np.testing.assert_array_equal(found, right)
    TRIED["the same"] = TRIED.get("the same", 0) + 1
    return ""


def places(spec, at=(), deep=4):
    """Keys of every object, and the first two items of lists, down to a depth."""
    if isinstance(spec, dict):
        items = list(spec.items())[:40]
    else:
        items = list(enumerate(spec))[:2] if isinstance(spec, list) else []
    for key, value in items:
        yield (*at, key)
        if deep > 1:
            yield from places(value, (*at, key), deep - 1)


def reach(spec, at):
    for key in at:
        spec = spec[key]
    return spec


def sealed(spec):
    """A spec whose digests are made again, as someone who means harm would."""
    own = {k: v for k, v in spec.items() if k not in HEAD}
    return {**spec, "digests": digests_of(own)}


CONTENTS = {
    "empty": b"", "blank": b"   ", "a list": b"[]", "null": b"null", "a number": b"1",
    "an empty object": b"{}", "nested": b"[" * 100_000, "nested objects": b'{"a":' * 100_000,
    "not utf-8": b"\xff\xfe\x00\x01", "a pickle": b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00.",
    "a page": b"<html>404</html>", "a long number": b"9" * 10_000,
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}  # fmt: skip


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
@pytest.mark.parametrize("content", CONTENTS)
def test_other_contents(folder, name, content):
    (folder / name).write_bytes(CONTENTS[content])
    assert name in refused(folder)


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
@pytest.mark.parametrize("share", [0.0001, 0.1, 0.5, 0.9, 0.999])
def test_cut_short_or_longer(folder, name, share):
    content = (folder / name).read_bytes()
    for other in (content[: int(share * len(content))], content + content[: int(share * 1000) + 1]):
        (folder / name).write_bytes(other)
        assert name in refused(folder)


@pytest.mark.parametrize("name", [SPEC, WEIGHTS])
def test_bytes_turned(whole, data, known, tmp_path, name):
    """Whichever byte is another, the folder is refused or predicts what it did."""
    content = (whole / name).read_bytes()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(content) - 1), st.integers(1, 255))
    def turned(at, by):
        broken = shutil.copytree(whole, tmp_path / "model", dirs_exist_ok=True)
        changed = bytearray(content)
        changed[at] ^= by
        (broken / name).write_bytes(changed)
        assert name in (refused(broken, known, data) or name)

    turned()


ODD = [None, True, -1, 0, 1.5, 10**12, float("nan"), "x", [], {}, [[]], {"a": 1}]


def test_every_key_gone_other_or_beside_another(whole, data, known, tmp_path):
    """Edits by hand: the sentence names the file and the section of the key."""
    spec = json.loads((whole / SPEC).read_text())
    rng = np.random.default_rng(0)
    broken = shutil.copytree(whole, tmp_path / "model")
    for at in [p for p in places(spec) if p[0] not in ("version", "digests")]:
        for edit in ("gone", "other", "beside"):
            edited = copy.deepcopy(spec)
            holder = reach(edited, at[:-1])
            if edit == "gone":
                del holder[at[-1]]
            elif edit == "other":
                odd = ODD[rng.integers(len(ODD))]
                if odd == holder[at[-1]] and type(odd) is type(holder[at[-1]]):
                    continue
                holder[at[-1]] = odd
            elif isinstance(holder, dict):
                holder["unheard of"] = 1
            else:
                continue
            (broken / SPEC).write_text(json.dumps(edited))
            free = at[:2] == ("weights", "not_finite")
            said = refused(broken, known if free else None, data)
            assert free or re.search(f"'?({at[0]}|format|unheard of|keys of)", said), (at, edit)


def test_every_key_edited_by_one_who_makes_the_digests_again(whole, tmp_path):
    """Nothing but a sentence: no foreign error, no allocation, no hang; or it loads."""
    spec = json.loads((whole / SPEC).read_text())
    rng = np.random.default_rng(1)
    broken = shutil.copytree(whole, tmp_path / "model")
    at = [p for p in places(spec) if p[0] not in HEAD and p[:2] != ("fitted", "history")]
    at = [at[i] for i in rng.permutation(len(at))[:150]]
    ended = {"refused": 0, "loaded": 0}
    for place in at:
        for gone in (True, False):
            edited = copy.deepcopy(spec)
            holder = reach(edited, place[:-1])
            if gone:
                del holder[place[-1]]
            else:
                holder[place[-1]] = ODD[rng.integers(len(ODD))]
            (broken / SPEC).write_text(json.dumps(sealed(edited)))
            try:
                load_trained(broken)
                ended["loaded"] += 1
            except ValueError as error:
                ended["refused"] += 1
                said = str(error)
                assert SPEC in said and said.endswith(".") and "\n" not in said, said
    TRIED["forged, refused"] = ended["refused"]
    TRIED["forged, loaded"] = ended["loaded"]
    assert ended["refused"] > 3 * ended["loaded"], ended


SIZES = ["n_shared", "n_technical", "n_hidden", "n_components"]


@pytest.mark.parametrize("size", [*SIZES, "n_features", "n_private", "n_rest", "levels"])
@pytest.mark.parametrize("value", [10**6, 10**12, 10**30, -5])
def test_sizes_are_held_against_the_weights_before_anything_is_made(folder, size, value):
    spec = json.loads((folder / SPEC).read_text())
    place = spec["design"] if size in SIZES else spec["design"]["views"][0]
    place[size] = [value] if size == "levels" else value
    (folder / SPEC).write_text(json.dumps(sealed(spec)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said = refused(folder)
    assert "design" in said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


def test_files_of_two_models(whole, other, tmp_path):
    for name in (SPEC, WEIGHTS):
        mixed = shutil.copytree(whole, tmp_path / name)
        shutil.copy(other / name, mixed / name)
        assert WEIGHTS in refused(mixed)


EDITS = {
    "zeroed": lambda a: {**a, "basis/rna/directions": 0 * a["basis/rna/directions"]},
    "a longer basis": lambda a: {**a, "basis/rna/centre": np.zeros(999, "float32")},
    "other directions": lambda a: {**a, "basis/rna/directions": np.eye(5, dtype="float32")},
    "not a number": lambda a: {**a, "vae/doubt": np.full_like(a["vae/doubt"], np.nan)},
    "one lacks": lambda a: {k: v for k, v in a.items() if k != "vae/doubt"},
    "one more": lambda a: {**a, "extra": np.zeros(3, "float32")},
    "another shape": lambda a: {**a, "vae/doubt": np.zeros((4, 4), "float32")},
    "another type": lambda a: {**a, "vae/doubt": a["vae/doubt"].astype("float64")},
    "whole numbers": lambda a: {**a, "vae/doubt": a["vae/doubt"].astype("int64")},
    "half": lambda a: {**a, "vae/doubt": a["vae/doubt"].astype("float16")},
    "none": lambda a: {"x": np.zeros(1, "float32")},
    "a head zeroed": lambda a: {k: v * 0 if k.endswith("/mode") else v for k, v in a.items()},
}


@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize("edit", EDITS)
def test_other_tensors(folder, edit, forged):
    """By hand, and by one who makes the hash again: then only what is still a model loads."""
    import hashlib

    arrays = EDITS[edit](load_file(folder / WEIGHTS))
    save_file(arrays, folder / WEIGHTS)
    if forged:
        spec, content = json.loads((folder / SPEC).read_text()), (folder / WEIGHTS).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        spec["weights"] = {"bytes": len(content), "sha256": sha256, "not_finite": []}
        (folder / SPEC).write_text(json.dumps(spec))
    if forged and edit in ("zeroed", "a head zeroed"):
        load_trained(folder)  # a model, if not the one that was saved
    else:
        assert WEIGHTS in refused(folder)


def test_features_that_changed_places(folder):
    spec = json.loads((folder / SPEC).read_text())
    features = spec["preparation"]["views"]["rna"]["features"]
    features[:2] = features[1::-1]
    (folder / SPEC).write_text(json.dumps(spec))
    assert "'preparation.views' is not as it was saved" in refused(folder)


def test_keys_that_changed_places(folder):
    spec = json.loads((folder / SPEC).read_text())
    spec["heads"] = dict(reversed(spec["heads"].items()))
    (folder / SPEC).write_text(json.dumps(spec))
    assert "another order" in refused(folder)


def test_weights_are_not_read_where_their_size_is_another(folder):
    (folder / WEIGHTS).write_bytes(b"\0" * 50_000_000)
    tracemalloc.start()
    refused(folder)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20_000_000


def test_a_save_that_was_cut_off_leaves_one_of_the_two(whole, other, example_model, tmp_path):
    """Between the two renames the folder holds the new spec, the old weights and the new ones."""
    between = shutil.copytree(other, tmp_path / "model")
    spec = json.loads((whole / SPEC).read_text())
    pending = between / f".{spec['weights']['sha256'][:16]}-{WEIGHTS}"
    shutil.copy(whole / WEIGHTS, pending)
    assert load_trained(between).roles != example_model.roles  # the old one, still
    shutil.copy(whole / SPEC, between / SPEC)
    assert load_trained(between).roles == example_model.roles
    example_model.save(between, overwrite=True)
    assert sorted(p.name for p in between.iterdir()) == [SPEC, WEIGHTS]


def test_a_save_that_fails_leaves_what_was_there(
    whole, other, example_model, tmp_path, monkeypatch
):
    kept = shutil.copytree(other, tmp_path / "kept")
    was = {p.name: p.read_bytes() for p in kept.iterdir()}

    def full(*arguments):
        raise OSError(28, "No space left on device", str(arguments[0]))

    monkeypatch.setattr("mvlatent._files.sync", full)
    for place in (kept, tmp_path / "new" / "deep"):
        with pytest.raises(OSError, match="No space"):
            example_model.save(place, overwrite=True)
    assert {p.name: p.read_bytes() for p in kept.iterdir()} == was
    assert not (tmp_path / "new").exists()


def test_enough_were_tried():
    total = sum(TRIED.values())
    print(f"{total} damaged folders: {TRIED}")
    assert total >= 185
