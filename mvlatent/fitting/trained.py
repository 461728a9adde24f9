"""Everything a fitted model consists of, and the options of its shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mvlatent.data.cohort import Cohort
from mvlatent.data.preparation import Preparation
from mvlatent.data.tables import Tables
from mvlatent.fitting.loop import Fitted
from mvlatent.fitting.plan import Plan
from mvlatent.fitting.start.rank import RANKS
from mvlatent.fitting.start.spectral import STARTS
from mvlatent.heads.choice import AUTO
from mvlatent.heads.reported import Reported
from mvlatent.heads.view_head import ViewHeads
from mvlatent.objectives.base import Term
from mvlatent.objectives.terms import as_terms
from mvlatent.posterior import Latents
from mvlatent.specs import Roles
from mvlatent.vae.basis import Basis, rotate
from mvlatent.vae.decoders import DECODERS
from mvlatent.vae.effects import EFFECTS
from mvlatent.vae.experts import EXPERTS
from mvlatent.vae.loadings import LOADINGS
from mvlatent.vae.priors import PRIORS
from mvlatent.vae.structured import StructuredVAE

__all__ = ["Options", "Trained", "without_technical"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Shape of the model.

    Parameters
    ----------
    n_shared, n_private
        Dimensions of z and of each private latent: the most that are used, see ``rank``. A fit
        refuses more than the cohort can hold: one fewer than its patients, and as many as it (or
        for ``n_private`` its widest view) has columns.
    decoder
        ``"linear"``, ``"additive"`` or ``"mlp"``.
    encoder
        ``"exact"`` (tied to a linear decoder), ``"linear"``, ``"mlp"`` or ``"auto"``.
    effects
        Technical effects: ``"random"``, ``"free"`` or ``"none"``.
    start
        Where z begins: ``"gcca"`` (generalized canonical correlation, with each view's ridge where
        the fit is in closed form), ``"svd"`` (leading directions of all views) or ``"random"``.
    rank
        ``"auto"`` keeps as many shared factors as predict the views of held-out patients best from
        one another (models trained by gradients: those along which views agree more than chance),
        so that what one view alone knows goes to its private latent, and private ones that stand
        out of the noise; ``"full"`` keeps all.
    sweeps
        Sweeps of expectation–maximisation. ``None``: until the criterion settles, or fewer (0
        included) where views of held-out patients are then predicted better from one another; a
        model trained by gradients takes 0, 5 or 30 of them before its first epoch, by the same
        question. With them or without, random technical effects then stay as found.
    rho
        Share of the outcome's gradient at z while fitting; 0 is two-stage.
    likelihood_power
        Power of each view's likelihood by name, for calibrated posteriors of z; 1 where not named.
    head_blocks
        Blocks of the reported head: kinds (shared, private, scores, clinical, technical) or names;
        ``("auto",)`` takes every block, each on or off by its evidence and averaged over both.
    n_hidden
        Width of networks.
    prior
        Prior of z: ``"normal"``, ``"mixture"`` of Gaussians, ``"vamp"`` or ``"flow"``. Without the
        normal one z keeps the scale that it has learnt.
    n_components
        Components of the mixture and of the VampPrior.
    loadings
        ``"point"``, or a posterior of the loadings under ``"ard"`` (a precision a factor and view)
        or ``"horseshoe"`` (and a scale a feature), which switch factors off in a view; views are
        not rotated then.
    objectives
        What stands beside the ELBO: ``{"cross_view": 1.0, "alignment": 0.1}``, or terms of
        `mvlatent.objectives`; nothing by default.
    top_down
        Whether the guide of a private latent is told z. Without, it is read from its view alone.
    stop_gradient
        Let z learn from cross-view prediction alone (`objectives` must hold ``"cross_view"``): the
        views are decoded from a z that they cannot teach. For views in which private variation
        dominates.

    Raises
    ------
    KeyError
        If there is no objective of that name.
    ValueError
        If a name is not one of the choices, a size is not positive, or options exclude each other.
    """

    n_shared: int = 16
    n_private: int = 8
    decoder: str = "linear"
    encoder: str = "auto"
    effects: str = "random"
    start: str = "gcca"
    rank: str = "auto"
    sweeps: int | None = None
    rho: float = 0.0
    likelihood_power: dict[str, float] | None = None
    head_blocks: tuple[str, ...] = AUTO
    n_hidden: int = 64
    prior: str = "normal"
    n_components: int = 8
    loadings: str = "point"
    objectives: tuple[Term, ...] = ()
    top_down: bool = True
    stop_gradient: bool = False

    def __post_init__(self) -> None:
        """Check names and ranges."""
        for what, choices in (
            ("decoder", tuple(DECODERS)),
            ("encoder", ("auto", *EXPERTS)),
            ("effects", EFFECTS),
            ("start", STARTS),
            ("rank", RANKS),
            ("prior", tuple(PRIORS)),
            ("loadings", ("point", *LOADINGS)),
        ):
            if getattr(self, what) not in choices:
                listed = ", ".join(map(repr, choices))
                raise ValueError(f"{what} {getattr(self, what)!r} is not one of {listed}.")
        for what in ("n_shared", "n_private", "n_hidden", "n_components"):
            if not isinstance(getattr(self, what), int) or getattr(self, what) < 1:
                raise ValueError(f"{what} must be a positive integer, not {getattr(self, what)!r}.")
        if self.sweeps is not None and not (isinstance(self.sweeps, int) and self.sweeps >= 0):
            raise ValueError(f"sweeps must be an integer from 0 on, or None, not {self.sweeps!r}.")
        for name, power in (self.likelihood_power or {}).items():
            if not 0 < power < float("inf"):
                raise ValueError(f"likelihood_power of {name!r} must be positive, not {power!r}.")
        if self.rho < 0:
            raise ValueError(f"rho must not be negative, not {self.rho!r}.")
        if self.encoder == "exact" and self.decoder != "linear":
            raise ValueError(
                f"encoder='exact' follows from a linear decoder, not from {self.decoder!r}; "
                "take encoder='auto'."
            )
        object.__setattr__(self, "head_blocks", tuple(self.head_blocks))
        object.__setattr__(self, "objectives", as_terms(self.objectives))
        if self.stop_gradient and not self.has_cross_view:
            raise ValueError(
                "stop_gradient=True leaves z nothing to learn from; add the cross-view term, "
                "objectives={'cross_view': 1.0}."
            )
        if self.stop_gradient and self.rho > 0:
            raise ValueError(
                "rho balances the outcome against the views' gradient at z, which stop_gradient "
                "takes away; give one of the two."
            )

    @property
    def has_cross_view(self) -> bool:
        """Whether the cross-view term is on."""
        return any(t.name == "cross_view" and t.weight > 0 for t in self.objectives)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {**asdict(self), "objectives": [term.to_dict() for term in self.objectives]}


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
    outcomes
        Reported heads by the outcome's name.
    fitted
        History of the run.
    options, plan
        How it was made.
    view_heads
        What predicts a view from the others beside z; ``None`` where there is nothing to judge by.
    """

    preparation: Preparation
    bases: dict[str, Basis]
    vae: StructuredVAE
    outcomes: dict[str, Reported]
    fitted: Fitted
    options: Options
    plan: Plan
    view_heads: ViewHeads | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the fit was in closed form, and shaped the model by its covariances."""
        weighted = any(basis.weights is not None for basis in self.bases.values())
        return weighted or any(view.reads_surface for view in self.vae.design.matrices)

    @property
    def roles(self) -> Roles:
        """Roles of columns and modalities."""
        return self.preparation.roles

    @property
    def survival(self) -> Reported | None:
        """Reported head of the first survival outcome, ``None`` without."""
        return self._first("survival")

    @property
    def labels(self) -> Reported | None:
        """Reported head of the first labels, ``None`` without."""
        return self._first("labels")

    def _first(self, role: str) -> Reported | None:
        named = self.roles.named
        return next((head for name, head in self.outcomes.items() if named[name] == role), None)

    def cohort(self, tables: Tables) -> Cohort:
        """Patients as the model sees them."""
        return self.see(self.preparation.transform(tables))

    def see(self, cohort: Cohort) -> Cohort:
        """A prepared cohort as the model sees it: rotated, without effects that are off."""
        return rotate(without_technical(cohort, self.options), self.bases)

    def latents(self, cohort: Cohort, given: Sequence[str] | str | None = None) -> Latents:
        """Posterior of the latents, looking at the views ``given`` (all by default)."""
        return Latents(self.vae, cohort if given is None else cohort.mask_views(given))


def without_technical(cohort: Cohort, options: Options) -> Cohort:
    """The cohort without technical columns if their effects are off."""
    if options.effects != "none":
        return cohort
    return replace(cohort, technical=cohort.technical[:, :0], technical_groups=())
