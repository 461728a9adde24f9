"""The tables of the cross-view benchmark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from _markdown import number, table
from _view_arms import NAMES

__all__ = ["markdown"]

OURS, RIDGE = "ours", "ridge"
LABELS = ("all", "two", "one", "none")
LEGEND = """\
Held-out patients, five folds; every view in the scaling that is learnt on the training patients.
Spearman's correlation and R² (about the training mean) a feature, mean over features and folds.
Differences: 95 % interval over patients drawn again within their fold, 400 times, the same patients
for both. z alone: what of ours goes through the shared latents. Ridge: all scores of the given
views, one penalty by leaving one out. Seconds: CPU time of an arm a fold, all its predictions in.
"""


def markdown(rows: pd.DataFrame, remarks: Sequence[str]) -> str:
    """All tables, and what kept an arm from running."""
    lines = ["# One view from the others, out of fold", "", LEGEND]
    if len(rows):
        arms = [arm for arm in NAMES if arm in set(rows["arm"])]
        lines += ["## Means", "", *_means(rows, arms), ""]
        for score, title in (("spearman", "Spearman a feature"), ("r2", "R² a feature")):
            lines += [f"## {title}", "", *_scores(rows, arms, score), ""]
        lines += ["## 90 % intervals", "", BAND_LEGEND, "", *_bands(rows), ""]
    lines += [f"- {remark}" for remark in remarks]
    return "\n".join(lines).rstrip() + "\n"


def _by_way(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """Mean over folds: a row a cohort, view and set of given views, a column an arm."""
    index = ["cohort", "view", "label", "given"]
    return rows.pivot_table(index=index, columns="arm", values=score, aggfunc="mean", sort=False)


def _means(rows: pd.DataFrame, arms: Sequence[str]) -> list[str]:
    """Lines of the means over cohorts and views, as they are and as a share of ridge's."""
    seconds = rows.drop_duplicates(["cohort", "fold", "arm"]).groupby("arm")["seconds"].mean()
    tables = {score: _by_way(rows, score) for score in ("spearman", "r2")}
    body = []
    for arm in arms:
        cells = [NAMES[arm]]
        for label in ("all", "one"):
            for score, ways in tables.items():
                part = ways[ways.index.get_level_values("label") == label]
                part = part.dropna(subset=[arm, *([RIDGE] if RIDGE in part else [])])
                cells.append(number(part[arm].mean()))
                if score == "spearman" and RIDGE in part:
                    cells.append(number(part[arm].mean() / part[RIDGE].mean()))
        body.append([*cells, number(seconds[arm], ".1f")])
    header = ["arm"]
    for words in ("given all", "given one"):
        share = [f"share of ridge, {words}"] if RIDGE in arms else []
        header += [f"Spearman, {words}", *share, f"R², {words}"]
    return table([*header, "CPU s a fold"], body)


def _scores(rows: pd.DataFrame, arms: Sequence[str], score: str) -> list[str]:
    """Lines of a score: given all others, then given each."""
    ways = _by_way(rows, score)
    body = []
    for key, found in ways.iterrows():
        cohort, view, label, given = key
        if label not in ("all", "one"):
            continue
        cells = [number(found.get(arm, np.nan)) for arm in arms]
        part = rows[(rows["cohort"] == cohort) & (rows["view"] == view) & (rows["label"] == "all")]
        gains = [""] * 2
        if label == "all" and score == "spearman":
            gains = [_difference(part, OURS, RIDGE), _difference(part, OURS, "start")]
        said = "all others" if label == "all" else given
        body.append([cohort.upper(), view, said, *cells, *(gains if score == "spearman" else [])])
    header = ["cohort", "view", "given", *(NAMES[arm] for arm in arms)]
    gains = [f"{NAMES[OURS]} − {NAMES[other]}" for other in (RIDGE, "start")]
    return table([*header, *(gains if score == "spearman" else [])], body, n_left=3)


def _difference(part: pd.DataFrame, arm: str, other: str) -> str:
    """Paired difference of two arms with its interval, over the folds that both have."""
    draws = {
        name: part[part["arm"] == name].set_index("fold")["resampled"] for name in (arm, other)
    }
    folds = draws[arm].index.intersection(draws[other].index)
    if not len(folds):
        return ""
    gains = np.mean([np.subtract(draws[arm][fold], draws[other][fold]) for fold in folds], axis=0)
    means = part[part["fold"].isin(folds)].groupby("arm")["spearman"].mean()
    low, high = np.quantile(gains, [0.025, 0.975])
    return f"{means[arm] - means[other]:+.3f} ({low:+.3f} to {high:+.3f})"


BAND_LEGEND = """\
Coverage given all other views, two, one and none of them (mean over the subsets of that size), and
the mean interval score, less being better, in scaled units. Ridge's band is split-conformal."""


def _bands(rows: pd.DataFrame) -> list[str]:
    """Lines of coverage and interval score, ours and ridge's."""
    if "coverage" not in rows:
        return []
    kept = rows[rows["coverage"].notna()]
    index = ["cohort", "view", "arm"]
    tables = {
        score: kept.pivot_table(
            index=index, columns="label", values=score, aggfunc="mean", sort=False
        ).reindex(columns=LABELS)
        for score in ("coverage", "score")
    }
    keys = kept[index].drop_duplicates().sort_values(index, key=_places(kept))
    body = []
    for key in keys.itertuples(index=False):
        found = [tables[score].loc[tuple(key)] for score in tables]
        cells = [number(v) for values in found for v in values]
        body.append([key.cohort.upper(), key.view, NAMES[key.arm], *cells])
    heads = [f"{score}, {label}" for score in tables for label in LABELS]
    return table(["cohort", "view", "arm", *heads], body, n_left=3)


def _places(rows: pd.DataFrame):  # type: ignore[no-untyped-def]
    """Key that sorts by the order in which things came, arms by that of the tables."""
    orders = {name: list(rows[name].unique()) for name in ("cohort", "view")}
    orders["arm"] = list(NAMES)
    return lambda column: column.map(orders[column.name].index)
