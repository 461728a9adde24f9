"""Print how far each survival likelihood is from another implementation of it.

Simulated patients, float64, tied times and some 70 % censoring (Aalen-Johansen: without ties).
Run ``python benchmarks/likelihoods.py``; the table goes to ``benchmarks/results/likelihoods.md``.
"""

from __future__ import annotations

from pathlib import Path

from _references import REFERENCES, simulate

__all__ = ["main"]

RESULT = Path(__file__).parent / "results" / "likelihoods.md"
ALLOWED = 1e-5


def main() -> None:
    """Compare, print and write the table; the exit status is 1 where an error is too large."""
    data = simulate()
    died = 100 * float(data.event.mean())
    lines = [
        "# Survival likelihoods beside other implementations",
        "",
        f"{len(data.time)} simulated patients, {died:.0f} % with an event, "
        f"{len(data.time.unique())} distinct times, float64. Largest relative error; "
        f"{ALLOWED:g} is allowed.",
        "",
        "| kind | reference | quantity | max. relative error |",
        "|---|---|---|---|",
    ]
    worst = 0.0
    for (kind, reference), compare in REFERENCES.items():
        for found in compare():
            worst = max(worst, found.error)
            lines.append(f"| {kind} | {reference} | {found.quantity} | {found.error:.1e} |")
    text = "\n".join(lines) + "\n"
    print(text)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text)
    if not worst < ALLOWED:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
