"""What a fitted model says of patients: every method is a few lines that call a stage."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.data.tables import Tables
from mvlatent.methods.outcomes import OutcomeReader, SurvivalCurves, TargetPrediction
from mvlatent.posterior import Latents, Posterior
from mvlatent.reading.annotate import annotate
from mvlatent.reading.impute import predict_view
from mvlatent.reading.linear import jacobian
from mvlatent.reading.loadings import Loadings, active_factors, credible_loadings
from mvlatent.reading.variance import variance_explained

if TYPE_CHECKING:
    from mvlatent.data.cohort import Cohort
    from mvlatent.fitting.trained import Trained
    from mvlatent.specs import Roles

__all__ = ["Imputation", "Loadings", "Reader", "SurvivalCurves", "TargetPrediction"]


@dataclass(frozen=True, eq=False)
class Imputation:
    """Imputed entries of a view: DataFrames patients × features in the user's units."""

    mean: pd.DataFrame
    sd: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame


class Reader(OutcomeReader):
    """The reading half of `mvlatent.MVLatent`.

    Every method takes ``mdata`` (the fitted patients by default, or new ones) and ``given``, the
    views that may be looked at; rows come back in the order of ``mdata.obs_names``. New patients
    need no outcome, and clinical columns only where a head takes them.
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
        return self.trained.cohort(self.trained.preparation.read(mdata))

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
        through: str = "all",
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
        through
            ``"all"``: through z, and through what the other views know of this one beyond it where
            held-out patients said that it helps; ``"latent"``: through z alone.
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
        if through not in ("all", "latent"):
            raise ValueError(f"through must be 'all' or 'latent', not {through!r}.")
        if interval is not None and not 0 < interval < 1:
            raise ValueError(f"interval must be between 0 and 1, not {interval!r}.")
        given = [name for name in self.roles.views if name != view] if given is None else given
        latents = self.latents(mdata, given=given)
        preparation = self.trained.preparation

        def inverse(x: np.ndarray) -> np.ndarray:
            return preparation.inverse(view, x) if units == "original" else x

        basis = self.trained.bases[view]
        found = predict_view(
            latents,
            view,
            basis,
            inverse,
            level=interval,
            n_samples=n_samples,
            seed=seed,
            heads=self.trained.view_heads,
            latent=through == "latent",
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
        if block == "private":
            values = values[:, : self.trained.vae.part(view).design.n_shown]
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
        preparation = self.trained.preparation
        nobody = Tables.empty(preparation.roles, preparation.kept)
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

    def _view(self, view: str) -> None:
        if view not in self.roles.views:
            raise KeyError(f"no view {view!r}; the views are {', '.join(self.roles.views)}.")
