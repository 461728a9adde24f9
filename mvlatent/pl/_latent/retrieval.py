"""Patients found again from one view to another."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mvlatent.pl._style import bare, colours, new_axes, outside_legend, per_cent, titled
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mvlatent.tl import Retrieval

__all__ = ["retrieval"]


def retrieval(
    results: "Retrieval | Mapping[str, Retrieval]",
    *,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Share of patients found within the first k, for every k; the dashed line is chance.

    Parameters
    ----------
    results
        What :func:`mvlatent.tl.retrieval` returned, or several by name, as
        :func:`mvlatent.tl.view_retrieval` does.
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
    >>> z = np.random.default_rng(0).standard_normal((50, 2))
    >>> retrieval(tl.retrieval(z, z)).get_xscale()
    'log'
    """
    check_drawn(results, "retrieval", "mv.tl.view_retrieval(model)")
    curves = dict(results) if isinstance(results, Mapping) else {"": results}
    if not curves:
        raise ValueError("no retrieval to draw; give at least one result.")
    ax = new_axes(ax, size=(4.6 if "" in curves else 5.8, 3.5))
    for (name, result), colour in zip(curves.items(), colours(len(curves)), strict=True):
        curve = result.curve()
        ax.step(curve.index, curve, where="post", color=colour, lw=1.8, label=name or None)
    sizes = sorted({len(result.ranks) for result in curves.values()})
    for n in {sizes[0], sizes[-1]}:
        k = np.arange(1, n + 1)
        ax.plot(k, k / n, color="#333333", lw=1, ls="--", zorder=0)
    said = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]}–{sizes[-1]}"
    ax.set(xscale="log", xlim=(1, sizes[-1]), ylim=(0, 1.02))
    ax.set(xlabel=f"rank k among {said} patients", ylabel="found within k")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    per_cent(ax.yaxis)
    bare(ax)
    if "" not in curves:
        outside_legend(ax)
    return titled(ax, title)
