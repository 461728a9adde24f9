"""What is drawn of a cohort: its patients, and the world they come from."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mvlatent.sim._cohort.gaps import Gaps
from mvlatent.sim._cohort.outcome import Hazard
from mvlatent.sim._cohort.patients import Population
from mvlatent.sim._cohort.spec import CohortSpec
from mvlatent.sim._cohort.views import ViewTruth

__all__ = ["Facts"]


@dataclass(frozen=True)
class Facts:
    """Fields of a :class:`~mvlatent.sim.Truth`, which says what each of them is."""

    spec: CohortSpec
    seed: int
    obs_names: pd.Index
    shared: np.ndarray
    pairwise: Mapping[str, np.ndarray]
    private: Mapping[str, np.ndarray]
    complete: Mapping[str, np.ndarray]
    exposure: Mapping[str, np.ndarray]
    parameters: Mapping[str, ViewTruth]
    population: Population
    hazard: Hazard
    gaps: Gaps
    closing: float
    present: np.ndarray
    log_hazard: np.ndarray
    event_time: np.ndarray
    time: np.ndarray
    event: np.ndarray
    site: np.ndarray
    subtype: np.ndarray
    purity: np.ndarray | None = None

    @property
    def blocks(self) -> dict[str, np.ndarray]:
        """Every true block by name: ``"shared"``, ``"shared:<a>+<b>"``, ``"private:<view>"``.

        Examples
        --------
        >>> from mvlatent import sim
        >>> _, truth = sim.cohort("easy", n=50, pairwise={("rna", "img"): 2})
        >>> {name: block.shape[1] for name, block in truth.blocks.items()}
        {'shared': 5, 'shared:rna+img': 2, 'private:rna': 3, 'private:cnv': 3, 'private:img': 3}
        """
        private = {f"private:{view}": w for view, w in self.private.items()}
        return {"shared": self.shared, **self.pairwise, **private}

    @property
    def loadings(self) -> dict[str, np.ndarray]:
        """View to its shared loadings, p × k."""
        return {view: values.loadings for view, values in self.parameters.items()}

    @property
    def site_codes(self) -> np.ndarray:
        """Position of each patient's site in ``spec.sites``, (N,)."""
        return pd.Categorical(self.site, categories=list(self.spec.sites)).codes.astype(int)

    def features(self, view: str) -> pd.Index:
        """Names of a view's features, as in the MuData."""
        return pd.Index([f"{view}_{j:03d}" for j in range(1, self.complete[view].shape[1] + 1)])
