"""Metrics of single latent axes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mvlatent.pl._style import bare, colours, new_axes, outside_legend, titled
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mvlatent.tl import FactorMetrics

__all__ = ["factor_metrics"]

SHOWN_INDICES = {
    "mig": "MIG",
    "sap": "SAP",
    "modularity": "modularity",
    "disentanglement": "DCI\ndisentanglement",
    "completeness": "DCI\ncompleteness",
    "informativeness": "DCI\ninformativeness",
}


def factor_metrics(
    results: "FactorMetrics | Mapping[str, FactorMetrics]",
    *,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Bars of :func:`mvlatent.tl.factor_metrics`; 1 is best in each.

    Parameters
    ----------
    results
        What the tool returned, or several by name (methods side by side).
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
    >>> z = np.random.default_rng(0).standard_normal((100, 2))
    >>> len(factor_metrics(tl.factor_metrics(z, z)).patches)
    6
    """
    check_drawn(results, "factor_metrics", "mv.tl.factor_metrics(latent, factors)")
    bars = dict(results) if isinstance(results, Mapping) else {"": results}
    if not bars:
        raise ValueError("no metrics to draw; give at least one result.")
    table = pd.DataFrame({name: found.to_series() for name, found in bars.items()})
    ax = new_axes(ax, size=(7.6 if "" in bars else 9.2, 3.2))
    width = 0.8 / len(bars)
    centres = np.arange(len(SHOWN_INDICES))
    for j, (name, colour) in enumerate(zip(bars, colours(len(bars)), strict=True)):
        heights = table.loc[[*SHOWN_INDICES], name].clip(lower=0).fillna(0)
        shift = (j - (len(bars) - 1) / 2) * width
        drawn = ax.bar(centres + shift, heights, 0.9 * width, color=colour, label=name or None)
        if len(bars) <= 3:
            ax.bar_label(drawn, fmt="%.2f", fontsize=8, color="#333333", padding=1)
    ax.set_xticks(centres, [*SHOWN_INDICES.values()], fontsize=8.5)
    ax.tick_params(axis="x", length=0)
    ax.set(ylim=(0, 1.08), ylabel="score")
    bare(ax)
    if "" not in bars:
        outside_legend(ax)
    return titled(ax, title)
