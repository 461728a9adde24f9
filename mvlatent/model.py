"""`MVLatent`: set up, fit, save, load; what is read from it is in `mvlatent.methods.views`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scvi.model.base import BaseModelClass

from mvlatent.data.register import register_cohort
from mvlatent.data.registered import registered_manager, registered_notes, registered_roles
from mvlatent.data.tables import Tables
from mvlatent.fitting.options import Options
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.train import train
from mvlatent.fitting.trained import Trained
from mvlatent.heads.blocks import BLOCK_KINDS
from mvlatent.heads.choice import AUTO
from mvlatent.io import load_trained, save_trained
from mvlatent.methods.prognosis import Prognosis
from mvlatent.methods.views import Reader
from mvlatent.reading.summary import summarise
from mvlatent.specs import Labels, OutcomeSpec, Roles, Survival, Target, View
from mvlatent.specs.typed import as_outcomes

if TYPE_CHECKING:
    from mvlatent.data.cohort import Cohort

__all__ = ["MVLatent", "fit"]

SHAPE = frozenset(Options.__dataclass_fields__)
LOOP = frozenset({"validation_size", "progress", "warm_start", *Plan.__dataclass_fields__})

Views = Mapping[str, View | str | None] | Sequence[str] | None
AnySurvival = Survival | tuple[str, str]
AnyLabels = Labels | str


def _check_options(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError for an option that there is not, as Python does, with the choices."""
    choices = sorted(known)
    for name in given:
        if name not in choices:
            close = get_close_matches(name, choices, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise TypeError(f"no option {name!r}; {hint}the options are {', '.join(choices)}.")


def _roles(
    views: Views,
    batch_key: str | None,
    technical_keys: Sequence[str],
    clinical_keys: Sequence[str],
    outcomes: Sequence[OutcomeSpec],
) -> Roles:
    """Roles of what was typed."""
    return Roles(
        views,  # type: ignore[arg-type]
        batch=batch_key,
        technical=technical_keys,  # type: ignore[arg-type]
        clinical=clinical_keys,  # type: ignore[arg-type]
        outcome_specs=tuple(as_outcomes(outcomes=outcomes)),
    )


def _history(trained: Trained) -> pd.DataFrame:
    """One row an epoch, one column a term."""
    return pd.DataFrame(trained.fitted.history).set_index("epoch")


class MVLatent(Prognosis, Reader, BaseModelClass):
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
    >>> import mvlatent as mv
    >>> mdata = mv.datasets.demo()  # doctest: +SKIP
    >>> mv.MVLatent.setup_mudata(mdata, batch_key="site")  # doctest: +SKIP
    >>> model = mv.MVLatent(mdata, n_shared=8).fit()  # doctest: +SKIP
    """

    def __init__(
        self, mdata: MuData | AnnData, *, n_shared: int = 16, n_private: int = 8, **options: Any
    ) -> None:
        _check_options(options, SHAPE)
        self.options = Options(n_shared=n_shared, n_private=n_private, **options)
        manager = registered_manager(mdata)
        self.register_manager(manager)
        super().__init__(manager.adata)
        self.deregister_manager(manager.adata)  # lest the class keep every cohort alive
        self.roles = registered_roles(manager)
        self._check_names()
        self._tables: Tables | None = manager.tables
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
        columns = {
            "clinical": self.roles.clinical,
            "technical": self.roles.batch or self.roles.technical,
        }
        if not any(columns.get(name, True) for name in self.options.head_blocks):
            asked = ", ".join(map(repr, self.options.head_blocks)) or "nothing"
            raise ValueError(
                f"head_blocks: the head has no block to take, as {asked} has no column; name its "
                "columns, or add 'shared'."
            )

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
            sequence of names guesses them all, ``None`` takes all modalities. See `summary`.
        batch_key
            Column of the site.
        technical_keys
            More technical columns.
        clinical_keys
            Columns for the outcome heads.
        outcomes
            `Survival`, `Labels` and `Target`, any number of each; every one has a name, missing
            rows and a weight of its own.

        Raises
        ------
        KeyError, ValueError
            If a column, modality or value is not what its role needs.
        """
        register_cohort(mdata, _roles(views, batch_key, technical_keys, clinical_keys, outcomes))

    @classmethod
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        views: Mapping[str, View | str | None] | Sequence[str],
        batch_key: str | None = None,
        technical_keys: Sequence[str] = (),
        clinical_keys: Sequence[str] = (),
        outcomes: Sequence[OutcomeSpec] = (),
    ) -> None:
        """Register an AnnData: its first view is ``X`` (or a layer), the others are in ``obsm``."""
        register_cohort(adata, _roles(views, batch_key, technical_keys, clinical_keys, outcomes))

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
        """
        _check_options(plan, LOOP)
        if self._tables is None:
            raise ValueError("a model loaded without data cannot be fitted; set one up from data.")
        self._trained, self._cohort = train(
            self._tables,
            self.roles,
            self.options,
            Plan(**plan),
            validation_size=validation_size,
            notes=registered_notes(self.adata_manager),
            progress=progress,
            warm_start=None if warm_start is None else warm_start.trained,
        )
        self.history_ = _history(self._trained)
        self.is_trained_ = True
        return self

    train = fit

    def fit_transform(self, *, block: str = "shared", **fit: Any) -> np.ndarray:
        """Fit, then the posterior means of a block."""
        return self.fit(**fit).transform(block=block)

    @property
    def history(self) -> pd.DataFrame | None:
        """One row an epoch, one column a term of the objective (nats a patient)."""
        return self.history_

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
    views: Views = None,
    batch: str | None = None,
    technical: Sequence[str] = (),
    clinical: Sequence[str] = (),
    survival: AnySurvival | Sequence[AnySurvival] | Mapping[str, AnySurvival] | None = None,
    labels: AnyLabels | Sequence[AnyLabels] | Mapping[str, AnyLabels] | None = None,
    targets: Target | str | Sequence[Target | str] | Mapping[str, Target | str] | None = None,
    outcomes: Sequence[OutcomeSpec] = (),
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
        Likelihood (or `View`) a modality, guessed where it is ``None``; a sequence of names guesses
        them all, ``None`` takes all modalities.
    batch, technical, clinical
        ``batch_key``, ``technical_keys`` and ``clinical_keys`` of `MVLatent.setup_mudata`.
    survival
        ``(time, event)`` columns or a `Survival`; several in a list, or by name in a dictionary:
        ``{"OS": ("os_months", "os_event"), "PFI": ("pfi_months", "pfi_event")}``.
    labels
        Column of classes or a `Labels`, or several in a list or by name.
    targets
        Column of a continuous value or a `Target`, several in a list, or kinds by column:
        ``{"purity": "continuous", "stage": "ordinal"}``.
    outcomes
        More outcomes of any kind, as in `MVLatent.setup_mudata`. Predictions take the first of a
        kind unless ``outcome=`` names another.
    n_shared, n_private
        Most dimensions of z and of each private latent.
    seed
        Seed of everything.
    **options
        Options of `MVLatent` and of `MVLatent.fit`.

    Returns
    -------
    MVLatent
        Fitted model.

    Raises
    ------
    TypeError
        If there is no option of a name.
    KeyError, ValueError
        If a column, modality, value or option is not what it has to be, before any training.

    Examples
    --------
    >>> import mvlatent as mv
    >>> mdata = mv.datasets.demo()  # doctest: +SKIP
    >>> model = mv.fit(mdata, batch="site", survival=("survival_months", "event"))  # doctest: +SKIP
    """
    _check_options(options, SHAPE | LOOP)
    typed = as_outcomes(survival, labels, targets, outcomes)
    roles = _roles(views, batch, technical, clinical, typed)
    register_cohort(mdata, roles)
    shape = {k: options.pop(k) for k in SHAPE if k in options}
    model = MVLatent(mdata, n_shared=n_shared, n_private=n_private, **shape)
    return model.fit(seed=seed, **options)
