"""Whether the posterior widens when views are taken away, and whether its intervals hold.

``python benchmarks/posterior.py --data FOLDER`` fits LUAD (site as batch) on four fifths of the
patients and reads the others: the sd of z given every subset of views, the coverage of 90 %
predictive intervals of a view given the others (all, two, one, none), and, in a second fit, the
coverage of a tenth of the entries that no one saw. Writes ``results/posterior.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _arguments import parse, parser
from _fit import fit_ours
from _folds import BATCH, BINARY, read
from _markdown import number, publish, table
from scipy.stats import norm

from mvlatent.tl import coverage

if TYPE_CHECKING:
    from mudata import MuData

LEVEL = 0.9
SHARE = 0.1  # of the entries held out
RESULT = Path(__file__).parent / "results" / "posterior.md"


def fit(mdata: MuData, seed: int, **options: Any) -> Any:
    """Fit a cohort's views with the site as batch and no outcome."""
    views = {name: "bernoulli" if name in BINARY else "normal" for name in mdata.mod}
    return fit_ours(mdata, seed=seed, views=views, batch=BATCH, **options).model


def truth(model: Any, mdata: MuData) -> dict[str, np.ndarray]:
    """Return scaled values by view, (n, p); NaN where they were not measured."""
    preparation = model.trained.preparation
    tables = preparation.read(mdata)
    scaled = {}
    for name, view in preparation.transform(tables).views.items():
        seen = view.present[:, None] if view.observed is None else view.observed
        scaled[name] = torch.where(seen, view.x, torch.nan).numpy()
    return scaled


