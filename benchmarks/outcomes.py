"""Survival where the truth is known, and what the head and its bands cost.

``python benchmarks/outcomes.py [--parts simulations null seconds] [--runs 50] [--null-runs 200]``

*simulations*: ``weak_survival`` and ``easy``, 500 patients, 60 % censored, default settings. C on
1,000 new patients beside that of a Cox model on the true factors and age of the same training rows
(the ratio is of C - 0.5); coverage of 90 % bands of the true S(t) at the quartiles of the training
times of events, over the new patients.

*null*: no hazard depends on anything; 150 patients, three small views. Whether a 95 % bootstrap
interval of C on 150 new patients holds 0.5, and whether the head is declared to add to a Cox model
on age and sex (the interval of the difference lies above 0).

*seconds*: refit of the head, and bands of 500 patients x 100 times x 200 draws, with the peak of
memory above what was held before.

Rows are kept in ``results/outcomes/rows.jsonl`` as they come (a row that is there is not made
again, so a stopped run goes on); the table is ``results/outcomes/table.md``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _arguments import choice, parse, parser
from _fit import Fit, fit_ours
from _markdown import number, publish, table
from _rows import Rows

import mvlatent as mv
from mvlatent.data.cohort import SurvivalData
from mvlatent.heads import BlockHead
from mvlatent.outcomes import Cox
from mvlatent.sim import ViewSpec
from mvlatent.tl import bootstrap_difference, bootstrap_interval, concordance

FOLDER = Path(__file__).parent / "results" / "outcomes"
ROLES: dict[str, Any] = {
    "batch": "site",
    "clinical": ["age", "is_female"],
    "survival": ("survival_months", "event"),
}
PRESETS = ("weak_survival", "easy")
SMALL = {name: ViewSpec(n_features=p, n_private=2) for name, p in (("a", 30), ("b", 20), ("c", 20))}
WIDE = 1e3  # sd of coefficients that is no penalty
LEVEL, N_NEW, N_NULL = 0.9, 1000, 150
QUARTILES = (25, 50, 75)


def fit(mdata: Any, seed: int, **options: Any) -> Fit:
    """Fit with default settings and the cohort's roles."""
    return fit_ours(mdata, seed=seed, **ROLES, **options)


def plain_cox(train: np.ndarray, new: np.ndarray, obs: pd.DataFrame) -> np.ndarray:
    """Log hazards (m,) of new rows (m, p) by a Cox model on training rows (n, p)."""
    time_, event = (torch.tensor(obs[k].to_numpy(float)) for k in ROLES["survival"])
    bound = Cox().bind(SurvivalData(time_, event))
    columns = {f"x{j}": torch.tensor(train[:, j : j + 1]) for j in range(train.shape[1])}
    head = BlockHead.fit(columns, bound, fixed_sd=dict.fromkeys(columns, WIDE))
    fresh = {f"x{j}": torch.tensor(new[:, j : j + 1]) for j in range(new.shape[1])}
    return head.predict(fresh)[0][:, 0].numpy()


def known_factors(truth: Any, mdata: Any) -> np.ndarray:
    """Everything the hazard may depend on, (n, p)."""
    age = mdata.obs["age"].to_numpy(float)[:, None]
    return np.column_stack([truth.shared, (age - 60) / 10])


def simulation(preset: str, seed: int) -> dict[str, float]:
    """One simulated cohort with a hazard."""
    mdata, truth = mv.sim.cohort(preset, n=500, seed=seed, censoring=0.6)
    new, known = truth.new_patients(N_NEW, seed=seed + 1)
    model, seconds = fit(mdata, seed)
    risk = model.predict_risk(new)
    best = plain_cox(known_factors(truth, mdata), known_factors(known, new), mdata.obs)
    ours = concordance(known.time, known.event, risk)
    reference = concordance(known.time, known.event, best)
    times = np.quantile(truth.time[truth.event > 0], np.array(QUARTILES) / 100)
    band = model.predict_survival(times, new, interval=LEVEL)
    curves = known.survival(times).to_numpy()
    inside = (curves >= band.lower.to_numpy()) & (curves <= band.upper.to_numpy())
    width = (band.upper - band.lower).to_numpy().mean(1)
    return {
        "c": ours,
        "c_cox": reference,
        "c_true": known.concordance(),
        "ratio": _ratio(ours, reference),
        **{f"cover_{q}": float(x) for q, x in zip(QUARTILES, inside.mean(1), strict=True)},
        **{f"width_{q}": float(x) for q, x in zip(QUARTILES, width, strict=True)},
        "n_blocks": len(model.trained.survival.full.tau),
        "seconds": seconds,
    }


def null(_: str, seed: int) -> dict[str, float]:
    """One simulated cohort without a hazard."""
    mdata, truth = mv.sim.cohort("null", n=N_NULL, seed=seed, views=SMALL, n_shared=3)
    new, known = truth.new_patients(N_NULL, seed=seed + 1)
    model, seconds = fit(mdata, seed, n_shared=4, n_private=2)
    risk = model.predict_risk(new).to_numpy()
    train, fresh = (x.obs[["age", "is_female"]].astype(float).to_numpy() for x in (mdata, new))
    clinical = plain_cox(train, fresh, mdata.obs)
    found = bootstrap_interval(known.time, known.event, risk, level=0.95, seed=seed)

    def of(score: np.ndarray) -> Callable[[np.ndarray], float]:
        return lambda rows: concordance(known.time[rows], known.event[rows], score[rows])

    gain = bootstrap_difference(of(risk), of(clinical), len(risk), level=0.95, seed=seed)
    return {
        "c": found[0],
        "holds_half": float(found[1] <= 0.5 <= found[2]),
        "gain": gain[0],
        "declared": float(gain.lower > 0),
        "seconds": seconds,
    }


