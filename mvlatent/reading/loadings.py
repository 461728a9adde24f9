"""Posterior of random loadings: credible intervals, and which factors a view has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm

if TYPE_CHECKING:
    from mvlatent.fitting.trained import Trained

__all__ = ["Loadings", "active_factors", "credible_loadings"]

DETERMINED = 0.5  # of a factor's squared loadings: more signal than uncertainty
EVIDENCE = 0.1  # of a view on a factor, in units of its prior: less is the optimiser's noise


@dataclass(frozen=True, eq=False)
class Loadings:
    """Posterior of the loadings of a view, as `MVLatent.loadings` returns it with an interval.

    Attributes
    ----------
    mean, sd
        Posterior means and standard deviations, DataFrames features × factors in scaled units.
    lower, upper
        Ends of the central credible interval of each loading.

    Examples
    --------
    >>> found = model.loadings("rna", interval=0.9)
    >>> bool((found.lower <= found.upper).all(axis=None))
    True
    """

    mean: pd.DataFrame
    sd: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame


def _refuse_points(trained: Trained) -> None:
    if trained.options.loadings == "point":
        raise ValueError(
            "loadings='point' have no posterior; fit with loadings='ard' or loadings='horseshoe'."
        )


@torch.no_grad()
def credible_loadings(trained: Trained, view: str, block: str, level: float) -> Loadings:
    """Posterior means, sd and central credible intervals of a view's loadings.

    Intervals are of each loading given the axes that the fit has settled on: those of factors that
    a rotation could exchange (without sparsity) are too narrow for any other choice of axes.

    Parameters
    ----------
    trained
        Model with random loadings and a linear decoder.
    view
        View.
    block
        ``"shared"`` or ``"private"``.
    level
        Level of the interval, e.g. 0.9.

    Raises
    ------
    ValueError
        If the loadings are points, the decoder is not linear, or the level is out of range.
    """
    _refuse_points(trained)
    if not 0 < level < 1:
        raise ValueError(f"interval must be between 0 and 1, not {level!r}.")
    part = trained.vae.part(view)
    if not part.decoder.is_linear or part.decoder.random_loadings is None:
        raise ValueError(
            f"loadings with an interval need decoder='linear', not {trained.options.decoder!r}."
        )
    k = trained.vae.design.n_shared
    rows = slice(0, k) if block == "shared" else slice(k, None)
    mean = part.decoder.loadings[rows].T.double().numpy()
    sd = part.decoder.random_loadings.sd[rows].T.double().numpy()
    width = float(norm.ppf(0.5 + level / 2)) * sd
    features = trained.preparation.columns(view)  # a categorical feature has one a level
    columns = [f"{block}_{j}" for j in range(mean.shape[1])]
    frames = [pd.DataFrame(x, features, columns) for x in (mean, sd, mean - width, mean + width)]
    return Loadings(*frames)


@torch.no_grad()
def active_factors(trained: Trained, *, sd: bool = False) -> pd.DataFrame:
    r"""Which factors a view has: factors × views, private ones where they belong.

    A factor is active in a view if the squared posterior means of its loadings outweigh their
    posterior variances, :math:`\sum_f m_{jf}^2 > \sum_f s_{jf}^2`, and say anything of it: with
    working weights :math:`\omega_f`, :math:`\sum_f \omega_f m_{jf}^2 > 0.1`. A factor of one or
    two features, which the horseshoe can keep where ARD would not, counts: look at its size.

    Parameters
    ----------
    trained
        Model with random loadings.
    sd
        Return the root mean square of the loadings, posterior spread included, in place of bools:
        what the factor adds to the sd of an average feature of the view.

    Raises
    ------
    ValueError
        If the loadings are points.
    """
    _refuse_points(trained)
    k = trained.vae.design.n_shared
    columns: dict[str, pd.Series] = {}
    for name, part in trained.vae.items:
        random, mean = part.decoder.random_loadings, part.decoder.loadings
        assert random is not None  # as the loadings are no points
        names = [f"shared_{j}" for j in range(k)]
        names += [f"private:{name}_{j}" for j in range(len(mean) - k)]
        if sd:
            values = (mean.square() + random.variance).mean(1).sqrt()
        else:
            evidence = mean.square() @ part.weight()
            values = (random.determined(mean) > DETERMINED) & (evidence > EVIDENCE)
        columns[name] = pd.Series(values.numpy(), names)
    order = list(dict.fromkeys(f for column in columns.values() for f in column.index))
    absent = np.nan if sd else False
    return pd.DataFrame({v: c.reindex(order, fill_value=absent) for v, c in columns.items()})
