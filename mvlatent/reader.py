"""What a fitted model says of patients: every method is a few lines that call a stage."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.data.register import mudata_from_anndata
from mvlatent.data.tables import Tables
from mvlatent.posterior import Latents, Posterior
from mvlatent.reading.annotate import annotate
from mvlatent.reading.impute import predict_view
from mvlatent.reading.linear import jacobian
from mvlatent.reading.loadings import Loadings, active_factors, credible_loadings
from mvlatent.reading.outcome import Reported
from mvlatent.reading.variance import variance_explained

if TYPE_CHECKING:
    from mvlatent.data.cohort import Cohort
    from mvlatent.specs import Roles
    from mvlatent.trained import Trained

__all__ = ["Imputation", "Loadings", "Reader", "SurvivalCurves"]

N_TIMES = 100


@dataclass(frozen=True, eq=False)
class Imputation:
    """Imputed entries of a view: DataFrames patients × features in the user's units."""

    mean: pd.DataFrame
    sd: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame


@dataclass(frozen=True, eq=False)
class SurvivalCurves:
    """Survival or incidence curves with a band: DataFrames times × patients."""

    mean: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame


class Reader:
    """The reading half of `mvlatent.MVLatent`.

    Every method takes ``mdata`` (the fitted patients by default, or new ones) and ``given``, the
    views that may be looked at; rows come back in the order of ``mdata.obs_names``.
    """

    roles: Roles
    _trained: Trained | None
    _cohort: Cohort | None

    @property
    def trained(self) -> Trained:
        """The fitted parts.

        Raises
        ------
        ValueError
            If the model is not fitted.
        """
        if self._trained is None:
            raise ValueError("the model is not fitted yet; call fit() first.")
        return self._trained

    def cohort(self, mdata: MuData | AnnData | None = None) -> Cohort:
        """Tensors of the patients (the fitted ones by default), as the model sees them.

        Raises
        ------
        KeyError
            If new patients lack features that the model was fitted on.
        ValueError
            If the model was loaded without data and none is given.
        """
        if mdata is None:
            if self._cohort is None:
                raise ValueError("this model was loaded without data; pass mdata.")
            return self._cohort
        if isinstance(mdata, AnnData):
            mdata = mudata_from_anndata(mdata, self.roles.views, allow_missing=True)
        preparation = self.trained.preparation
        tables = Tables.from_mudata(mdata, preparation.roles, reference=preparation)
        return self.trained.cohort(tables)

    def latents(
        self, mdata: MuData | AnnData | None = None, *, given: Sequence[str] | str | None = None
    ) -> Latents:
        """Posterior of every latent, looking at the views ``given``."""
        return self.trained.latents(self.cohort(mdata), given)

    def posterior(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        block: str = "shared",
        given: Sequence[str] | str | None = None,
    ) -> Posterior:
        """Posterior of a block of latents: ``"shared"``, ``"private:<view>"`` or ``"all"``."""
        return self.latents(mdata, given=given).posterior(block)

    def transform(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        block: str = "shared",
        given: Sequence[str] | str | None = None,
    ) -> np.ndarray:
        """Posterior means of a block, (patients, d)."""
        return self.posterior(mdata, block=block, given=given).mean

    get_latent_representation = transform

    def annotate(self, mdata: MuData | AnnData) -> None:
        """Write ``obsm["X_mvlatent"]``, its sd, the private latents and ``uns["mvlatent"]``."""
        annotate(mdata, self.trained, self.latents(mdata))

    def impute(
        self,
        view: str,
        mdata: MuData | AnnData | None = None,
        *,
        given: Sequence[str] | str | None = None,
        interval: float | None = None,
        n_samples: int = 200,
        seed: int = 0,
        units: str = "original",
    ) -> pd.DataFrame | Imputation:
        """Predict a view from others.

        Parameters
        ----------
        view
            View to predict.
        mdata
            Patients; the fitted ones by default.
        given
            Views to look at; by default every other one.
        interval
            Level of a predictive interval, e.g. 0.9.
        n_samples, seed
            Draws, where the prediction has no closed form.
        units
            ``"original"``, or ``"scaled"`` for the model's own.

        Returns
        -------
        DataFrame or Imputation
            Means, patients × features; with ``interval`` also sd and bounds. Of a Bernoulli view
            they are those of the probability; the "mean" of a categorical one is its most probable
            level. Bounds of counts and levels are counts and levels.
        """
        self._view(view)
        if units not in ("original", "scaled"):
            raise ValueError(f"units must be 'original' or 'scaled', not {units!r}.")
        if interval is not None and not 0 < interval < 1:
            raise ValueError(f"interval must be between 0 and 1, not {interval!r}.")
        given = [name for name in self.roles.views if name != view] if given is None else given
        latents = self.latents(mdata, given=given)
        preparation = self.trained.preparation

        def inverse(x: np.ndarray) -> np.ndarray:
            return preparation.inverse(view, x) if units == "original" else x

        basis = self.trained.bases[view]
        found = predict_view(
            latents, view, basis, inverse, level=interval, n_samples=n_samples, seed=seed
        )
        coded = found.mean.shape[1] != len(preparation.features(view))  # a column a level
        columns = preparation.columns(view) if coded else preparation.features(view)
        frames = [
            None if x is None else pd.DataFrame(x, list(latents.cohort.obs_names), columns)
            for x in (found.mean, found.sd, found.lower, found.upper)
        ]
        return frames[0] if interval is None else Imputation(*frames)  # type: ignore[return-value, arg-type]

    def loadings(
        self, view: str, *, block: str = "shared", interval: float | None = None
    ) -> pd.DataFrame | Loadings:
        """Loadings of a view on a block, features × factors, in scaled units.

        In units of the linear predictor for other likelihoods than normal and Student's t: log
        rates of counts, logits of shares and of zeros and ones; a categorical feature has a row a
        level. With ``interval``, their posterior: ``.mean``, ``.sd``, ``.lower`` and ``.upper``,
        where the model was fitted with ``loadings="ard"`` or ``"horseshoe"``.
        """
        self._view(view)
        if block not in ("shared", "private", f"private:{view}"):
            raise KeyError(f"no block {block!r} of view {view!r}; the blocks are shared, private.")
        block = block.partition(":")[0]
        if interval is not None:
            return credible_loadings(self.trained, view, block, interval)
        latents = self.latents() if self._cohort is not None else self._prior_latents()
        values = jacobian(latents, view, self.trained.bases[view], block).T.numpy()
        columns = [f"{block}_{j}" for j in range(values.shape[1])]
        return pd.DataFrame(values, self.trained.preparation.columns(view), columns)

    def active_factors(self, *, sd: bool = False) -> pd.DataFrame:
        """Which factors are active in which view, factors × views: bools, or (``sd=True``) sizes.

        A factor is active where the squared posterior means of its loadings outweigh their
        variances; needs ``loadings="ard"`` or ``"horseshoe"``.
        """
        return active_factors(self.trained, sd=sd)

    def _prior_latents(self) -> Latents:
        """Latents of one patient without a view: the prior."""
        nobody = Tables.empty(self.trained.preparation)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nobody has no stratum either
            return self.trained.latents(self.trained.cohort(nobody))

    def variance_explained(
        self, mdata: MuData | AnnData | None = None, *, by: str = "block"
    ) -> pd.DataFrame:
        """Share of each view's variance, block × view or (``by="factor"``) factor × view."""
        if by not in ("block", "factor"):
            raise ValueError(f"by must be 'block' or 'factor', not {by!r}.")
        blocks, factors = variance_explained(self.latents(mdata))
        return blocks if by == "block" else factors

    # --- outcomes -----------------------------------------------------------------------------

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

    def _view(self, view: str) -> None:
        if view not in self.roles.views:
            raise KeyError(f"no view {view!r}; the views are {', '.join(self.roles.views)}.")
