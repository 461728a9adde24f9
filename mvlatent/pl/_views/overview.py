"""A cohort at a glance: who has which view, and whether that goes with the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.data.assemble import PATIENTS, check_cohort
from mvlatent.data.obs_columns import as_text, find_column
from mvlatent.pl._style import GREY, PALETTE, new_axes, titled

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from mudata import MuData

__all__ = ["overview"]

MOST_GROUPS = 6


def overview(
    mdata: MuData | AnnData,
    *,
    by: str | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Draw patients × views, and how many of each group have a view.

    Patients with the same views stand together, those with most views first. Where a view is
    missing more often in one group than in another (say, in those who died), what is missing says
    something, and a model of the patients who are complete does not hold for the others.

    Parameters
    ----------
    mdata
        Cohort of n patients.
    by
        Column of ``obs`` of few values, such as the event or the site: the share of each group's
        patients that has a view is written beside it.
    ax
        Axes to draw on.
    title
        Title; by default the number of patients.

    Returns
    -------
    Axes
        A column a patient, a row a view; coloured where the patient has it.

    Raises
    ------
    TypeError
        If it is no cohort.
    KeyError
        If there is no column ``by``.
    ValueError
        If ``by`` has more than six values.

    Examples
    --------
    >>> mdata = mv.datasets.demo(80)
    >>> ax = mv.pl.overview(mdata, by="event")
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['rna', 'cnv', 'mut', 'img']
    """
    check_cohort(mdata)
    names, has = _presence(mdata)
    order = np.lexsort([*(~has).T[::-1], -has.sum(1)])
    ax = new_axes(ax, size=(7.0, 0.5 * len(names) + 1.4))
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(0, len(has))
    groups = _groups(mdata, by)
    for row in range(len(names)):
        seen = has[order, row]
        for left, width in _runs(seen):
            colour = PALETTE[row % len(PALETTE)]
            ax.broken_barh([(left, width)], (row - 0.38, 0.76), facecolors=colour, linewidth=0)
        for left, width in _runs(~seen):
            ax.broken_barh([(left, width)], (row - 0.38, 0.76), facecolors="#ECECEC", linewidth=0)
        ax.text(
            1.01, row, _said(has[:, row], groups), transform=ax.get_yaxis_transform(),
            va="center", fontsize="small", color="#333333",
        )  # fmt: skip
    if by is not None:
        ax.text(
            1.01, 1.0, f"who has it, by {by}", transform=ax.transAxes, va="bottom",
            fontsize="small", color="#333333",
        )  # fmt: skip
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("patients")
    ax.spines[["top", "right", "left", "bottom"]].set_visible(False)
    ax.tick_params(length=0, colors=GREY, labelcolor="#333333")
    complete = int(has.all(1).sum())
    titled(ax, f"{len(has)} patients, {complete} with every view" if title is None else title)
    return ax


def _presence(mdata: Any) -> tuple[list[str], np.ndarray]:
    """Names of the views, and who has them, (n, views)."""
    if not hasattr(mdata, "mod"):
        return ["X"], np.ones((mdata.n_obs, 1), dtype=bool)
    names = [name for name in mdata.mod if name != PATIENTS]
    has = [np.isin(mdata.obs_names, mdata.mod[name].obs_names) for name in names]
    return names, np.column_stack(has)


def _groups(mdata: Any, by: str | None) -> pd.Series | None:
    """Group of each patient, as text; ``None`` where no column is named."""
    if by is None:
        return None
    if not hasattr(mdata, "mod") and by not in mdata.obs:
        raise KeyError(f"by: no column {by!r} in obs; the columns are {', '.join(mdata.obs)}.")
    text = pd.Series(as_text(find_column(mdata, by, "by")), dtype=object)
    if (n := text.nunique()) > MOST_GROUPS:
        raise ValueError(
            f"by: column {by!r} has {n} values, more than {MOST_GROUPS}; name one of few groups."
        )
    return text


def _said(has: np.ndarray, groups: pd.Series | None) -> str:
    """How many have a view, and the share of each group."""
    whole = f"{int(has.sum())}"
    if groups is None:
        return whole
    shares = pd.Series(has).groupby(groups.to_numpy()).mean()
    return f"{whole}   " + ", ".join(f"{k}: {v:.0%}" for k, v in shares.items())


def _runs(chosen: np.ndarray) -> list[tuple[int, int]]:
    """Start and length of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(int), [0]])))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
