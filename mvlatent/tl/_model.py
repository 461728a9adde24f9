"""What the tools read from a fitted model: latents with gaps, and views in its own scaling."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.specs.checks import kind_of, shown

__all__ = ["as_block", "check_model", "latent_blocks", "scaled_views", "true_blocks"]


def check_model(model: Any) -> None:
    """Raise TypeError unless the first argument of a tool is a model, ValueError if unfitted.

    Examples
    --------
    >>> check_model("model/")
    Traceback (most recent call last):
    ...
    TypeError: a fitted MVLatent comes first, not 'model/'; load one with mv.MVLatent.load(path).
    """
    if not hasattr(model, "is_trained_"):
        what = kind_of(model) if hasattr(model, "obsm") else shown(model)
        raise TypeError(
            f"a fitted MVLatent comes first, not {what}; load one with mv.MVLatent.load(path)."
        )
    _ = model.trained


def latent_blocks(
    model: Any, mdata: Any = None, *, given: Sequence[str] | str | None = None
) -> dict[str, np.ndarray]:
    """Posterior means of every latent block, NaN where a patient lacks the block's view.

    A private latent of a view that was not measured is its prior mean: it says nothing and would
    count as unread in every table.

    Parameters
    ----------
    model
        A fitted :class:`mvlatent.MVLatent`.
    mdata
        Patients; the fitted ones by default.
    given
        Views to look at; all by default. Private blocks of the others are left out.

    Returns
    -------
    dict
        ``"shared"``, then ``"private:<view>"``, to n × d.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, truth = mv.sim.cohort("easy", n=100)
    >>> model = mv.fit(mdata, n_shared=5, n_private=3, max_epochs=2, progress=False)
    >>> {name: block.shape for name, block in mv.tl.latent_blocks(model, given="rna").items()}
    {'shared': (100, 5), 'private:rna': (100, 3)}
    """
    check_model(model)
    latents = model.latents(mdata, given=given)
    blocks = {"shared": latents.z.mean.numpy()}
    for view, w in latents.private_means.items():
        present = latents.cohort.views[view].present.numpy()
        if present.any():
            shown = latents.shown(view, w).numpy()
            blocks[f"private:{view}"] = np.where(present[:, None], shown, np.nan)
    return blocks


def true_blocks(truth: Any, patients: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """The blocks of a simulated cohort's truth, or those of a mapping.

    Parameters
    ----------
    truth
        Name to n × k, or an object with such ``blocks`` and ``obs_names``.
    patients
        Names of the rows wanted, for a truth that has names: slicing a MuData with gaps may
        reorder its patients.

    Raises
    ------
    KeyError
        If the truth lacks one of the patients.
    """
    if isinstance(truth, Mapping):
        return {name: as_block(values) for name, values in truth.items()}
    rows: Any = slice(None)
    if patients is not None:
        rows = pd.Index(truth.obs_names).get_indexer(list(patients))
        if (rows < 0).any():
            unknown = [name for name, row in zip(patients, rows, strict=True) if row < 0]
            raise KeyError(f"the truth lacks {len(unknown)} patients, the first is {unknown[0]!r}.")
    return {name: as_block(values)[rows] for name, values in truth.blocks.items()}


def as_block(values: Any) -> np.ndarray:
    """Values as n × k, floats; a single column may come as (n,)."""
    block = np.asarray(values, float)
    return block[:, None] if block.ndim == 1 else block


def scaled_views(model: Any, mdata: Any = None) -> dict[str, pd.DataFrame]:
    """Views in the model's scaling, patients × kept features, NaN where nothing was measured.

    Parameters
    ----------
    model
        A fitted :class:`mvlatent.MVLatent`.
    mdata
        Patients; the fitted ones by default.

    Returns
    -------
    dict
        View to its DataFrame.

    Raises
    ------
    ValueError
        If the model was loaded without data and none is given.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, truth = mv.sim.cohort("easy", n=100)
    >>> model = mv.fit(mdata, n_shared=5, n_private=3, max_epochs=2, progress=False)
    >>> mv.tl.scaled_views(model)["img"].shape
    (100, 60)
    """
    check_model(model)
    preparation = model.trained.preparation
    own = mdata is None
    cohort = preparation.transform(
        model.tables() if own else preparation.read(mdata, outcomes=False)
    )
    views = {}
    for name, view in cohort.views.items():
        seen = view.present[:, None] if view.observed is None else view.observed
        values = getattr(view, "values", view.x)  # dense, where rows may be kept sparse
        x = np.where(seen.numpy(), values.numpy(), np.nan)
        views[name] = pd.DataFrame(x, list(cohort.obs_names), list(view.features))
    return views
