"""Hazard ratios and shares with their intervals, one row each."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.pl._style import GREY, PALETTE, bare, block_colours, new_axes, per_cent, titled
from mvlatent.pl._typed import check_drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["forest", "ledger"]


def forest(
    table: pd.DataFrame,
    *,
    text: bool = True,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Forest plot of hazard ratios; the grey ones may be nothing.

    Rows with a ``p_effect``, as `mvlatent.MVLatent.hazard_ratios` gives it, go from grey (one half
    or less) to blue (1) with it; the others are grey where their interval holds 1.

    Parameters
    ----------
    table
        One row a feature or block, from top to bottom, with columns ``hr``, ``lower``, ``upper``,
        and, if it is known, ``p_effect``, a probability.
    text
        Write estimate and interval at the right, and the probability of an effect.
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
    KeyError
        If a column is missing.
    ValueError
        If the table is empty, a value is missing or not positive, an estimate lies outside its
        interval, or a probability is not between 0 and 1.

    Examples
    --------
    >>> table = pd.DataFrame({"hr": [1.5], "lower": [1.1], "upper": [2.0]}, index=["age"])
    >>> forest(table).get_xscale()
    'log'
    """
    check_drawn(table, "forest", "model.hazard_ratios()")
    estimate, lower, upper = _checked(table, "hr")
    if (lower <= 0).any():
        raise ValueError(
            "hazard ratios and their bounds must be positive; of log hazards take the exponential."
        )
    ax = new_axes(ax, size=(6.4, 1.1 + 0.3 * len(table)))
    rows, probability = np.arange(len(table)), _probabilities(table)
    certain = np.where(np.isnan(probability), (lower > 1) | (upper < 1), 2 * probability - 1)
    for row, (value, low, high, sure) in enumerate(
        zip(estimate, lower, upper, certain, strict=True)
    ):
        colour = _between(GREY, PALETTE[0], sure)
        ax.plot([low, high], [row, row], color=colour, lw=1.8, solid_capstyle="butt")
        ax.plot(value, row, "s", color=colour, ms=6)
    ax.axvline(1, color="#333333", lw=1, ls="--", zorder=0)
    ax.set_xscale("log")
    _ratio_ticks(ax, min(lower.min(), 1.0), max(upper.max(), 1.0))
    ax.set_xlabel("hazard ratio")
    _rows(ax, [str(name) for name in table.index])
    if text:
        shown = [
            f"{value:.2f} ({low:.2f}–{high:.2f})" + ("" if np.isnan(p) else f"  {100 * p:.0f} %")
            for value, low, high, p in zip(estimate, lower, upper, probability, strict=True)
        ]
        _beside(ax, rows, shown)
        if not np.isnan(probability).all():
            at: dict[str, Any] = {"transform": ax.transAxes, "va": "bottom", "color": "#333333"}
            ax.text(1.02, 1.0, "ratio (interval)  P(effect)", fontsize=8, **at)
    return titled(ax, title)


def ledger(
    table: pd.DataFrame,
    *,
    text: bool = True,
    label: str = "share of the log hazard's variance",
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Shares of blocks with their intervals: what each adds to the prognosis.

    Parameters
    ----------
    table
        One row a block, from top to bottom, with columns ``share``, ``lower``, ``upper`` in
        [0, 1].
    text
        Write share and interval at the right.
    label
        Label of the axis.
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
    KeyError
        If a column is missing.
    ValueError
        If the table is empty, a value is missing, or a share lies outside its interval.

    Examples
    --------
    >>> table = pd.DataFrame({"share": [0.6], "lower": [0.4], "upper": [0.8]}, index=["shared"])
    >>> len(ledger(table).patches)
    1
    """
    check_drawn(table, "ledger", "model.ledger()")
    share, lower, upper = _checked(table, "share")
    names = [str(name) for name in table.index]
    ax = new_axes(ax, size=(6.4, 1.1 + 0.32 * len(table)))
    rows = np.arange(len(table))
    ax.barh(rows, share, height=0.62, color=block_colours(names), alpha=0.85)
    ax.hlines(rows, lower, upper, color="#333333", lw=1.4)
    left = min(0.0, float(lower.min()))
    ax.set_xlim(left, max(float(upper.max()) * 1.04, 0.05))
    per_cent(ax.xaxis)
    ax.set_xlabel(label)
    _rows(ax, names)
    if text:
        shown = [
            f"{100 * value:.0f} % ({100 * low:.0f}–{100 * high:.0f})"
            for value, low, high in zip(share, lower, upper, strict=True)
        ]
        _beside(ax, rows, shown)
    return titled(ax, title)


def _checked(table: pd.DataFrame, estimate: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    wanted = (estimate, "lower", "upper")
    missing = [name for name in wanted if name not in table]
    if missing:
        raise KeyError(f"the table lacks columns {missing}; it has {[*table]}.")
    if table.empty:
        raise ValueError("the table is empty; give at least one row.")
    value, lower, upper = (table[name].to_numpy(float) for name in wanted)
    if not (np.isfinite(value) & np.isfinite(lower) & np.isfinite(upper)).all():
        raise ValueError("the table holds values that are missing or not finite; drop those rows.")
    if not ((lower <= value) & (value <= upper)).all():
        raise ValueError(f"{estimate} must lie within its bounds in every row.")
    return value, lower, upper


def _probabilities(table: pd.DataFrame) -> np.ndarray:
    """Column ``p_effect`` of the rows, NaN where it is not told."""
    if "p_effect" not in table:
        return np.full(len(table), np.nan)
    found = table["p_effect"].to_numpy(float)
    if ((found < 0) | (found > 1)).any():
        raise ValueError("p_effect must be a probability, between 0 and 1, in every row.")
    return found


def _between(low: str, high: str, share: float) -> str:
    """Colour that far (within 0 and 1) from one to another."""
    from matplotlib.colors import to_hex, to_rgb

    one, other = np.array(to_rgb(low)), np.array(to_rgb(high))
    return str(to_hex(one + float(np.clip(share, 0, 1)) * (other - one)))


def _ratio_ticks(ax: "Axes", low: float, high: float) -> None:
    """Round ratios rather than powers of ten, which a narrow range may not hold."""
    from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator

    span = high / low
    margin = span**0.05
    choices = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    if span < 3:
        choices = [float(tick) for tick in MaxNLocator(6).tick_values(low, high)]
    elif span < 12:
        choices = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10]
    ax.set_xlim(low / margin, high * margin)
    ticks = [tick for tick in choices if low / margin <= tick <= high * margin]
    if len(ticks) >= 2:
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())


def _rows(ax: "Axes", names: list[str]) -> None:
    """Name the rows, the first on top, and leave out the left spine."""
    ax.set_yticks(np.arange(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    bare(ax)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _beside(ax: "Axes", rows: np.ndarray, shown: list[str]) -> None:
    style: dict[str, Any] = {"va": "center", "ha": "left", "fontsize": 9, "color": "#333333"}
    for row, words in zip(rows, shown, strict=True):
        ax.text(1.02, row, words, transform=ax.get_yaxis_transform(), **style)
