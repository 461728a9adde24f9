"""Everything a fitted model consists of, and how it is made from tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mvlatent.data.cohort import Cohort
from mvlatent.data.preparation import Preparation
from mvlatent.data.tables import Tables
from mvlatent.fitting.loop import Fitted, fit
from mvlatent.fitting.plan import Plan
from mvlatent.objectives.objective import Objective
from mvlatent.outcomes.training import LabelHead, SurvivalHead, TrainingHead
from mvlatent.posterior import Latents
from mvlatent.reading.choice import AUTO
from mvlatent.reading.outcome import Reported, fit_labels, fit_survival
from mvlatent.specs import Roles
from mvlatent.vae.basis import Basis, fit_bases, rotate
from mvlatent.vae.decoders import DECODERS
from mvlatent.vae.effects import EFFECTS
from mvlatent.vae.experts import EXPERTS
from mvlatent.vae.start import STARTS, spectral_start
from mvlatent.vae.structured import Design, StructuredVAE, ViewDesign

__all__ = ["Options", "Trained", "train"]

MIN_VALIDATION = 5


@dataclass(frozen=True, kw_only=True)
class Options:
    """Shape of the model.

    Parameters
    ----------
    n_shared, n_private
        Dimensions of z and of each private latent.
    decoder
        ``"linear"``, ``"additive"`` or ``"mlp"``.
    encoder
        ``"exact"`` (tied to a linear decoder), ``"linear"``, ``"mlp"`` or ``"auto"``.
    effects
        Technical effects: ``"random"``, ``"free"`` or ``"none"``.
    start
        ``"gcca"``, ``"svd"`` or ``"random"``.
    rho
        Share of the outcome's gradient at z while fitting; 0 is two-stage.
    likelihood_power
        Power of each view's likelihood by name, for calibrated posteriors of z; 1 where not named.
    head_blocks
        Blocks of the reported head: kinds (shared, private, scores, clinical, technical) or names;
        ``("auto",)`` takes what inner folds of the training rows prefer.
    n_hidden
        Width of networks.

    Raises
    ------
    ValueError
        If a name is not one of the choices or a size is not positive.
    """

    n_shared: int = 16
    n_private: int = 8
    decoder: str = "linear"
    encoder: str = "auto"
    effects: str = "random"
    start: str = "gcca"
    rho: float = 0.0
    likelihood_power: dict[str, float] | None = None
    head_blocks: tuple[str, ...] = AUTO
    n_hidden: int = 64

    def __post_init__(self) -> None:
        """Check names and ranges."""
        for what, choices in (
            ("decoder", tuple(DECODERS)),
            ("encoder", ("auto", *EXPERTS)),
            ("effects", EFFECTS),
            ("start", STARTS),
        ):
            if getattr(self, what) not in choices:
                listed = ", ".join(map(repr, choices))
                raise ValueError(f"{what} {getattr(self, what)!r} is not one of {listed}.")
        for what in ("n_shared", "n_private", "n_hidden"):
            if not isinstance(getattr(self, what), int) or getattr(self, what) < 1:
                raise ValueError(f"{what} must be a positive integer, not {getattr(self, what)!r}.")
        if self.rho < 0:
            raise ValueError(f"rho must not be negative, not {self.rho!r}.")
        if self.encoder == "exact" and self.decoder != "linear":
            raise ValueError(
                f"encoder='exact' follows from a linear decoder, not from {self.decoder!r}; "
                "take encoder='auto'."
            )
        object.__setattr__(self, "head_blocks", tuple(self.head_blocks))


@dataclass
class Trained:
    """A fitted model without the data it was fitted to.

    Attributes
    ----------
    preparation
        Scaling and encoding learnt on the training rows.
    bases
        Thin singular value basis of each view.
    vae
        Generative model and guide.
    survival, labels
        Reported heads, ``None`` without the outcome.
    fitted
        History of the run.
    options, plan
        How it was made.
    """

    preparation: Preparation
    bases: dict[str, Basis]
    vae: StructuredVAE
    survival: Reported | None
    labels: Reported | None
    fitted: Fitted
    options: Options
    plan: Plan

    @property
    def roles(self) -> Roles:
        """Roles of columns and modalities."""
        return self.preparation.roles

    def cohort(self, tables: Tables) -> Cohort:
        """Patients as the model sees them."""
        return self.see(self.preparation.transform(tables))

    def see(self, cohort: Cohort) -> Cohort:
        """A prepared cohort as the model sees it: rotated, without effects that are off."""
        return rotate(_without_technical(cohort, self.options), self.bases)

    def latents(self, cohort: Cohort, given: Sequence[str] | str | None = None) -> Latents:
        """Posterior of the latents, looking at the views ``given`` (all by default)."""
        return Latents(self.vae, cohort if given is None else cohort.mask_views(given))


def train(
    tables: Tables,
    roles: Roles,
    options: Options,
    plan: Plan,
    *,
    validation_size: float = 0.0,
    notes: Sequence[str] = (),
    progress: bool = True,
) -> Trained:
    """Prepare, start, fit and report: the whole way from raw tables.

    Scaling, bases and the spectral start are learnt on the training rows only; the reported heads
    take all rows (nothing is validated on them).

    Parameters
    ----------
    tables
        Raw data of all patients.
    roles, options, plan
        What is what, the model's shape and the loop's options.
    validation_size
        Share of the patients held out for early stopping.
    notes
        What was guessed before.
    progress
        Show a progress bar.
    """
    held_out = _validation_rows(len(tables), validation_size, plan.seed)
    rows = np.setdiff1d(np.arange(len(tables)), held_out)
    preparation = Preparation.fit(tables, roles, rows, notes=notes)
    everyone = _without_technical(preparation.transform(tables), options)
    bases = fit_bases(everyone.subset(rows))
    everyone = rotate(everyone, bases)
    training = everyone.subset(rows)
    vae = _build(training, roles, options, plan.seed)
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        spectral_start(vae, training, kind=options.start)
    objective = Objective(vae, rho=options.rho)
    validation = everyone.subset(held_out) if len(held_out) else None
    fitted = fit(objective, training, plan, validation=validation, progress=progress)
    if plan.refit_epochs and len(held_out) and fitted.stopped != "interrupted":
        again = replace(plan, max_epochs=plan.refit_epochs, warmup=0.0)
        fitted.history += fit(objective, everyone, again, progress=progress).history
    trained = Trained(preparation, bases, vae, None, None, fitted, options, plan)
    _report(trained, everyone)
    return trained


def _report(trained: Trained, cohort: Cohort) -> None:
    """Fit the reported heads on the frozen posterior."""
    latents = trained.latents(cohort)
    kinds = trained.options.head_blocks
    roles = trained.roles
    if roles.survival is not None:
        trained.survival = fit_survival(latents, trained.bases, roles.survival, kinds=kinds)
    if roles.labels is not None:
        trained.labels = fit_labels(latents, trained.bases, kinds=kinds)


def _validation_rows(n: int, size: float, seed: int) -> np.ndarray:
    if not 0 <= size < 1:
        raise ValueError(f"validation_size must be in [0, 1), not {size!r}.")
    count = round(n * size)
    if count and count < MIN_VALIDATION:
        raise ValueError(
            f"validation_size={size} of {n} patients is {count}; take 0, or at least "
            f"{MIN_VALIDATION} patients."
        )
    return np.sort(np.random.default_rng(seed).permutation(n)[:count])


def _without_technical(cohort: Cohort, options: Options) -> Cohort:
    if options.effects != "none":
        return cohort
    return replace(cohort, technical=cohort.technical[:, :0], technical_groups=())


def _build(cohort: Cohort, roles: Roles, options: Options, seed: int) -> StructuredVAE:
    """An unfitted model of the cohort's shape, with its in-training heads."""
    heads: list[TrainingHead] = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if options.rho > 0:
            if roles.survival is not None:
                heads.append(SurvivalHead(options.n_shared, cohort, roles.survival))
            if roles.labels is not None:
                heads.append(LabelHead(options.n_shared, cohort))
        return StructuredVAE(_design(cohort, options), heads)


def _design(cohort: Cohort, options: Options) -> Design:
    views = tuple(
        ViewDesign(name, v.likelihood, v.noise, v.x.shape[1], v.n_hidden, options.n_private)
        for name, v in cohort.views.items()
    )
    return Design(
        views,
        n_shared=options.n_shared,
        technical_groups=tuple((g.columns.start, g.columns.stop) for g in cohort.technical_groups),
        n_technical=cohort.technical.shape[1],
        decoder=options.decoder,
        encoder=options.encoder,
        effects=options.effects,
        n_hidden=options.n_hidden,
        powers=dict(options.likelihood_power or {}),
    )
