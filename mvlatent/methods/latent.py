"""What a fitted model says of patients' latents."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.methods.arguments import given_views, patients_of, row_numbers
from mvlatent.methods.fitted import FittedModel
from mvlatent.posterior import Posterior, block_names
from mvlatent.reading.annotate import annotate
from mvlatent.specs.checks import check_flag

__all__ = ["LatentReader"]


class LatentReader(FittedModel):
    """Readings of the latents, for `mvlatent.MVLatent`."""

    def posterior(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        block: str = "shared",
        given: Sequence[str] | str | None = None,
        missing_features: str = "refuse",
    ) -> Posterior:
        """Posterior of a block of latents.

        Parameters
        ----------
        mdata
            Patients; the fitted ones by default.
        block
            ``"shared"`` (z), ``"private:<view>"``, or ``"all"`` for all of them side by side.
        given
            Views that may be looked at; all by default. ``given="img"`` is what histology alone
            says, ``given=[]`` the prior.
        missing_features
            What to do where new patients lack features that the model was fitted on: ``"refuse"``,
            or ``"integrate"`` to take them as entries that were not measured, with a warning that
            names them.

        Returns
        -------
        Posterior
            Means and standard deviations, (patients, d) each, draws and intervals.

        Raises
        ------
        TypeError
            If ``mdata`` is no cohort, or ``given`` is not made of names.
        KeyError
            If there is no such block or view, or new patients lack features.
        ValueError
            If the model is not fitted, or was loaded without data and none is given.

        Examples
        --------
        >>> found = model.posterior(given=["rna", "img"])
        >>> found.mean.shape, found.sd.shape
        ((80, 3), (80, 3))
        >>> low, high = found.interval(0.9)
        """
        block_names(block, self.roles.views)
        latents = self.latents(mdata, given=given, missing_features=missing_features)
        return latents.posterior(block, self.roles.views)

    def transform(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        block: str = "shared",
        given: Sequence[str] | str | None = None,
        missing_features: str = "refuse",
        as_frame: bool = False,
        indices: Sequence[int] | np.ndarray | None = None,
        return_dist: bool = False,
        adata: MuData | AnnData | None = None,
    ) -> Any:
        """Posterior means of a block of latents.

        Parameters
        ----------
        mdata, block, given
            As in `posterior`.
        missing_features
            As in `posterior`.
        as_frame
            Return a DataFrame, which the functions of `mvlatent.tl` align by its patients.
        indices
            Rows of the patients to read, as numbers from 0 or a bool a patient; all by default.
        return_dist
            Return the whole posterior, as `posterior` does, in place of its means.
        adata
            What scvi-tools calls ``mdata``; name one of the two.

        Returns
        -------
        array, DataFrame or Posterior
            Means, (patients, d), rows in the order of ``mdata.obs_names``, or of ``indices``. A
            DataFrame is indexed by them, with columns ``z0``, ``z1``, ... and
            ``private:<view>_0``, ...

        Raises
        ------
        TypeError, KeyError, ValueError
            As in `posterior`.
        IndexError
            If ``indices`` names a row that there is not.

        Examples
        --------
        >>> model.transform().shape
        (80, 3)
        >>> model.transform(mdata[:5].copy(), block="private:rna").shape
        (5, 2)
        >>> model.transform(as_frame=True).columns.tolist()
        ['z0', 'z1', 'z2']
        >>> model.transform(indices=[3, 1], return_dist=True).obs_names == tuple(
        ...     mdata.obs_names[[3, 1]]
        ... )
        True
        """
        check_flag("as_frame", as_frame)
        block_names(block, self.roles.views)
        names = given_views(given, self.roles.views)
        cohort = self._read(patients_of(mdata, adata), missing_features)
        if indices is not None:
            cohort = cohort.subset(row_numbers(indices, len(cohort)))
        found = self.trained.latents(cohort, names).posterior(block, self.roles.views)
        if return_dist:
            return found
        if not as_frame:
            return found.mean
        columns = self._factors(block)
        return pd.DataFrame(found.mean, index=list(found.obs_names), columns=columns)

    def _factors(self, block: str) -> list[str]:
        """Names of the columns of a block."""
        names = []
        for part in block_names(block, self.roles.views):
            stem = "z" if part == "shared" else f"{part}_"
            width = self._prior_latents().posterior(part).mean.shape[1]
            names += [f"{stem}{j}" for j in range(width)]
        return names

    get_latent_representation = transform

    def fit_transform(self, *, block: str = "shared", **fit: Any) -> np.ndarray:
        """Fit, then the posterior means of a block.

        Parameters
        ----------
        block
            As in `transform`.
        **fit
            As in `fit`.

        Returns
        -------
        array
            Means, (patients, d).

        Raises
        ------
        TypeError, KeyError, ValueError, FloatingPointError
            As in `fit` and `transform`.

        Examples
        --------
        >>> mv.MVLatent.setup_mudata(mdata, views=["rna", "img"], batch_key="site")
        >>> own = mv.MVLatent(mdata, n_shared=3)
        >>> own.fit_transform(max_epochs=2, progress=False).shape
        (80, 3)
        """
        block_names(block, self.roles.views)
        model: Any = self  # `fit` comes with the class that can be set up
        found: np.ndarray = model.fit(**fit).transform(block=block)
        return found

    def annotate(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        missing_features: str = "refuse",
    ) -> None:
        """Write latents and predictions into the slots that scanpy reads.

        ``obsm["X_mvlatent"]`` and ``obsm["X_mvlatent_sd"]`` hold mean and sd of z, (patients, d),
        ``obsm["X_mvlatent_private_<view>"]`` the means of a private latent, ``uns["mvlatent"]`` the
        settings. Predictions are columns of ``obs``: of patients that the model has not seen
        ``mvlatent_risk``, ``mvlatent_label``, ``mvlatent_probability_<class>``,
        ``mvlatent_target_<name>``; of those that it was fitted on, found by their names, the same
        with ``_fitted`` at the end. In a cohort of both sorts there are both columns, each missing
        for the others. Nothing else is touched.

        Parameters
        ----------
        mdata
            Patients to write into; ``None``: the model's own, `adata`.
        missing_features
            As in `posterior`.

        Raises
        ------
        TypeError, KeyError, ValueError
            As in `posterior`.

        Warns
        -----
        UserWarning
            If an outcome cannot be predicted as the patients lack clinical columns.

        See Also
        --------
        mvlatent.study.OutOfFold.annotate : Predictions by models that have not seen the patient.

        Examples
        --------
        >>> again = mdata.copy()
        >>> model.annotate(again)
        >>> again.obsm["X_mvlatent"].shape
        (80, 3)
        >>> "mvlatent_risk_fitted" in again.obs, "mvlatent_risk" in again.obs
        (True, False)
        """
        latents = self.latents(mdata, missing_features=missing_features)
        if said := annotate(self.adata if mdata is None else mdata, self.trained, latents):
            warnings.warn(said, stacklevel=2)
