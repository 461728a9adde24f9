"""The tables that compare the arms by their out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from _markdown import number, table
from _results import Results
from _scores import SCORES, calibration, fold_scores

from mvlatent.tl import PairedDifference, concordance, paired_difference

__all__ = ["NAMES", "RIDGES", "markdown"]

NAMES = {
    "km": "Kaplan–Meier",
    "clinical": "clinical Cox",
    "ridge": "ridge Cox, one penalty",
    "ridge_views": "ridge Cox, a penalty a view",
    "forest": "random survival forest",
    "ours": "ours (every block)",
    "ours_every_no_site": "ours, every block, no site",
    "ours_chosen": "ours, blocks chosen by inner folds",
    "ours_z": "ours, z only",
    "ours_zw": "ours, [z, w]",
}
RIDGES = ("ridge", "ridge_views")
SCORED = ("C", "Uno's C", "IBS", "log-lik")
ONE_SIDED = 0.8  # level of the two-sided interval whose lower end is the one-sided 90 % bound
LEGEND = """\
Means over the folds; Harrell's C up to the end of follow-up, Uno's C and the integrated Brier score
up to the 90 % quantile of the training times with censoring learnt on the training fold. D-cal: p
value of D-calibration of the pooled out-of-fold predictions (small = not calibrated). log-lik:
censored log-likelihood a patient, with the hazard constant between ten times that spread the
training events evenly (so that Breslow's steps fall in each) and a fall of log S of at least 1e-4.
Differences are paired over folds, their standard error that of Nadeau and Bengio for 5-fold
cross-validation. Seconds: CPU time of one fit with its tuning and the arm's predictions, one
thread; our arms share one fit, whose time is in each.
"""


def name_of(arm: str) -> str:
    """Name of an arm in the tables."""
    arm, _, tag = arm.partition("@")
    views = arm.removeprefix("ours_given_")
    name = NAMES.get(arm, arm) if views == arm else f"ours, given {views} only"
    return f"{name} ({tag})" if tag else name


def _order(arms: Iterable[str]) -> list[str]:
    """Arms in the order of the tables: opponents, ours, ours under other options."""
    place = {arm: i for i, arm in enumerate(NAMES)}

    def key(arm: str) -> tuple[str, int, str]:
        base, _, tag = arm.partition("@")
        return tag, place.get(base, len(place)), base

    return sorted(arms, key=key)


def _difference(
    scores: pd.DataFrame, arm: str, other: str, *, ratio: float = 0.0, level: float = 0.95
) -> PairedDifference | None:
    """Paired difference of two arms in one score, rows their pairs; None where there is none."""
    if arm == other or arm not in scores or other not in scores:
        return None
    pairs = scores[[arm, other]].dropna()
    if len(pairs) < 2:
        return None
    return paired_difference(pairs[arm], pairs[other], level=level, test_train_ratio=ratio)


def _signed(difference: PairedDifference | None, *, bound: bool = False, digits: int = 3) -> str:
    if difference is None:
        return ""
    text = f"{difference.mean:+.{digits}f} ± {difference.se:.{digits}f}"
    return f"{text} (> {difference.lower:+.3f})" if bound else text


def _scored(means: pd.Series) -> list[str]:
    return [number(means[score]) for score in SCORES[:-1]]


def cohort_table(results: Results, scores: pd.DataFrame, cohort: str) -> list[str]:
    """Lines of the table of one cohort."""
    part = scores[scores["cohort"] == cohort]
    n_folds = results.outcomes(cohort)["fold"].nunique()
    by_fold = part.pivot(index="fold", columns="arm", values="c")
    means = part.groupby("arm")[list(SCORES)].mean()
    rows = []
    for arm in _order(means.index):
        m, done = means.loc[arm], int(by_fold[arm].notna().sum())
        complete = done == n_folds
        name = name_of(arm) if complete else f"{name_of(arm)} ({done} of {n_folds} folds)"
        p_value = f"{calibration(results, cohort, arm):.3f}" if complete else ""
        differences = [
            _signed(_difference(by_fold, arm, other, ratio=1 / (n_folds - 1))) for other in RIDGES
        ]
        rows.append([name, *_scored(m), p_value, *differences, f"{m['seconds']:.1f}"])
    heads = [f"ΔC to {name_of(r)}" for r in RIDGES]
    return table(["arm", *SCORED, "D-cal p", *heads, "seconds"], rows)


def overall_table(results: Results, scores: pd.DataFrame, cohorts: Sequence[str]) -> list[str]:
    """Lines of the table over the cohorts, for arms that are complete in all of them."""
    folds = {c: results.outcomes(c)["fold"].nunique() for c in cohorts}
    counts = scores.groupby(["arm", "cohort"]).size()
    complete = [
        arm
        for arm in scores["arm"].unique()
        if all(counts.get((arm, c), 0) == n for c, n in folds.items())
    ]
    means = scores.groupby(["arm", "cohort"])[list(SCORES)].mean()
    by_cohort = means["c"].unstack("arm")
    rows = []
    for arm in _order(complete):
        m = means.loc[arm].loc[list(cohorts)].mean()
        off = sum(calibration(results, c, arm) < 0.05 for c in cohorts)
        differences = [
            _signed(_difference(by_cohort, arm, other, level=ONE_SIDED), bound=True)
            for other in RIDGES
        ]
        seconds = f"{m['seconds']:.1f}"
        rows.append([name_of(arm), *_scored(m), f"{off} of {len(cohorts)}", *differences, seconds])
    heads = [f"ΔC to {name_of(r)} (one-sided 90 % bound)" for r in RIDGES]
    return table(["arm", *SCORED, "D-cal p < .05", *heads, "seconds"], rows)


def opponents(arms: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs to compare in every score: ours and a ridge, ours and ours under a tag."""
    known = list(arms)
    for arm in ("ours", "ours_z"):
        tagged = [other for other in known if other.startswith(f"{arm}@")]
        rivals = [*(RIDGES if arm == "ours" else ()), *sorted(tagged)]
        if arm in known:
            yield from ((arm, other) for other in rivals if other in known)


def paired_table(results: Results, scores: pd.DataFrame, cohorts: Sequence[str]) -> list[str]:
    """Lines of the differences between two arms in discrimination and curves, cohort by cohort."""
    rows = []
    for arm, other in opponents(scores["arm"].unique()):
        for cohort in cohorts:
            part = scores[scores["cohort"] == cohort]
            ratio = 1 / (results.outcomes(cohort)["fold"].nunique() - 1)
            found = [
                _signed(_difference(part.pivot(index="fold", columns="arm", values=score),
                                    arm, other, ratio=ratio), digits=digits)
                for score, digits in (("c", 3), ("ibs", 4), ("loglik", 3))
            ]  # fmt: skip
            rows.append([f"{name_of(arm)} − {name_of(other)}", cohort.upper(), *found])
    return table(["arms", "cohort", "ΔC", "ΔIBS (less is better)", "Δlog-lik"], rows)


def markdown(results: Results, cohorts: Sequence[str], remarks: Mapping[str, str]) -> str:
    """All tables, with what kept an arm from running."""
    scores = fold_scores(results, cohorts)
    lines = ["# TCGA, out of fold", "", LEGEND]
    if len(cohorts) > 1 and len(scores):
        lines += ["## Mean of the cohorts", "", "Standard errors are over the cohort means.", ""]
        lines += [*overall_table(results, scores, cohorts), ""]
    if len(scores) and list(opponents(scores["arm"].unique())):
        lines += ["## Pair by pair", "", *paired_table(results, scores, cohorts), ""]
    for cohort in cohorts:
        known = results.outcomes(cohort)
        events, folds = int(known["event"].sum()), known["fold"].nunique()
        lines += [f"## {cohort.upper()}: {len(known)} patients, {events} events, {folds} folds", ""]
        if len(scores) and (scores["cohort"] == cohort).any():
            lines += [*cohort_table(results, scores, cohort), ""]
    lines += [f"- {name_of(arm)}: {remark}" for arm, remark in remarks.items()]
    return "\n".join(lines).rstrip() + "\n"


def mean_c(results: Results, cohort: str, fold: int, arm: str) -> float:
    """Harrell's C of one arm on one fold."""
    known = results.outcomes(cohort)
    test = known[known["fold"] == fold]
    risk = results.load(cohort, fold, arm).risk.loc[test.index]
    return float(np.asarray(concordance(test["time"], test["event"], risk)))
