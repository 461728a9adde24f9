"""Patients in the latent space."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.pl._latent.feature import named_values
from mvlatent.pl._style import GREY, SEQUENTIAL, bare, colours, new_axes, outside_legend, titled
from mvlatent.pl._typed import check_drawn
from mvlatent.tl._align import align

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["latent"]

LAYOUTS = ("pca", "umap")


def latent(
    data: Any,
    *,
    color: Any = None,
    basis: str = "X_mvlatent",
    method: str = "pca",
    title: str | None = None,
    seed: int = 0,
    ax: "Axes | None" = None,
) -> "Axes":
    """Scatter the patients in two dimensions of a latent block.

    Single latent axes have no meaning of their own (only the space they span has), so more than
    two are reduced to their two widest directions.

    Parameters
    ----------
    data
        Coordinates n × d (array or DataFrame), a MuData or AnnData with ``obsm[basis]``, or a
        fitted :class:`mvlatent.MVLatent`, of whose patients the shared factors are drawn.
    color
        One value a patient, (n,), or a name: a column of ``obs``, ``"modality:column"`` of a
        modality's, or ``"view:feature"``, such as ``"rna:TP63"``, for its values in ``X``.
        Categories get a legend, numbers a colour bar, missing values grey.
    basis
        Slot of ``obsm``.
    method
        ``"pca"``, or ``"umap"``, which bends distances.
    title
        Title of the plot.
    seed
        Seed of UMAP.
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
        If ``basis`` or ``color`` is not there; the choices are listed.
    ValueError
        If ``method`` is unknown, lengths differ, or a model has no patients.

    Examples
    --------
    >>> import numpy as np
    >>> latent(np.eye(4), color=["a", "a", "b", "b"]).get_xlabel()
    'PC 1 (33 %)'
    >>> ax = mv.pl.latent(model, color="rna:rna_001")
    >>> ax.figure.axes[1].get_ylabel()
    'rna:rna_001'
    """
    check_drawn(
        data,
        "latent",
        "a fitted model, model.transform(), or the cohort after model.annotate(mdata)",
        cohorts=True,
        models=True,
    )
    if method not in LAYOUTS:
        raise ValueError(f"unknown method {method!r}; choose from {', '.join(LAYOUTS)}.")
    z, values, name = _coordinates_and_colour(data, color, basis)
    z, labels = _two_dimensions(z, method, seed)
    ax = new_axes(ax, size=(5.6, 4.2))
    if values is None:
        _points(ax, z, color=colours(1)[0])
    elif pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        _draw_numbers(ax, z, values.to_numpy(float), name)
    else:
        _draw_categories(ax, z, values, name)
    ax.set(xlabel=labels[0], ylabel=labels[1], xticks=[], yticks=[])
    titled(ax, title)
    bare(ax)
    return ax


def _coordinates_and_colour(
    data: Any, color: Any, basis: str
) -> tuple[np.ndarray, pd.Series | None, str | None]:
    name = color if isinstance(color, str) else getattr(color, "name", None)
    if hasattr(data, "latents"):
        z, data = np.asarray(data.transform(), float), data.adata
        if isinstance(color, str):
            color = named_values(data, color)
    elif hasattr(data, "obsm"):
        if basis not in data.obsm:
            raise KeyError(f"no obsm[{basis!r}]; there are {sorted(data.obsm)}.")
        z = np.asarray(data.obsm[basis], float)
        if isinstance(color, str):
            color = named_values(data, color)
    else:
        z = np.asarray(data, float)
        if isinstance(color, str):
            raise KeyError(
                f"color={color!r} names a column, but bare coordinates have none; give the values."
            )
    if z.ndim != 2 or z.shape[1] == 0:
        raise ValueError(f"coordinates must be n × d, got shape {z.shape}.")
    if color is None:
        return z, None, None
    color = align([("coordinates", data), ("color", color)])[1]
    if len(color) != len(z):
        raise ValueError(f"{len(color)} colour values for {len(z)} patients; give one a patient.")
    return z, pd.Series(color).reset_index(drop=True), name


def _two_dimensions(z: np.ndarray, method: str, seed: int) -> tuple[np.ndarray, tuple[str, str]]:
    if method == "umap":
        from umap import UMAP

        return UMAP(random_state=seed, n_jobs=1).fit_transform(z), ("UMAP 1", "UMAP 2")
    if z.shape[1] == 1:
        return np.column_stack([z, np.zeros(len(z))]), ("latent 1", "")
    if z.shape[1] == 2:
        return z, ("latent 1", "latent 2")
    from sklearn.decomposition import PCA

    pca = PCA(2).fit(z)
    first, second = (100 * share for share in pca.explained_variance_ratio_)
    return pca.transform(z), (f"PC 1 ({first:.0f} %)", f"PC 2 ({second:.0f} %)")


def _points(ax: "Axes", z: np.ndarray, **style: Any) -> Any:
    size = float(np.clip(6000 / max(len(z), 1), 6, 26))
    default: dict[str, Any] = {"linewidths": 0.3, "edgecolors": "white", "alpha": 0.9}
    drawn = default | style
    return ax.scatter(z[:, 0], z[:, 1], s=size, rasterized=len(z) > 5000, **drawn)


def _draw_categories(ax: "Axes", z: np.ndarray, values: pd.Series, name: str | None) -> None:
    levels = [level for level in pd.Categorical(values).categories if (values == level).any()]
    missing = values.isna().to_numpy()
    if missing.any():
        _points(ax, z[missing], color=GREY, alpha=0.5, label="missing", zorder=0)
    for level, colour in zip(levels, colours(len(levels)), strict=True):
        _points(ax, z[(values == level).to_numpy(bool)], color=colour, label=str(level))
    outside_legend(ax, name)


def _draw_numbers(ax: "Axes", z: np.ndarray, values: np.ndarray, name: str | None) -> None:
    missing = np.isnan(values)
    if missing.any():
        _points(ax, z[missing], color=GREY, alpha=0.5, zorder=0)
    drawn = _points(ax, z[~missing], c=values[~missing], cmap=SEQUENTIAL)
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.8, label=name or "")
    bar.outline.set_visible(False)
