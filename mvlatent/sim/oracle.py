"""What a model that knows the parameters would say."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mvlatent.sim.truth import Truth

__all__ = ["oracle"]


def oracle(truth: Truth, *, given: Sequence[str] | None = None) -> pd.DataFrame:
    """Best linear estimate of the shared factors when every parameter is known.

    With x = A z + V w + B[site] + noise, z, w ~ N(0, I): the precision of z is
    I + Σ A'(D + V V')⁻¹A over the views a patient has. Views of patients who miss them add
    nothing.

    Parameters
    ----------
    truth
        The truth of a cohort with linear mixing.
    given
        Views to look at; ``None``: all normal ones.

    Returns
    -------
    DataFrame
        N × ``n_shared``, index = ``truth.obs_names``.

    Raises
    ------
    ValueError
        If the mixing is not linear, a view is unknown or not normal, or no view is left.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, truth = sim.cohort("easy", n=100, seed=1)
    >>> bool(np.corrcoef(sim.oracle(truth)[0], truth.shared[:, 0])[0, 1] > 0.95)
    True
    """
    if truth.spec.mixing != "linear":
        raise ValueError("the oracle is known for linear mixing only")
    normal = [name for name, view in truth.spec.views.items() if view.kind == "normal"]
    chosen = normal if given is None else list(given)
    unusable = sorted(set(chosen) - set(normal))
    if unusable or not chosen:
        raise ValueError(f"cannot use views {unusable or 'none'}; choose from {normal}")
    n, k = truth.shared.shape
    columns = [*truth.spec.views]
    site = pd.Categorical(truth.site, categories=list(truth.spec.sites)).codes
    precision = np.tile(np.eye(k), (n, 1, 1))
    weighted = np.zeros((n, k))
    for view in chosen:
        values = truth.parameters[view]
        g = (truth.complete[view] - values.offset) / values.scale - values.site_effects[:, site].T
        noise = np.diag(values.noise**2) + values.private_loadings @ values.private_loadings.T
        projection = np.linalg.solve(noise, values.loadings)
        present = truth.present[:, columns.index(view)]
        precision[present] += values.loadings.T @ projection
        weighted[present] += g[present] @ projection
    mean = np.linalg.solve(precision, weighted[..., None])[..., 0]
    return pd.DataFrame(mean, index=truth.obs_names)
