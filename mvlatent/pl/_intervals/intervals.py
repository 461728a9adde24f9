"""Calibration of intervals."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mvlatent.pl._style import bare, colours, new_axes, outside_legend, per_cent, titled
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["interval_calibration"]


def interval_calibration(
    tables: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw :func:`mvlatent.tl.interval_calibration`: on the diagonal is right.

    Below it intervals are too narrow, above it too wide.

    Parameters
    ----------
    tables
        What the tool returned, or several of them by name.
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
        If there is nothing to draw.

    Examples
    --------
    >>> from mvlatent import tl
    >>> x = np.random.default_rng(0).standard_normal((400, 30))
    >>> ax = interval_calibration(tl.interval_calibration(x.T[1:], x[:, 0]))
    >>> ax.get_xlabel()
    'level of the interval'
    """
    check_drawn(tables, "interval_calibration", "mv.tl.interval_calibration(intervals, truth)")
    curves = {"": tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    if not curves or any(table.empty for table in curves.values()):
        raise ValueError("no interval to draw; give a table with at least one row.")
    ax = new_axes(ax, size=(4.2 if "" in curves else 5.4, 3.8))
    lowest = 1.0
    for (name, table), colour in zip(curves.items(), colours(len(curves)), strict=True):
        rows = table.sort_index()
        at = rows.index.to_numpy(float)
        ax.fill_between(at, rows["lower"], rows["upper"], color=colour, alpha=0.15, lw=0)
        ax.plot(at, rows["coverage"], "o-", color=colour, ms=4, lw=1.6, label=name or None)
        lowest = min(lowest, at.min(), rows["lower"].min())
    start = max(0.0, np.floor(10 * lowest - 0.5) / 10)
    ax.plot([start, 1], [start, 1], color="#333333", lw=1, ls="--", zorder=0)
    ax.set(xlim=(start, 1), ylim=(start, 1), aspect="equal")
    ax.set(xlabel="level of the interval", ylabel="share of truths within")
    per_cent(ax.xaxis, ax.yaxis)
    ax.yaxis.set_ticks(ax.get_xticks())
    ax.set_ylim(start, 1)
    bare(ax)
    if "" not in curves:
        outside_legend(ax)
    return titled(ax, title)
