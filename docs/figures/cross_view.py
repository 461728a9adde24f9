"""Draw cross_view.png: how well each view is known from the others, ours against ridge.

``python docs/figures/cross_view.py [RESULTS]`` reads what ``benchmarks/cross_view.py`` kept, in
``benchmarks/results/cross_view`` by default.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mvlatent.pl._style import GREY, PALETTE, bare

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "cross_view"
ARMS = {"ours": "z and the head beside it", "latent": "z alone"}
TITLES = {"all": "given all other views", "one": "given one other view"}

Way = tuple[str, str, str]


def read(folder: Path) -> dict[str, dict[str, dict[Way, float]]]:
    """Mean Spearman over folds by label, arm and way (cohort, view, views given)."""
    found: dict[str, dict[str, dict[Way, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.glob("*/fold*/*.json")):
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            way = (path.parts[-3], row["view"], row["given"])
            found[row["label"]][row["arm"]].setdefault(way, []).append(row["spearman"])
    return {
        label: {
            arm: {way: float(np.nanmean(values)) for way, values in ways.items()}
            for arm, ways in arms.items()
        }
        for label, arms in found.items()
    }


def main() -> None:
    """Draw a panel of all others given, and one of each other view alone."""
    scores = read(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS)
    if not scores:
        sys.exit("no results: run benchmarks/cross_view.py first")
    fig, axes = plt.subplots(1, 2, figsize=(9.0, 4.4), layout="constrained")
    cohorts = list(dict.fromkeys(way[0] for way in scores["all"]["ours"]))
    for ax, (label, title) in zip(axes, TITLES.items(), strict=True):
        ridge = scores[label]["ridge"]
        for arm in ARMS:
            ours = scores[label][arm]
            for cohort, colour in zip(cohorts, PALETTE, strict=False):
                ways = [way for way in ours if way[0] == cohort and way in ridge]
                ax.scatter(
                    [ridge[way] for way in ways],
                    [ours[way] for way in ways],
                    s=26,
                    facecolors=colour if arm == "ours" else "none",
                    edgecolors=colour,
                )
        top = 1.05 * max(max(ridge.values()), *(max(scores[label][arm].values()) for arm in ARMS))
        low = min(0.0, *(min(scores[label][arm].values()) for arm in ("ridge", *ARMS)))
        ax.plot([low, top], [low, top], color=GREY, linewidth=1, zorder=0)
        ax.set(xlabel="ridge: Spearman a feature", ylabel="mvlatent: Spearman a feature")
        ax.set_title(title, loc="left")
        bare(ax)
    for cohort, colour in zip(cohorts, PALETTE, strict=False):
        axes[0].scatter([], [], color=colour, s=26, label=cohort.upper())
    for arm, words in ARMS.items():
        face = GREY if arm == "ours" else "none"
        axes[0].scatter([], [], facecolors=face, edgecolors=GREY, s=26, label=words)
    axes[0].legend(frameon=False, fontsize=8)
    fig.savefig(Path(__file__).with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
