"""The options of a model's shape, which check themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mvlatent.fitting.start.rank import RANK_WORDS
from mvlatent.fitting.start.spectral import STARTS
from mvlatent.heads.choice import AUTO
from mvlatent.objectives.base import Term
from mvlatent.objectives.terms import as_terms, teachers
from mvlatent.specs.checks import (
    as_names,
    as_python,
    check_choice,
    check_flag,
    check_number,
    check_size,
    check_whole,
    shown,
)
from mvlatent.vae.decoders import DECODERS
from mvlatent.vae.effects import EFFECTS
from mvlatent.vae.experts import EXPERTS
from mvlatent.vae.loadings import LOADINGS
from mvlatent.vae.priors import PRIORS

__all__ = ["Options"]

CHOICES = {
    "decoder": tuple(DECODERS),
    "encoder": ("auto", *EXPERTS),
    "effects": EFFECTS,
    "start": STARTS,
    "rank": RANK_WORDS,
    "prior": tuple(PRIORS),
    "loadings": ("point", *LOADINGS),
}
SIZES = ("n_shared", "n_private", "n_hidden", "n_components")


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
        Let z learn from cross-view prediction alone (`objectives` must hold ``"cross_view"``, or
        another term that teaches z by itself): the views are decoded from a z that they cannot
        teach. For views in which private variation dominates.

    Raises
    ------
    KeyError
        If there is no objective of that name.
    TypeError
        If an option is of another kind than it has to be.
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
        """Check names and ranges, then what excludes what."""
        for option in fields(self):
            object.__setattr__(self, option.name, as_python(getattr(self, option.name)))
        self._check_each()
        blocks = as_names("head_blocks", self.head_blocks, of="blocks")
        object.__setattr__(self, "head_blocks", AUTO if self.head_blocks is None else blocks)
        object.__setattr__(self, "objectives", as_terms(self.objectives))
        self._check_together()

    def _check_each(self) -> None:
        """ValueError if an option by itself cannot be."""
        for what, choices in CHOICES.items():
            check_choice(what, getattr(self, what), choices)
        for what in SIZES:
            check_size(what, getattr(self, what))
        if self.sweeps is not None:
            check_whole("sweeps", self.sweeps, 0)
        powers = {} if self.likelihood_power is None else self.likelihood_power
        if not isinstance(powers, Mapping):
            raise TypeError(
                "likelihood_power must be a power by view, such as {'rna': 0.5}, not "
                f"{shown(powers)}."
            )
        for name, power in powers.items():
            check_number(f"likelihood_power of {name!r}", power, 0, above=True)
        check_number("rho", self.rho, 0)
        for what in ("top_down", "stop_gradient"):
            check_flag(what, getattr(self, what))

    def _check_together(self) -> None:
        """ValueError if options exclude each other."""
        if self.encoder == "exact" and self.decoder != "linear":
            raise ValueError(
                f"encoder='exact' follows from a linear decoder, not from {self.decoder!r}; "
                "take encoder='auto'."
            )
        if self.stop_gradient and not self.has_teacher:
            term, typed = teachers()
            raise ValueError(
                f"stop_gradient=True leaves z nothing to learn from; add {term}, {typed}."
            )
        if self.stop_gradient and self.rho > 0:
            raise ValueError(
                "rho balances the outcome against the views' gradient at z, which stop_gradient "
                "takes away; give one of the two."
            )

    @property
    def has_teacher(self) -> bool:
        """Whether a term is on that z can learn from by itself."""
        return any(term.teaches_z and term.weight > 0 for term in self.objectives)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {**asdict(self), "objectives": [term.to_dict() for term in self.objectives]}
