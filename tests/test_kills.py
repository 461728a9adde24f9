"""Killed at any moment, a command leaves what was there whole, and no half of a model."""

import multiprocessing
import os
import shutil
import signal
import sys
import time
import warnings

import anndata
import mudata
import numpy as np
import pytest

import mvlatent as mv
from mvlatent import cli

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROLES = ["--batch", "site", "--survival", "survival_months", "event", "--clinical", "age"]
QUICK = ["--n-shared", "2", "--n-private", "1", "--max-epochs", "2", "--overwrite"]
KILLS = {"fit": 12, "fit --folds 3": 10, "transform --overwrite": 13, "save": 15}
LEFT: dict[str, int] = {}  # kills by what they left


@pytest.fixture(scope="module")
def place(small_cohort, tmp_path_factory):
    """A cohort, a model, and the cohort with its predictions."""
    folder = tmp_path_factory.mktemp("kills")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small_cohort(n=80).write(folder / "cohort.h5mu")
    command(["fit", folder / "cohort.h5mu", "--out", folder / "model", *ROLES, *QUICK, "--seed",
             "1", "--out-data", folder / "out.h5mu"])  # fmt: skip
    return folder


def command(arguments):
    """Run a command in this process, silently."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout = sys.stderr = nowhere
        try:
            cli.main([str(a) for a in arguments])
        except SystemExit as end:
            assert not end.code, end
        finally:
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__


def saved(folders, folder):
    """Save one model after the other in one place."""
    models = [mv.MVLatent.load(f) for f in folders]
    (folder.parent / "begun").touch()
    while True:
        for model in models:
            model.save(folder, overwrite=True)


def fresh(work):
    """A process that begins with everything imported and nothing computed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mvlatent.model", "mvlatent.cli", "mudata", "mvlatent.study"])
    process = context.Process(target=work[0], args=work[1:])
    process.start()
    return process


def killed(work, after):
    """Whether a process was still at work when it was killed."""
    process = fresh(work)
    process.join(after)
    running = process.is_alive()
    if running:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return running


def seconds(work):
    begun = time.perf_counter()
    process = fresh(work)
    process.join(240)
    assert process.exitcode == 0
    return time.perf_counter() - begun


def told(what, model, known):
    """Which of the known models a folder holds; it has to be one of them, whole."""
    found = mv.MVLatent.load(model)
    same = [k for k, z in known.items() if np.array_equal(found.loadings("rna").to_numpy(), z)]
    assert same, f"{what}: a model that nobody saved"
    return same[0]


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mudata.read(path)


@pytest.mark.parametrize("what", ["fit", "fit --folds 3"])
def test_fit(place, tmp_path, what):
    """An old model and cohort are there in half of the kills, nothing in the others."""
    options = [*ROLES, *QUICK, "--seed", "2", *(["--folds", "3"] if "folds" in what else [])]

    def work(folder):
        outputs = ["--out", folder / "model", "--out-data", folder / "out.h5mu"]
        return command, ["fit", place / "cohort.h5mu", *outputs, *options]

    full = seconds(work(whole := made(tmp_path / "whole")))
    known = {k: mv.MVLatent.load(f / "model").loadings("rna").to_numpy()
             for k, f in (("old", place), ("new", whole))}  # fmt: skip
    rng = np.random.default_rng(len(what))
    for i in range(KILLS[what]):
        folder = made(tmp_path / str(i))
        if i % 2:
            shutil.copytree(place / "model", folder / "model")
            shutil.copy(place / "out.h5mu", folder)
        after = full * (rng.uniform(0, 1) if i % 3 else rng.uniform(0.85, 1.02))
        running = killed(work(folder), after)
        if (folder / "out.h5mu").exists():
            assert "X_mvlatent" in read(folder / "out.h5mu").obsm
        if i % 2:
            assert read(folder / "out.h5mu").n_obs == 80
            left = told(what, folder / "model", known)
        elif (folder / "model" / "spec.json").exists():
            left = told(what, folder / "model", known)
        else:
            left = "none"
            with pytest.raises(FileNotFoundError, match="holds no model"):
                mv.MVLatent.load(folder / "model")
        note(what, left, running)
        shutil.rmtree(folder)


