"""Views predicted from others, beside baselines."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mvlatent.pl._style import GREY, bare, colours, new_axes, outside_legend, titled
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cross_view"]

STATISTICS = {"r2": "R² of held-out patients", "r2_median": "median R² of features"}


def cross_view(
    table: pd.DataFrame,
    *,
    statistic: str = "r2",
    given: str | None = "all others",
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Bars of :func:`mvlatent.tl.cross_view`, one group a view, one bar a method.

    Parameters
    ----------
    table
        What the tool returned.
    statistic
        ``"r2"`` (pooled) or ``"r2_median"``.
    given
        Which rows to draw, as in the column of that name; ``None``: every one, a group each.
    title
        Title of the plot.
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
    ValueError
        If the statistic is unknown or no row is left.

    Examples
    --------
    >>> row = {"view": "rna", "given": "all others", "method": "model", "r2": 0.3}
    >>> len(cross_view(pd.DataFrame([row, row | {"method": "ridge", "r2": 0.2}])).patches)
    2
    """
    check_drawn(table, "cross_view", "mv.tl.cross_view(model, test)")
    if statistic not in STATISTICS:
        raise ValueError(f"unknown statistic {statistic!r}; choose from {', '.join(STATISTICS)}.")
    rows = table if given is None else table[table["given"] == given]
    if rows.empty:
        have = ", ".join(map(str, table["given"].unique())) or "none"
        raise ValueError(f"no rows with given={given!r}; there are {have}.")
    label = rows["view"] if given is not None else rows["view"] + "\nfrom " + rows["given"]
    rows = rows.assign(group=label)
    wide = rows.pivot(index="group", columns="method", values=statistic)
    wide = wide.reindex(index=rows["group"].unique(), columns=rows["method"].unique())
    # The mean scores 0 by definition: a line says it, not a bar.
    wide = wide.drop(columns="mean", errors="ignore")
    ax = new_axes(ax, size=(2.6 + max(1.0, 0.22 * wide.shape[1]) * len(wide), 3.6))
    width = 0.8 / max(wide.shape[1], 1)
    centres = np.arange(len(wide))
    palette = iter(colours(max(wide.shape[1], 1))[1:])
    for j, method in enumerate(wide.columns):
        colour = colours(1)[0] if method == "model" else next(palette, GREY)
        shift = (j - (wide.shape[1] - 1) / 2) * width
        heights = wide[method].fillna(0)
        ax.bar(centres + shift, heights, 0.9 * width, color=colour, label=str(method))
    ax.axhline(0, color="#555555", lw=0.8)
    ax.set_xticks(centres, wide.index.astype(str))
    ax.tick_params(axis="x", length=0)
    ax.set_ylabel(STATISTICS[statistic])
    floor = float(min(0.0, np.nanmin(wide.to_numpy()) * 1.08))
    ax.set_ylim(floor, max(float(np.nanmax(wide.to_numpy())) * 1.08, 0.05))
    bare(ax)
    if floor < 0:
        ax.spines["bottom"].set_visible(False)
    outside_legend(ax)
    return titled(ax, title)
