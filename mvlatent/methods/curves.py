"""What a fitted model says of patients' survival: curves with bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.methods.arguments import (
    Draws,
    check_cause,
    check_level,
    checked_draws,
    checked_times,
)
from mvlatent.methods.outcomes import OutcomeReader, n_causes
from mvlatent.methods.results import SurvivalCurves
from mvlatent.outcomes.roles.survival import SurvivalRole
from mvlatent.specs import Survival

__all__ = ["CurveReader"]

N_TIMES = 100


class CurveReader(OutcomeReader):
    """Curves of the survival outcomes, for `mvlatent.MVLatent`.

    Times come first, the patients after them or by name.
    """

    def predict_survival(
        self,
        times: Sequence[float] | np.ndarray | float | None = None,
        mdata: MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        missing_features: str = "refuse",
    ) -> pd.DataFrame | SurvivalCurves:
        """Survival probabilities, times × patients; of competing risks that of no event at all.

        Parameters
        ----------
        times
            Times in the unit of the training times; 100 up to the last training event by default.
            Beyond the last training event the kind's baseline is drawn on, with no data to speak
            for it.
        mdata
            Patients; the fitted ones by default.
        outcome
            Which of several survival outcomes; by default the first.
        interval
            Level of a band that carries the uncertainty of z, of the head and of the baseline.
        given
            Views that may be looked at; all by default.
        n_samples, seed
            Posterior draws.
        blocks
            ``"full"`` or ``"shared"``, as in `predict_risk`.
        missing_features
            As in `posterior`.

        Returns
        -------
        DataFrame or SurvivalCurves
            Posterior mean curves; with ``interval`` also the band's bounds.

        Raises
        ------
        TypeError
            If an argument is of another kind than it has to be, or patients stand where times
            belong.
        KeyError
            If there is no survival outcome of that name, or no view of a name.
        ValueError
            If the model has no survival outcome, times are not finite numbers, or an argument is
            out of its range.

        Examples
        --------
        >>> model.predict_survival([12, 24], mdata[:3].copy()).shape
        (2, 3)
        >>> model.predict_survival(mdata=mdata, interval=0.9)
        SurvivalCurves of 100 times × 80 patients: .mean, .lower, .upper
        """
        options = checked_draws(n_samples, seed, blocks)
        return self._curves(times, mdata, interval, given, None, outcome, options, missing_features)

    def predict_cumulative_incidence(
        self,
        times: Sequence[float] | np.ndarray | float | None = None,
        mdata: MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
        cause: int = 1,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        missing_features: str = "refuse",
    ) -> pd.DataFrame | SurvivalCurves:
        """Probability of an event of one of the competing causes by each time, times × patients.

        Parameters
        ----------
        times, mdata
            Times and patients, as in `predict_survival`.
        cause
            Cause as coded in the event column, from 1.
        outcome, interval, given, n_samples, seed, blocks
            As in `predict_survival`; the band carries the uncertainty of every cause's head.
        missing_features
            As in `posterior`.

        Returns
        -------
        DataFrame or SurvivalCurves
            Posterior mean curves; with ``interval`` also the band's bounds.

        Raises
        ------
        TypeError, KeyError
            As in `predict_survival`.
        ValueError
            If the outcome has no competing causes, there is no such cause, or an argument is out of
            its range.

        Examples
        --------
        >>> found = model.predict_cumulative_incidence([12, 24], outcome="cause", cause=2)
        >>> found.shape
        (2, 80)
        """
        options = checked_draws(n_samples, seed, blocks)
        return self._curves(
            times, mdata, interval, given, cause, outcome, options, missing_features
        )

    def _curves(
        self,
        times: Sequence[float] | np.ndarray | float | None,
        mdata: MuData | AnnData | None,
        interval: float | None,
        given: Sequence[str] | str | None,
        cause: int | None,
        outcome: str | None,
        options: Draws,
        missing_features: str,
    ) -> pd.DataFrame | SurvivalCurves:
        """Curves of survival (``cause=None``) or of the incidence of a cause."""
        if interval is not None:
            check_level("interval", interval)
        asked = None if times is None else checked_times(times)
        spec = cast(Survival, self.trained.roles.outcome("survival", outcome))
        reported = self._survival(spec.name)
        if cause is not None and n_causes(reported) > 1:
            check_cause(cause, n_causes(reported))
        grid = reported.times(N_TIMES) if asked is None else asked
        read = self._reading(spec.name, mdata, given, options, missing_features)
        curves = SurvivalRole(spec).curves(read, grid, level=interval, cause=cause)
        columns = list(read.latents.cohort.obs_names)
        index = pd.Index(grid, name="time")
        frames = [pd.DataFrame(x, index, columns) for x in curves]
        return frames[0] if interval is None else SurvivalCurves(*frames)
