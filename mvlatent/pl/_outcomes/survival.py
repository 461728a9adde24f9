"""Survival of groups of patients."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.pl._style import bare, colours, new_axes, outside_legend, time_label, titled
from mvlatent.pl._typed import check_drawn
from mvlatent.tl._align import aligned
from mvlatent.tl._outcomes.outcome import as_floats, checked_outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["kaplan_meier"]

NAMES = {2: ("low risk", "high risk"), 3: ("low risk", "medium risk", "high risk")}


def kaplan_meier(
    risk: Any,
    time: Any,
    event: Any,
    *,
    groups: int = 2,
    interval: bool = True,
    at_risk: bool = True,
    unit: str | None = None,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Kaplan–Meier curves by predicted risk (or by label), numbers at risk, log-rank p value.

    The p value is honest only where the risk was predicted out of sample.

    Parameters
    ----------
    risk
        Score of each patient, (n,), cut at its quantiles; or labels (strings, categories), one
        curve each.
    time, event
        Outcome, (n,) each; event 1 = event. Patients with neither, or without a risk, are left
        out.
    groups
        2 (cut at the median) or 3 (at the terciles); only for scores.
    interval
        Shade the 95 % interval of each curve.
    at_risk
        Write the numbers at risk under the axis.
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
        If lengths or patients differ, an event is not 0/1, a time is negative or not finite,
        ``groups`` is not 2 or 3, or fewer than two groups result.

    Examples
    --------
    >>> t = np.arange(1, 41)
    >>> ax = kaplan_meier(-t, t, np.ones(40))
    >>> ax.get_ylabel()
    'survival'
    """
    check_drawn(
        risk, "kaplan_meier", "model.predict_risk(), or better the risk of mv.study.out_of_fold"
    )
    table = _grouped(risk, time, event, groups)
    levels = [*table["group"].cat.categories]
    ax = new_axes(ax, size=_size(levels, at_risk))
    palette = _risk_colours(len(levels))
    for level, colour in zip(levels, palette, strict=True):
        _draw_curve(ax, table[table["group"] == level], str(level), colour, interval)
    ax.set(ylim=(0, 1.03), ylabel="survival", xlabel=time_label(unit))
    ax.set_xlim(0, table["time"].max() * 1.02)
    bare(ax)
    p, shown = _log_rank(table), None
    if (table["event"] == 1).any():
        shown = "log-rank p < 0.001" if p < 0.001 else f"log-rank p = {p:.3f}"
    outside_legend(ax, shown)  # beside the curves and the title
    titled(ax, title)
    if at_risk:
        _write_at_risk(ax, table, levels, palette)
    return ax


def _size(levels: list[Any], at_risk: bool) -> tuple[float, float]:
    """Inches of a figure whose curves keep their room beside names and numbers at risk."""
    letters = max(len(str(level)) for level in levels)
    wide = max(0, letters - 11) * (0.17 if at_risk else 0.09)  # names stand at both sides
    return 6.6 + wide, 4.2 + 0.18 * max(0, len(levels) - 3) * at_risk


def _risk_colours(n: int) -> list[Any]:
    """Low risk blue, high risk vermilion, whatever the number of groups."""
    palette = list(colours(n))
    return [palette[0], palette[2], palette[1]] if n == 3 else palette


def _grouped(risk: Any, time: Any, event: Any, groups: int) -> pd.DataFrame:
    risk, time, event = aligned(risk=risk, time=time, event=event)
    if not len(risk) == len(time) == len(event):
        raise ValueError(
            f"lengths differ: {len(risk)}, {len(time)}, {len(event)}; give one value a patient."
        )
    times, events = as_floats(time, "time"), as_floats(event, "event")
    table = pd.DataFrame({"risk": pd.Series(risk).array, "time": times, "event": events}).dropna()
    table = table.sort_values("time", kind="stable")  # the picture is not of the rows' order
    if not np.isin(table["event"], (0, 1)).all():
        odd = table["event"][~table["event"].isin((0, 1))].iloc[0]
        raise ValueError(
            f"event must be 0/1 or bool, and holds {odd:g}; recode it, and give risk, time and "
            "event in this order."
        )
    checked_outcome(table["time"].to_numpy(), table["event"].to_numpy())
    kind = table["risk"].dtype
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        if groups not in NAMES:
            raise ValueError(f"groups must be 2 or 3, got {groups}.")
        cuts = np.quantile(table["risk"], np.arange(1, groups) / groups)
        codes = np.searchsorted(cuts, table["risk"], side="left")
        table["group"] = pd.Categorical.from_codes(codes, categories=list(NAMES[groups]))
    else:
        table["group"] = pd.Categorical(table["risk"])
    table["group"] = table["group"].cat.remove_unused_categories()
    if len(table["group"].cat.categories) < 2:
        raise ValueError(
            "fewer than two groups: all risks or labels are equal; give values that differ."
        )
    return table


def _log_rank(table: pd.DataFrame) -> float:
    from lifelines.statistics import multivariate_logrank_test

    return float(multivariate_logrank_test(table["time"], table["group"], table["event"]).p_value)


def _draw_curve(ax: "Axes", rows: pd.DataFrame, label: str, colour: Any, interval: bool) -> None:
    from lifelines import KaplanMeierFitter

    fitted = KaplanMeierFitter().fit(rows["time"], rows["event"])
    curve = fitted.survival_function_.iloc[:, 0]
    ax.step(curve.index, curve, where="post", color=colour, lw=1.8, label=label)
    if interval:
        bounds = fitted.confidence_interval_.ffill()
        ax.fill_between(
            bounds.index,
            bounds.iloc[:, 0],
            bounds.iloc[:, 1],
            step="post",
            color=colour,
            alpha=0.15,
            lw=0,
        )
    censored = rows.loc[rows["event"] == 0, "time"]
    height = fitted.survival_function_at_times(censored)
    ax.plot(censored, height, "|", color=colour, ms=5, mew=0.8, alpha=0.8)


def _write_at_risk(ax: "Axes", table: pd.DataFrame, levels: list[Any], palette: list[Any]) -> None:
    """Write the table as text under the axis, in data units along x and points along y."""
    ticks = [tick for tick in ax.get_xticks() if 0 <= tick <= ax.get_xlim()[1]]
    ax.set_xticks(ticks)
    ax.set_xlim(0, table["time"].max() * 1.02)
    style: dict[str, Any] = {"annotation_clip": False, "va": "top", "fontsize": 9}
    under = ax.get_xaxis_transform()
    ax.annotate(
        "at risk",
        (0, 0),
        xycoords=ax.transAxes,
        xytext=(-20, -38),
        textcoords="offset points",
        ha="right",
        color="#333333",
        **style,
    )
    for row, (level, colour) in enumerate(zip(levels, palette, strict=True)):
        times = table.loc[table["group"] == level, "time"].to_numpy()
        down = -52 - 13 * row
        ax.annotate(
            str(level),
            (0, 0),
            xycoords=ax.transAxes,
            xytext=(-20, down),
            textcoords="offset points",
            ha="right",
            color=colour,
            **style,
        )
        for tick in ticks:
            ax.annotate(
                str(int((times >= tick).sum())),
                (tick, 0),
                xycoords=under,
                xytext=(0, down),
                textcoords="offset points",
                ha="center",
                color="#333333",
                **style,
            )