def subsets(views: list[str]) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Yield how many views may be looked at, and which those are."""
    yield "all", [tuple(views)]
    for n, name in ((2, "two"), (1, "one"), (0, "none")):
        if n < len(views):
            yield name, list(combinations(views, n))


def widths(model: Any, mdata: MuData) -> list[list[object]]:
    """Return rows: sd of the factors of z that are on, and its range over the subsets.

    Of patients that have every view.
    """
    names = list(mdata.mod)
    complete = model.cohort(mdata).presence.all(1).numpy()
    active = model.trained.vae.active.numpy()  # a factor that is switched off has an sd of 1
    rows: list[list[object]] = []
    for label, given in subsets(names):
        sds = [model.posterior(mdata, given=g).sd[complete][:, active].mean() for g in given]
        rows.append([label, number(np.mean(sds)), f"{min(sds):.3f}–{max(sds):.3f}"])
    return rows


def covered(model: Any, mdata: MuData) -> list[list[object]]:
    """Return rows: coverage of whole views of new patients, by how much else is seen."""
    true = truth(model, mdata)
    rows: list[list[object]] = []
    for view in mdata.mod:
        if view in BINARY:
            continue
        others = [name for name in mdata.mod if name != view]
        cells, r2 = [], 0.0
        for label, given in subsets(others):
            found = []
            for g in given:
                held = model.impute(view, mdata, given=list(g), interval=LEVEL, units="scaled")
                found.append(coverage(held.lower, held.upper, true[view]))
                if label == "all":
                    r2 = explained(held.mean.to_numpy(), true[view])
            cells.append(number(np.mean(found)))
        rows.append([view, true[view].shape[1], *cells, number(r2)])
    return rows


def explained(mean: np.ndarray, true: np.ndarray) -> float:
    """Return the share of the sum of squares around 0 (the training mean) that is explained."""
    return float(1 - np.nansum((true - mean) ** 2) / np.nansum(true**2))


def calibrated_mutations(model: Any, mdata: MuData) -> list[list[object]]:
    """Return rows: predicted and observed frequency of binary views, by predicted probability."""
    rows: list[list[object]] = []
    for view in BINARY:
        if view not in mdata.mod:
            continue
        true = truth(model, mdata)[view]
        mean = model.impute(view, mdata).to_numpy()[:, : true.shape[1]]
        for low, high in ((0, 0.02), (0.02, 0.05), (0.05, 0.1), (0.1, 0.3), (0.3, 1.01)):
            chosen = (mean >= low) & (mean < high) & np.isfinite(true)
            if chosen.sum() > 50:
                means = [number(x[chosen].mean()) for x in (mean, true)]
                rows.append([view, f"{low:g}–{min(high, 1):g}", f"{chosen.sum():,}", *means])
    return rows


def hide_entries(mdata: MuData, seed: int) -> tuple[MuData, dict[str, np.ndarray]]:
    """Return a copy without a tenth of the entries of each continuous view, and which those are."""
    rng = np.random.default_rng(seed)
    hidden = {}
    mdata = mdata.copy()
    for name, part in mdata.mod.items():
        if name in BINARY:
            continue
        part.X = np.asarray(part.X, dtype=np.float32).copy()
        hidden[name] = (rng.random(part.shape) < SHARE) & np.isfinite(part.X)
        part.X[hidden[name]] = np.nan
    return mdata, hidden


def entries(mdata: MuData, seed: int) -> list[list[object]]:
    """Return rows: coverage of entries that were hidden from the fit and from the posterior."""
    partial, hidden = hide_entries(mdata, seed)
    model = fit(partial, seed)
    true = truth(model, mdata)
    rows: list[list[object]] = []
    for view, mask in hidden.items():
        held = model.impute(view, given=list(mdata.mod), interval=LEVEL, units="scaled")
        part = mdata.mod[view]
        kept = part.var_names.get_indexer(model.trained.preparation.features(view))
        chosen = np.zeros(true[view].shape, dtype=bool)
        chosen[mdata.obs_names.get_indexer(part.obs_names)] = mask[:, kept]
        target = np.where(chosen, true[view], np.nan)
        inside = coverage(held.lower, held.upper, target)
        r2 = explained(held.mean.to_numpy(), target)
        rows.append([view, f"{chosen.sum():,}", number(inside), number(r2)])
    return rows


def standardised(model: Any, train: MuData, test: MuData) -> list[list[object]]:
    """Return rows: spread of (x − mean) / sd of training and new patients, and noise scales."""
    z90 = norm.ppf(0.5 + LEVEL / 2)
    rows: list[list[object]] = []
    for view in train.mod:
        if view in BINARY:
            continue
        cells = []
        for mdata in (train, test):
            true = truth(model, mdata)[view]
            held = model.impute(view, mdata, given=list(mdata.mod), interval=LEVEL, units="scaled")
            sd = (held.upper - held.lower).to_numpy() / (2 * z90)
            cells.append(number(np.nanmean(((true - held.mean.to_numpy()) / sd) ** 2), ".2f"))
            cells.append(number(coverage(held.lower, held.upper, true)))
        scale = model.trained.vae.part(view).likelihood.scale.detach().numpy()
        low = np.mean(scale < 0.1)
        rows.append([view, *cells, number(np.median(scale), ".2f"), number(low)])
    return rows


def main() -> None:
    """Fit, read, print and write the tables."""
    command_line = parser(__doc__, data=True)
    command_line.add_argument("--cohort", default="luad")
    command_line.add_argument("--seed", type=int, default=0)
    arguments = parse(command_line)
    mdata = read(arguments.data, arguments.cohort)
    order = np.random.default_rng(arguments.seed).permutation(mdata.n_obs)
    cut = mdata.n_obs // 5
    test, train = mdata[np.sort(order[:cut])].copy(), mdata[np.sort(order[cut:])].copy()
    model = fit(train, arguments.seed)
    lines = [
        f"{arguments.cohort}: fitted on {train.n_obs} patients, read on {test.n_obs} others; "
        f"{arguments.threads} thread(s).",
        "\nMean sd of z (factors that are on) of the patients with every view, over the subsets of "
        "that size (range):\n",
        *table(["views seen", "sd", "range"], widths(model, test)),
        f"\nCoverage of {LEVEL:.0%} predictive intervals of a whole view of new patients, given "
        "the others (mean over the subsets of that size), and R² given all others:\n",
        *table(["view", "features", "all", "two", "one", "none", "R²"], covered(model, test)),
        "\nBinary views of new patients given the others: predicted and observed frequency:\n",
        *table(
            ["view", "predicted", "entries", "mean", "observed"], calibrated_mutations(model, test)
        ),
        "\nA view given every view, itself included: mean square of (x − mean) / sd and coverage, "
        "of training and of new patients; median noise sd and share of noise sds below 0.1:\n",
        *table(
            ["view", "train", "covered", "new", "covered", "noise sd", "< 0.1"],
            standardised(model, train, test),
        ),
        f"\nCoverage of {SHARE:.0%} of all entries, hidden from a second fit on all patients, "
        "given everything else:\n",
        *table(["view", "entries", "coverage", "R²"], entries(mdata, arguments.seed)),
    ]
    publish(RESULT, "Posterior", lines)


if __name__ == "__main__":
    main()
