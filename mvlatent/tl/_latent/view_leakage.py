"""Separation where no truth is known: what private blocks say of the other views."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mvlatent.tl._align import align
from mvlatent.tl._latent.recovery import read_targets
from mvlatent.tl._model import latent_blocks, scaled_views

if TYPE_CHECKING:
    from mvlatent.tl._latent.probes import Probe

__all__ = ["ViewLeakage", "view_leakage"]


@dataclass(frozen=True, eq=False)
class ViewLeakage:
    """Result of :func:`view_leakage`; DataFrames are latent blocks × views, pooled R².

    Attributes
    ----------
    alone
        Share of the view's variance read from the block.
    beyond
        Share that a private block adds to what the shared block says (NaN for the shared block).
        For the block's own view that is its purpose; for another view it is shared information
        that z lacks, and 0 is right.

    Examples
    --------
    >>> from mvlatent import tl
    >>> z, w = np.random.default_rng(0).standard_normal((2, 200, 2))
    >>> blocks = {"shared": z, "private:rna": w}
    >>> found = tl.view_leakage(blocks, {"rna": z + w, "img": z + w})
    >>> {which: round(r2, 1) for which, r2 in found.leaks.items()}
    {('private:rna', 'img'): 0.5}
    """

    alone: pd.DataFrame
    beyond: pd.DataFrame

    @property
    def leaks(self) -> pd.Series:
        """``beyond`` of every private block and *other* view, largest first."""
        cells = {
            (block, view): self.beyond.loc[block, view]
            for block in self.beyond.index
            for view in self.beyond.columns
            if block not in ("shared", f"private:{view}")
        }
        return pd.Series(cells, dtype=float).dropna().sort_values(ascending=False)

    @property
    def leak_max(self) -> float:
        """Largest leakage; 0 is right."""
        return float(self.leaks.max())

    @property
    def leak_mean(self) -> float:
        """Mean leakage, negative ones as 0; 0 is right."""
        return float(self.leaks.clip(lower=0).mean())


def view_leakage(
    source: Any,
    views: Mapping[str, Any] | None = None,
    *,
    mdata: Any = None,
    probe: "str | Probe" = "ridge",
    n_splits: int = 5,
    seed: int = 0,
) -> ViewLeakage:
    """How well each latent block predicts each view, and private blocks beyond the shared one.

    Given a model, latents are inferred *without looking at the view that is predicted* (all views
    only for a private block and its own view): a z that has seen the view would know it anyway.

    Parameters
    ----------
    source
        A fitted model, or latent blocks by name (``"shared"`` among them), n × d each.
    views
        With blocks: name to n × p, NaN where not measured.
    mdata
        With a model: patients; the fitted ones by default.
    probe, n_splits, seed
        As in :func:`block_recovery`.

    Returns
    -------
    ViewLeakage
        Tables, and ``leak_max`` and ``leak_mean`` over private blocks and other views.

    Raises
    ------
    KeyError
        If the blocks hold no ``"shared"``.
    ValueError
        If blocks come without views, or rows differ.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z, w, own = rng.standard_normal((3, 300, 2))
    >>> views = {"rna": z + w, "img": z + own}
    >>> good = view_leakage({"shared": z, "private:rna": w, "private:img": own}, views)
    >>> bool(abs(good.leak_max) < 0.02)
    True
    """
    options: dict[str, Any] = {"probe": probe, "n_splits": n_splits, "seed": seed}
    if isinstance(source, Mapping):
        if views is None:
            raise ValueError("blocks come without views: give views, name to n × p.")
        if "shared" not in source:
            raise KeyError(f"no block 'shared'; the blocks are {', '.join(source)}.")
        blocks = [(f"block {name!r}", rows) for name, rows in source.items()]
        whole = align([*blocks, *((f"view {name!r}", x) for name, x in views.items())])
        source = dict(zip(source, whole, strict=False))
        rows = zip(views, whole[len(source) :], strict=True)
        cells = {view: _read_view(source, x, options) for view, x in rows}
    else:
        cells = _read_model(source, mdata, options)
    alone = pd.DataFrame({view: found[0] for view, found in cells.items()})
    beyond = pd.DataFrame({view: found[1] for view, found in cells.items()})
    return ViewLeakage(alone, beyond.reindex(alone.index))


Cells = tuple[dict[str, float], dict[str, float]]


def _read_model(model: Any, mdata: Any, options: dict[str, Any]) -> dict[str, Cells]:
    views = scaled_views(model, mdata)
    whole = latent_blocks(model, mdata)
    cells = {}
    for view, x in views.items():
        others = [name for name in views if name != view]
        if not x.notna().to_numpy().any() or not others:
            continue
        alone, beyond = _read_view(latent_blocks(model, mdata, given=others), x, options)
        own = {name: whole[name] for name in ("shared", f"private:{view}")}
        own_alone, own_beyond = _read_view(own, x, options)
        name = f"private:{view}"
        order = [block for block in whole if block in alone or block == name]
        alone[name], beyond[name] = own_alone[name], own_beyond[name]
        cells[view] = ({block: alone[block] for block in order}, beyond)
    return cells


def _read_view(blocks: Mapping[str, Any], view: Any, options: dict[str, Any]) -> Cells:
    """R² of one view from each block, and what private ones add to the shared one."""
    x = np.asarray(view, float)
    seen = ~np.isnan(x)
    present = seen.any(1)
    mean = np.divide(x.sum(0, where=seen), seen.sum(0), where=seen.any(0), out=np.zeros(x.shape[1]))
    filled = np.where(present[:, None], np.where(seen, x, mean), np.nan)
    shared = read_targets(blocks["shared"], {"view": filled}, **options)["view"]
    residual = np.full_like(filled, np.nan)
    residual[shared.rows] = shared.truth - shared.predicted
    centred = np.where(seen, x - mean, 0.0)

    def share(rows: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
        total = np.square(centred[rows]).sum()
        reduced = (np.square(before) - np.square(after))[seen[rows]].sum()
        return float(reduced / total) if total > 0 else 0.0

    start = centred[shared.rows]
    alone = {"shared": share(shared.rows, start, shared.truth - shared.predicted)}
    beyond: dict[str, float] = {}
    for name, latent in blocks.items():
        if name == "shared":
            continue
        found = read_targets(latent, {"whole": filled, "residual": residual}, **options)
        whole, rest = found["whole"], found["residual"]
        alone[name] = share(whole.rows, centred[whole.rows], whole.truth - whole.predicted)
        beyond[name] = share(rest.rows, rest.truth, rest.truth - rest.predicted)
    return alone, beyond
