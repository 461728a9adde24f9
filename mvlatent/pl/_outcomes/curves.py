"""Predicted curves over time, with bands."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.pl._style import PALETTE, bare, colours, new_axes, outside_legend, time_label, titled
from mvlatent.pl._typed import check_drawn
from mvlatent.tl._align import align_entries

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cumulative_incidence", "survival_curves", "time_dependent_auc"]

MOST_NAMED = len(PALETTE)


def survival_curves(
    curves: Any,
    *,
    patients: Sequence[Any] | None = None,
    unit: str | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Predicted survival of single patients, with bands where there are any.

    Parameters
    ----------
    curves
        What ``model.predict_survival`` returned: a DataFrame times × patients, or an object with
        such a ``mean``, ``lower`` and ``upper``.
    patients
        Names (columns) to draw. ``None``: all; more than eight as thin lines without names or
        bands, their mean on top.
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
    KeyError
        If a patient has no curve.
    ValueError
        If there is no curve, or bounds do not have the shape of the curves.

    Examples
    --------
    >>> curves = pd.DataFrame({"P1": [1.0, 0.8, 0.5]}, index=[0.0, 12.0, 24.0])
    >>> survival_curves(curves, patients=["P1"]).get_ylabel()
    'survival'
    """
    check_drawn(curves, "survival_curves", "model.predict_survival()")
    ax = _draw(curves, None, None, patients, "patients", ax)
    ax.set(xlabel=time_label(unit), ylabel="survival", ylim=(0, 1.03))
    return titled(ax, title)


