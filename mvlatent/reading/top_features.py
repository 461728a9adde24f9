"""The features that drive a factor, with what a step along it changes in the user's units."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from mvlatent.reading.linear import decode

if TYPE_CHECKING:
    from mvlatent.fitting.trained import Trained
    from mvlatent.posterior import Latents
    from mvlatent.reading.loadings import Loadings

__all__ = ["effects_of_step", "factor_place", "top_features"]


def factor_place(factor: object, view: str, active: dict[str, list[bool]]) -> tuple[str, int]:
    """Block and number of a factor that is on.

    Parameters
    ----------
    factor
        A number, of a shared factor, or a name: ``"shared_0"``, ``"private_0"`` or
        ``"private:<view>_0"``.
    view
        The view whose private factors may be meant.
    active
        Whether each factor of ``"shared"`` and ``"private"`` is on.

    Raises
    ------
    KeyError
        If there is no such factor.
    ValueError
        If it is switched off.

    Examples
    --------
    >>> factor_place("private:rna_1", "rna", {"shared": [True], "private": [True, True]})
    ('private', 1)
    """
    names = [f"{block}_{j}" for block, on in active.items() for j in range(len(on))]
    name = str(factor)
    if isinstance(factor, int | np.integer) and not isinstance(factor, bool):
        name = f"shared_{factor}"
    name = name.replace(f"private:{view}_", "private_", 1)
    if name not in names:
        raise KeyError(
            f"no factor {factor!r} of view {view!r}; the factors are {', '.join(names)}."
        )
    block, _, number = name.rpartition("_")
    if not active[block][int(number)]:
        on = [f"{b}_{j}" for b, flags in active.items() for j, is_on in enumerate(flags) if is_on]
        raise ValueError(
            f"factor {factor!r} is switched off, so no feature drives it; of view {view!r} "
            f"{', '.join(on) or 'none'} {'is' if len(on) == 1 else 'are'} on."
        )
    return block, int(number)


@torch.no_grad()
def effects_of_step(
    trained: Trained, latents: Latents, view: str
) -> Callable[[np.ndarray], np.ndarray]:
    """What steps in the linear predictor change in the values of a typical patient.

    Parameters
    ----------
    trained
        Model.
    latents
        The patient without any view: the middle of the prior.
    view
        View.

    Returns
    -------
    callable
        From steps (columns,) to differences (columns,) in the user's units, from half a step below
        the typical patient to half a step above. Of zeros and ones they are differences of the
        probability, of counts of the expected count at a typical exposure, of levels without order
        of the probability of the level.
    """
    part, basis, preparation = trained.vae.part(view), trained.bases[view], trained.preparation
    w, technical = latents.private_means[view], latents.cohort.technical
    middle = decode(part, basis, latents.z.mean, w, technical, part.expected_effect())
    coded = len(preparation.columns(view)) != len(preparation.features(view))

    def values(eta: torch.Tensor) -> np.ndarray:
        expected = part.likelihood.mean(eta).detach().numpy()
        found = expected if coded else preparation.inverse(view, expected)
        return np.asarray(found[0], dtype=np.float64)

    def effects(steps: np.ndarray) -> np.ndarray:
        half = torch.as_tensor(np.array(steps), dtype=middle.dtype)[None] / 2
        return values(middle + half) - values(middle - half)

    return effects


def top_features(
    loading: pd.Series,
    effects: Callable[[np.ndarray], np.ndarray],
    n: int,
    posterior: Loadings | None,
    *,
    alone: bool = True,
) -> pd.DataFrame:
    """The n features of the largest loadings on a factor, the largest first.

    Parameters
    ----------
    loading
        Loadings of the view's columns on the factor, scaled units.
    effects
        As `effects_of_step` gives it.
    n
        Most features.
    posterior
        Posterior of the loadings, if they have one.
    alone
        Whether the effect on a column is that of its own loading.
    """
    table = pd.DataFrame({"effect": effects(loading.to_numpy()), "loading": loading})
    if posterior is not None:
        ends = {"lower": posterior.lower[loading.name], "upper": posterior.upper[loading.name]}
        if alone:  # else the other levels of the feature move as well
            for place, (name, end) in enumerate(ends.items(), 1):
                table.insert(place, name, effects(end.to_numpy()))
        table = table.assign(**{f"loading_{name}": end for name, end in ends.items()})
    rows = np.argsort(-loading.abs().to_numpy(), kind="stable")[:n]
    return table.iloc[rows].rename_axis("feature")
