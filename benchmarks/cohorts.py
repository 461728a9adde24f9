"""Real cohorts with no option but the names of the views: how the fit stands, what z holds.

``python benchmarks/cohorts.py --data FOLDER`` fits the CITE-seq cells (sparse RNA counts and 49
surface proteins), the adrenal cohort (five views, half of the patients incomplete) and the
leukaemia cohort (drug responses, and mutations without the IGHV column); reads how well the hashing
label and the IGHV status are read from each block (cross-validated logistic regression), beside
MOFA on the same file where it is installed. Writes ``results/cohorts.md``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata
import mudata
import numpy as np
import pandas as pd
from _arguments import choice, parse, parser
from _fit import fit_ours
from _markdown import number, publish, table
from _peers import mofa, standardised
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

RESULT = Path(__file__).parent / "results" / "cohorts.md"
LABEL, FACTORS = "IGHV", 15


def probe(x: np.ndarray, y: np.ndarray) -> float:
    """AUC (two classes) or balanced accuracy of a cross-validated logistic regression."""
    classifier = make_pipeline(
        StandardScaler(), LogisticRegressionCV(Cs=10, cv=5, max_iter=5000, class_weight="balanced")
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classes = np.unique(y)
    if len(classes) > 2:
        return float(balanced_accuracy_score(y, cross_val_predict(classifier, x, y, cv=folds)))
    chance = cross_val_predict(classifier, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y == classes[1], chance))


def blocks(model: Any) -> dict[str, np.ndarray]:
    """Latent blocks by name."""
    names = ["shared", *(f"private:{view}" for view in model.roles.views)]
    return {name: model.transform(block=name) for name in names}


def stands(name: str, model: Any, seconds: float) -> Iterator[str]:
    """Yield how the fit went: kinds of the views, numbers finite or not, shares of variance."""
    history = model.history.to_numpy(float)
    finite = bool(np.isfinite(history).all())
    finite &= all(bool(np.isfinite(z).all()) for z in blocks(model).values())
    kinds = ", ".join(f"{k} {v.likelihood}" for k, v in model.roles.views.items())
    yield (
        f"\n## {name}\n\n{len(model.cohort())} rows; {kinds}; {int(model.trained.vae.active.sum())}"
        f" shared factors kept; {seconds:.0f} CPU s; every number finite: "
        f"{'yes' if finite else '**no**'}; ELBO {model.history['elbo'].iloc[0]:.1f} → "
        f"{model.history['elbo'].iloc[-1]:.1f} nats a row.\n"
    )
    shares = model.variance_explained().round(3)
    rows = ([block, *map(number, row)] for block, row in shares.iterrows())
    yield from table(["share of variance", *shares.columns], rows)


def cells(folder: Path) -> Iterator[str]:
    """Yield the lines of the CITE-seq cells."""
    adata = anndata.read_h5ad(folder / "citefuse_eccite_pbmc.h5ad")
    model, seconds = fit_ours(adata, views=["rna", "ADT"])
    yield from stands("CITE-seq, 500 cells", model, seconds)
    label = adata.obs["hto_argmax"].astype(str).to_numpy()
    found = {name: probe(z, label) for name, z in blocks(model).items()}
    shown = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    yield f"\nHashing label (which sample; chance {1 / len(set(label)):.2f}) read from: {shown}."


def adrenal(folder: Path) -> Iterator[str]:
    """Yield the lines of the adrenal cohort."""
    mdata = mudata.read(folder / "acc_miniacc.h5mu")
    model, seconds = fit_ours(mdata)
    yield from stands("ACC, five views", model, seconds)


def leukaemia(folder: Path) -> Iterator[str]:
    """Yield the lines of the leukaemia cohort: IGHV status from each block, and from MOFA."""
    mdata = mudata.read(folder / "cll.h5mu")
    mut = mdata.mod["mut"]
    mdata = mudata.MuData(
        {"drugs": mdata.mod["drugs"].copy(), "mut": mut[:, mut.var_names != LABEL].copy()},
        obs=mdata.obs.copy(),
    )
    model, seconds = fit_ours(mdata)
    yield from stands("CLL, drugs and mutations without IGHV", model, seconds)
    label = mdata.obs[LABEL].astype(object)
    known = label.notna().to_numpy() & ~label.astype(str).isin(["nan", "None", ""]).to_numpy()
    y = label[known].astype(str).to_numpy()
    rows = {f"mvlatent {name}": z for name, z in blocks(model).items()}
    if importlib.util.find_spec("mofapy2") is not None:
        views = {}
        for name, part in mdata.mod.items():
            values = pd.DataFrame(np.asarray(part.X, float), index=part.obs_names)
            views[name] = values.reindex(mdata.obs_names).to_numpy()
        for name, z in mofa(standardised(views), FACTORS, 0).items():
            rows[f"MOFA {name}"] = z
        everything = [z for name, z in rows.items() if name.startswith("MOFA")]
        rows[f"MOFA all {FACTORS} factors"] = np.hstack(everything)
    yield ""
    found = ([k, z.shape[1], number(probe(z[known], y))] for k, z in rows.items() if z.shape[1])
    yield from table([f"{LABEL} read from", "dimensions", "AUC"], found)


COHORTS = {"cells": cells, "adrenal": adrenal, "leukaemia": leukaemia}


def main() -> None:
    """Fit, read, print and write."""
    command_line = parser(__doc__, data=True)
    choice(command_line, "--cohorts", COHORTS)
    arguments = parse(command_line)
    lines = []
    for name in arguments.cohorts:
        for line in COHORTS[name](arguments.data):
            print(line, flush=True)
            lines.append(line)
        publish(RESULT, "Real cohorts, default settings", lines, show=False)


if __name__ == "__main__":
    main()
