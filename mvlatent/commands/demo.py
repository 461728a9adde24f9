"""``mvlatent demo``: a simulated cohort from fit to report, with the truth to compare with."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mvlatent._files import replacing_folder
from mvlatent.commands.files import check_writable, write_cohort
from mvlatent.process import quiet

__all__ = ["run_demo"]

ROLES: dict[str, Any] = {
    "batch": "site",
    "clinical": ["age", "is_female"],
    "survival": ("survival_months", "event"),
    "labels": "subtype",
}
INTRODUCTION = """\
Simulated patients with RNA, copy number, mutations and image features; some lack a view, each
hospital leaves its own fingerprint, and the truth is known. Everything below comes from one call of
mvlatent.fit and its reading methods; risks and classes are out of fold: each patient was predicted
by a model that had not seen that patient."""
FIGURES = ("latent", "survival", "variance", "history")
WRITTEN = ("cohort.h5mu", "model", "report.html", *(f"{name}.png" for name in FIGURES))


def run_demo(out: Path, *, n: int, seed: int, overwrite: bool = False) -> None:
    """Simulate, fit, evaluate, draw; everything is written below ``out``, or nothing."""
    import matplotlib as mpl

    there = [name for name in WRITTEN if (out / name).exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"{out} already holds {', '.join(there)}; pass --overwrite to replace them, or name "
            "another folder with --out."
        )
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file; name a folder with --out.")
    check_writable(out)

    mpl.use("Agg")
    import mvlatent as mv
    from mvlatent.report import Section, write_report

    begun = time.perf_counter()
    say = _Clock(begun)
    with replacing_folder(out) as beside:
        with quiet():
            data, truth = mv.sim.cohort("demo", n=n, seed=seed)
            write_cohort(data, beside / "cohort.h5mu")
            say(f"simulated {n} patients, {len(data.mod)} views")
            model = mv.fit(data, seed=seed, **ROLES)
            model.save(beside / "model", overwrite=True)
            say("fitted and saved the model")
            estimates = mv.study.out_of_fold(data, folds=5, seed=seed, **ROLES)
            say("five folds predicted by models that had not seen them")
            tables = _tables(model, estimates, truth)
            figures = _figures(model, estimates.table, data)
        for name, figure in figures.items():
            figure.savefig(beside / f"{name}.png", dpi=150, bbox_inches="tight", facecolor="white")
        write_report(
            beside / "report.html",
            title="mvlatent: a simulated cohort",
            sections=[
                Section(
                    "What this is", INTRODUCTION.replace("\n", " "), tables=[tables["estimates"]]
                ),
                Section("Latent space", figures=[figures["latent"]]),
                Section("Survival", figures=[figures["survival"]]),
                Section(
                    "Variance explained", tables=[tables["variance"]], figures=[figures["variance"]]
                ),
                Section("The fit", model.summary(), figures=[figures["history"]]),
            ],
        )
    _close(model, tables, out, out / "report.html", time.perf_counter() - begun)


class _Clock:
    """Says what was done and when."""

    def __init__(self, begun: float) -> None:
        self.begun = begun

    def __call__(self, text: str) -> None:
        print(f"[{time.perf_counter() - self.begun:5.1f} s] {text}", flush=True)


def _tables(model: Any, estimates: Any, truth: Any) -> dict[str, pd.DataFrame]:
    from mvlatent import tl

    c, lower, upper = estimates.concordance()
    z_only = estimates.concordance("risk_shared")
    z = model.transform()
    known = estimates.table["label"].notna().to_numpy()
    audit = tl.site_audit(z[known], np.asarray(truth.site)[known], np.asarray(truth.subtype)[known])
    rows = {
        "Harrell's C, out of fold": (c, f"{lower:.3f} to {upper:.3f}"),
        "Harrell's C from z, clinical columns and site": (
            z_only[0],
            f"{z_only[1]:.3f} to {z_only[2]:.3f}",
        ),
        "Harrell's C of the true hazard": (truth.concordance(), "the best anyone could do"),
        "accuracy of the subtype, out of fold": (estimates.accuracy(), ""),
        "true shared factors read from z (R²)": (_recovery(z, truth), "1 is all of them"),
        "site read from z beyond subtype": (audit.excess, "0 is right"),
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "note"])
    return {"estimates": table, "variance": model.variance_explained()}


def _recovery(z: np.ndarray, truth: Any) -> float:
    from mvlatent import tl

    return float(tl.block_recovery(z, truth.shared))


def _figures(model: Any, table: pd.DataFrame, data: Any) -> dict[str, Any]:
    import matplotlib.pyplot as plt

    from mvlatent import pl

    weights = model.variance_explained(by="factor").filter(like="shared_", axis=0).mean(axis=1)
    z = model.transform() * np.sqrt(weights.clip(lower=0).to_numpy())  # by what a factor explains

    def draw(name: str, size: tuple[float, float], *panels: Callable[[Any], Any]) -> Any:
        figure, axes = plt.subplots(
            1, len(panels), figsize=size, layout="constrained", squeeze=False
        )
        figure.set_label(name)
        for axis, panel in zip(axes[0], panels, strict=True):
            panel(axis)
        plt.close(figure)
        return figure

    def by(column: str, title: str) -> Callable[[Any], Any]:
        return lambda ax: pl.latent(z, color=data.obs[column], method="umap", title=title, ax=ax)

    axes = pl.history(model.history)
    history = np.ravel(axes)[0].figure
    history.set_label("terms of the objective by epoch")
    plt.close(history)
    return {
        "latent": draw(
            "latent space", (11, 4.2), by("subtype", "by subtype"), by("site", "by site")
        ),
        "survival": draw(
            "Kaplan-Meier by predicted risk",
            (6.5, 5),
            lambda ax: pl.kaplan_meier(
                table["risk"],
                table["time"],
                table["event"],
                groups=3,
                unit="months",
                ax=ax,
                title="Out-of-fold risk",
            ),
        ),
        "variance": draw(
            "variance explained",
            (6.5, 3.6),
            lambda ax: pl.variance_explained(model.variance_explained(), ax=ax),
        ),
        "history": history,
    }


def _close(
    model: Any, tables: dict[str, pd.DataFrame], out: Path, report: Path, seconds: float
) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    shown = Table(title="evaluation against the truth", title_justify="left")
    for column in ("", "estimate", "note"):
        shown.add_column(column, justify="right" if column == "estimate" else "left")
    for name, row in tables["estimates"].iterrows():
        shown.add_row(str(name), f"{row['estimate']:.3f}", row["note"])
    console.print(shown)
    console.print(f"report:  {report}", markup=False)
    console.print(f"figures: {out}/*.png", markup=False)
    console.print(f"model:   {out / 'model'}", markup=False)
    console.print(f"{seconds:.0f} s in all")
