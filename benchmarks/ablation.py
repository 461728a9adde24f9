"""What each piece of the model contributes: the start, the guide, each objective, each prior.

``python benchmarks/ablation.py`` fits every variant to simulated cohorts of 500 patients and reads
what ``separation.py`` reads. Rows are kept in ``results/ablation/rows.jsonl`` as they come; the
table is ``results/ablation/table.md``.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from _rows import Rows
from _separation import CELLS, Cell, coverage_of_z, cross_view, fit_ours, judge, posterior_of_z

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
    model, seconds = fit_ours(cell.mdata, cell.seed, **options)
    blocks = {"shared": model.transform()}
    for name in cell.mdata.mod:
        blocks[f"private:{name}"] = model.transform(block=f"private:{name}")
    scores = {**judge(blocks, cell), **cross_view(model, cell, kernel=False)}
    coverage = coverage_of_z(*posterior_of_z(model), cell.truth)
    return {**scores, "coverage": coverage, "seconds": seconds}


def table(rows: pd.DataFrame) -> str:
    """Markdown: a block a cell, a row a variant, means over seeds."""
    text = []
    for cell in USED:
        part = rows[rows["cell"] == cell]
        if part.empty:
            continue
        text += [
            f"\n## {cell}, {part['seed'].nunique()} seeds\n",
            f"| variant | {' | '.join(COLUMNS.values())} |\n|---|{'---|' * len(COLUMNS)}",
        ]
        for variant in VARIANTS:
            means = part[part["variant"] == variant][list(COLUMNS)].mean()
            if means.notna().any():
                text.append(f"| {variant} | {' | '.join(_shown(means))} |")
    return "\n".join(text) + "\n"


def _shown(means: pd.Series) -> list[str]:
    formats = {"site": "+.3f", "seconds": ".1f"}
    return [format(value, formats.get(str(name), ".3f")) for name, value in means.items()]


def main() -> None:
    """Fit, judge, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", nargs="+", default=list(USED), choices=list(CELLS))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    kept = Rows(arguments.out, KEY)
    for seed in range(arguments.seeds):
        for name in arguments.cells:
            cell = Cell.draw(name, seed, arguments.n)
            for variant in arguments.variants:
                key = dict(zip(KEY, (name, seed, variant), strict=True))
                row = kept.add(key, lambda c=cell, v=variant: read(c, VARIANTS[v]))
                if row is not None:
                    means = pd.Series(row)[list(COLUMNS)]
                    print(f"| {name} {seed} {variant} | {' | '.join(_shown(means))} |", flush=True)
    text = table(kept.read())
    (arguments.out / "table.md").write_text("# Ablation\n" + text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
