"""Print how far each survival likelihood is from another implementation of it.

Simulated patients, float64, tied times and some 70 % censoring (Aalen-Johansen: without ties).
Run ``python benchmarks/likelihoods.py``; the table goes to ``benchmarks/results/likelihoods.md``.
"""

from __future__ import annotations

from pathlib import Path

from _arguments import parse, parser
from _markdown import publish, table
from _references import REFERENCES, simulate

__all__ = ["main"]

RESULT = Path(__file__).parent / "results" / "likelihoods.md"
ALLOWED = 1e-5


def main() -> None:
    """Compare, print and write the table; the exit status is 1 where an error is too large."""
    parse(parser(__doc__))
    data = simulate()
    died = 100 * float(data.event.mean())
    found = [
        (kind, reference, each.quantity, each.error)
        for (kind, reference), compare in REFERENCES.items()
        for each in compare()
    ]
    lines = [
        f"{len(data.time)} simulated patients, {died:.0f} % with an event, "
        f"{len(data.time.unique())} distinct times, float64. Largest relative error; "
        f"{ALLOWED:g} is allowed.",
        "",
        *table(
            ["kind", "reference", "quantity", "max. relative error"],
            ([*words, f"{error:.1e}"] for *words, error in found),
            n_left=3,
        ),
    ]
    publish(RESULT, "Survival likelihoods beside other implementations", lines)
    if not max(error for *_, error in found) < ALLOWED:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
