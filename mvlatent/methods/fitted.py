"""What every method stands on: the patients of a model, and what was fitted to them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.data.assemble import check_cohort, mudata_from_anndata
from mvlatent.data.cohort import Cohort
from mvlatent.data.newcomers import MISSING_FEATURES
from mvlatent.data.register import register_mudata
from mvlatent.data.registered import CohortManager, registered_notes
from mvlatent.data.tables import Tables
from mvlatent.fitting.options import Options
from mvlatent.fitting.trained import Trained
from mvlatent.methods.arguments import check_one_of, given_views
from mvlatent.posterior import Latents
from mvlatent.process import quiet
from mvlatent.reading.summary import summarise
from mvlatent.specs import Roles

__all__ = ["FittedModel"]


class FittedModel:
    """Patients, roles and fitted parts, however they came: from a fit or from a folder.

    Every reading method takes ``mdata`` (the model's own patients by default, or new ones) and
    ``given``, the views that may be looked at; rows come back in the order of ``mdata.obs_names``.
    New patients need no outcome, and clinical columns only where a head takes them.
    """

    options: Options
    roles: Roles
    registry_: dict[str, Any]
    summary_stats: Any
    _adata: MuData | None
    _adata_manager: CohortManager | None
    _source: MuData | None = None  # of a loaded model: what is registered should it be asked for
    _tables: Tables | None = None
    _trained: Trained | None = None
    _cohort: Cohort | None = None
    _unsound: Exception | None = None  # why the outcomes of a loaded model's patients cannot be had

    # --- its patients -----------------------------------------------------------------------------

    def _register(self, manager: CohortManager) -> None:
        """Take the patients that a manager knows as those to fit to."""
        self._adata, self._adata_manager = manager.adata, manager
        self.registry_, self.summary_stats = manager.registry, manager.summary_stats
        self._tables = manager.tables

    def _attach(self, mdata: MuData | AnnData) -> None:
        """Take patients as those that are read by default; they need no outcome for it."""
        self._source = self._adata = self._as_mudata(mdata)
        try:
            self._tables = self.tables(self._source)
            self._cohort = self.trained.cohort(self._tables)
        except (KeyError, ValueError) as error:
            self._tables = self.trained.preparation.read(self._source, outcomes=False)
            self._cohort, self._unsound = self.trained.cohort(self._tables), error

    def _as_mudata(self, mdata: MuData | AnnData) -> MuData:
        check_cohort(mdata)
        if isinstance(mdata, AnnData):
            return mudata_from_anndata(mdata, self.roles.views, allow_missing=True)
        return mdata

    @property
    def adata(self) -> MuData | None:
        """The model's patients as a MuData; ``None`` for a model that was loaded without data.

        They are not exchanged: give new patients to the reading methods as ``mdata``.

        Examples
        --------
        >>> model.adata.n_obs
        80
        """
        return self._adata

    @property
    def adata_manager(self) -> Any:
        """The `scvi.data.AnnDataManager` of the model's patients.

        That of a loaded model is made when it is first asked for, and needs its outcomes' columns.

        Raises
        ------
        AttributeError
            If the model was loaded without data, or with patients that lack a column of a role.
        """
        try:
            return self._manager()
        except (KeyError, ValueError) as error:  # so that hasattr says no
            raise AttributeError(error.args[0]) from error

    def _manager(self) -> CohortManager:
        """The manager of the model's patients; KeyError or ValueError where there is none."""
        manager = self._adata_manager
        if manager is None:
            if self._source is None:
                raise ValueError(
                    "this model was loaded without data; MVLatent.load(path, mdata) gives it some."
                )
            manager = register_mudata(self._source, self.roles, owner=self)
            self._register(manager)
        return manager

    # --- what was fitted --------------------------------------------------------------------------

    @property
    def trained(self) -> Trained:
        """The fitted parts: preparation, bases, generative model, heads and history.

        Raises
        ------
        ValueError
            If the model is not fitted.

        Examples
        --------
        >>> sorted(model.trained.outcomes)
        ['cause', 'event', 'purity', 'subtype']
        """
        if self._trained is None:
            raise ValueError("the model is not fitted yet; call fit() first.")
        return self._trained

    def tables(self, mdata: MuData | AnnData | None = None) -> Tables:
        """Values and role columns of the patients, in the user's units, aligned by name.

        Parameters
        ----------
        mdata
            Patients; the model's own by default.

        Returns
        -------
        Tables
            Arrays (N, p) by view and a DataFrame of columns; of new patients the features that the
            fitted model takes.

        Raises
        ------
        KeyError
            If new patients lack features that the model was fitted on.
        ValueError
            If the model was loaded without data and none is given.

        Examples
        --------
        >>> model.tables().views["rna"].x.shape
        (80, 300)
        """
        if mdata is None:
            if self._tables is None:
                raise ValueError("this model was loaded without data; pass mdata.")
            return self._tables
        return self.trained.preparation.read(self._as_mudata(mdata))

    def cohort(self, mdata: MuData | AnnData | None = None) -> Cohort:
        """Tensors of the patients, as the model sees them: scaled, encoded and rotated.

        Parameters
        ----------
        mdata
            Patients; the model's own by default.

        Returns
        -------
        Cohort
            Tensors by view with masks of what was measured, covariates and coded outcomes.

        Raises
        ------
        TypeError
            If ``mdata`` is neither a MuData nor an AnnData.
        KeyError
            If new patients lack features that the model was fitted on.
        ValueError
            If the model was loaded without data and none is given.

        Examples
        --------
        >>> len(model.cohort()), model.cohort().clinical_names
        (80, ('age', 'age (missing)', 'is_female=1'))
        """
        if mdata is not None:
            return self.trained.cohort(self.tables(mdata))
        if self._unsound is not None:
            raise self._unsound
        return self._read(None)

    def _read(self, mdata: MuData | AnnData | None, missing_features: str = "refuse") -> Cohort:
        """The patients, for what needs no outcome; those of new ones are not read."""
        check_one_of("missing_features", missing_features, MISSING_FEATURES)
        trained = self.trained  # says so where there is none
        if mdata is not None:
            read = trained.preparation.read
            return trained.cohort(read(mdata, outcomes=False, missing_features=missing_features))
        if self._cohort is None:
            raise ValueError("this model was loaded without data; pass mdata.")
        return self._cohort

    def latents(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        given: Sequence[str] | str | None = None,
        missing_features: str = "refuse",
    ) -> Latents:
        """Posterior of every latent at once; `posterior` is that of one block.

        Parameters
        ----------
        mdata
            Patients; the model's own by default.
        given
            Views that may be looked at; all by default.
        missing_features
            As in `posterior`.

        Returns
        -------
        Latents
            ``.z`` and the private latents as tensors, with joint draws. Outcomes of new patients
            are not read.

        Raises
        ------
        KeyError
            If ``given`` names no view.

        Examples
        --------
        >>> model.latents(given=["rna"]).z.mean.shape
        torch.Size([80, 3])
        """
        names = given_views(given, self.roles.views)
        return self.trained.latents(self._read(mdata, missing_features), names)

    @property
    def history(self) -> pd.DataFrame | None:
        """Terms of the criterion by epoch, in nats a patient; ``None`` before fitting.

        Column ``elbo`` is the whole criterion, priors included, and higher is better.

        Examples
        --------
        >>> model.history.index.name
        'epoch'
        """
        if self._trained is None:
            return None
        return pd.DataFrame(self._trained.fitted.history).set_index("epoch")

    def _prior_latents(self) -> Latents:
        """Latents of one patient without a view: the prior."""
        preparation = self.trained.preparation
        nobody = Tables.empty(preparation.roles, preparation.kept)
        with quiet():  # nobody has no stratum either
            return self.trained.latents(self.trained.cohort(nobody))

    def summary(self) -> str:
        """What was set up, what was guessed, what was dropped and how the fit went.

        Returns
        -------
        str
            A line a view, role and note. It is also what is shown when the model is printed.

        Examples
        --------
        >>> print(model.summary().splitlines()[0])
        MVLatent: 3 shared, 2 private factors a view
        """
        notes = [] if self._adata_manager is None else registered_notes(self._adata_manager)
        return summarise(self.roles, self.options, self._trained, notes)

    def __repr__(self) -> str:
        """The summary."""
        return self.summary()

    def _repr_html_(self) -> str:
        """The summary, as notebooks show it."""
        return f"<pre>{html.escape(self.summary())}</pre>"
