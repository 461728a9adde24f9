"""What the simulator knows and the data do not say."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mvlatent.sim.outcome import survival_curves
from mvlatent.sim.presets import CohortSpec
from mvlatent.sim.views import ViewTruth

__all__ = ["Truth"]


@dataclass(frozen=True)
class Truth:
    """The truth behind a simulated cohort; row i is patient i of ``mdata.obs_names``.

    Attributes
    ----------
    spec
        The specification that was simulated.
    obs_names
        Names of the N patients.
    shared
        Shared factors, N × k; mean 0 and covariance I in the population.
    private
        View to its private factors, N × k_m (also of patients who miss the view).
    complete
        View to its measurements of every patient, N × p: truth for imputation.
    parameters
        View to the :class:`ViewTruth` that made it.
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
    """

    spec: CohortSpec
    obs_names: pd.Index
    shared: np.ndarray
    private: Mapping[str, np.ndarray]
    complete: Mapping[str, np.ndarray]
    parameters: Mapping[str, ViewTruth]
    present: np.ndarray
    log_hazard: np.ndarray
    event_time: np.ndarray
    time: np.ndarray
    event: np.ndarray
    site: np.ndarray
    subtype: np.ndarray

    @property
    def loadings(self) -> dict[str, np.ndarray]:
        """View to its shared loadings, p × k."""
        return {view: values.loadings for view, values in self.parameters.items()}

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
