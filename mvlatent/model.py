"""`MVLatent`: set up, fit, read, save. Every method is a few lines that call a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scvi.model.base import BaseModelClass

from mvlatent.data.register import (
    mudata_from_anndata,
    register_mudata,
    registered_manager,
    registered_notes,
    registered_roles,
)
from mvlatent.data.tables import Tables
from mvlatent.fitting.plan import Plan
from mvlatent.io import load_trained, save_trained
from mvlatent.posterior import Latents, Posterior
from mvlatent.reading.annotate import annotate
from mvlatent.reading.blocks import BLOCK_KINDS
from mvlatent.reading.choice import AUTO
from mvlatent.reading.impute import predict_view
from mvlatent.reading.linear import jacobian
from mvlatent.reading.outcome import Reported
from mvlatent.reading.summary import summarise
from mvlatent.reading.variance import variance_explained
from mvlatent.specs import Labels, Roles, Survival, View
from mvlatent.trained import Options, Trained
from mvlatent.training import train

if TYPE_CHECKING:
    from mvlatent.data.cohort import Cohort

__all__ = ["Imputation", "MVLatent", "SurvivalCurves", "fit"]

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
    """Survival curves with a band: DataFrames times × patients."""

    mean: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame


def _roles(
    views: Mapping[str, View | str] | None,
    batch_key: str | None,
    technical_keys: Sequence[str],
    clinical_keys: Sequence[str],
    outcomes: Sequence[Survival | Labels],
) -> Roles:
    """Roles of what was typed; at most one outcome of each kind."""
    found: dict[str, Any] = {}
    for outcome in outcomes:
        kind = "survival" if isinstance(outcome, Survival) else "labels"
        if not isinstance(outcome, Survival | Labels):
            raise ValueError(f"an outcome is mv.Survival(...) or mv.Labels(...), not {outcome!r}.")
        if kind in found:
            raise ValueError(f"more than one {kind} outcome; give one.")
        found[kind] = outcome
    return Roles(
        dict(views or {}),  # type: ignore[arg-type]
        batch=batch_key,
        technical=technical_keys,  # type: ignore[arg-type]
        clinical=clinical_keys,  # type: ignore[arg-type]
        **found,
    )


def _register(data: MuData | AnnData, roles: Roles) -> None:
    """Register a cohort of either kind; it is not changed."""
    if not isinstance(data, AnnData):
        register_mudata(data, roles)
        return
    if not roles.views:
        raise ValueError(
            "name the views of an AnnData: the first is X (or a layer), the others are in obsm."
        )
    register_mudata(mudata_from_anndata(data, roles.views), roles, owner=data)


def _history(trained: Trained) -> pd.DataFrame:
    """One row an epoch, one column a term."""
    return pd.DataFrame(trained.fitted.history).set_index("epoch")


class MVLatent(BaseModelClass):
    """Structured variational autoencoder of a multi-view cohort.

    A shared latent z and one private latent a view, a product-of-experts posterior for any subset
    of views, technical covariates as random effects of the decoders, and survival and label heads.

    Parameters
    ----------
    mdata
        Patients, after `setup_mudata` (or `setup_anndata`). Never changed.
    n_shared, n_private
        Dimensions of z and of each private latent.
    **options
        As in `mvlatent.trained.Options`: ``decoder``, ``encoder``, ``effects``, ``start``, ``rho``,
        ``likelihood_power``, ``head_blocks``, ``n_hidden``.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata = mv.datasets.demo()  # doctest: +SKIP
    >>> mv.MVLatent.setup_mudata(mdata, batch_key="site")  # doctest: +SKIP
    >>> model = mv.MVLatent(mdata, n_shared=8).fit()  # doctest: +SKIP
    """

    def __init__(
        self, mdata: MuData | AnnData, *, n_shared: int = 16, n_private: int = 8, **options: Any
    ) -> None:
        self.options = Options(n_shared=n_shared, n_private=n_private, **options)
        manager = registered_manager(mdata)
        self.register_manager(manager)
        super().__init__(manager.adata)
        self.roles = registered_roles(manager)
        self._check_names()
        self._tables: Tables | None = Tables.from_mudata(manager.adata, self.roles)
        self._trained: Trained | None = None
        self._cohort: Cohort | None = None
        self.init_params_ = self._get_init_params(locals())

    def _check_names(self) -> None:
        for name in self.options.likelihood_power or {}:
            if name not in self.roles.views:
                views = ", ".join(self.roles.views)
                raise KeyError(f"likelihood_power: no view {name!r}; the views are {views}.")
        of_views = [f"{kind}:{v}" for kind in ("private", "scores") for v in self.roles.views]
        known = (*BLOCK_KINDS, *of_views)
        for name in () if self.options.head_blocks == AUTO else self.options.head_blocks:
            if name not in known:
                choices = ", ".join(known)
                raise KeyError(f"head_blocks: no block {name!r}; the blocks are {choices}.")

    # --- setting up ---------------------------------------------------------------------------

    @classmethod
    def setup_mudata(
        cls,
        mdata: MuData,
        *,
        views: Mapping[str, View | str] | None = None,
        batch_key: str | None = None,
        technical_keys: Sequence[str] = (),
        clinical_keys: Sequence[str] = (),
        outcomes: Sequence[Survival | Labels] = (),
    ) -> None:
        """Register a MuData; it is not changed, and patients may lack whole modalities.

        Parameters
        ----------
        mdata
            Cohort.
        views
            Likelihood (or `View`) a modality; ``None`` takes all and guesses, see `summary`.
        batch_key
            Column of the site.
        technical_keys
            More technical columns.
        clinical_keys
            Columns for the outcome heads.
        outcomes
            `Survival` and `Labels`.

        Raises
        ------
        KeyError, ValueError
            If a column, modality or value is not what its role needs.
        """
        _register(mdata, _roles(views, batch_key, technical_keys, clinical_keys, outcomes))

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        views: Mapping[str, View | str],
        batch_key: str | None = None,
        technical_keys: Sequence[str] = (),
        clinical_keys: Sequence[str] = (),
        outcomes: Sequence[Survival | Labels] = (),
    ) -> None:
        """Register an AnnData: its first view is ``X`` (or a layer), the others are in ``obsm``."""
        _register(adata, _roles(views, batch_key, technical_keys, clinical_keys, outcomes))

    # --- fitting ------------------------------------------------------------------------------

    def fit(self, *, validation_size: float = 0.0, progress: bool = True, **plan: Any) -> MVLatent:
        """Fit the model and the reported heads.

        Parameters
        ----------
        validation_size
            Share of the patients held out to choose the epoch, e.g. 0.1. By default none: a small
            cohort has no patient to spare, and a fixed number of epochs from the spectral start did
            as well (see ``max_epochs``).
        progress
            Show a progress bar with the terms of the objective.
        **plan
            As in `mvlatent.fitting.plan.Plan`: ``max_epochs``, ``batch_size``, ``lr``, ``seed``,
            ``early_stopping``, ``patience``, ``refit_epochs``, ``accelerator``, ``devices``, ...

        Returns
        -------
        MVLatent
            The model itself.

        Raises
        ------
        FloatingPointError
            If the loss becomes non-finite; the message names the term and the view.
        """
        if self._tables is None:
            raise ValueError("a model loaded without data cannot be fitted; set one up from data.")
        self._trained = train(
            self._tables,
            self.roles,
            self.options,
            Plan(**plan),
            validation_size=validation_size,
            notes=registered_notes(self.adata_manager),
            progress=progress,
        )
        self._cohort = self._trained.cohort(self._tables)
        self.history_ = _history(self._trained)
        self.is_trained_ = True
        return self

    train = fit

    @property
    def history(self) -> pd.DataFrame | None:
        """One row an epoch, one column a term of the objective (nats a patient)."""
        return self.history_

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

    # --- reading ------------------------------------------------------------------------------

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

    def fit_transform(self, *, block: str = "shared", **fit: Any) -> np.ndarray:
        """Fit, then the posterior means of a block."""
        return self.fit(**fit).transform(block=block)

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
            Means, patients × features; with ``interval`` also sd and bounds.
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
        columns = preparation.features(view)
        frames = [
            None if x is None else pd.DataFrame(x, list(latents.cohort.obs_names), columns)
            for x in (found.mean, found.sd, found.lower, found.upper)
        ]
        return frames[0] if interval is None else Imputation(*frames)  # type: ignore[return-value, arg-type]

    def loadings(self, view: str, *, block: str = "shared") -> pd.DataFrame:
        """Loadings of a view on a block, features × factors, in scaled units."""
        self._view(view)
        if block not in ("shared", "private", f"private:{view}"):
            raise KeyError(f"no block {block!r} of view {view!r}; the blocks are shared, private.")
        block = block.partition(":")[0]
        latents = self.latents() if self._cohort is not None else self._prior_latents()
        values = jacobian(latents, view, self.trained.bases[view], block).T.numpy()
        columns = [f"{block}_{j}" for j in range(values.shape[1])]
        return pd.DataFrame(values, self.trained.preparation.features(view), columns)

    def _prior_latents(self) -> Latents:
        """Latents of one patient without a view: the prior."""
        nobody = Tables.empty(self.trained.preparation)
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
    ) -> pd.Series:
        """Posterior mean log hazard, relative to an average patient.

        ``blocks="shared"`` takes the head on z and the clinical covariates alone.
        """
        latents = self.latents(mdata, given=given)
        eta = self._survival().predict(latents, self.trained.bases, blocks=blocks)[:, 0]
        return pd.Series(eta.numpy(), list(latents.cohort.obs_names), name="risk")

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
        """Survival probabilities, times × patients.

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
        if interval is not None and not 0 < interval < 1:
            raise ValueError(f"interval must be between 0 and 1, not {interval!r}.")
        if isinstance(times, MuData | AnnData) or not isinstance(mdata, MuData | AnnData | None):
            mdata, times = times, mdata
        reported = self._survival()
        grid = reported.times(N_TIMES) if times is None else np.asarray(times, dtype=float)
        latents = self.latents(mdata, given=given)
        curves = reported.curves(
            latents,
            self.trained.bases,
            grid,
            level=interval,
            n_samples=n_samples,
            seed=seed,
            blocks=blocks,
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

    # --- keeping ------------------------------------------------------------------------------

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:  # type: ignore[override]
        """Write ``spec.json`` and ``weights.safetensors``; no patient's values are in them."""
        save_trained(self.trained, path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path, mdata: MuData | AnnData | None = None) -> MVLatent:  # type: ignore[override]
        """Read a folder that `save` wrote; ``mdata`` becomes the default of the reading methods."""
        model = cls.__new__(cls)
        trained = load_trained(path)
        model.id = str(path)
        model._adata, model._adata_manager = None, None
        model.registry_ = {"setup_args": {"roles": trained.roles.to_dict(), "notes": []}}
        model.options, model.roles, model._tables = trained.options, trained.roles, None
        model._trained, model._cohort, model.is_trained_ = trained, None, True
        model.history_ = _history(trained)
        if mdata is not None:
            model._cohort = model.cohort(mdata)
        return model

    def summary(self) -> str:
        """What was set up, what was guessed, what was dropped and how the fit went."""
        notes = [] if self._adata_manager is None else registered_notes(self.adata_manager)
        return summarise(self.roles, self.options, self._trained, notes)

    def __repr__(self) -> str:
        return self.summary()


def fit(
    mdata: MuData | AnnData,
    *,
    views: Mapping[str, View | str] | None = None,
    batch: str | None = None,
    technical: Sequence[str] = (),
    clinical: Sequence[str] = (),
    survival: Survival | tuple[str, str] | None = None,
    labels: Labels | str | None = None,
    n_shared: int = 16,
    n_private: int = 8,
    seed: int = 0,
    **options: Any,
) -> MVLatent:
    """Set up, construct and fit in one call.

    Parameters
    ----------
    mdata
        Cohort; it is not changed.
    views
        Likelihood a modality; ``None`` takes all and guesses.
    batch, technical, clinical
        ``batch_key``, ``technical_keys`` and ``clinical_keys`` of `MVLatent.setup_mudata`.
    survival
        ``(time, event)`` columns or a `Survival`.
    labels
        Column of classes or a `Labels`.
    n_shared, n_private
        Dimensions.
    seed
        Seed of everything.
    **options
        Options of `MVLatent` and of `MVLatent.fit`.

    Returns
    -------
    MVLatent
        Fitted model.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata = mv.datasets.demo()  # doctest: +SKIP
    >>> model = mv.fit(mdata, batch="site", survival=("survival_months", "event"))  # doctest: +SKIP
    """
    outcomes: list[Survival | Labels] = []
    if survival is not None:
        outcomes.append(survival if isinstance(survival, Survival) else Survival(*survival))
    if labels is not None:
        outcomes.append(labels if isinstance(labels, Labels) else Labels(labels))
    roles = _roles(views, batch, technical, clinical, outcomes)
    _register(mdata, roles)
    shape = {k: options.pop(k) for k in Options.__dataclass_fields__ if k in options}
    model = MVLatent(mdata, n_shared=n_shared, n_private=n_private, **shape)
    return model.fit(seed=seed, **options)
