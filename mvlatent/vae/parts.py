"""What the model asks of a view, whatever it is made of, and the registry of kinds of views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from mvlatent.specs.implementation import implementation_of
from mvlatent.vae.evidence import Evidence

__all__ = ["PARTS", "Part", "PartDesign", "part_class"]

PARTS: dict[str, str] = {"matrix": "mvlatent.vae.view_part:ViewPart"}
"""Class of the part by the kind of its design, as ``"module:Class"``."""


class PartDesign(Protocol):
    """Sizes of one view's part: a frozen dataclass of what JSON can hold.

    Attributes
    ----------
    kind
        Name in `PARTS`.
    name
        Of the view.
    n_private, n_shown
        Columns of w, and how many of them, the first, are shown.
    """

    kind: ClassVar[str]

    @property
    def name(self) -> str: ...
    @property
    def n_private(self) -> int: ...
    @property
    def n_shown(self) -> int: ...


class ModelDesign(Protocol):
    """What a part may ask of the whole model's design, a `mvlatent.vae.design.Design`."""

    @property
    def n_shared(self) -> int: ...
    @property
    def n_technical(self) -> int: ...


class Part(nn.Module, ABC):
    """What the model holds of one view: all that model, guide and posterior know of it.

    A matrix is one kind of view, `mvlatent.vae.view_part.ViewPart`. Another kind is a subclass that
    reads its rows into evidence and adds their log density, a design, and a line in `PARTS`. Rows
    are whatever the cohort holds of the view, see `mvlatent.data.cohort.ViewRows`.

    Parameters
    ----------
    view
        Design of this part.
    design
        Of the whole model.
    """

    design_class: ClassVar[type[Any]]  # builds ``view`` again from its fields

    active: Tensor  # private factors that are not switched off, (d,)
    private_sd: Tensor  # of w among patients, where its prior is wider than they are, (d,)
    affine = False  # whether the mean of w is affine in z, given the view

    def __init__(self, view: PartDesign, design: ModelDesign) -> None:
        super().__init__()
        self.name = view.name
        self.n_shared, self.n_technical = design.n_shared, design.n_technical
        self.n_private, self.n_shown = view.n_private, view.n_shown
        self.register_buffer("active", torch.ones(view.n_private, dtype=torch.bool))
        self.register_buffer("private_sd", torch.ones(view.n_private))

    @property
    def shown(self) -> Tensor:
        """Which of the private factors that are shown are on."""
        return self.active[: self.n_shown]

    # --- what every view has to say -----------------------------------------------------------

    @abstractmethod
    def read(self, rows: Any, technical: Tensor) -> Evidence:
        """What the rows of n patients say of z, and of w given z.

        Parameters
        ----------
        rows
            The view of these patients; those who lack it may get any numbers.
        technical
            Their technical design, (n, q).
        """

    @abstractmethod
    def evidence_precision(self) -> Tensor:
        """Precision that the complete view of an average patient puts on z, (k, k)."""

    @abstractmethod
    def observe(
        self,
        rows: Any,
        z: Tensor,
        w: Tensor,
        technical: Tensor,
        drawn: Any,
        *,
        clamped: bool = False,
    ) -> None:
        """State the log density of the rows as Pyro sites whose names begin with ``x:<name>``.

        Called within the plate of patients, those who lack the view masked.

        Parameters
        ----------
        rows, technical
            As in `read`.
        z, w
            Latents, (n, k) and (n, d).
        drawn
            What `prior_sites` returned.
        clamped
            Whether w is at its prior, to be integrated out where that has a closed form.
        """

    # --- what some have beside it ---------------------------------------------------------------

    def prior_sites(self) -> Any:
        """Sites of the model that no patient owns (effects, loadings), and their values."""
        return None

    def guide_sites(self) -> None:
        """The same sites in the guide."""

    def hold_inactive(self, active: Tensor) -> None:
        """Drop gradients of what belongs to factors that are off; ``active`` are those of z."""

    @property
    def technical_energy(self) -> Tensor | None:
        """Patients behind the effect of each technical column, (q,); ``None`` without effects."""
        return None

    def technical_pull(self, column: int) -> Tensor | None:
        """Precision that the prior of a column's effects puts on a shift of z, (k, k)."""
        return None


def part_class(kind: str) -> type[Part]:
    """The class of the parts of a kind of view.

    Raises
    ------
    KeyError
        If the kind is not registered.

    Examples
    --------
    >>> part_class("matrix").__name__
    'ViewPart'
    """
    if kind not in PARTS:
        raise KeyError(f"no kind of view {kind!r}; the kinds are {', '.join(PARTS)}.")
    found: type[Part] = implementation_of(PARTS[kind])
    return found
