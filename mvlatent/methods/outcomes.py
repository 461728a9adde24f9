"""What a fitted model says of patients' outcomes: risk, curves, classes, targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.heads.reported import Reported
from mvlatent.outcomes.role import Reading
from mvlatent.outcomes.roles.labels import LabelRole
from mvlatent.outcomes.roles.survival import SurvivalRole
from mvlatent.outcomes.roles.target import TargetRole
from mvlatent.reading.outcomes import reading_of
from mvlatent.specs import Labels, Survival, Target

if TYPE_CHECKING:
    from mvlatent.fitting.trained import Trained
    from mvlatent.posterior import Latents

__all__ = ["OutcomeReader", "SurvivalCurves", "TargetPrediction"]

N_TIMES = 100


@dataclass(frozen=True, eq=False)
class SurvivalCurves:
    """Survival or incidence curves with a band: DataFrames times × patients."""

    mean: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame

    def __repr__(self) -> str:
        """Size in place of the tables."""
        times, patients = self.mean.shape
        return f"SurvivalCurves of {times} times × {patients} patients: .mean, .lower, .upper"


@dataclass(frozen=True, eq=False)
class TargetPrediction:
    """Predicted values of a continuous target, in its own units: a Series over patients each.

    ``lower`` and ``upper`` are the bounds of an interval for a new measurement.
    """

    mean: pd.Series
    sd: pd.Series
    lower: pd.Series
    upper: pd.Series

    def __repr__(self) -> str:
        """Size in place of the values."""
        return f"TargetPrediction of {len(self.mean)} patients: .mean, .sd, .lower, .upper"


class OutcomeReader:
    """Readings of outcomes, mixed into `mvlatent.methods.views.Reader`.

    ``outcome`` names one of several outcomes of a kind; by default it is the first.
    """

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
        outcome: str | None = None,
        given: Sequence[str] | str | None = None,
        blocks: str = "full",
        cause: int = 1,
    ) -> pd.Series:
        """Posterior mean log hazard, relative to an average patient (of the stratum).

        ``outcome`` names one of several survival outcomes; by default it is the first.
        ``blocks="shared"`` takes the head on z, the clinical covariates and the site alone. Of
        competing risks it is the hazard of one ``cause``. A discrete hazard has log odds instead.

        Raises
        ------
        ValueError
            If there is no such cause, or the model has no survival outcome.
        KeyError
            If there is no survival outcome of that name.
        """
        latents = self.latents(mdata, given=given)
        eta = self._survival(outcome).predict(latents, self.trained.bases, blocks=blocks)
        if cause not in range(1, eta.shape[1] + 1):
            choices = ", ".join(map(str, range(1, eta.shape[1] + 1)))
            raise ValueError(f"cause {cause!r} is not one of {choices}.")
        return pd.Series(eta[:, cause - 1].numpy(), list(latents.cohort.obs_names), name="risk")

    def predict_survival(
        self,
        mdata: MuData | AnnData | Sequence[float] | np.ndarray | None = None,
        times: Sequence[float] | np.ndarray | MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
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
            Times may also come first: ``predict_survival([12, 24])``. Beyond the last training
            event the kind's baseline is drawn on, with no data to speak for it.
        outcome
            Which of several survival outcomes; by default the first.
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

        Raises
        ------
        ValueError
            If the model has no survival outcome, or times are not finite numbers.
        KeyError
            If there is none of that name.
        """
        options = {"n_samples": n_samples, "seed": seed, "blocks": blocks}
        return self._curves(mdata, times, interval, given, None, outcome, options)

    def predict_cumulative_incidence(
        self,
        mdata: MuData | AnnData | Sequence[float] | np.ndarray | None = None,
        times: Sequence[float] | np.ndarray | MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
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
        outcome, interval, given, n_samples, seed, blocks
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
        return self._curves(mdata, times, interval, given, cause, outcome, options)

    def _curves(
        self,
        mdata: Any,
        times: Any,
        interval: float | None,
        given: Sequence[str] | str | None,
        cause: int | None,
        outcome: str | None,
        options: dict[str, Any],
    ) -> pd.DataFrame | SurvivalCurves:
        """Curves of survival (``cause=None``) or of the incidence of a cause."""
        if interval is not None and not 0 < interval < 1:
            raise ValueError(f"interval must be between 0 and 1, not {interval!r}.")
        if isinstance(times, MuData | AnnData) or not isinstance(mdata, MuData | AnnData | None):
            mdata, times = times, mdata
        spec = cast(Survival, self.trained.roles.outcome("survival", outcome))
        grid = self._survival(spec.name).times(N_TIMES) if times is None else _checked_times(times)
        latents = self.latents(mdata, given=given)
        read = reading_of(self.trained, latents, spec.name, **options)
        curves = SurvivalRole(spec).curves(read, grid, level=interval, cause=cause)
        columns = list(latents.cohort.obs_names)
        index = pd.Index(grid, name="time")
        frames = [pd.DataFrame(x, index, columns) for x in curves]
        return frames[0] if interval is None else SurvivalCurves(*frames)

    def predict_labels(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
        proba: bool = False,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
    ) -> pd.Series | pd.DataFrame:
        """Most probable class, or (``proba=True``) mean probabilities, patients × classes.

        ``outcome`` names one of several label columns; by default it is the first.

        Raises
        ------
        ValueError
            If the model has no labels.
        KeyError
            If there are none of that name.
        """
        spec = cast(Labels, self.trained.roles.outcome("labels", outcome))
        latents = self.latents(mdata, given=given)
        options = {"n_samples": n_samples, "seed": seed, "blocks": blocks}
        read = reading_of(self.trained, latents, spec.name, **options)
        frame = _probabilities(LabelRole(spec), read, read.coder.categories)
        return frame if proba else frame.idxmax(axis=1).rename("label")

    def predict_target(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
        interval: float | None = None,
        proba: bool = False,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
    ) -> pd.Series | pd.DataFrame | TargetPrediction:
        """Predicted values of a continuous target, or levels of an ordinal one.

        Parameters
        ----------
        mdata
            Patients; the fitted ones by default.
        outcome
            Which of several targets; by default the first.
        interval
            Level of an interval for a new measurement, of a continuous target.
        proba
            Probabilities of the levels of an ordinal target.
        given, n_samples, seed, blocks
            As in `predict_survival`.

        Returns
        -------
        Series, DataFrame or TargetPrediction
            Continuous: means in the column's own units; with ``interval`` also sd and bounds.
            Ordinal: the most probable level; with ``proba`` probabilities, patients × levels.

        Raises
        ------
        ValueError
            If the model has no target, or an option does not go with its kind.
        KeyError
            If there is no target of that name.
        """
        spec = cast(Target, self.trained.roles.outcome("target", outcome))
        name, ordered = spec.name, spec.ordered
        if interval is not None and not 0 < interval < 1:
            raise ValueError(f"interval must be between 0 and 1, not {interval!r}.")
        if ordered and interval is not None:
            raise ValueError(f"target {name!r} is ordinal: take proba=True, not an interval.")
        if not ordered and proba:
            raise ValueError(f"target {name!r} is continuous: take interval=0.9, not proba.")
        latents = self.latents(mdata, given=given)
        options: dict[str, Any] = {"n_samples": n_samples, "seed": seed, "blocks": blocks}
        read = reading_of(self.trained, latents, name, **options)
        if ordered:
            frame = _probabilities(TargetRole(spec), read, read.coder.levels)
            return frame if proba else frame.idxmax(axis=1).rename(name)
        found = TargetRole(spec).values(read, interval)
        columns = [
            pd.Series(x, list(latents.cohort.obs_names), name=name)
            for x in (found.mean, found.sd, found.lower, found.upper)
            if x is not None
        ]
        return columns[0] if interval is None else TargetPrediction(*columns)

    def _survival(self, outcome: str | None = None) -> Reported:
        return self.trained.outcomes[self.trained.roles.outcome("survival", outcome).name]


def _probabilities(
    role: LabelRole | TargetRole, read: Reading, levels: Sequence[str]
) -> pd.DataFrame:
    """Mean probabilities, patients × classes (or ordered levels)."""
    index = list(read.latents.cohort.obs_names)
    return pd.DataFrame(role.probabilities(read), index, list(levels))


def _checked_times(times: Any) -> np.ndarray:
    """Times as floats, (T,); one number is one time."""
    try:
        grid = np.atleast_1d(np.asarray(times, dtype=float))
    except (TypeError, ValueError):
        raise ValueError(f"times must be numbers, not {times!r}.") from None
    if grid.ndim != 1 or not np.isfinite(grid).all():
        raise ValueError(f"times must be finite and in one row, not {times!r}.")
    return grid
