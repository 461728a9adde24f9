"""How much of each view each block explains."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mvlatent.pl._heatmap import heatmap
from mvlatent.pl._style import bare, block_colours, new_axes, outside_legend, per_cent, titled
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["variance_explained"]

SHAPES = ("auto", "bar", "heatmap")


def variance_explained(
    table: pd.DataFrame,
    *,
    kind: str = "auto",
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw explained variance: bars for blocks, a heatmap for single factors.

    Bars of one view stand side by side: blocks are not orthogonal, so their shares do not add up.

    Parameters
    ----------
    table
        Blocks (or factors) × views, shares of variance in [0, 1]. Negative shares (out-of-sample
        R² can be) are drawn as 0, and NaN (a block that a view does not have) as nothing.
    kind
        ``"bar"``, ``"heatmap"``, or ``"auto"``: bars for up to six rows.
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
        If ``kind`` is unknown or the table is empty.

    Examples
    --------
    >>> table = pd.DataFrame({"rna": [0.4, 0.2]}, index=["shared", "private"])
    >>> len(variance_explained(table).patches)
    2
    """
    check_drawn(table, "variance_explained", "model.variance_explained()")
    if kind not in SHAPES:
        raise ValueError(f"unknown kind {kind!r}; choose from {', '.join(SHAPES)}.")
    if table.empty:
        raise ValueError("the table is empty; give at least one row.")
    if kind == "bar" or (kind == "auto" and len(table) <= 6):
        ax = new_axes(ax, size=(2.8 + 0.8 * table.shape[1], 3.6))
        _draw_bars(ax, table.clip(lower=0).fillna(0))
    else:
        size = (2.4 + 0.7 * table.shape[1], 1.4 + 0.28 * len(table))
        ax = new_axes(ax, size=size)
        _draw_heatmap(ax, table)
    return titled(ax, title)


def _draw_bars(ax: "Axes", table: pd.DataFrame) -> None:
    names = [str(name) for name in table.index]
    width = 0.8 / len(names)
    centres = np.arange(table.shape[1])
    for j, (name, colour, values) in enumerate(
        zip(names, block_colours(names), table.to_numpy(), strict=True)
    ):
        shift = (j - (len(names) - 1) / 2) * width
        ax.bar(centres + shift, values, width=0.9 * width, color=colour, label=name)
    ax.set_xticks(centres, table.columns.astype(str))
    ax.set_ylabel("variance explained")
    ax.set_ylim(0, max(float(table.to_numpy().max()) * 1.08, 0.05))
    per_cent(ax.yaxis)
    ax.margins(x=0.06)
    bare(ax)
    outside_legend(ax)


def _draw_heatmap(ax: "Axes", table: pd.DataFrame) -> None:
    values = table.to_numpy(float)
    top = max(float(np.nanmax(np.where(np.isnan(values), 0, values))), 1e-6)
    few = values.size <= 150
    bar = heatmap(
        ax,
        table,
        label="variance explained",
        top=top,
        write=(lambda value: f"{100 * max(value, 0):.0f}") if few else None,
        fontsize=8,
    )
    per_cent(bar.ax.yaxis)
