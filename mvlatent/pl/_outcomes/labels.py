"""How far predicted classes can be trusted."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mvlatent.pl._style import (
    GREY,
    PALETTE,
    bare,
    colours,
    new_axes,
    outside_legend,
    per_cent,
    titled,
)
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mvlatent.tl import RiskCoverage

__all__ = ["reliability", "risk_coverage"]


def reliability(
    table: pd.DataFrame, *, title: str | None = None, ax: "Axes | None" = None
) -> "Axes":
    """Draw :func:`mvlatent.tl.reliability`: points on the diagonal are right.

    Bars at the foot show how the patients are spread, the largest a quarter of the height.

    Parameters
    ----------
    table
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
    >>> p = pd.DataFrame({"a": [0.9, 0.6], "b": [0.1, 0.4]})
    >>> reliability(tl.reliability(["a", "b"], p)).get_ylabel()
    'observed share'
    """
    check_drawn(table, "reliability", "mv.tl.reliability(labels, probabilities)")
    ax = new_axes(ax, size=(4.4, 4.2))
    n = table["n"].to_numpy(float)
    width = (table["upper"] - table["lower"]).to_numpy()
    density = n / np.maximum(width, 1e-3)  # bins of one size differ in width
    spread = 0.25 * density / density.max()
    ax.bar(table["lower"], spread, width=width, align="edge", color=GREY, alpha=0.3, lw=0)
    ax.plot([0, 1], [0, 1], color="#333333", lw=1, ls="--")
    x = table["predicted"]
    ax.vlines(x, table["observed_lower"], table["observed_upper"], color=PALETTE[0], lw=1.3)
    ax.plot(x, table["observed"], "o-", color=PALETTE[0], ms=5, lw=1.3)
    ece = float(((table["observed"] - x).abs() * n).sum() / n.sum())
    ax.set_title(f"ECE = {ece:.3f}", loc="right", fontsize=9, color="#333333")
    titled(ax, title)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set(xlabel="predicted probability", ylabel="observed share")
    bare(ax)
    return ax


def risk_coverage(
    result: "RiskCoverage | Mapping[str, RiskCoverage]",
    *,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw :func:`mvlatent.tl.risk_coverage`: errors among the answered, as more are answered.

    Parameters
    ----------
    result
        What the tool returned, or name of a model to it.
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
    >>> p = pd.DataFrame({"a": [0.9, 0.6], "b": [0.1, 0.4]})
    >>> len(risk_coverage(tl.risk_coverage(["a", "b"], p)).lines)
    1
    """
    check_drawn(result, "risk_coverage", "mv.tl.risk_coverage(labels, probabilities)")
    named = dict(result) if isinstance(result, Mapping) else {"": result}
    ax = new_axes(ax, size=(5.0 if "" in named else 7.0, 3.6))
    top = 0.0
    for (name, curve), colour in zip(named.items(), colours(len(named)), strict=True):
        words = f"{name} (area {curve.area:.3f})" if name else None
        ax.plot(curve.coverage, curve.risk, color=colour, lw=1.8, label=words)
        top = max(top, float(curve.risk.max()))
    if "" in named:
        area = f"area {named[''].area:.3f}"
        ax.set_title(area, loc="right", fontsize=9, color="#333333")
    else:
        outside_legend(ax)
    per_cent(ax.xaxis, ax.yaxis)
    ax.set(xlim=(0, 1), ylim=(0, max(1.08 * top, 0.05)))
    ax.set(xlabel="patients answered, most certain first", ylabel="wrong among them")
    titled(ax, title)
    bare(ax)
    return ax
