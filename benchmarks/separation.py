"""Whether shared is shared and private is private, beside what is possible and other methods.

``python benchmarks/separation.py`` simulates the cells of the table (presets × seeds, 500 patients;
those whose mixing bends with 2,000 as well), fits `mvlatent` with default settings, as it starts,
with other decoders and priors, a latent flow-matching prior, and each other method that is
installed, and reads: R² of the true shared factors from z (cross-validated ridge and kernel ridge,
where mixing bends the latter also as a share of the supervised ceiling, which fills a missing view
by its mean and so is no ceiling where many are), largest leak (any latent block of any true
block that is not its own), R² of each view's private factors from their block, excess site
accuracy, coverage of 90 % intervals of z, cross-view R² on new patients, CPU seconds. Rows are kept
in ``results/separation/rows.jsonl`` as they come (a row that is there is not made again); the table
is ``results/separation/table.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _arguments import choice, parse, parser
from _flow_matching import reestimated
from _markdown import number, publish, row, table
from _peers import available
from _rows import Rows
from _separation import (
    CELLS,
    Cell,
    arrays,
    coverage_of_z,
    cross_view,
    fit_cell,
    judge,
    posterior_of_z,
)

from mvlatent import sim

FOLDER = Path(__file__).parent / "results" / "separation"
OURS, BAYES, CEILING = "mvlatent", "Bayes posterior", "supervised ceiling"
FLOW, CODE = "latent flow matching, posterior", "latent flow matching, code"
KEY = ["cell", "n", "seed", "method"]
SIZES = (500, 2000)

VARIANTS: dict[str, dict[str, Any]] = {
    OURS: {},
    f"{OURS}, start": {"max_epochs": 0},
    f"{OURS}, additive decoder": {"decoder": "additive"},
    f"{OURS}, MLP decoder": {"decoder": "mlp"},
    f"{OURS}, flow prior": {"prior": "flow"},
}
"""Ours by the options that differ from the defaults; flow matching starts from the first."""


def methods(cell: Cell) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Yield every method and how to judge it on a cell."""
    if cell.linear:
        yield BAYES, lambda: _bayes(cell)
    else:
        yield CEILING, lambda: _ceiling(cell)
    for name, options in VARIANTS.items():
        yield name, partial(_ours, cell, options)
    yield FLOW, lambda: _flow(cell, code=False)
    yield CODE, lambda: _flow(cell, code=True)
    for name, run in available():

        def peer(run: Any = run) -> dict[str, float]:
            found = run(arrays(cell.truth), cell.seed)
            return {**judge(found.blocks, cell), "seconds": found.seconds}

        yield name, peer


def _ceiling(cell: Cell) -> dict[str, float]:
    begun = time.process_time()
    found = {
        name: sim.supervised_ceiling(cell.mdata, cell.truth, probe=probe)
        for name, probe in (("shared", "ridge"), ("kernel", "kernel"))
    }
    return {**found, "seconds": time.process_time() - begun}


def _bayes(cell: Cell) -> dict[str, float]:
    known = sim.oracle_posterior(cell.truth)
    names = [name for name in cell.truth.blocks if name.startswith("shared")]
    blocks = {"shared": np.column_stack([known.mean(name) for name in names])}
    blocks |= {name: known.mean(name) for name in cell.truth.blocks if name.startswith("private")}
    return {**judge(blocks, cell), "seconds": 0.0}


def _ours(cell: Cell, options: dict[str, Any]) -> dict[str, float]:
    model, seconds = fit_cell(cell, **options)
    blocks = {"shared": model.transform(), **_private(model, cell)}
    out = {**judge(blocks, cell), "seconds": seconds, "rank": int(model.trained.vae.active.sum())}
    coverage = coverage_of_z(*posterior_of_z(model), cell.truth)
    return {**out, "coverage": coverage, **cross_view(model, cell)}


def _private(model: Any, cell: Cell) -> dict[str, np.ndarray]:
    names = [f"private:{name}" for name in cell.mdata.mod]
    return {name: model.transform(block=name) for name in names}