def seconds(preset: str, seed: int) -> dict[str, float]:
    """What the head and its bands cost on a cohort of 500 patients, every block in the head."""
    mdata, _ = mv.sim.cohort(preset, n=500, seed=seed, censoring=0.6)
    everything = ("shared", "private", "scores", "clinical", "technical")
    model, fitted = fit(mdata, seed, head_blocks=everything)
    grid = np.linspace(0, model.trained.survival.horizon, 101)[1:]
    refit, refit_memory = _cost(lambda: model.refit_head())
    bands, bands_memory = _cost(
        lambda: model.predict_survival(times=grid, interval=LEVEL, n_samples=200)
    )
    return {
        "columns": sum(len(c) for c in model.trained.survival.full.coef.values()),
        "fit": fitted,
        "refit": refit,
        "refit_mb": refit_memory,
        "bands": bands,
        "bands_mb": bands_memory,
    }


def _ratio(c: float, reference: float) -> float:
    """What one concordance has beyond a coin, as a share of another's."""
    return (c - 0.5) / (reference - 0.5)


def _cost(work: Callable[[], Any]) -> tuple[float, float]:
    """Wall seconds, and megabytes by which the peak exceeds what was held before (Linux)."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    before, start = _megabytes(status, "VmRSS"), time.perf_counter()
    work()
    return time.perf_counter() - start, _megabytes(status, "VmHWM") - before


def _megabytes(status: Path, field: str) -> float:
    if not status.exists():
        return float("nan")
    line = next(x for x in status.read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) / 1024


PARTS: dict[str, tuple[tuple[str, ...], Callable[[str, int], dict[str, float]]]] = {
    "simulations": (PRESETS, simulation),
    "null": (("null",), null),
    "seconds": (("easy",), seconds),
}


def tables(rows: pd.DataFrame) -> Iterator[str]:
    """Markdown of the rows that are there."""
    part = rows[rows["part"] == "simulations"]
    if len(part):
        means = {k: of.mean(numeric_only=True) for k, of in part.groupby("preset", sort=False)}
        runs = part["preset"].value_counts()
        yield from table(
            ["preset", "runs", "C", "C of Cox on the true factors", "ratio of C - 0.5"],
            (
                [
                    k,
                    runs[k],
                    *map(number, (m["c"], m["c_cox"], (m["c"] - 0.5) / (m["c_cox"] - 0.5))),
                ]
                for k, m in means.items()
            ),
        )
        yield ""
        yield from table(
            ["preset", "coverage of 90 % bands of S(t) at quartiles", "width", "CPU s a fit"],
            (
                [
                    k,
                    " / ".join(number(m[f"cover_{q}"]) for q in QUARTILES),
                    " / ".join(number(m[f"width_{q}"], ".2f") for q in QUARTILES),
                    number(m["seconds"], ".1f"),
                ]
                for k, m in means.items()
            ),
        )
    part = rows[rows["part"] == "null"]
    if len(part):
        m = part.mean(numeric_only=True)
        yield (
            f"\nNull, {len(part)} runs: 95 % interval of C holds 0.5 in {m['holds_half']:.3f}, "
            f"added value over clinical declared in {m['declared']:.3f}; mean C {m['c']:.3f}."
        )
    part = rows[rows["part"] == "seconds"]
    if len(part):
        m = part.mean(numeric_only=True)
        yield (
            f"\n500 patients, {m['columns']:.0f} columns, one thread: both heads refitted in "
            f"{m['refit']:.1f} s (+{m['refit_mb']:.0f} MB at peak); bands of 500 patients x 100 "
            f"times x 200 draws in {m['bands']:.1f} s (+{m['bands_mb']:.0f} MB)."
        )


def main() -> None:
    """Run what is missing, a row at a time, and write the table."""
    command_line = parser(__doc__, out=FOLDER)
    choice(command_line, "--parts", PARTS)
    command_line.add_argument("--runs", type=int, default=50)
    command_line.add_argument("--null-runs", type=int, default=200)
    command_line.add_argument("--seconds-runs", type=int, default=3)
    arguments = parse(command_line)
    kept = Rows(arguments.out, ["part", "preset", "seed"])
    runs = {
        "simulations": arguments.runs,
        "null": arguments.null_runs,
        "seconds": arguments.seconds_runs,
    }
    for part in arguments.parts:
        presets, run = PARTS[part]
        for seed in range(runs[part]):
            for preset in presets:
                key = {"part": part, "preset": preset, "seed": seed}
                row = kept.add(key, partial(run, preset, seed))
                if row is not None:
                    print(json.dumps(row), flush=True)
    publish(arguments.out / "table.md", "Outcomes on simulations", tables(kept.read()))


if __name__ == "__main__":
    main()
