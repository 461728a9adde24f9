"""Which latent block says what of which true block or view."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.pl._heatmap import heatmap
from mvlatent.pl._style import new_axes
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mvlatent.tl import LeakageMatrix, ViewLeakage

__all__ = ["leakage_matrix", "view_leakage"]


def leakage_matrix(
    result: "LeakageMatrix | pd.DataFrame",
    *,
    conditional: bool = True,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Heatmap of :func:`mvlatent.tl.leakage_matrix`; framed cells belong together.

    Right is dark within the frames and empty outside.

    Parameters
    ----------
    result
        What the tool returned, or a table of latent blocks × true blocks (no frames then).
    conditional
        Outside the frames, draw what is read beyond the latent block's own truth; ``False``: plain
        R².
    title
        Title of the plot; the summary numbers stand above it by default.
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

    Examples
    --------
    >>> table = pd.DataFrame(np.eye(2), ["shared", "private:rna"], ["shared", "private:rna"])
    >>> len(leakage_matrix(table).texts)
    4
    """
    check_drawn(result, "leakage_matrix", "mv.tl.leakage_matrix(model, truth)")
    if isinstance(result, pd.DataFrame):
        return _heatmap(result, None, title or "", ax, "read from latent block (R²)")
    table = result.beyond if conditional else result.table
    said = f"diagonal {_shown(result.diagonal_mean)}, largest leak {_shown(result.leak_max)}"
    shown = said if title is None else title
    return _heatmap(table, result.expected, shown, ax, "read from latent block (R²)")


def view_leakage(
    result: "ViewLeakage", *, title: str | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Heatmap of :func:`mvlatent.tl.view_leakage`: shares of views that blocks predict.

    The shared block's row is what it says alone; private rows are what they add to it. Framed: a
    private block and its own view. Outside, in private rows, 0 is right.

    Parameters
    ----------
    result
        What the tool returned.
    title
        Title of the plot; the largest leak by default.
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

    Examples
    --------
    >>> from mvlatent import tl
    >>> z, w = np.random.default_rng(0).standard_normal((2, 60, 2))
    >>> found = tl.view_leakage({"shared": z, "private:a": w}, {"a": z + w, "b": z})
    >>> view_leakage(found).get_xticklabels()[0].get_text()
    'a'
    """
    check_drawn(result, "view_leakage", "mv.tl.view_leakage(model)")
    table = result.beyond.copy()
    table.loc["shared"] = result.alone.loc["shared"]
    framed = pd.DataFrame(
        [
            [block in ("shared", f"private:{view}") for view in table.columns]
            for block in table.index
        ],
        table.index,
        table.columns,
    )
    said = f"largest leak {_shown(result.leak_max)}" if len(result.leaks) else ""
    shown = said if title is None else title
    return _heatmap(table, framed, shown, ax, "share of the view's variance")


def _shown(value: float) -> str:
    return f"{value:.2f}".replace("-0.00", "0.00")


def _heatmap(
    table: pd.DataFrame,
    framed: pd.DataFrame | None,
    title: str,
    ax: "Axes | None",
    label: str,
) -> "Axes":
    from matplotlib.patches import Rectangle

    size = (2.6 + 0.72 * table.shape[1], 1.5 + 0.5 * table.shape[0])
    ax = new_axes(ax, size=size)
    heatmap(ax, table, label=label, write=_shown, rotation=30)
    if framed is not None:
        known = table.notna().to_numpy() & framed.to_numpy(bool)
        style: dict[str, Any] = {"fill": False, "edgecolor": "#D55E00", "lw": 1.6}
        for row, column in np.argwhere(known):
            ax.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, **style))
    ax.set_title(title, loc="left", fontsize=10)
    return ax
