"""Sizes and families of a model: all that is needed to build it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from mvlatent.data.cohort import CohortView
from mvlatent.vae.parts import PartDesign, part_class

__all__ = ["Design", "ViewDesign"]


@dataclass(frozen=True)
class ViewDesign:
    """Shape of the part of the model that belongs to a matrix.

    ``n_private`` counts the ``n_rest`` columns of w that nobody is shown: they hold what the
    leading ones do not. With ``reads_surface`` the view speaks of z through its surface.
    ``n_outside`` counts the dimensions outside the basis of a rotated view.
    """

    kind: ClassVar[str] = "matrix"

    name: str
    likelihood: str
    noise: str
    n_features: int
    n_outside: int = 0
    n_private: int = 8
    levels: tuple[int, ...] = ()
    exposed: bool = False
    n_rest: int = 0
    reads_surface: bool = False

    @property
    def n_shown(self) -> int:
        """Columns of w that are shown."""
        return self.n_private - self.n_rest

    @classmethod
    def of(cls, name: str, view: CohortView, n_private: int) -> ViewDesign:
        """Design for a view of a cohort."""
        n_features, outside = view.x.shape[1], view.n_outside
        return cls(
            name,
            view.likelihood,
            view.noise,
            n_features,
            outside,
            n_private,
            view.levels,
            view.exposure is not None,
        )


@dataclass(frozen=True)
class Design:
    """Everything needed to build the model again with the same parameters.

    Parameters
    ----------
    views
        One design a view, in the order of the cohort: a `ViewDesign` of a matrix.
    n_shared
        Dimensions of z.
    technical_groups
        ``(start, stop)`` of the technical columns that share one effect variance.
    n_technical
        Columns of the technical design.
    decoder, encoder, effects
        Names in the registries; ``encoder="auto"`` is exact where the decoder is linear and an MLP
        elsewhere.
    n_hidden
        Width of networks.
    prior, n_components
        Name of the prior of z in its registry, and its components where it has any.
    loadings
        Posterior of the loadings, a name in its registry, or ``"point"`` for none.
    top_down
        Whether the guide of w is told z; without, w is read from its view alone.
    """

    views: tuple[PartDesign, ...]
    n_shared: int = 16
    technical_groups: tuple[tuple[int, int], ...] = ()
    n_technical: int = 0
    decoder: str = "linear"
    encoder: str = "auto"
    effects: str = "random"
    n_hidden: int = 64
    powers: dict[str, float] = field(default_factory=dict)
    prior: str = "normal"
    n_components: int = 8
    loadings: str = "point"
    top_down: bool = True

    @property
    def encoder_kind(self) -> str:
        """The encoder that is built."""
        if self.encoder != "auto":
            return self.encoder
        return "exact" if self.decoder == "linear" else "mlp"

    @property
    def matrices(self) -> tuple[ViewDesign, ...]:
        """Designs of the views that are matrices."""
        return tuple(view for view in self.views if isinstance(view, ViewDesign))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        state = asdict(self)
        views = zip(self.views, state["views"], strict=True)
        return {**state, "views": [{"kind": view.kind, **own} for view, own in views]}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Design:
        """Inverse of `to_dict`."""
        groups = tuple((int(a), int(b)) for a, b in state["technical_groups"])
        views = tuple(_view_from_dict(**view) for view in state["views"])
        return cls(**{**state, "views": views, "technical_groups": groups})


def _view_from_dict(kind: str, **fields: Any) -> PartDesign:
    """A view's design; JSON knows lists where there were tuples."""
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    view: PartDesign = part_class(kind).design_class(**known)
    return view
