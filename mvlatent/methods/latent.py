"""What a fitted model says of patients' latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from anndata import AnnData
from mudata import MuData

from mvlatent.methods.arguments import given_views, patients_of, row_numbers
from mvlatent.methods.fitted import FittedModel
from mvlatent.posterior import Posterior, block_names
from mvlatent.reading.annotate import annotate

__all__ = ["LatentReader"]


class LatentReader(FittedModel):
    """Readings of the latents, for `mvlatent.MVLatent`."""

    def posterior(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        block: str = "shared",
        given: Sequence[str] | str | None = None,
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
        return self.latents(mdata, given=given).posterior(block)

    def transform(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        block: str = "shared",
        given: Sequence[str] | str | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        return_dist: bool = False,
        adata: MuData | AnnData | None = None,
    ) -> np.ndarray | Posterior:
        """Posterior means of a block of latents.

        Parameters
        ----------
        mdata, block, given
            As in `posterior`.
        indices
            Rows of the patients to read, as numbers from 0 or a bool a patient; all by default.
        return_dist
            Return the whole posterior, as `posterior` does, in place of its means.
        adata
            What scvi-tools calls ``mdata``; name one of the two.

        Returns
        -------
        array or Posterior
            Means, (patients, d), rows in the order of ``mdata.obs_names``, or of ``indices``.

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
        >>> model.transform(indices=[3, 1], return_dist=True).obs_names == tuple(
        ...     mdata.obs_names[[3, 1]]
        ... )
        True
        """
        patients = patients_of(mdata, adata)
        if indices is None:
            found = self.posterior(patients, block=block, given=given)
        else:
            block_names(block, self.roles.views)
            names = given_views(given, self.roles.views)
            cohort = self.cohort(patients)
            rows = row_numbers(indices, len(cohort))
            found = self.trained.latents(cohort.subset(rows), names).posterior(block)
        return found if return_dist else found.mean

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

    def annotate(self, mdata: MuData | AnnData | None = None) -> None:
        """Write the latents into the slots that scanpy reads.

        ``obsm["X_mvlatent"]`` and ``obsm["X_mvlatent_sd"]`` hold mean and sd of z, (patients, d),
        ``obsm["X_mvlatent_private_<view>"]`` the means of a private latent, ``uns["mvlatent"]`` the
        settings. Nothing else is touched.

        Parameters
        ----------
        mdata
            Patients to write into; ``None``: the model's own, `adata`.

        Raises
        ------
        TypeError, KeyError, ValueError
            As in `posterior`.

        Examples
        --------
        >>> new = mdata.copy()
        >>> model.annotate(new)
        >>> new.obsm["X_mvlatent"].shape
        (80, 3)
        """
        latents = self.latents(mdata)
        annotate(self.adata if mdata is None else mdata, self.trained, latents)
