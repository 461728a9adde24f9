"""How well a held-out patient's view is known from the other views, beside ridge, PLS and MOFA.

``python benchmarks/cross_view.py --data FOLDER`` (or ``$MVLATENT_DATA``) reads TCGA's LUAD, BRCA
and BLCA, the adrenal and the leukaemia cohort, leaves out one fold of patients after the other, and
predicts every continuous view from all other views and from each of them. Answers are kept a
cohort, fold and arm in ``results/cross_view``, and what is there is not computed again: after a
change of the model ``--arms ours start --force`` re-runs ours alone. The table has all arms.
"""

from __future__ import annotations

import json
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from _arguments import choice, parse, parser
from _baselines import NotInstalled
from _cross_view_table import markdown
from _held_out import COHORTS, N_FOLDS, HeldOut, band_scores, point_scores, read_fold
from _markdown import write
from _view_arms import ARMS, Guess

FOLDER = Path(__file__).parent / "results" / "cross_view"


def judge(fold: HeldOut, guess: Guess) -> dict[str, Any]:
    """Score one answer."""
    task = guess.task
    truth = fold.test[task.view][task.rows]
    # The same patients are drawn for every arm; given all others, to compare these in pairs.
    seed = fold.number if task.label == "all" else None
    out = {
        "arm": guess.arm,
        "view": task.view,
        "given": "+".join(task.given),
        "label": task.label,
        "n": len(task.rows),
        **point_scores(truth, guess.mean, seed),
    }
    if guess.lower is not None and guess.upper is not None:
        out |= band_scores(truth, guess.lower, guess.upper)
    return out


def run(data: Path, cohort: str, number: int, arms: Sequence[str], force: bool) -> dict[str, str]:
    """Compute the arms that are still to be computed on a fold; what kept one from running."""
    paths = {arm: FOLDER / cohort / f"fold{number}" / f"{arm}.json" for arm in arms}
    waiting = {arm: path for arm, path in paths.items() if force or not path.is_file()}
    remarks: dict[str, str] = {}
    if not waiting:
        return remarks
    fold = read_fold(data, cohort, number)
    for arm, path in waiting.items():
        begun = time.process_time()
        try:
            guesses = list(ARMS[arm](fold))
        except NotInstalled as error:
            remarks[arm] = f"not installed ({error})"
            continue
        except Exception as error:
            traceback.print_exc()
            remarks[arm] = f"failed in {cohort} fold {number}: {error}"
            continue
        seconds = time.process_time() - begun
        rows = [judge(fold, guess) for guess in guesses]
        write(path, json.dumps({"seconds": seconds, "rows": rows}))
        whole = [row for row in rows if row["label"] == "all"]
        shown = [f"{row['arm']} {row['view']} {row['spearman']:.3f}" for row in whole]
        print(f"{cohort} fold {number}: {', '.join(shown)} ({seconds:.1f} s)", flush=True)
    return remarks


def collect(cohorts: Sequence[str]) -> pd.DataFrame:
    """All answers that are on disk: a row a cohort, fold, arm, view and set of given views."""
    rows = []
    for cohort in cohorts:
        for path in sorted((FOLDER / cohort).glob("fold*/*.json")):
            kept = json.loads(path.read_text(encoding="utf-8"))
            number = int(path.parent.name.removeprefix("fold"))
            rows += [
                {"cohort": cohort, "fold": number, "seconds": kept["seconds"], **row}
                for row in kept["rows"]
            ]
    return pd.DataFrame(rows)


def main() -> None:
    """Run what is asked for, and write the table."""
    command_line = parser(__doc__, data=True)
    choice(command_line, "--cohorts", COHORTS)
    command_line.add_argument("--folds", nargs="+", type=int, default=list(range(N_FOLDS)))
    choice(command_line, "--arms", ARMS)
    command_line.add_argument("--force", action="store_true", help="compute again what is there")
    arguments = parse(command_line)
    failures: Counter[str] = Counter()
    for cohort in arguments.cohorts:
        for number in arguments.folds:
            found = run(arguments.data, cohort, number, arguments.arms, arguments.force)
            failures.update(f"{arm}: {remark}" for arm, remark in found.items())
    text = markdown(collect(arguments.cohorts), list(failures))
    write(FOLDER / "table.md", text)
    print(text)


if __name__ == "__main__":
    main()
