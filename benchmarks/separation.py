"""Whether shared is shared and private is private, beside what is possible and other methods.

``python benchmarks/separation.py`` simulates the cells of the table (presets × seeds, 500 patients;
``nonlinear`` with 2,000 as well), fits `mvlatent` with default settings and each other method that
is installed, and reads: R² of the true shared factors from z (cross-validated ridge), largest leak
(any latent block of any true block that is not its own), R² of private factors from their block,
excess site accuracy, coverage of 90 % intervals of z, cross-view R² on new patients, CPU seconds.
Rows are kept in ``results/separation/rows.jsonl`` as they come (a row that is there is not made
again); the table is ``results/separation/table.md``.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _peers import available
from _rows import Rows
from _separation import CELLS, Cell, arrays, coverage_of_z, cross_view, fit_ours, judge

from mvlatent import sim

FOLDER = Path(__file__).parent / "results" / "separation"
OURS, BAYES = "mvlatent", "Bayes posterior"
KEY = ["cell", "n", "seed", "method"]


def methods(cell: Cell) -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Yield every method and how to judge it on a cell."""
    if cell.linear:
        yield BAYES, lambda: _bayes(cell)
    yield OURS, lambda: _ours(cell)
    for name, run in available():

        def peer(run: Any = run) -> dict[str, float]:
            found = run(arrays(cell.truth), cell.seed)
            return {**judge(found.blocks, cell), "seconds": found.seconds}

        yield name, peer


def _bayes(cell: Cell) -> dict[str, float]:
    known = sim.oracle_posterior(cell.truth)
    names = [name for name in cell.truth.blocks if name.startswith("shared")]
    blocks = {"shared": np.column_stack([known.mean(name) for name in names])}
    blocks |= {name: known.mean(name) for name in cell.truth.blocks if name.startswith("private")}
    return {**judge(blocks, cell), "seconds": 0.0}


def _ours(cell: Cell) -> dict[str, float]:
    model, seconds = fit_ours(cell.mdata, cell.seed)
    blocks = {"shared": model.transform()}
    for name in cell.mdata.mod:
        blocks[f"private:{name}"] = model.transform(block=f"private:{name}")
    out = {**judge(blocks, cell), "seconds": seconds, "rank": int(model.trained.vae.active.sum())}
    return {**out, "coverage": coverage_of_z(model, cell.truth), **cross_view(model, cell)}


def table(rows: pd.DataFrame) -> str:
    """Markdown: a block a cell, a row a method, means over seeds."""
    text = []
    for (cell, n), part in rows.groupby(["cell", "n"], sort=False, observed=True):
        text += [f"\n## {cell}, {n} patients, {part['seed'].nunique()} seeds\n", HEADER]
        for method, of in part.groupby("method", sort=False, observed=True):
            text.append(_line(str(method), of.mean(numeric_only=True)))
        ours = part[part["method"] == OURS]
        if "cross_ratio" in ours and ours["cross_ratio"].notna().any():
            m = ours.mean(numeric_only=True)
            best = "Bayes" if np.isnan(m.get("cross_best_kernel", np.nan)) else "ridge of truth"
            text.append(
                f"\nCross-view R² on new patients: ours {m['cross_ours']:.3f}, {best} "
                f"{m['cross_best']:.3f} (ratio {m['cross_ratio']:.3f}, worst view "
                f"{ours['cross_worst'].min():.3f}), ridge of the other views "
                f"{m['cross_ridge']:.3f}. 90 % intervals of z cover {m['coverage']:.3f}; "
                f"shared factors kept {sorted(ours['rank'].astype(int).tolist())}."
            )
    return "\n".join(text) + "\n"


HEADER = (
    "| method | R² shared from z | kernel probe | R² private | largest leak | mean leak | "
    "excess site | CPU s |\n|---|---|---|---|---|---|---|---|"
)


def _line(method: str, m: pd.Series) -> str:
    cells = [f"{m[k]:.3f}" for k in ("shared", "kernel", "private", "leak", "leak_mean")]
    name = f"**{method}**" if method == OURS else method
    return f"| {name} | {' | '.join(cells)} | {m['site']:+.3f} | {m['seconds']:.1f} |"


def main() -> None:
    """Simulate, fit, judge, and write the table as rows come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=list(CELLS))
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=None, help="beginnings of their names")
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    kept = Rows(arguments.out, KEY)
    for seed in range(arguments.seeds):
        for name in arguments.cells:
            cell = Cell.draw(name, seed, arguments.n)
            for method, run in methods(cell):
                wanted = arguments.methods
                if wanted and not any(method.startswith(w) for w in wanted):
                    continue
                values = (name, arguments.n, seed, method)
                row = kept.add(dict(zip(KEY, values, strict=True)), run)
                if row is not None:
                    print(_line(f"{name} {seed} {method}", pd.Series(row)), flush=True)
    text = table(in_order(kept.read()))
    (arguments.out / "table.md").write_text("# Separation\n" + text, encoding="utf-8")
    print(text)


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by size of the cohort, cell and method, in the order in which these are listed here."""
    methods = [BAYES, OURS, *(name for name, _ in available())]
    places = {"cell": list(CELLS), "method": methods}
    for column, names in places.items():
        rows[column] = pd.Categorical(rows[column], categories=names)
    return rows.sort_values(["n", "cell", "method", "seed"])


if __name__ == "__main__":
    main()
