"""What is measured of one fit on one simulated cohort, ours or another method's."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mvlatent import sim, tl

if TYPE_CHECKING:
    from mudata import MuData

__all__ = [
    "CELLS",
    "Cell",
    "arrays",
    "coverage_of_z",
    "cross_view",
    "fit_ours",
    "judge",
    "posterior_of_z",
]

LEVEL = 0.9
N_TEST, N_PROBE = 1000, 2000
N_PERMUTATIONS = 20

CELLS: dict[str, dict[str, Any]] = {
    "easy": {},
    "private_dominates": {},
    "missing50": {},
    "nonlinear": {},
    "confounded": {},
    "rich_private": {},
    "confounded, nonlinear": {"preset": "confounded", "mixing": "mlp"},
    "missing30, confounded, nonlinear": {"preset": "confounded", "mixing": "mlp", "missing": 0.3},
    "pairwise": {
        "preset": "easy",
        "pairwise": {("rna", "cnv"): 2, ("rna", "img"): 2},
        "missing": 0.2,
    },
    "null": {},
}


@dataclass(frozen=True)
class Cell:
    """One simulated cohort and its truth."""

    name: str
    seed: int
    mdata: MuData
    truth: sim.Truth

    @classmethod
    def draw(cls, name: str, seed: int, n: int) -> Cell:
        """Simulate the cohort of a cell of the table."""
        options = dict(CELLS[name])
        preset = options.pop("preset", name)
        return cls(name, seed, *sim.cohort(preset, n=n, seed=seed, **options))

    @property
    def linear(self) -> bool:
        """Whether the Bayes posterior has a closed form."""
        return self.truth.spec.mixing == "linear"


def arrays(truth: sim.Truth) -> dict[str, np.ndarray]:
    """Views as arrays, (N, p), rows of NaN where a patient lacks the view."""
    out = {}
    for column, (name, x) in enumerate(truth.complete.items()):
        values = np.asarray(x, dtype=np.float64).copy()
        values[~truth.present[:, column]] = np.nan
        out[name] = values
    return out


def fit_ours(mdata: MuData, seed: int, **options: Any) -> tuple[Any, float]:
    """Fit with default settings but the views' names and the site; the model and CPU seconds."""
    from mvlatent import _fit as api

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun = time.process_time()
        views = dict.fromkeys(mdata.mod, "normal")
        model = api.fit(mdata, views=views, batch="site", seed=seed, progress=False, **options)
    return model, time.process_time() - begun


def judge(blocks: Mapping[str, np.ndarray], cell: Cell) -> dict[str, float]:
    """Return recovery, leakage and excess site accuracy of latent blocks.

    ``w:<view>`` is the R² of a view's true private factors from its own private block.
    """
    empty = {f"w:{k.partition(':')[2]}": 0.0 for k, z in blocks.items() if not z.shape[1]}
    blocks = {name: z for name, z in blocks.items() if z.shape[1]}
    found = tl.leakage_matrix(blocks, cell.truth.blocks)
    whole = np.column_stack([v for k, v in cell.truth.blocks.items() if k.startswith("shared")])
    private = [name for name in blocks if name != "shared"]
    each = {f"w:{name.partition(':')[2]}": float(found.table.loc[name, name]) for name in private}
    each |= empty
    out = {
        "shared": tl.block_recovery(blocks["shared"], whole),
        "kernel": tl.block_recovery(blocks["shared"], whole, probe="kernel"),
        "private": float(np.mean([*each.values()])) if each else np.nan,
        **each,
        "leak": found.leak_max,
        "leak_mean": found.leak_mean,
    }
    obs = cell.mdata.obs
    audit = tl.site_audit(
        blocks["shared"], obs["site"], obs["subtype"], n_permutations=N_PERMUTATIONS
    )
    return {**out, "site": audit.excess, "site_sd": audit.excess_sd}


def posterior_of_z(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean (N, k) and covariance (N, k, k) of the shared factors that are on."""
    z, active = model.latents().z, model.trained.vae.active.numpy()
    return z.mean.numpy()[:, active], z.covariance.numpy()[:, active][:, :, active]


def coverage_of_z(mean: np.ndarray, covariance: np.ndarray, truth: sim.Truth) -> float:
    """Share of the true shared factors within their 90 % intervals.

    z is known up to a linear map: the map is the regression of the true factors on the posterior
    means, and carries the posterior covariance along.
    """
    mapped = LinearRegression().fit(mean, truth.shared)
    variance = np.einsum("ij,njk,ik->ni", mapped.coef_, covariance, mapped.coef_)
    width = norm.ppf(0.5 + LEVEL / 2) * np.sqrt(variance)
    found = mapped.predict(mean)
    return tl.coverage(found - width, found + width, truth.shared)


def cross_view(model: Any, cell: Cell, *, kernel: bool = True) -> dict[str, float]:
    """R² on new patients of each view given all others: ours, ridge of the views, and the best.

    The best is the Bayes prediction where it is closed form, and a ridge and a kernel ridge from
    the true factors of 2,000 further patients elsewhere (``kernel=False``: the ridge alone).
    """
    test, truth = cell.truth.new_patients(N_TEST, seed=900 + cell.seed)
    _, further = cell.truth.new_patients(N_PROBE, seed=800 + cell.seed)
    seen, new = arrays(cell.truth), arrays(truth)
    rows: dict[str, list[float]] = {}
    for column, view in enumerate(new):
        others = [name for name in new if name != view]
        places = [list(new).index(name) for name in others]
        kept = truth.present[:, column] & truth.present[:, places].any(1)
        guesses = {"ours": model.impute(view, test).to_numpy(), "ridge": _ridge(seen, new, view)}
        if cell.linear:
            guesses["best"] = sim.oracle_prediction(truth, view).to_numpy()
        else:
            for probe in ("ridge", "kernel") if kernel else ("ridge",):
                guess = sim.probe_prediction(further, truth, view, probe=probe)
                guesses["best" if probe == "ridge" else "best_kernel"] = guess.to_numpy()
        for name, guess in guesses.items():
            rows.setdefault(name, []).append(sim.cross_view_r2(truth, view, guess, rows=kept))
    means = {f"cross_{name}": float(np.mean(values)) for name, values in rows.items()}
    worst = min(o / b for o, b in zip(rows["ours"], rows["best"], strict=True))
    return {**means, "cross_ratio": means["cross_ours"] / means["cross_best"], "cross_worst": worst}


def _ridge(seen: dict[str, np.ndarray], new: dict[str, np.ndarray], view: str) -> np.ndarray:
    """Ridge from the other views to this one, missing inputs at their training means."""
    others = [name for name in seen if name != view]
    has = ~np.isnan(seen[view]).all(1)
    mean = {name: np.nanmean(seen[name], axis=0) for name in others}
    x, x_new = (
        np.hstack([np.where(np.isnan(v[name]), mean[name], v[name]) for name in others])
        for v in (seen, new)
    )
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
    return model.fit(x[has], seen[view][has]).predict(x_new)
