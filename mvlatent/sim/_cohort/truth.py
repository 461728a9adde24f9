"""What the simulator knows and the data do not say."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mvlatent.sim._cohort.drawing import draw_further
from mvlatent.sim._cohort.facts import Facts
from mvlatent.sim._cohort.outcome import survival_curves

if TYPE_CHECKING:
    from mudata import MuData

__all__ = ["Truth"]


@dataclass(frozen=True)
class Truth(Facts):
    """The truth behind a simulated cohort; row i is patient i of ``mdata.obs_names``.

    Attributes
    ----------
    spec
        The specification that was simulated.
    seed
        The seed of the cohort, or of the first cohort where these are further patients of it.
    obs_names
        Names of the N patients.
    shared
        Factors shared by all views, N × k; mean 0 and covariance I in the population.
    pairwise
        ``"shared:<a>+<b>"`` to the factors that only these views share, N × k.
    private
        View to its private factors, N × k_m (also of patients who miss the view).
    complete
        View to its measurements of every patient, N × p: truth for imputation.
    exposure
        View to each patient's library size (counts) or mutation burden, (N,), with median 1.
    parameters
        View to the :class:`ViewTruth` that made it.
    population
        Where the subtypes lie and how they are spread over the sites.
    hazard
        Directions of the log hazard.
    gaps
        How views go missing.
    closing
        The longest follow-up in months.
    present
        Bool, N × views: who has which view.
    log_hazard
        (N,), natural log, relative to the baseline.
    event_time
        Time of the event in months had nobody been censored, (N,).
    time, event
        As observed, (N,).
    site, subtype
        Names, (N,), without missing labels.
    purity
        Within (0, 1), (N,); ``None`` where ``spec.purity_sd`` is 0.

    Examples
    --------
    >>> from mvlatent import sim
    >>> _, truth = sim.cohort("missing50", n=50)
    >>> truth.shared.shape, truth.complete["rna"].shape
    ((50, 5), (50, 200))
    >>> bool(0.4 < truth.present.mean() < 0.6)  # who has which view
    True
    """

    def new_patients(self, n: int, seed: int = 1) -> "tuple[MuData, Truth]":
        """Draw further patients of the same world: a test set, or a cohort of another size.

        Loadings, networks, site effects, directions of the hazard, closing date and the way views
        go missing are those of this truth; only the patients are new. They share no random numbers
        with the cohort, whatever the seeds.

        Parameters
        ----------
        n
            Number of patients.
        seed
            Same seed, same patients; others never share a name with them.

        Returns
        -------
        tuple
            MuData and :class:`Truth`, as from :func:`mvlatent.sim.cohort`.

        Raises
        ------
        ValueError
            If ``n`` is below 2 or ``seed`` is negative.

        Examples
        --------
        >>> from mvlatent import sim
        >>> _, train = sim.cohort("easy", n=100)
        >>> _, test = train.new_patients(2000)
        >>> test.shared.shape, test.loadings["rna"] is train.loadings["rna"]
        ((2000, 5), True)
        """
        return draw_further(self, n, seed)

    def concordance(self, *, kind: str = "harrell") -> float:
        """Concordance of the true hazard on these very patients: what no model should beat.

        Parameters
        ----------
        kind
            ``"harrell"`` or ``"uno"``.

        Examples
        --------
        >>> from mvlatent import sim
        >>> _, truth = sim.cohort("easy", n=200, seed=1)
        >>> 0.6 < truth.concordance() < 0.95
        True
        """
        from mvlatent.tl import concordance

        return concordance(self.time, self.event, self.log_hazard, kind=kind)

    def survival(self, times: np.ndarray) -> pd.DataFrame:
        """Compute the true S(t): DataFrame times × patients, ``times`` in months."""
        curves = survival_curves(
            times, self.log_hazard, shape=self.spec.shape, median=self.spec.median_months
        )
        return pd.DataFrame(curves, index=np.asarray(times, float), columns=self.obs_names)
