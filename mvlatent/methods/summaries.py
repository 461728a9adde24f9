"""Predictions of a patient's outcome in one number, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.methods.arguments import Draws, check_horizon, check_level, checked_draws
from mvlatent.methods.curves import CurveReader
from mvlatent.outcomes.roles.survival import SurvivalRole
from mvlatent.outcomes.summaries import SUMMARIES
from mvlatent.specs import Survival

__all__ = ["SummaryReader"]


class SummaryReader(CurveReader):
    """Summaries of survival curves, for `mvlatent.MVLatent`.

    ``outcome`` names one of several survival outcomes; by default it is the first.
    """

    def predict_median(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        outcome: str | None = None,
        missing_features: str = "refuse",
    ) -> pd.Series | pd.DataFrame:
        """Median survival time: when the curve of `predict_survival` reaches one half.

        Infinite where it does not by the last training event, as in lifelines.

        Parameters
        ----------
        mdata
            Patients; the fitted ones by default.
        interval
            Level of an interval over the same draws that make the bands of `predict_survival`.
        given, n_samples, seed, blocks
            As in `predict_survival`.
        outcome
            Which outcome.
        missing_features
            As in `posterior`.

        Returns
        -------
        Series or DataFrame
            In the unit of the training times; with ``interval`` columns ``median``, ``lower``,
            ``upper``.

        Raises
        ------
        TypeError, KeyError, ValueError
            As in `predict_survival`.

        Examples
        --------
        >>> model.predict_median(interval=0.9).columns.tolist()
        ['median', 'lower', 'upper']
        """
        options = checked_draws(n_samples, seed, blocks)
        return self._summary(
            "median", None, mdata, interval, given, outcome, options, missing_features
        )

    def predict_rmst(
        self,
        horizon: float,
        mdata: MuData | AnnData | None = None,
        *,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        outcome: str | None = None,
        missing_features: str = "refuse",
    ) -> pd.Series | pd.DataFrame:
        """Restricted mean survival time: expected time without the event, up to a horizon.

        Parameters
        ----------
        horizon
            In the unit of the training times; at most the last training event, beyond which
            nothing is known.
        mdata, interval, given, n_samples, seed, blocks, outcome
            As in `predict_median`.
        missing_features
            As in `posterior`.

        Returns
        -------
        Series or DataFrame
            In the unit of the training times; with ``interval`` columns ``rmst``, ``lower``,
            ``upper``.

        Raises
        ------
        TypeError, KeyError
            As in `predict_survival`, or if the horizon is not a number.
        ValueError
            If the horizon is not positive or lies beyond the last training event, or another
            argument is out of its range.

        Examples
        --------
        >>> months = model.predict_rmst(24, given="rna")
        >>> bool(months.between(0, 24).all())
        True
        """
        options = checked_draws(n_samples, seed, blocks)
        return self._summary(
            "rmst", horizon, mdata, interval, given, outcome, options, missing_features
        )

    def predict_risk_at(
        self,
        horizon: float,
        mdata: MuData | AnnData | None = None,
        *,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        outcome: str | None = None,
        missing_features: str = "refuse",
    ) -> pd.Series | pd.DataFrame:
        """Probability of the event (of any cause) by a horizon: ``1 - S(horizon)``.

        Parameters
        ----------
        horizon
            In the unit of the training times.
        mdata, interval, given, n_samples, seed, blocks, outcome
            As in `predict_median`.
        missing_features
            As in `posterior`.

        Returns
        -------
        Series or DataFrame
            Probabilities; with ``interval`` columns ``risk``, ``lower``, ``upper``.

        Raises
        ------
        TypeError, KeyError, ValueError
            As in `predict_rmst`.

        Examples
        --------
        >>> risk = model.predict_risk_at(24)
        >>> bool(risk.between(0, 1).all())
        True
        """
        options = checked_draws(n_samples, seed, blocks)
        return self._summary(
            "risk", horizon, mdata, interval, given, outcome, options, missing_features
        )

    def _summary(
        self,
        name: str,
        horizon: float | None,
        mdata: MuData | AnnData | None,
        interval: float | None,
        given: Sequence[str] | str | None,
        outcome: str | None,
        options: Draws,
        missing_features: str,
    ) -> pd.Series | pd.DataFrame:
        """One of `SUMMARIES` a patient, up to a horizon or the last training event."""
        spec = cast(Survival, self.trained.roles.outcome("survival", outcome))
        reported = self._survival(spec.name)
        if horizon is not None:
            check_horizon(horizon, reported.horizon)
        if interval is not None:
            check_level("interval", interval)
        end = float(reported.horizon if horizon is None else horizon)
        value, times = SUMMARIES[name]
        read = self._reading(spec.name, mdata, given, options, missing_features)
        grid = times(reported.head(options["blocks"]), end)
        found = SurvivalRole(spec).curves(read, grid, level=interval, summary=value)
        index = list(read.latents.cohort.obs_names)
        if interval is None:
            return pd.Series(found[0], index, name=name)
        return pd.DataFrame(np.stack(found, 1), index, [name, "lower", "upper"])
