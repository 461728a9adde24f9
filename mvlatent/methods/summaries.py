"""Predictions of a patient's outcome in one number, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.heads.reported import Reported
from mvlatent.outcomes.roles.survival import SurvivalRole
from mvlatent.outcomes.summaries import SUMMARIES
from mvlatent.reading.outcomes import reading_of
from mvlatent.specs import Survival

if TYPE_CHECKING:
    from mvlatent.data.cohort import Cohort
    from mvlatent.fitting.trained import Trained
    from mvlatent.posterior import Latents
    from mvlatent.specs import Roles

__all__ = ["Predictions", "check_horizon"]


class Predictions:
    """Summaries of survival curves, for `mvlatent.MVLatent`.

    ``outcome`` names one of several survival outcomes; by default it is the first.
    """

    if TYPE_CHECKING:
        roles: Roles
        _cohort: Cohort | None

        @property
        def trained(self) -> Trained:
            """The fitted parts."""
            ...

        def cohort(self, mdata: Any = None) -> Cohort:
            """Tensors of the patients."""
            ...

        def latents(self, mdata: Any = None, *, given: Any = None) -> Latents:
            """Posterior of every latent."""
            ...

        def _survival(self, outcome: str | None = None) -> Reported: ...

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

        Returns
        -------
        Series or DataFrame
            In the unit of the training times; with ``interval`` columns ``median``, ``lower``,
            ``upper``.
        """
        options = {"n_samples": n_samples, "seed": seed, "blocks": blocks}
        return self._summary("median", None, mdata, interval, given, outcome, options)

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
    ) -> pd.Series | pd.DataFrame:
        """Restricted mean survival time: expected time without the event, up to a horizon.

        Parameters
        ----------
        horizon
            In the unit of the training times; at most the last training event, beyond which
            nothing is known.
        mdata, interval, given, n_samples, seed, blocks, outcome
            As in `predict_median`.

        Returns
        -------
        Series or DataFrame
            With ``interval`` columns ``rmst``, ``lower``, ``upper``.

        Raises
        ------
        ValueError
            If the horizon is not positive or lies beyond the last training event.
        """
        options = {"n_samples": n_samples, "seed": seed, "blocks": blocks}
        return self._summary("rmst", horizon, mdata, interval, given, outcome, options)

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
    ) -> pd.Series | pd.DataFrame:
        """Probability of the event (of any cause) by a horizon: ``1 - S(horizon)``.

        Parameters
        ----------
        horizon
            In the unit of the training times.
        mdata, interval, given, n_samples, seed, blocks, outcome
            As in `predict_median`.

        Returns
        -------
        Series or DataFrame
            With ``interval`` columns ``risk``, ``lower``, ``upper``.

        Raises
        ------
        ValueError
            If the horizon is not positive or lies beyond the last training event.
        """
        options = {"n_samples": n_samples, "seed": seed, "blocks": blocks}
        return self._summary("risk", horizon, mdata, interval, given, outcome, options)

    def _summary(
        self,
        name: str,
        horizon: float | None,
        mdata: MuData | AnnData | None,
        interval: float | None,
        given: Sequence[str] | str | None,
        outcome: str | None,
        options: dict[str, Any],
    ) -> pd.Series | pd.DataFrame:
        """One of `SUMMARIES` a patient, up to a horizon or the last training event."""
        spec = cast(Survival, self.trained.roles.outcome("survival", outcome))
        reported = self._survival(spec.name)
        if horizon is not None:
            check_horizon(horizon, reported)
        if interval is not None and not 0 < interval < 1:
            raise ValueError(f"interval must be between 0 and 1, not {interval!r}.")
        end = float(reported.horizon if horizon is None else horizon)
        value, times = SUMMARIES[name]
        latents = self.latents(mdata, given=given)
        read = reading_of(self.trained, latents, spec.name, **options)
        grid = times(reported.head(options["blocks"]), end)
        found = SurvivalRole(spec).curves(read, grid, level=interval, summary=value)
        index = list(latents.cohort.obs_names)
        if interval is None:
            return pd.Series(found[0], index, name=name)
        return pd.DataFrame(np.stack(found, 1), index, [name, "lower", "upper"])


def check_horizon(horizon: float, reported: Reported) -> None:
    """Raise ValueError unless a horizon is positive and within the training events."""
    if not 0 < horizon <= reported.horizon * (1 + 1e-6):
        raise ValueError(
            f"horizon must be positive and at most the last training event "
            f"({reported.horizon:g}), not {horizon!r}."
        )
