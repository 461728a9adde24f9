"""The demo cohort."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["demo"]


def demo(n: int = 300, *, seed: int = 0) -> "MuData":
    """Simulate the demo cohort: four views, six sites, five subtypes, survival in months.

    Parameters
    ----------
    n
        Number of patients.
    seed
        Same seed, same cohort.

    Returns
    -------
    MuData
        Modalities ``rna``, ``cnv`` (−2..2), ``mut`` (0/1), ``img``; ``obs`` as in
        :func:`mvlatent.sim.cohort`. No patient is real.

    Examples
    --------
    >>> demo(50).n_mod
    4
    """
    from mvlatent.sim import cohort

    return cohort("demo", n=n, seed=seed)[0]
