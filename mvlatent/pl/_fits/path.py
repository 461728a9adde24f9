"""Scores along the strengths of an objective."""

from typing import TYPE_CHECKING, Any

import numpy as np

from mvlatent.pl._style import GREY, bare, colours, new_axes, outside_legend
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["path"]

SHOWN_SCORES = ("cross_view", "private", "c_index", "site_accuracy")


def path(found: Any, *, metrics: list[str] | None = None, ax: "Axes | None" = None) -> "Axes":
    """Curves of a path's scores, one standard error either way, and the weight chosen.

    Weights are evenly spaced, in order. The dotted line lies one standard error under the best
    cross-view R²: weights whose mean is above it are those the rule chooses from.

    Parameters
    ----------
    found
        What `mvlatent.study.path` returned.
    metrics
        Scores of its table to draw; ``None``: cross-view R², private R², C-index of z and the
        accuracy of site from z, as far as they are there.
    ax
        Where to draw; ``None``: a new figure.

    Returns
    -------
    Axes
        What was drawn on.

    Raises
    ------
    TypeError
        If a model or cohort is given in the place of a result.
    KeyError
        If the table has no such score; the scores are listed.

    Examples
    --------
    >>> import pandas as pd
    >>> from mvlatent.study import Path
    >>> columns = {"cross_view": [0.2, 0.3], "cross_view_se": [0.02, 0.02]}
    >>> table = pd.DataFrame(columns, index=[0.0, 1.0])
    >>> path(Path("alignment", table, table)).get_xlabel()
    'weight of alignment'
    """
    check_drawn(found, "path", "mv.study.path(mdata, objective, weights)")
    from mvlatent.study._scores import HELD_OUT_SCORES

    table = found.table
    known = [name for name in HELD_OUT_SCORES if name in table]
    unknown = [name for name in metrics or [] if name not in known]
    if unknown:
        raise KeyError(f"no score {unknown[0]!r}; the scores are {', '.join(known)}.")
    shown = [name for name in SHOWN_SCORES if name in known] if metrics is None else metrics
    ax = new_axes(ax, size=(5.6, 3.4))
    at = np.arange(len(table))
    for name, colour in zip(shown, colours(len(shown)), strict=True):
        error = table[f"{name}_se"].fillna(0.0)
        ax.errorbar(
            at, table[name], yerr=error, color=colour, marker="o", ms=4, lw=1.5, capsize=2,
            label=HELD_OUT_SCORES[name],
        )  # fmt: skip
    if "cross_view" in table:
        best = table["cross_view"].idxmax()
        error = float(np.nan_to_num(table.loc[best, "cross_view_se"]))
        ax.axhline(table.loc[best, "cross_view"] - error, color=GREY, lw=1, ls=":")
        chosen = int(np.flatnonzero(table.index == found.best)[0])
        ax.axvline(chosen, color=GREY, lw=1, ls="--", label=f"chosen: {found.best:g}", zorder=0)
    ax.set_xticks(at, [f"{weight:g}" for weight in table.index])
    ax.set_xlabel(f"weight of {found.objective}")
    ax.set_ylabel("held-out score")
    bare(ax)
    outside_legend(ax)
    return ax