def test_transform(place, tmp_path):
    what = "transform --overwrite"
    out = tmp_path / "out.h5mu"
    shutil.copy(place / "cohort.h5mu", out)
    work = (command, ["transform", place / "model", place / "cohort.h5mu", "--out", out,
                      "--overwrite"])  # fmt: skip
    full = seconds(work)
    rng = np.random.default_rng(3)
    for i in range(KILLS[what]):
        shutil.copy(place / "cohort.h5mu", out)
        running = killed(work, full * rng.uniform(0.3 if i % 2 else 0.0, 1.02))
        found = read(out)
        assert found.n_obs == 80 and set(found.mod) == set(read(place / "cohort.h5mu").mod)
        note(what, "new" if "X_mvlatent" in found.obsm else "old", running)


def test_save(place, tmp_path):
    one = mv.MVLatent.load(place / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = mv.fit(read(place / "cohort.h5mu"), batch="site", n_shared=3, max_epochs=1)
    known = {k: m.loadings("rna").to_numpy() for k, m in (("old", one), ("new", other))}
    rng = np.random.default_rng(4)
    folder = tmp_path / "model"
    one.save(folder)
    other.save(tmp_path / "other")
    for _ in range(KILLS["save"]):
        process = fresh((saved, [tmp_path / "other", place / "model"], folder))
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        (tmp_path / "begun").unlink()
        note("save", told("save", folder, known), True)
    one.save(folder, overwrite=True)
    assert told("save", folder, known) == "old"


def test_the_count():
    """Of a whole run of this module."""
    assert sum(LEFT.values()) == sum(KILLS.values()) == 50
    print(f"\n{sum(LEFT.values())} kills, nothing lost: {LEFT}")


def made(folder):
    folder.mkdir()
    return folder


def note(what, left, running):
    key = f"{what}: {left}{'' if running else ' (it had ended)'}"
    LEFT[key] = LEFT.get(key, 0) + 1


def test_ctrl_c_is_one_line_and_leaves_nothing(place, tmp_path):
    """A real process, interrupted while it fits."""
    import subprocess

    arguments = ["fit", str(place / "cohort.h5mu"), "--out", str(tmp_path / "m"), "--folds", "5",
                 *ROLES, *QUICK]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "mvlatent.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "mvlatent: interrupted." in error and "Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_what_was_there(place, tmp_path):
    """A process that may write no more than 4 KB a file: the old files stay, in one line."""
    import resource
    import subprocess

    out = tmp_path / "out.h5mu"
    shutil.copy(place / "out.h5mu", out)
    was = out.read_bytes()

    def small():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    for arguments in (
        ["transform", str(place / "model"), str(place / "cohort.h5mu"), "--out", str(out),
         "--overwrite"],
        ["fit", str(place / "cohort.h5mu"), "--out", str(tmp_path / "m"), *ROLES, *QUICK],
    ):  # fmt: skip
        done = subprocess.run([sys.executable, "-m", "mvlatent.cli", *arguments], text=True,
                              capture_output=True, preexec_fn=small, check=False)  # fmt: skip
        assert done.returncode and "mvlatent: " in done.stderr, done.stderr[-500:]
        if arguments[0] == "fit":  # HDF5 itself has more to say of a file that it cannot close
            assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr[-500:]
    assert out.read_bytes() == was
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5mu"]


def test_an_anndata_of_the_wrong_name_is_one_line(tmp_path, capsys):
    anndata.AnnData(np.zeros((5, 2), "float32")).write_h5ad(tmp_path / "c.h5mu")
    with pytest.raises(SystemExit):
        cli.main(["fit", str(tmp_path / "c.h5mu"), "--out", str(tmp_path / "m")])
    said = capsys.readouterr().err
    assert "c.h5mu" in said and "AnnData" in said and said.count("\n") == 1
