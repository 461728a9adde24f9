"""Stability of latents over refits."""

from typing import TYPE_CHECKING

import numpy as np

from mvlatent.pl._style import GREY, bare, colours, new_axes, outside_legend, titled
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mvlatent.tl import Stability

__all__ = ["stability"]

SHOWN_SIMILARITIES = {
    "procrustes": "1 − Procrustes disparity",
    "subspace": "same subspace",
    "cka": "CKA",
    "axes": "same axes",
}


def stability(result: "Stability", *, title: str | None = None, ax: "Axes | None" = None) -> "Axes":
    """Draw :func:`mvlatent.tl.stability`: one point a pair of fits, 1 is the same latents.

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
    ValueError
        If the result holds no pair.

    Examples
    --------
    >>> from mvlatent import tl
    >>> z = np.random.default_rng(0).standard_normal((50, 2))
    >>> ax = stability(tl.stability([z, z, -z]))
    >>> ax.get_yticklabels()[0].get_text()
    'latent'
    """
    check_drawn(result, "stability", "mv.tl.stability(models)")
    pairs = result.pairs
    if pairs.empty:
        raise ValueError(
            "no pair of fits shares a block; compare fits whose blocks bear the same names."
        )
    blocks = [*pairs["block"].unique()]
    ax = new_axes(ax, size=(6.4, 1.3 + 0.62 * len(blocks)))
    rng = np.random.default_rng(0)
    spread = 0.6 / len(SHOWN_SIMILARITIES)
    for j, ((measure, label), colour) in enumerate(
        zip(SHOWN_SIMILARITIES.items(), colours(len(SHOWN_SIMILARITIES)), strict=True)
    ):
        values = 1 - pairs[measure] if measure == "procrustes" else pairs[measure]
        middle = pairs["block"].map(blocks.index) + (j - (len(SHOWN_SIMILARITIES) - 1) / 2) * spread
        shaken = middle + rng.uniform(-0.2, 0.2, len(pairs)) * spread
        ax.scatter(values, shaken, s=18, color=colour, alpha=0.8, lw=0, label=label, zorder=3)
    for row, block in enumerate(blocks):
        chance = pairs.loc[pairs["block"] == block, "chance"].mean()
        ax.vlines(chance, row - 0.4, row + 0.4, color=GREY, lw=1, ls=":")
    ax.plot([], [], color=GREY, lw=1, ls=":", label="subspace by chance")
    ax.set_yticks(range(len(blocks)), map(str, blocks))
    ax.set_ylim(len(blocks) - 0.5, -0.5)
    ax.set(xlim=(0, 1.02), xlabel="agreement of two fits")
    for row in range(1, len(blocks)):
        ax.axhline(row - 0.5, color="#E4E4E4", lw=0.8, zorder=0)
    bare(ax)
    ax.tick_params(axis="y", length=0)
    outside_legend(ax)
    return titled(ax, title)
