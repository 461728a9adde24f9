"""The features that drive a factor."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.pl._style import GREY, PALETTE, bare, new_axes, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["weights"]

AXIS_OF_WEIGHTS = {"loading": "loading (scaled units)", "effect": "change a step along the factor"}


def weights(
    data: Any,
    view: str | None = None,
    factor: int | str | None = None,
    *,
    n: int = 10,
    show: str = "loading",
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Features that drive a factor, the strongest on top, with intervals where there are any.

    Positive ones are orange and negative ones blue; those whose interval holds 0 are grey.

    Parameters
    ----------
    data
        A fitted :class:`mvlatent.MVLatent`, or a table of its `top_features`.
    view, factor
        Of a model: which view and factor, as in `top_features`.
    n
        Most features.
    show
        ``"loading"``, in scaled units that can be compared, or ``"effect"``, in each feature's own.
    title
        Title of the plot; by default view and factor, where they are known.
    ax
        Where to draw; ``None``: a new figure.

    Returns
    -------
    Axes
        What was drawn on.

    Raises
    ------
    TypeError
        If a model comes without view and factor, or ``n`` is not an integer.
    KeyError
        If there is no such view or factor, or the table lacks a column.
    ValueError
        If the table is empty or holds missing values, the factor is switched off, or ``show`` or
        ``n`` is not what it can be.

    Examples
    --------
    >>> ax = mv.pl.weights(model, "rna", 0, n=5)
    >>> len(ax.get_yticklabels())
    5
    """
    if show not in AXIS_OF_WEIGHTS:
        raise ValueError(f"show must be 'loading' or 'effect', not {show!r}.")
    if not isinstance(n, int | np.integer) or isinstance(n, bool):
        raise TypeError(f"n must be an integer, not {n!r}.")
    if n < 1:
        raise ValueError(f"n must be 1 or more, not {n!r}.")
    if isinstance(data, pd.DataFrame):
        table = data.iloc[:n]
    elif view is None or factor is None:
        raise TypeError("weights of a model are those of a view and a factor; name both.")
    else:
        table = data.top_features(view, factor, n)
    if show not in table:
        raise KeyError(f"the table lacks column {show!r}; it has {[*table]}.")
    values = table[show].to_numpy(float)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("the table is empty or holds missing values; drop those rows.")
    lower, upper = _ends(table, show)
    ax = new_axes(ax, size=(4.6, 0.9 + 0.26 * len(table)))
    for row, value in enumerate(values):
        unsure = lower is not None and upper is not None and lower[row] <= 0 <= upper[row]
        colour = GREY if unsure else PALETTE[1] if value > 0 else PALETTE[0]
        ax.plot([0, value], [row, row], color=colour, lw=1.2, alpha=0.6, zorder=1)
        ax.plot(value, row, "o", color=colour, ms=5, zorder=3)
        if lower is not None and upper is not None:
            ends = [lower[row], upper[row]]
            ax.plot(ends, [row, row], color=colour, lw=2.6, solid_capstyle="butt", zorder=2)
    ax.axvline(0, color="#333333", lw=0.8, zorder=0)
    ax.set_yticks(range(len(table)), [str(name) for name in table.index])
    ax.set_ylim(len(table) - 0.4, -0.6)
    ax.set_xlabel(AXIS_OF_WEIGHTS[show])
    bare(ax)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    known = " ".join(str(table.attrs[name]) for name in ("view", "factor") if name in table.attrs)
    return titled(ax, known if title is None else title)


def _ends(table: pd.DataFrame, show: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Ends of the intervals of what is shown; ``None`` where there are none."""
    prefix = "loading_" if show == "loading" else ""
    lower, upper = f"{prefix}lower", f"{prefix}upper"
    if lower not in table or upper not in table:
        return None, None
    return table[lower].to_numpy(float), table[upper].to_numpy(float)
