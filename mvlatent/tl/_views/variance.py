"""Variance explained by blocks and by factors: alone, uniquely, and one after another."""

from typing import Any

import pandas as pd

from mvlatent.tl._model import check_model

__all__ = ["variance_explained"]

WAYS_TO_SHARE = ("alone", "unique", "sequential")


def variance_explained(
    model: Any, mdata: Any = None, *, share: str = "alone", by: str = "block"
) -> pd.DataFrame:
    """Share of each view's variance that each block or factor explains.

    Parameters
    ----------
    model
        A fitted :class:`mvlatent.MVLatent`.
    mdata
        Patients; the fitted ones by default.
    share
        ``"alone"``: decoded from it alone, as ``model.variance_explained``. ``"unique"``: what is
        lost without it. ``"sequential"``: what it adds to those before it (technical, shared,
        private), so that blocks add up to ``all``. Alone well above unique says that blocks
        explain the same variance.
    by
        ``"block"`` or ``"factor"``.

    Returns
    -------
    DataFrame
        Blocks (shared, private, technical, all) × views, or factors × views, in scaled units.

    Raises
    ------
    ValueError
        If an option is unknown.

    References
    ----------
    Argelaguet et al., Molecular Systems Biology 2018 (alone, by factor).

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata, truth = mv.sim.cohort("easy", n=100)
    >>> model = mv.fit(mdata, n_shared=5, n_private=3, max_epochs=2, progress=False)
    >>> shares = mv.tl.variance_explained(model, share="sequential")
    >>> bool(shares.drop("all").sum().sub(shares.loc["all"]).abs().max() < 1e-6)
    True
    """
    check_model(model)
    if share not in WAYS_TO_SHARE:
        raise ValueError(f"unknown share {share!r}; choose from {', '.join(WAYS_TO_SHARE)}.")
    if by not in ("block", "factor"):
        raise ValueError(f"by must be 'block' or 'factor', not {by!r}.")
    if share == "alone":
        return model.variance_explained(mdata, by=by)
    from mvlatent.reading.variance import sequential_variance, unique_variance

    measure = unique_variance if share == "unique" else sequential_variance
    return measure(model.latents(mdata))[by == "factor"][list(model.roles.views)]
