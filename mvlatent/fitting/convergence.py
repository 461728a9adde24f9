"""What a fit says of its own end: whether it settled, what held-out patients chose, what binds."""

from __future__ import annotations

from collections.abc import Mapping

from mvlatent.fitting.climb import Climbed
from mvlatent.fitting.install import ViewAxes

__all__ = ["closing_words"]


def closing_words(
    climbed: Climbed,
    by_view: Mapping[str, ViewAxes],
    *,
    n_shared: int,
    n_private: int,
    rank: str = "auto",
) -> list[str]:
    """Sentences on a closed-form fit, for `summary`.

    Parameters
    ----------
    climbed, by_view
        The fit, and how views of normal noise are seen by the model.
    n_shared, n_private, rank
        The bounds that were asked for, and whether they are bounds (``"auto"``).
    """
    bounds = _bounds(climbed, by_view, n_shared, n_private, rank)
    return [_end(climbed), *_choice(climbed), *bounds]


def _end(climbed: Climbed) -> str:
    """How the climb ended."""
    rows = [row["elbo"] for row in climbed.history]
    sweeps, rise = len(rows) - 1, rows[-1] - rows[-2] if len(rows) > 1 else 0.0
    way = f"criterion {rows[0]:.1f} at the start, {rows[-1]:.1f} nats a patient at the end"
    if climbed.stopped == "converged":
        return f"converged after {_counted(sweeps)} ({way})"
    if climbed.stopped == "start":
        return "one view: leading components, in closed form"
    if not sweeps and climbed.stopped != "held_out":
        return f"the start alone, as max_epochs=0 asks for ({way})"
    if climbed.stopped == "asked":
        return f"{_counted(sweeps)}, as asked for ({way})"
    if climbed.stopped == "held_out":
        return (
            f"{_counted(sweeps)}, after which views of held-out patients were predicted best from "
            f"one another ({way})"
        )
    return (
        f"stopped at max_epochs={sweeps} while still rising by {rise:.3f} nats a patient: raise it "
        f"({way})"
    )


def _counted(sweeps: int) -> str:
    return f"{sweeps} sweep{'s' * (sweeps != 1)}"


def _choice(climbed: Climbed) -> list[str]:
    """What held-out patients chose."""
    choice = climbed.choice
    if choice is None:
        few = len(climbed.names) > 1
        return ["too few patients to hold some out: ridges and rank are defaults"] if few else []
    return [
        f"held-out patients: views predicted from one another with R² {choice.score:.3f} through "
        f"{choice.rank} shared factors ({choice.start:.3f} before the first sweep)"
    ]


def _bounds(
    climbed: Climbed, by_view: Mapping[str, ViewAxes], n_shared: int, n_private: int, rank: str
) -> list[str]:
    """Which of the bounds bind, and what to raise."""
    said = []
    choice = climbed.choice
    if choice is not None and choice.rank == n_shared and rank == "auto":
        said.append(
            f"n_shared={n_shared} binds: held-out prediction was best with all of them; raise it"
        )
    full = {name: axes.n_found for name, axes in by_view.items() if axes.n_found > n_private}
    if full:
        most = max(full.values())
        listed = ", ".join(f"{name} {found}" for name, found in full.items())
        said.append(
            f"n_private={n_private} binds: more private directions stand out of noise ({listed}); "
            f"z does not take them up, but raise n_private (to {most}) to read them"
        )
    return said
