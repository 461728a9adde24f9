"""Calibration of survival curves."""

from typing import TYPE_CHECKING

import numpy as np

from mvlatent.pl._style import PALETTE, bare, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mvlatent.tl import DCalibration

__all__ = ["d_calibration"]


def d_calibration(
    result: "DCalibration", *, title: str | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draw :func:`mvlatent.tl.d_calibration`: bars of one height are right.

    Parameters
    ----------
    result
        What the tool returned.
    title
        Title of the plot.
    ax
        Where to draw; ``None``: a new figure.

    Examples
    --------
    >>> from mvlatent import tl
    >>> u = (np.arange(100) + 0.5) / 100
    >>> len(d_calibration(tl.d_calibration(u, np.ones(100), u)).patches)
    10
    """
    ax = new_axes(ax, size=(4.6, 3.2))
    bins = len(result.share)
    left = np.arange(bins) / bins
    ax.bar(left, result.share, width=1 / bins, align="edge", color=PALETTE[0], edgecolor="white")
    ax.axhline(1 / bins, color="#333333", lw=1, ls="--")
    shown = "p < 0.001" if result.p_value < 0.001 else f"p = {result.p_value:.3f}"
    ax.set_title(shown, loc="right", fontsize=9, color="#333333")
    if title:
        ax.set_title(title, loc="left")
    ax.set(xlim=(0, 1), xlabel="predicted S(T) at the patient's own time", ylabel="share")
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    bare(ax)
    return ax
