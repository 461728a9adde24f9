"""`mvlatent.fit`: from a cohort to a fitted model in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anndata import AnnData
from mudata import MuData

from mvlatent.fitting.options import Options
from mvlatent.methods.arguments import LOOP, SHAPE, check_options
from mvlatent.methods.setup import Views, checked_plan
from mvlatent.model import MVLatent
from mvlatent.process import alone
from mvlatent.specs import Labels, OutcomeSpec, Survival, Target
from mvlatent.specs.typed import as_outcomes

__all__ = ["fit", "set_up"]

ROLES = frozenset(
    {"views", "batch", "technical", "clinical", "survival", "labels", "targets", "outcomes"}
)
AnySurvival = Survival | tuple[str, str]
AnyLabels = Labels | str


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
        them all, ``None`` takes all modalities, ``[]`` none: heads on clinical columns alone.
    batch, technical, clinical
        ``batch_key``, ``technical_keys`` and ``clinical_keys`` of `MVLatent.setup_mudata`. Numbers
        stay numbers, also as text; ordered categories are the places of their levels, other classes
        a column each.
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
    >>> mdata = mv.datasets.demo(80)
    >>> model = mv.fit(
    ...     mdata,
    ...     views={"rna": "normal", "mut": "bernoulli"},
    ...     batch="site",
    ...     survival=("survival_months", "event"),
    ...     n_shared=3,
    ...     max_epochs=2,
    ...     progress=False,
    ... )
    >>> model.predict_survival([12, 24]).shape
    (2, 80)
    """
    model, loop = set_up(
        mdata,
        views=views,
        batch=batch,
        technical=technical,
        clinical=clinical,
        outcomes=as_outcomes(survival, labels, targets, outcomes),
        n_shared=n_shared,
        n_private=n_private,
        seed=seed,
        **options,
    )
    return model.fit(**loop)


def set_up(
    mdata: MuData | AnnData,
    *,
    views: Views = None,
    batch: str | None = None,
    technical: Sequence[str] = (),
    clinical: Sequence[str] = (),
    outcomes: Sequence[OutcomeSpec] = (),
    n_shared: int = 16,
    n_private: int = 8,
    **options: Any,
) -> tuple[MVLatent, dict[str, Any]]:
    """A model before its fit, and the options of that; raises as `fit` does."""
    check_options(options, SHAPE | LOOP | ROLES)
    shape = {name: options.pop(name) for name in SHAPE if name in options}
    Options(n_shared=n_shared, n_private=n_private, **shape)  # refused before the cohort is read
    checked_plan(**options)
    setup: Any = MVLatent.setup_anndata if isinstance(mdata, AnnData) else MVLatent.setup_mudata
    with alone():  # another thread may set the same cohort up in another way
        setup(
            mdata,
            views=views,
            batch_key=batch,
            technical_keys=technical,
            clinical_keys=clinical,
            outcomes=outcomes,
        )
        return MVLatent(mdata, n_shared=n_shared, n_private=n_private, **shape), options
