"""The terms of the objective over training."""

from typing import Any

import numpy as np
import pandas as pd

from mvlatent.pl._style import bare, colours
from mvlatent.pl._typed import check_drawn

__all__ = ["history"]

MARKS = ("validation", "train")
SETTINGS = ("epoch", "kl_weight")  # columns of a history that are no terms


def history(
    table: Any, *, terms: list[str] | None = None, columns: int = 3, ax: Any = None
) -> np.ndarray:
    """One small panel for each term of ``model.history``.

    Columns that differ only by a ``train``/``validation`` prefix or suffix share a panel.

    Parameters
    ----------
    table
        DataFrame, one row an epoch and one column a term, or a fitted model.
    terms
        Which columns; ``None``: all numeric ones with any value.
    columns
        Panels a row.
    ax
        One Axes (one panel) or an array of at least as many Axes as panels; ``None``: a new
        figure.

    Returns
    -------
    ndarray
        The Axes that were drawn, one a panel, in order of the columns.

    Raises
    ------
    TypeError
        If it is neither.
    KeyError
        If a term is not a column; the columns are listed.
    ValueError
        If nothing can be drawn or too few Axes are given.

    Examples
    --------
    >>> axes = history(pd.DataFrame({"elbo": [3.0, 2.0], "kl": [0.0, 1.0]}))
    >>> [ax.get_title(loc="left") for ax in axes]
    ['elbo', 'kl']
    """
    if hasattr(table, "history") and not isinstance(table, pd.DataFrame):
        table = table.history
    check_drawn(table, "history", "a fitted model, or its model.history")
    panels = _panels(table, terms)
    axes = _axes_for(len(panels), columns, ax)
    for panel, (title, members) in zip(axes, panels.items(), strict=True):
        for column, colour in zip(members, colours(len(members)), strict=True):
            values = table[column].astype(float)
            known = values.dropna()
            style = {"marker": "o", "ms": 3} if len(known) <= 3 else {}
            panel.plot(known.index, known, color=colour, lw=1.5, label=members[column], **style)
        if len(members) > 1:
            panel.legend(frameon=False, fontsize=8)
        panel.set_title(title, loc="left", fontsize=10)
        panel.ticklabel_format(axis="y", style="sci", scilimits=(-3, 6))
        panel.margins(x=0.02)
        bare(panel)
    for panel in axes[-min(columns, len(axes)) :]:
        panel.set_xlabel(str(table.index.name or "epoch"))
    return axes


def _split_mark(column: str) -> tuple[str, str]:
    """Split "validation_elbo" or "elbo_validation" into "elbo" and "validation"."""
    for mark in MARKS:
        for bare_name in (column.removeprefix(f"{mark}_"), column.removesuffix(f"_{mark}")):
            if bare_name not in (column, ""):
                return bare_name, mark
    return column, "train"


def _panels(table: pd.DataFrame, terms: list[str] | None) -> dict[str, dict[str, str]]:
    """Title of each panel to its columns and their labels."""
    unknown = [term for term in terms or [] if term not in table]
    if unknown:
        raise KeyError(f"no terms {unknown} in the history; there are {[*table]}.")
    numeric = table.select_dtypes("number").dropna(axis=1, how="all")
    panels: dict[str, dict[str, str]] = {}
    shown = [c for c in numeric if c not in SETTINGS]
    for column in terms if terms is not None else shown:
        title, mark = _split_mark(str(column))
        panels.setdefault(title, {})[column] = mark
    if not panels:
        raise ValueError(
            "the history holds no numeric column with a value; fit the model, or name terms."
        )
    return panels


def _axes_for(n: int, columns: int, ax: Any) -> np.ndarray:
    if ax is not None:
        given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(given) < n:
            raise ValueError(
                f"{n} panels do not fit into {len(given)} axes; give one a panel, or fewer terms."
            )
        return given[:n]
    import matplotlib.pyplot as plt

    columns = min(columns, n)
    rows = -(-n // columns)
    _, axes = plt.subplots(
        rows, columns, figsize=(3.1 * columns, 2.3 * rows), squeeze=False, layout="constrained"
    )
    for empty in axes.ravel()[n:]:
        empty.set_visible(False)
    return axes.ravel()[:n]
