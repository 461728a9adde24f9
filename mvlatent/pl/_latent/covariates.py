"""Factors by columns of obs."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.pl._style import new_axes, titled
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["factor_covariates"]

NEEDED = ("factor", "column", "kind", "value", "q")
DARK = 0.6  # from which on the ink is white


def factor_covariates(
    table: pd.DataFrame,
    *,
    fdr: float = 0.05,
    text: bool = True,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Factors × columns of obs, as :func:`mvlatent.tl.factor_covariates` compares them.

    Correlations are red above 0 and blue below; eta, which has no sign, is red, and its columns are
    marked with the letter. A star stands where the false discovery rate is small.

    Parameters
    ----------
    table
        What the tool returned.
    fdr
        False discovery rate up to which a star is drawn.
    text
        Write the values into the cells.
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
    KeyError
        If the table lacks a column.
    ValueError
        If the table is empty, or ``fdr`` is not between 0 and 1.

    Examples
    --------
    >>> from mvlatent import pl, tl
    >>> age = np.random.default_rng(0).normal(60, 10, 100)
    >>> obs = pd.DataFrame({"age": age, "sex": ["f", "m"] * 50})
    >>> ax = pl.factor_covariates(tl.factor_covariates(age[:, None], obs))
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['age', 'sex (η)']
    """
    check_drawn(table, "factor_covariates", "mv.tl.factor_covariates(model)")
    missing = [name for name in NEEDED if name not in table]
    if missing:
        raise KeyError(
            f"the table lacks columns {missing}; it is what mv.tl.factor_covariates returns."
        )
    if table.empty:
        raise ValueError("the table is empty; give at least one row.")
    if not 0 < fdr < 1:
        raise ValueError(f"fdr must be between 0 and 1, not {fdr!r}.")
    factors, columns = table["factor"].unique(), table["column"].unique()
    wide = table.pivot(index="factor", columns="column", values=["value", "q"])
    value, q = (
        wide[name].reindex(index=factors, columns=columns).to_numpy(float)
        for name in ("value", "q")
    )
    eta = {*table.loc[table["kind"] == "eta", "column"]}
    size = (1.8 + 0.75 * len(columns), 1.4 + 0.34 * len(factors))
    ax = new_axes(ax, size=size)
    image = ax.imshow(value, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    names = [f"{name} (η)" if name in eta else str(name) for name in columns]
    ax.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(factors)), [str(name) for name in factors])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for (row, column), r in np.ndenumerate(value):
        star = "*" if q[row, column] <= fdr else ""
        words = f"{r:.2f}{star}" if text and not np.isnan(r) else star
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
        ax.text(column, row, words, color="white" if abs(r) > DARK else "#333333", **style)
    label = f"correlation or eta (* FDR ≤ {fdr:g})"
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.82, label=label)
    bar.outline.set_visible(False)
    return titled(ax, title)
