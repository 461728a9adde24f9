"""What each piece of the model contributes: the start, the guide, each objective, each prior.

``python benchmarks/ablation.py`` fits every variant to simulated cohorts of 500 patients and reads
what ``separation.py`` reads. Rows are kept in ``results/ablation/rows.jsonl`` as they come; the
table is ``results/ablation/table.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from _arguments import choice, parse, parser
from _markdown import number, publish, row, table
from _rows import Rows
from _separation import CELLS, Cell, coverage_of_z, cross_view, fit_cell, judge, posterior_of_z

FOLDER = Path(__file__).parent / "results" / "ablation"
KEY = ["cell", "seed", "variant"]
DEFAULT = "default"
USED = ("easy", "private_dominates", "missing50", "nonlinear", "confounded")

VARIANTS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "all 16 factors kept": {"rank": "full"},
    "no sweeps": {"sweeps": 0},
    "neither": {"rank": "full", "sweeps": 0},
    "SVD start": {"start": "svd"},
    "random start": {"start": "random"},
    "sites: no effects": {"effects": "none"},
    "sites: free effects": {"effects": "free"},
    "guide not top-down": {"top_down": False},
    "+ cross view": {"objectives": {"cross_view": 1.0}},
    "+ agreement": {"objectives": {"agreement": 0.1}},
    "+ InfoNCE": {"objectives": {"alignment": {"kind": "infonce", "weight": 1.0}}},
    "+ cosine": {"objectives": {"alignment": {"kind": "cosine", "weight": 1.0}}},
    "+ CCA": {"objectives": {"alignment": {"kind": "cca", "weight": 1.0}}},
    "+ Barlow": {"objectives": {"alignment": {"kind": "barlow", "weight": 1.0}}},
    "+ HSIC": {"objectives": {"separation": {"kind": "hsic", "weight": 10.0}}},
    "+ distance correlation": {"objectives": {"separation": {"kind": "dcor", "weight": 10.0}}},
    "+ cross view, stop-gradient": {"objectives": {"cross_view": 1.0}, "stop_gradient": True},
    "+ cross view, shared first": {"objectives": {"cross_view": 1.0}, "shared_first": 0.2},
    "random start + cross view": {"start": "random", "objectives": {"cross_view": 1.0}},
    "random start, shared first": {
        "start": "random",
        "objectives": {"cross_view": 1.0},
        "shared_first": 0.2,
    },
    "additive decoder": {"decoder": "additive"},
    "MLP decoder": {"decoder": "mlp"},
    "mixture prior": {"prior": "mixture"},
    "VampPrior": {"prior": "vamp"},
    "flow prior": {"prior": "flow"},
    "ARD loadings": {"loadings": "ard"},
    "horseshoe loadings": {"loadings": "horseshoe"},
}

COLUMNS = {
    "shared": "R² shared",
    "private": "R² private",
    "leak": "largest leak",
    "site": "excess site",
    "cross_ratio": "cross-view ratio",
    "coverage": "coverage",
    "seconds": "CPU s",
}


def read(cell: Cell, options: dict[str, Any]) -> dict[str, float]:
    """Fit a variant and judge it."""
    model, seconds = fit_cell(cell, **options)
    blocks = {"shared": model.transform()}
    for name in cell.mdata.mod:
        blocks[f"private:{name}"] = model.transform(block=f"private:{name}")
    scores = {**judge(blocks, cell), **cross_view(model, cell, kernel=False)}
    coverage = coverage_of_z(*posterior_of_z(model), cell.truth)
    return {**scores, "coverage": coverage, "seconds": seconds}


def tables(rows: pd.DataFrame) -> Iterator[str]:
    """Yield a block a cell, a row a variant, means over seeds."""
    for cell in USED:
        part = rows[rows["cell"] == cell]
        if part.empty:
            continue
        means = part.groupby("variant")[list(COLUMNS)].mean().dropna(how="all")
        body = [[v, *_shown(means.loc[v])] for v in VARIANTS if v in means.index]
        yield f"\n## {cell}, {part['seed'].nunique()} seeds\n"
        yield from table(["variant", *COLUMNS.values()], body)


def _shown(means: pd.Series) -> list[str]:
    formats = {"site": "+.3f", "seconds": ".1f"}
    return [number(value, formats.get(str(name), ".3f")) for name, value in means.items()]


def main() -> None:
    """Fit, judge, and write the table."""
    command_line = parser(__doc__, out=FOLDER, seeds=2)
    command_line.add_argument("--cells", nargs="+", default=list(USED), choices=list(CELLS))
    choice(command_line, "--variants", VARIANTS)
    command_line.add_argument("--n", type=int, default=500)
    arguments = parse(command_line)
    kept = Rows(arguments.out, KEY)
    for seed in range(arguments.seeds):
        for name in arguments.cells:
            cell = Cell.draw(name, seed, arguments.n)
            for variant in arguments.variants:
                key = dict(zip(KEY, (name, seed, variant), strict=True))
                found = kept.add(key, lambda c=cell, v=variant: read(c, VARIANTS[v]))
                if found is not None:
                    means = pd.Series(found)[list(COLUMNS)]
                    print(row([f"{name} {seed} {variant}", *_shown(means)]), flush=True)
    publish(arguments.out / "table.md", "Ablation", tables(kept.read()))


if __name__ == "__main__":
    main()
