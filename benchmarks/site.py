"""How well the site is read from z, beside the raw views, for each kind of technical effect.

``python benchmarks/site.py --data FOLDER`` fits LUAD and BRCA with free, random and no effects of
the site and probes z (`mvlatent.tl.site_audit`: cross-validated linear probe, balanced accuracy)
for the ten largest sites; 0.1 is chance. Excess: the same beyond what the subtype gives, among the
patients whose subtype is known. Writes ``results/site.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _arguments import parse, parser
from _fit import fit_ours
from _folds import BATCH, BINARY, read
from _markdown import publish, row, table
from sklearn.decomposition import PCA

from mvlatent.tl import site_audit

COHORTS = ("luad", "brca")
BIOLOGY = "mol_subtype"
N_SITES, N_COMPONENTS, N_PERMUTATIONS = 10, 50, 10
RESULT = Path(__file__).parent / "results" / "site.md"


def audit(latent: np.ndarray, obs: pd.DataFrame) -> tuple[str, str]:
    """Return accuracy, and excess given the subtype, for the largest sites; as text."""
    sites = obs[BATCH].astype(object)
    largest = sites.value_counts().index[:N_SITES]
    sites = sites.where(sites.isin(largest))
    plain = site_audit(latent, sites, n_permutations=1)
    try:
        biology = obs[BIOLOGY].astype(object)
        within = site_audit(latent, sites, biology, n_permutations=N_PERMUTATIONS)
    except ValueError:
        return f"{plain.accuracy:.3f}", "–"
    excess = f"{within.excess:+.3f} ± {within.excess_sd:.3f} ({within.n}, {within.n_sites} sites)"
    return f"{plain.accuracy:.3f}", excess


def raw(model: Any, obs: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Yield the same for the leading components of each scaled view, where it is present."""
    cohort = model.trained.preparation.transform(model.tables())
    for name, view in cohort.views.items():
        x, present = view.x.numpy(), view.present.numpy()
        n = min(N_COMPONENTS, *x[present].shape)
        scores = PCA(n, random_state=0).fit_transform(x[present])
        yield (f"raw {name}, {n} components", *audit(scores, obs[present]))


def probe(mdata: Any, seeds: int) -> Iterator[tuple[str, str, str]]:
    """Yield what is read from, accuracy and excess: the raw views, then z of each fit."""
    views = {name: "bernoulli" if name in BINARY else "normal" for name in mdata.mod}
    first = True
    for kind in ("none", "random", "free"):
        for seed in range(seeds):
            model = fit_ours(mdata, seed=seed, views=views, batch=BATCH, effects=kind).model
            if first:
                yield from raw(model, mdata.obs)
            first = False
            suffix = f", seed {seed}" if seeds > 1 else ""
            yield (f"z, effects {kind}{suffix}", *audit(model.transform(), mdata.obs))


def main() -> None:
    """Fit, probe, print and write the table."""
    command_line = parser(__doc__, data=True, seeds=1)
    command_line.add_argument("--cohorts", nargs="+", default=COHORTS)
    arguments = parse(command_line)
    lines = [
        f"Balanced accuracy of a linear probe for the {N_SITES} largest sites (chance "
        f"{1 / N_SITES:g}), and its excess given {BIOLOGY} (± sd by chance; patients and sites "
        f"that took part); {arguments.threads} thread(s).",
        "",
        *table(["cohort", "read from", "accuracy", "excess"], n_left=2),
    ]
    print("\n".join(lines))
    for cohort in arguments.cohorts:
        for cells in probe(read(arguments.data, cohort), arguments.seeds):
            lines.append(row([cohort, *cells]))
            print(lines[-1], flush=True)
            publish(RESULT, "Site", lines, show=False)


if __name__ == "__main__":
    main()
