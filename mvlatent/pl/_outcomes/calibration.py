"""Calibration of survival curves."""

from typing import TYPE_CHECKING

import numpy as np

from mvlatent.pl._style import GREY, PALETTE, bare, new_axes, per_cent, titled
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mvlatent.tl import DCalibration, HorizonCalibration

__all__ = ["d_calibration", "horizon_calibration"]


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
    >>> u = (np.arange(100) + 0.5) / 100
    >>> len(d_calibration(tl.d_calibration(u, np.ones(100), u)).patches)
    10
    """
    check_drawn(result, "d_calibration", "mv.tl.d_calibration(time, event, survival)")
    ax = new_axes(ax, size=(4.6, 3.2))
    bins = len(result.share)
    left = np.arange(bins) / bins
    ax.bar(left, result.share, width=1 / bins, align="edge", color=PALETTE[0], edgecolor="white")
    ax.axhline(1 / bins, color="#333333", lw=1, ls="--")
    shown = "p < 0.001" if result.p_value < 0.001 else f"p = {result.p_value:.3f}"
    ax.set_title(shown, loc="right", fontsize=9, color="#333333")
    titled(ax, title)
    ax.set(xlim=(0, 1), xlabel="predicted S(T) at the patient's own time", ylabel="share")
    per_cent(ax.yaxis)
    bare(ax)
    return ax


def horizon_calibration(
    result: "HorizonCalibration",
    *,
    unit: str | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw :func:`mvlatent.tl.horizon_calibration`: a curve on the diagonal is right.

    The line is the smooth curve over patients, points are Kaplan–Meier estimates of groups of
    patients with 95 % intervals, bars at the foot show how the predictions are spread.

    Parameters
    ----------
    result
        What the tool returned.
    unit
        Unit of time to write at the axis, say ``"months"``; ``None`` writes none.
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

    Examples
    --------
    >>> from mvlatent import tl
    >>> rng = np.random.default_rng(0)
    >>> t, p = rng.exponential(size=100), rng.uniform(0.3, 0.4, size=100)
    >>> horizon_calibration(tl.horizon_calibration(t, np.ones(100), p, 1.0)).get_ylabel()
    'observed risk'
    """
    check_drawn(
        result, "horizon_calibration", "mv.tl.horizon_calibration(time, event, survival, horizon)"
    )
    ax = new_axes(ax, size=(4.6, 4.2))
    order = np.argsort(result.predicted)
    groups = result.groups
    top = max(result.predicted.max(), result.observed.max(), groups["upper"].max())
    end = min(1.0, 1.05 * float(top))
    counts, edges = np.histogram(result.predicted, bins=np.linspace(0, end, 31))
    spread = 0.15 * end * counts / counts.max()
    ax.bar(edges[:-1], spread, width=edges[1], align="edge", color=GREY, alpha=0.35, lw=0)
    ax.plot([0, end], [0, end], color="#333333", lw=1, ls="--")
    ax.plot(result.predicted[order], result.observed[order], color=PALETTE[0], lw=1.8)
    ax.vlines(groups["predicted"], groups["lower"], groups["upper"], color=PALETTE[1], lw=1.3)
    ax.plot(groups["predicted"], groups["observed"], "o", color=PALETTE[1], ms=5)
    words = f"ICI {result.ici:.3f}, E90 {result.e90:.3f}"
    ax.set_title(words, loc="right", fontsize=9, color="#333333")
    titled(ax, title)
    ax.set(xlim=(0, end), ylim=(0, end), aspect="equal")
    horizon = f"{result.horizon:,.6g}" if unit is None else f"{result.horizon:,.6g} {unit}"
    ax.set(xlabel=f"predicted risk by {horizon}", ylabel="observed risk")
    per_cent(ax.xaxis, ax.yaxis)
    bare(ax)
    return ax