def cumulative_incidence(
    curves: Any,
    *,
    lower: pd.DataFrame | None = None,
    upper: pd.DataFrame | None = None,
    columns: Sequence[Any] | None = None,
    unit: str | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Cumulative incidence of causes (or of patients), with bands where there are any.

    Parameters
    ----------
    curves
        DataFrame times × causes or times × patients, or an object with such a ``mean``, ``lower``
        and ``upper``.
    lower, upper
        Bounds of the band, of the shape of ``curves``.
    columns
        Which to draw. ``None``: all; more than eight as thin lines without names or bands, their
        mean on top.
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
    KeyError
        If a column is not there.
    ValueError
        If there is no curve, or bounds do not have the shape of the curves.

    Examples
    --------
    >>> curves = pd.DataFrame({"cancer": [0.0, 0.2], "other": [0.0, 0.1]}, index=[0.0, 12.0])
    >>> len(cumulative_incidence(curves).lines)
    2
    """
    check_drawn(curves, "cumulative_incidence", "model.predict_cumulative_incidence()")
    ax = _draw(curves, lower, upper, columns, "columns", ax)
    top = max(line.get_ydata().max() for line in ax.lines)  # type: ignore[union-attr]
    for band in ax.collections:
        top = max(top, band.get_datalim(ax.transData).y1)
    ax.set(xlabel=time_label(unit), ylabel="cumulative incidence")
    ax.set_ylim(0, min(1.03, 1.08 * float(top)) if top > 0 else 1)
    return titled(ax, title)


def time_dependent_auc(
    values: pd.Series | pd.DataFrame,
    *,
    lower: pd.Series | pd.DataFrame | None = None,
    upper: pd.Series | pd.DataFrame | None = None,
    unit: str | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw :func:`mvlatent.tl.time_dependent_auc` over time; the dashed line is chance.

    Parameters
    ----------
    values
        What the tool returned, or a DataFrame of it times × models.
    lower, upper
        Bounds, of the shape of ``values``.
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
    ValueError
        If there is no value, more than eight models, or bounds of another shape.

    Examples
    --------
    >>> time_dependent_auc(pd.Series([0.7, 0.65], index=[12.0, 24.0])).get_ylabel()
    'AUC of who dies by t'
    """
    check_drawn(values, "time_dependent_auc", "mv.tl.time_dependent_auc(time, event, risk, times)")
    table = _frame(values)
    if table.shape[1] > MOST_NAMED:
        raise ValueError(f"{table.shape[1]} models are too many to tell apart; draw up to eight.")
    named = isinstance(values, pd.DataFrame)
    low, high = (None if x is None else _frame(x) for x in (lower, upper))
    ax = _draw(table, low, high, None, "models", ax, legend=named)
    ax.axhline(0.5, color="#333333", lw=1, ls="--", zorder=0)
    bottom = min(0.45, float(np.nanmin(np.asarray(table if low is None else low))) - 0.03)
    ax.set(
        xlabel=time_label(unit, "time t"), ylabel="AUC of who dies by t", ylim=(max(bottom, 0), 1.0)
    )
    return titled(ax, title)


def _frame(values: Any) -> pd.DataFrame:
    """A DataFrame, or what has its shape."""
    if isinstance(values, pd.Series):
        return values.to_frame("auc")
    return values[:, None] if np.ndim(values) == 1 else values


def _draw(
    curves: Any,
    lower: pd.DataFrame | None,
    upper: pd.DataFrame | None,
    chosen: Sequence[Any] | None,
    what: str,
    ax: "Axes | None",
    *,
    legend: bool = True,
) -> "Axes":
    """One line a column with its band; thin lines and their mean where there are too many."""
    mean, low, high = _with_bounds(curves, lower, upper)
    chosen = [chosen] if isinstance(chosen, str) else chosen
    missing = [name for name in chosen or [] if name not in mean]
    if missing:
        raise KeyError(f"no {what} {missing}; there are {_some([*mean])}.")
    names = [*mean] if chosen is None else [*chosen]
    if not names or not len(mean):
        raise ValueError("there is no curve to draw; give at least one column and one time.")
    ax = new_axes(ax, size=(6.2, 4.0))
    at = mean.index.to_numpy(float)
    if len(names) > MOST_NAMED:
        ax.plot(at, mean[names], color=PALETTE[0], lw=0.6, alpha=max(0.08, 8 / len(names)))
        ax.plot(at, mean[names].mean(axis=1), color="#333333", lw=2, label="mean")
    else:
        for name, colour in zip(names, colours(len(names)), strict=True):
            ax.plot(at, mean[name], color=colour, lw=1.8, label=str(name))
            if low is not None and high is not None:
                ax.fill_between(at, low[name], high[name], color=colour, alpha=0.15, lw=0)
    if legend:
        outside_legend(ax)
    ax.set_xlim(min(0, at[0]), at[-1])
    bare(ax)
    return ax


def _with_bounds(
    curves: Any, lower: pd.DataFrame | None, upper: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame | None, pd.DataFrame | None]:
    if not isinstance(curves, pd.DataFrame):
        if not all(hasattr(curves, part) for part in ("mean", "lower", "upper")):
            kind = type(curves).__name__
            raise ValueError(f"curves must be a DataFrame times × patients, not a {kind}.")
        curves, lower, upper = curves.mean, curves.lower, curves.upper
    if (lower is None) != (upper is None):
        raise ValueError("a band needs both lower and upper; give both or neither.")
    for bound in (lower, upper):
        if bound is not None and bound.shape != curves.shape:
            raise ValueError(
                f"bounds {bound.shape} do not have the shape of curves {curves.shape}; give "
                "bounds of each value."
            )
    lower, upper = (_labelled(bound, curves) for bound in (lower, upper))
    curves, lower, upper = align_entries([("curves", curves), ("lower", lower), ("upper", upper)])
    return curves, lower, upper


def _labelled(bound: Any, curves: pd.DataFrame) -> pd.DataFrame | None:
    """A bound that came as an array, by position."""
    if bound is None or isinstance(bound, pd.DataFrame):
        return bound
    return pd.DataFrame(bound, curves.index, curves.columns)


def _some(names: list[Any]) -> str:
    shown = ", ".join(map(str, names[:8]))
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
