"""Which latent block says what of which true block or view."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.pl._style import new_axes

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

    Examples
    --------
    >>> table = pd.DataFrame(np.eye(2), ["shared", "private:rna"], ["shared", "private:rna"])
    >>> len(leakage_matrix(table).texts)
    4
    """
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

    Examples
    --------
    >>> from mvlatent import tl
    >>> z, w = np.random.default_rng(0).standard_normal((2, 60, 2))
    >>> found = tl.view_leakage({"shared": z, "private:a": w}, {"a": z + w, "b": z})
    >>> view_leakage(found).get_xticklabels()[0].get_text()
    'a'
    """
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
    values = table.to_numpy(float)
    image = ax.imshow(np.clip(values, 0, 1), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(table.shape[1]), table.columns.astype(str), rotation=30, ha="right")
    ax.set_yticks(range(table.shape[0]), table.index.astype(str))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        ink = "white" if value > 0.6 else "#333333"
        ax.text(column, row, _shown(value), ha="center", va="center", color=ink, fontsize=9)
        if framed is not None and framed.iat[row, column]:
            corner = (column - 0.47, row - 0.47)
            style: dict[str, Any] = {"fill": False, "edgecolor": "#D55E00", "lw": 1.6}
            ax.add_patch(Rectangle(corner, 0.94, 0.94, **style))
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85, label=label)
    bar.outline.set_visible(False)  # type: ignore[operator]
    ax.set_title(title, loc="left", fontsize=10)
    return ax
