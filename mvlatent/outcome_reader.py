"""What a fitted model says of patients' outcomes: risk, curves, classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.reading.outcome import Reported

if TYPE_CHECKING:
    from mvlatent.posterior import Latents
    from mvlatent.trained import Trained

__all__ = ["OutcomeReader", "SurvivalCurves"]

N_TIMES = 100


@dataclass(frozen=True, eq=False)
class SurvivalCurves:
    """Survival or incidence curves with a band: DataFrames times × patients."""

    mean: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame


class OutcomeReader:
    """Readings of outcomes, mixed into `mvlatent.reader.Reader`."""

    if TYPE_CHECKING:

        @property
        def trained(self) -> Trained: ...

        def latents(
            self,
            mdata: MuData | AnnData | None = None,
            *,
            given: Sequence[str] | str | None = None,
        ) -> Latents: ...

    def predict_risk(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        given: Sequence[str] | str | None = None,
        blocks: str = "full",
        cause: int = 1,
    ) -> pd.Series:
        """Posterior mean log hazard, relative to an average patient (of the stratum).

        ``blocks="shared"`` takes the head on z and the clinical covariates alone. Of competing
        risks it is the hazard of one ``cause``. A discrete hazard has log odds instead.

        Raises
        ------
        ValueError
            If there is no such cause.
        """
        latents = self.latents(mdata, given=given)
        eta = self._survival().predict(latents, self.trained.bases, blocks=blocks)
        if cause not in range(1, eta.shape[1] + 1):
            choices = ", ".join(map(str, range(1, eta.shape[1] + 1)))
            raise ValueError(f"cause {cause!r} is not one of {choices}.")
        return pd.Series(eta[:, cause - 1].numpy(), list(latents.cohort.obs_names), name="risk")

    def predict_survival(
        self,
        mdata: MuData | AnnData | Sequence[float] | np.ndarray | None = None,
        times: Sequence[float] | np.ndarray | MuData | AnnData | None = None,
        *,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
    ) -> pd.DataFrame | SurvivalCurves:
        """Survival probabilities, times × patients; of competing risks that of no event at all.

        Parameters
        ----------
        mdata
            Patients; the fitted ones by default.
        times
            Times in the unit of the training times; 100 up to the last training event by default.
            Times may also come first: ``predict_survival([12, 24])``.
        interval
            Level of a band that carries the uncertainty of z, of the head and of the baseline.
        given
            Views to look at.
        n_samples, seed
            Posterior draws.
        blocks
            ``"full"`` or ``"shared"``, as in `predict_risk`.

        Returns
        -------
        DataFrame or SurvivalCurves
            Posterior mean curves; with ``interval`` also the band's bounds.
        """
        options = {"n_samples": n_samples, "seed": seed, "blocks": blocks}
        return self._curves(mdata, times, interval, given, None, options)

    def predict_cumulative_incidence(
        self,
        mdata: MuData | AnnData | Sequence[float] | np.ndarray | None = None,
        times: Sequence[float] | np.ndarray | MuData | AnnData | None = None,
        *,
        cause: int = 1,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
    ) -> pd.DataFrame | SurvivalCurves:
        """Probability of an event of one of the competing causes by each time, times × patients.

        Parameters
        ----------
        mdata, times
            Patients and times, in either order, as in `predict_survival`.
        cause
            Cause as coded in the event column, from 1.
        interval, given, n_samples, seed, blocks
            As in `predict_survival`; the band carries the uncertainty of every cause's head.

        Returns
        -------
        DataFrame or SurvivalCurves
            Posterior mean curves; with ``interval`` also the band's bounds.

        Raises
        ------
        ValueError
            If the outcome has no competing causes, or there is no such cause.
        """
        options = {"n_samples": n_samples, "seed": seed, "blocks": blocks}
        return self._curves(mdata, times, interval, given, cause, options)

    def _curves(
        self,
        mdata: Any,
        times: Any,
        interval: float | None,
        given: Sequence[str] | str | None,
        cause: int | None,
        options: dict[str, Any],
    ) -> pd.DataFrame | SurvivalCurves:
        """Curves of survival (``cause=None``) or of the incidence of a cause."""
        if interval is not None and not 0 < interval < 1:
            raise ValueError(f"interval must be between 0 and 1, not {interval!r}.")
        if isinstance(times, MuData | AnnData) or not isinstance(mdata, MuData | AnnData | None):
            mdata, times = times, mdata
        reported = self._survival()
        grid = reported.times(N_TIMES) if times is None else np.asarray(times, dtype=float)
        latents = self.latents(mdata, given=given)
        curves = reported.curves(
            latents, self.trained.bases, grid, level=interval, cause=cause, **options
        )
        columns = list(latents.cohort.obs_names)
        index = pd.Index(grid, name="time")
        frames = [pd.DataFrame(x, index, columns) for x in curves]
        return frames[0] if interval is None else SurvivalCurves(*frames)

    def predict_labels(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        proba: bool = False,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
    ) -> pd.Series | pd.DataFrame:
        """Most probable class, or (``proba=True``) mean probabilities, patients × classes."""
        if self.trained.labels is None:
            raise ValueError("the model was fitted without labels.")
        latents = self.latents(mdata, given=given)
        probabilities = self.trained.labels.probabilities(
            latents, self.trained.bases, n_samples=n_samples, seed=seed, blocks=blocks
        )
        classes = list(self.trained.preparation.categories or ())
        frame = pd.DataFrame(probabilities, list(latents.cohort.obs_names), classes)
        return frame if proba else frame.idxmax(axis=1).rename("label")

    def _survival(self) -> Reported:
        if self.trained.survival is None:
            raise ValueError("the model was fitted without a survival outcome.")
        return self.trained.survival
