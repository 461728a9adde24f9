"""Seconds and memory of whole fits in default settings: wide views, many patients, real cohorts.

``python benchmarks/fits.py --data FOLDER`` runs each case in a fresh process, on one and on two
torch threads, after a small fit that imports and warms up everything: CPU and wall seconds of the
fit, and the growth of the peak resident memory, the data included, as a multiple of the data's
float32 bytes. ``--baseline CHECKOUT`` runs an older checkout of this repository in turn with the
present one. Run it on a machine that does nothing else. Writes ``results/fits.md``.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from _arguments import choice, parse, parser
from _markdown import number, publish, row, table
from _memory import peak

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "fits.md"
PRESENT, BASELINE = "present", "baseline"
SIZES = {
    "wide": (300, (60_000, 2_000)),
    "features": (400, (10_000, 5_000, 5_000)),
    "many": (20_000, (2_000, 200)),
}
"""Simulated cases: patients, and features of each view."""
REAL = {
    "luad": ("tcga_luad.h5mu", {"survival": ("survival_months", "event"), "labels": "mol_subtype"})
}
CLINICAL = ("age", "is_female")
PRESET, DEMO = "preset", "demo"
N_PRESET = 500
CHILD = "--child"


class Case(NamedTuple):
    """What is fitted: its name in the table, and a folder of the child's inputs."""

    name: str
    kind: str
    file: Path | None = None


# -- the child: this file as a script of its own, with one or the other code on its path -----------


def arrays_to_mudata(arrays: dict[str, np.ndarray]) -> Any:
    """A MuData of arrays, one of them the site; modalities hold the arrays, not copies."""
    import anndata
    import mudata

    arrays = dict(arrays)
    site = arrays.pop("site").astype(str)
    mdata = mudata.MuData({k: anndata.AnnData(x) for k, x in arrays.items()})
    for name, part in mdata.mod.items():
        part.var_names = [f"{name}{j}" for j in range(part.n_vars)]
    mdata.update()
    mdata.obs["site"] = site
    return mdata


def measure(file: str, options: dict[str, Any], threads: int) -> None:
    """Fit a file's cohort and print seconds and the growth of the peak as JSON."""
    import mudata
    import torch

    import mvlatent as mv

    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    mv.fit(arrays_to_mudata(simulate(60, (40, 20))), batch="site", max_epochs=2, progress=False)
    before = peak()
    if file.endswith(".npz"):
        with np.load(file) as stored:
            mdata = arrays_to_mudata({name: stored[name] for name in stored.files})
    else:
        mdata = mudata.read_h5mu(file)
    n_bytes = 4 * sum(part.n_obs * part.n_vars for part in mdata.mod.values())
    begun = time.process_time(), time.perf_counter()
    mv.fit(mdata, batch="site", seed=0, progress=False, **options)
    cpu, wall = time.process_time() - begun[0], time.perf_counter() - begun[1]
    found = {"cpu": cpu, "wall": wall, "memory": (peak() - before) / n_bytes}
    print(json.dumps({**found, "code": mv.__file__}))


def simulate(n: int, sizes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Views with ten shared and ten private factors and site effects, and the site."""
    rng = np.random.default_rng(0)
    z, site = rng.standard_normal((n, 10)), rng.integers(30, size=n)
    out = {}
    for name, p in zip("abc", sizes, strict=False):
        factors = np.column_stack([z, rng.standard_normal((n, 10)), np.eye(30)[site]])
        loadings = 0.3 * rng.standard_normal((factors.shape[1], p), dtype=np.float32)
        x = factors.astype(np.float32) @ loadings
        out[name] = x + rng.standard_normal((n, p), dtype=np.float32)
    return {**out, "site": site}


# -- the parent ------------------------------------------------------------------------------------


def cases(wanted: list[str], data: Path | None, folder: Path) -> Iterator[Case]:
    """Write the inputs of the cases that are wanted, one after the other."""
    for name, (n, sizes) in SIZES.items():
        if name in wanted:
            file = folder / f"{name}.npz"
            np.savez(file, **simulate(n, sizes))  # type: ignore[arg-type]
            yield Case(f"{n:,} × ({' + '.join(f'{p:,}' for p in sizes)})", name, file)
            file.unlink()
    for name, (file_name, _) in REAL.items():
        if name in wanted and data is not None:
            yield Case(f"{name.upper()}, survival and labels", name, data / file_name)
    if PRESET in wanted:
        from mvlatent import sim

        for preset in sim.PRESETS:
            file = folder / "preset.h5mu"
            sim.cohort(preset, n=N_PRESET)[0].write(file)
            yield Case(f"preset {preset}, {N_PRESET} patients", PRESET, file)
    if DEMO in wanted:
        yield Case("`mvlatent demo`", DEMO)


def run(case: Case, code: Path, threads: int, folder: Path) -> dict[str, float]:
    """Run a case in a fresh process with a checkout's code and so many threads."""
    environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": str(threads)}
    if case.file is None:
        script = "import sys; from mvlatent.cli import main; main(['demo', '--out', sys.argv[1]])"
        command = [sys.executable, "-c", script, str(folder / "demo")]
    else:
        options: dict[str, Any] = {}
        if case.kind in REAL:
            options = {"clinical": CLINICAL, **REAL[case.kind][1]}
        command = [sys.executable, __file__, CHILD, str(case.file), json.dumps(options)]
        command += [str(threads)]
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{case.name} failed with {code}:\n{done.stderr[-2000:]}")
    if case.file is not None:
        found = json.loads(done.stdout.splitlines()[-1])
        if code not in Path(found["code"]).parents:
            raise RuntimeError(f"the code that ran is {found['code']}, not that of {code}")
        return found
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": wall, "memory": float("nan")}


def main() -> None:
    """Run the cases, print rows as they come, and write the table."""
    command_line = parser(__doc__, data=True, threads=(1, 2))
    choice(command_line, "--cases", [*SIZES, *REAL, PRESET, DEMO])
    command_line.add_argument("--baseline", type=Path, help="checkout of older code to compare")
    arguments = parse(command_line)
    codes = {PRESENT: ROOT}
    if arguments.baseline:
        codes[BASELINE] = arguments.baseline.resolve()
    lines = [
        f"{os.cpu_count()} cores. Whole fits in default settings, the site as batch, each in a "
        "fresh process; `mvlatent demo` with its imports.",
        "",
        *table(["what", "code", "threads", "CPU s", "wall s", "peak memory / data"], n_left=2),
    ]
    print("\n".join(lines))
    with TemporaryDirectory() as name:
        for case in cases(arguments.cases, arguments.data, Path(name)):
            for n, (code, path) in product(arguments.threads, codes.items()):
                found = run(case, path, n, Path(name))
                shown = [number(found[what], ".1f") for what in ("cpu", "wall", "memory")]
                lines.append(row([case.name, code, n, *shown]))
                print(lines[-1], flush=True)
    publish(RESULT, "Whole fits", lines, show=False)


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        measure(sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
