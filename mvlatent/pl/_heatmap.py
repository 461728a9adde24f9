"""A table as coloured cells with their numbers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar

__all__ = ["heatmap"]


def heatmap(
    ax: "Axes",
    table: pd.DataFrame,
    *,
    label: str,
    top: float = 1.0,
    write: Callable[[float], str] | None = None,
    fontsize: int = 9,
    rotation: float = 0.0,
) -> "Colorbar":
    """Draw a table of shares; white is 0 (or below), dark ``top``, and NaN is empty.

    Parameters
    ----------
    ax
        Where to draw.
    table
        Rows from top to bottom, columns from left to right.
    label
        Label of the colour bar.
    top
        Value of the darkest colour.
    write
        What is written into a cell; ``None``: nothing.
    fontsize, rotation
        Of the cells' words and of the columns' names.

    Returns
    -------
    Colorbar
        The bar beside the cells.
    """
    values = table.to_numpy(float)
    image = ax.imshow(np.clip(values, 0, top), cmap="Blues", vmin=0, vmax=top, aspect="auto")
    aligned = "right" if rotation else "center"
    ax.set_xticks(range(table.shape[1]), table.columns.astype(str), rotation=rotation, ha=aligned)
    ax.set_yticks(range(len(table)), table.index.astype(str))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if write is not None:
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                ink = "white" if value > 0.6 * top else "#333333"
                style: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
                ax.text(column, row, write(value), fontsize=fontsize, **style)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.82, label=label)
    bar.outline.set_visible(False)
    return bar