def _flow(cell: Cell, *, code: bool) -> dict[str, float]:
    """Ours, z estimated again under a prior learnt by flow matching, or its code in that flow."""
    model, seconds = fit_cell(cell)
    begun = time.process_time()
    found = reestimated(*map(torch.from_numpy, posterior_of_z(model)), cell.seed)
    seconds += time.process_time() - begun
    z = (found.code if code else found.mean).numpy()
    out = {**judge({"shared": z, **_private(model, cell)}, cell), "seconds": seconds}
    if not code:
        out["coverage"] = coverage_of_z(z, found.covariance.numpy(), cell.truth)
    return out


HEADER = (
    *("method", "R² shared from z", "kernel probe", "share of ceiling", "R² of each w"),
    *("largest leak", "mean leak", "excess site", "90 % intervals of z hold", "cross-view R²"),
    "CPU s",
)


def tables(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a block a cell, a row a method, means over seeds."""
    for (cell, n), part in rows.groupby(["cell", "n"], sort=False, observed=True):
        ceilings = part[part["method"] == CEILING].set_index("seed")["kernel"]
        part = part.assign(share=part["kernel"] / part["seed"].map(ceilings))
        yield f"\n## {cell}, {n} patients, {part['seed'].nunique()} seeds\n"
        methods = part.groupby("method", sort=False, observed=True)
        yield from table(HEADER, (_cells(str(m), of.mean(numeric_only=True)) for m, of in methods))
        ours = part[part["method"] == OURS]
        if "cross_ratio" in ours and ours["cross_ratio"].notna().any():
            m = ours.mean(numeric_only=True)
            best = "Bayes" if np.isnan(m.get("cross_best_kernel", np.nan)) else "ridge of truth"
            yield (
                f"\nCross-view R² on new patients: ours {m['cross_ours']:.3f}, {best} "
                f"{m['cross_best']:.3f} (ratio {m['cross_ratio']:.3f}, worst view "
                f"{ours['cross_worst'].min():.3f}), ridge of the other views "
                f"{m['cross_ridge']:.3f}. Shared factors kept "
                f"{sorted(ours['rank'].astype(int).tolist())}."
            )


def _cells(method: str, m: pd.Series) -> list[str]:
    """One row; what a method does not say is left out."""
    each = " / ".join(number(v) for k, v in m.items() if str(k).startswith("w:") and v == v)
    cells = [number(m.get(k, np.nan)) for k in ("shared", "kernel", "share")]
    cells += [each, *(number(m.get(k, np.nan)) for k in ("leak", "leak_mean"))]
    cells += [number(m.get("site", np.nan), "+.3f")]
    cells += [number(m.get(k, np.nan)) for k in ("coverage", "cross_ours")]
    return [f"**{method}**" if method == OURS else method, *cells, f"{m['seconds']:.1f}"]


def main() -> None:
    """Simulate, fit, judge, and write the table as rows come."""
    command_line = parser(__doc__, out=FOLDER, seeds=3)
    choice(command_line, "--cells", CELLS)
    command_line.add_argument("--n", type=int, help="patients (default: 500; bent, 2,000 too)")
    command_line.add_argument("--methods", nargs="+", default=[""], help="how their names begin")
    arguments = parse(command_line)
    kept = Rows(arguments.out, KEY)
    for seed, (name, n) in product(range(arguments.seeds), sizes(arguments.cells, arguments.n)):
        cell = Cell.draw(name, seed, n)
        for method, run in methods(cell):
            if not method.startswith(tuple(arguments.methods)):
                continue
            found = kept.add(dict(zip(KEY, (name, n, seed, method), strict=True)), run)
            if found is not None:
                cells = _cells(f"{name} {n} {seed} {method}", pd.Series(found))
                print(row(cells), flush=True)
    publish(arguments.out / "table.md", "Separation", tables(in_order(kept.read())))


def sizes(cells: Sequence[str], n: int | None) -> Iterator[tuple[str, int]]:
    """Yield cells and numbers of patients: where mixing bends, more of them may show it."""
    for name in cells:
        bent = CELLS[name].get("mixing", name) in ("mlp", "nonlinear")
        yield from ((name, size) for size in ([n] if n else SIZES if bent else SIZES[:1]))


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by size of the cohort, cell and method, in the order in which these are listed here."""
    methods = [BAYES, CEILING, *VARIANTS, FLOW, CODE, *(name for name, _ in available())]
    places = {"cell": list(CELLS), "method": methods}
    for column, names in places.items():
        rows[column] = pd.Categorical(rows[column], categories=names)
    return rows.sort_values(["n", "cell", "method", "seed"])


if __name__ == "__main__":
    main()
