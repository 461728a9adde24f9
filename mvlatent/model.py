"""`MVLatent`: set up, fit, save, load; what is read from it is in `mvlatent.methods`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anndata import AnnData
from mudata import MuData
from scvi.model.base import BaseModelClass

from mvlatent.data.register import register_cohort
from mvlatent.data.registered import registered_manager, registered_notes, registered_roles
from mvlatent.fitting.options import Options
from mvlatent.fitting.train import train
from mvlatent.fitting.trained import Trained
from mvlatent.io import load_trained, save_trained
from mvlatent.methods.arguments import SHAPE, check_options, patients_of
from mvlatent.methods.setup import Views, anndata_views, check_names, checked_plan, roles_of
from mvlatent.portable import Portable
from mvlatent.specs import OutcomeSpec, Roles, View

__all__ = ["MVLatent"]


class MVLatent(Portable, BaseModelClass):  # type: ignore[misc]  # scvi-tools has no types
    """Structured variational autoencoder of a multi-view cohort.

    A shared latent z and one private latent a view, a product-of-experts posterior for any subset
    of views, technical covariates as random effects of the decoders, and survival and label heads.

    Parameters
    ----------
    mdata
        Patients, after `setup_mudata` (or `setup_anndata`). Never changed.
    n_shared, n_private
        Dimensions of z and of each private latent, of which ``rank="auto"`` leaves on those that
        the data support (see `summary`).
    **options
        As in `mvlatent.fitting.options.Options`: ``decoder``, ``encoder``, ``effects``, ``start``,
        ``rank``, ``sweeps``, ``rho``, ``likelihood_power``, ``head_blocks``, ``n_hidden``,
        ``prior``, ``n_components``, ``loadings``, ``objectives``, ``top_down``,
        ``stop_gradient``.

    Raises
    ------
    TypeError
        If there is no option of a name.
    KeyError, ValueError
        If an option names no view, block or objective that there is, or is out of its range.

    Examples
    --------
    The cohort here, and in the examples of all methods, is a simulated one.

    >>> import mvlatent as mv
    >>> mdata = mv.datasets.demo(80)
    >>> mv.MVLatent.setup_mudata(mdata, batch_key="site", outcomes=[mv.Labels("subtype")])
    >>> model = mv.MVLatent(mdata, n_shared=3, n_private=2).fit(max_epochs=2, progress=False)
    >>> model.transform().shape
    (80, 3)
    """

    def __init__(
        self, mdata: MuData | AnnData, *, n_shared: int = 16, n_private: int = 8, **options: Any
    ) -> None:
        check_options(options, SHAPE)
        shape = Options(n_shared=n_shared, n_private=n_private, **options)
        manager = registered_manager(mdata)
        self._begin(registered_roles(manager), shape)
        check_names(self.roles, shape)
        self._register(manager)

    def _begin(self, roles: Roles, options: Options) -> None:
        """What the constructor and `load` have in common: a model without patients or weights."""
        setup = {"setup_args": {"roles": roles.to_dict(), "notes": []}, "field_registries": {}}
        BaseModelClass.__init__(self, registry=setup)
        self.roles, self.options = roles, options

    def _keep(self, trained: Trained) -> None:
        """Take fitted parts as the model's own."""
        self._trained, self.is_trained_ = trained, True

    # --- setting up ---------------------------------------------------------------------------

    @classmethod
    def setup_mudata(
        cls,
        mdata: MuData,
        *,
        views: Views = None,
        batch_key: str | None = None,
        technical_keys: Sequence[str] = (),
        clinical_keys: Sequence[str] = (),
        outcomes: Sequence[OutcomeSpec] = (),
    ) -> None:
        """Register a MuData; it is not changed, and patients may lack whole modalities.

        Parameters
        ----------
        mdata
            Cohort.
        views
            Likelihood (or `View`) a modality, guessed from the values where it is ``None``; a plain
            sequence of names guesses them all, ``None`` takes all modalities, ``[]`` none (heads on
            clinical columns alone). See `summary`.
        batch_key, technical_keys, clinical_keys
            Column of the site, more technical columns, and columns for the outcome heads.
        outcomes
            `Survival`, `Labels` and `Target`, any number of each; every one has a name, missing
            rows and a weight of its own.

        Raises
        ------
        TypeError
            If it is no MuData.
        KeyError, ValueError
            If a column, modality or value is not what its role needs.

        Examples
        --------
        >>> mv.MVLatent.setup_mudata(
        ...     mdata,
        ...     views={"rna": "normal", "mut": None},
        ...     batch_key="site",
        ...     outcomes=[mv.Survival("survival_months", "event"), mv.Labels("subtype")],
        ... )
        >>> mv.MVLatent(mdata, n_shared=3).roles.views["mut"].likelihood
        'bernoulli'
        """
        register_cohort(mdata, roles_of(views, batch_key, technical_keys, clinical_keys, outcomes))

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        views: Mapping[str, View | str | None] | Sequence[str] | None = None,
        layer: str | None = None,
        protein_expression_obsm_key: str | None = None,
        batch_key: str | None = None,
        technical_keys: Sequence[str] = (),
        clinical_keys: Sequence[str] = (),
        outcomes: Sequence[OutcomeSpec] = (),
    ) -> None:
        """Register an AnnData; it is not changed.

        Parameters
        ----------
        adata
            Cohort, a row a patient.
        views
            Likelihood (or `View`) a view. The first is ``X`` (or the layer of its `View`), the
            others are entries of ``obsm``; a patient whose row there is all NaN lacks the view.
            ``None``: one view ``"rna"`` of ``X`` (or ``layer``), its likelihood guessed.
        layer
            Layer of the first view, in place of ``X``.
        protein_expression_obsm_key
            One more view: the entry of ``obsm`` of that name, its likelihood guessed.
        batch_key, technical_keys, clinical_keys, outcomes
            As in `setup_mudata`.

        Raises
        ------
        TypeError
            If it is no AnnData.
        KeyError, ValueError
            If a column, view or value is not what its role needs.

        Examples
        --------
        >>> adata = mdata.mod["rna"].copy()
        >>> mv.MVLatent.setup_anndata(adata, views={"rna": "normal"})
        >>> mv.MVLatent(adata, n_shared=3).adata.n_obs == adata.n_obs
        True
        >>> mv.MVLatent.setup_anndata(adata, batch_key=None)  # as scvi-tools does it
        >>> list(mv.MVLatent(adata, n_shared=3).roles.views)
        ['rna']
        """
        views = anndata_views(views, layer, protein_expression_obsm_key)
        register_cohort(adata, roles_of(views, batch_key, technical_keys, clinical_keys, outcomes))

    # --- fitting ------------------------------------------------------------------------------

    def fit(
        self,
        *,
        validation_size: float = 0.0,
        progress: bool = True,
        warm_start: MVLatent | None = None,
        **plan: Any,
    ) -> MVLatent:
        """Fit the model and the reported heads.

        Parameters
        ----------
        validation_size
            Share of the patients held out to choose the epoch of a model that is trained by
            gradients, e.g. 0.1. By default none: a small cohort has no patient to spare, and the
            criterion says when it has settled. A closed-form fit only leaves them out: it holds
            patients out of its own accord.
        progress
            Show a line with the stage of the fit, or a bar with the terms of the objective.
        warm_start
            A fitted model of the same shape: start from its weights in place of the spectral start,
            and train by gradients.
        **plan
            As in `mvlatent.fitting.plan.Plan`: ``max_epochs`` (of a closed-form fit: most sweeps, 0
            for the start alone), ``batch_size``, ``lr``, ``seed``,
            ``weight_decay``, ``warmup``, ``early_stopping``, ``patience``, ``shared_first``,
            ``refit_epochs``, ``view_dropout``, ``accelerator``, ``devices``, ``num_nodes``,
            ``strategy``, ``precision``.

        Returns
        -------
        MVLatent
            The model itself.

        Raises
        ------
        TypeError, ValueError
            If there is no option of a name, an option is out of its range, or the model was loaded
            without data.
        FloatingPointError
            If the loss becomes non-finite; the message names the term and the view.

        Examples
        --------
        >>> mv.MVLatent.setup_mudata(mdata, views=["rna", "img"], batch_key="site")
        >>> fitted = mv.MVLatent(mdata, n_shared=3).fit(max_epochs=2, progress=False)
        >>> fitted.history["elbo"].is_monotonic_increasing
        True
        """
        settled = checked_plan(
            validation_size=validation_size, progress=progress, warm_start=warm_start, **plan
        )
        if self._adata is None:
            raise ValueError("a model loaded without data cannot be fitted; set one up from data.")
        notes = registered_notes(self._manager())
        trained, self._cohort = train(
            self.tables(),
            self.roles,
            self.options,
            settled,
            validation_size=float(validation_size),
            notes=notes,
            progress=bool(progress),
            warm_start=None if warm_start is None else warm_start.trained,
        )
        self._keep(trained)
        return self

    train = fit

    # --- keeping ------------------------------------------------------------------------------

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the fitted model to a folder of two files, without a value of any patient.

        Parameters
        ----------
        path
            Folder, made if need be, for ``spec.json`` and ``weights.safetensors``.
        overwrite
            Replace the two files if they are there.

        Raises
        ------
        FileExistsError
            If the folder holds a model and ``overwrite`` is off, or is a file.
        ValueError
            If the model is not fitted.

        Examples
        --------
        >>> model.save(folder / "model")
        >>> sorted(file.name for file in (folder / "model").iterdir())
        ['spec.json', 'weights.safetensors']
        """
        save_trained(self.trained, path, overwrite=overwrite)

    @classmethod
    def load(
        cls,
        path: str | Path,
        mdata: MuData | AnnData | None = None,
        *,
        adata: MuData | AnnData | None = None,
    ) -> MVLatent:
        """Read a folder that `save` wrote; folders of unknown origin are safe to read.

        Parameters
        ----------
        path
            Folder.
        mdata
            Patients that become the model's own: what the reading methods take by default. With
            the cohort of the fit the model does all that the fitted one did; others need no
            outcome, unless it is to be fitted to them.
        adata
            What scvi-tools calls ``mdata``; name one of the two.

        Returns
        -------
        MVLatent
            The fitted model.

        Raises
        ------
        FileNotFoundError
            If one of the two files is missing.
        TypeError
            If ``mdata`` is neither a MuData nor an AnnData, or both names are given.
        KeyError
            If the patients lack features that the model was fitted on.
        ValueError
            If the folder was written in a format that this version does not know.

        Examples
        --------
        >>> model.save(folder / "model")
        >>> again = mv.MVLatent.load(folder / "model", mdata)
        >>> bool((again.transform() == model.transform()).all())
        True
        """
        patients = patients_of(mdata, adata)
        trained = load_trained(path)
        model = cls.__new__(cls)
        model._begin(trained.roles, trained.options)
        model._keep(trained)
        if patients is not None:
            model._attach(patients)
        return model
