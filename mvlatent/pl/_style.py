"""What the plots share: colours that colour-blind readers can tell apart, and bare axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    "GREY",
    "PALETTE",
    "SEQUENTIAL",
    "bare",
    "block_colours",
    "colours",
    "new_axes",
    "outside_legend",
    "per_cent",
    "time_label",
    "titled",
]

# Okabe and Ito's colours, without black and with the yellow last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F5FA8", "#B8A800")
GREY = "#9A9A9A"
SEQUENTIAL = "cividis"


def new_axes(ax: "Axes | None", *, size: tuple[float, float]) -> "Axes":
    """Return the given axes, or those of a new figure with constrained layout."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def bare(ax: "Axes") -> None:
    """Drop the upper and right spines and soften the rest."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#555555")
    ax.tick_params(color="#555555", labelcolor="#333333")


def colours(n: int) -> Sequence[Any]:
    """Return n distinct colours: the palette, or a wheel of hues where it is too short."""
    if n <= len(PALETTE):
        return PALETTE[:n]
    from matplotlib import colormaps

    return [colormaps["turbo"]((i + 0.5) / n) for i in range(n)]


def block_colours(names: Sequence[str]) -> list[Any]:
    """Technical is grey and the whole dark; the rest take the palette in order."""
    palette = iter(colours(len(names)))
    fixed = {"technical": GREY, "all": "#333333"}
    return [fixed[name] if name in fixed else next(palette) for name in names]


def outside_legend(ax: "Axes", title: str | None = None) -> None:
    """Put the legend to the right of the axes."""
    n = len(ax.get_legend_handles_labels()[1])
    ax.legend(
        title=title,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        borderaxespad=0.0,
        ncols=1 if n <= 16 else 2,
        alignment="left",
    )


def per_cent(*axes: "Axis") -> None:
    """Write shares as percentages along these axes."""
    for axis in axes:
        axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def titled(ax: "Axes", title: str | None) -> "Axes":
    """Write the title, where there is one, at the left, and return the axes."""
    if title:
        ax.set_title(title, loc="left")
    return ax


def time_label(unit: str | None, name: str = "time") -> str:
    """Name an axis of time; its unit is in no data, so it is written where the user gives one."""
    return name if unit is None else f"{name} ({unit})"
