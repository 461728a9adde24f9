"""The cohort as tensors: the wall between tables and model, and all that the model sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from mvlatent.data.outcome_data import LabelData, OutcomeData, SurvivalData, TargetData
from mvlatent.data.sparse_rows import SparseRows
from mvlatent.data.view_rows import ViewRows

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Cohort",
    "CohortView",
    "Group",
    "LabelData",
    "OutcomeData",
    "SurvivalData",
    "TargetData",
    "ViewRows",
]

Held = TypeVar("Held")

CHUNK_ELEMENTS = 10_000_000  # of the rows of a sparse view that are made dense at a time


@dataclass(frozen=True, eq=False)
class CohortView:
    """One modality of N patients.

    Attributes
    ----------
    x
        Scaled values, (N, p) float32, 0 where missing; counts may be sparse. A categorical view
        has a column a level, an ordinal one holds the number of its level from 0.
    present
        Whether the patient has the view, (N,) bool.
    observed
        Whether the entry was measured, (N, p) bool; ``None``: every entry of the present rows was.
    likelihood, noise
        As in `mvlatent.specs.View`.
    features
        Names of the p columns.
    residual
        Squared norm of each row outside a rotated basis, (N,); ``None`` where nothing was rotated.
    n_outside
        Dimensions outside that basis (p before the rotation minus p).
    exposure
        Log library size or burden of each row around its mean on the training rows, (N,), 0 where
        the view is absent; ``None`` without an offset.
    levels
        Number of levels: one number of an ordinal view, one a feature of a categorical view.
    """

    x: Tensor | SparseRows
    present: Tensor
    observed: Tensor | None
    likelihood: str
    noise: str
    features: tuple[str, ...]
    residual: Tensor | None = None
    n_outside: int = 0
    exposure: Tensor | None = None
    levels: tuple[int, ...] = ()

    @property
    def values(self) -> Tensor:
        """The values of all rows, (N, p), dense."""
        return self.x.dense() if isinstance(self.x, SparseRows) else self.x

    def dense(self) -> CohortView:
        """Return the view with dense values."""
        return replace(self, x=self.x.dense()) if isinstance(self.x, SparseRows) else self

    def chunks(self) -> Iterator[Tensor]:
        """Yield row numbers, all at once unless the view is sparse and too large to be dense."""
        step = len(self.present)
        if isinstance(self.x, SparseRows):
            step = max(1, CHUNK_ELEMENTS // max(self.x.shape[1], 1))
        yield from torch.arange(len(self.present), device=self.present.device).split(max(step, 1))

    def subset(self, rows: Tensor) -> CohortView:
        """Return the view of the rows given by integer index (or bool mask)."""
        return replace(
            self,
            x=self.x[rows],
            present=self.present[rows],
            observed=None if self.observed is None else self.observed[rows],
            residual=None if self.residual is None else self.residual[rows],
            exposure=None if self.exposure is None else self.exposure[rows],
        )

    def where(self, kept: Tensor) -> CohortView:
        """Return the view, absent for patients who are not kept, (N,) bool; values stay."""
        return replace(self, present=self.present & kept)

    def absent(self) -> CohortView:
        """Return the view as if no patient had it; no value is left in it."""
        x = self.x
        if isinstance(x, SparseRows):
            nothing: Tensor | SparseRows = SparseRows.empty(
                x.shape[0], x.shape[1], self.present.device
            )
        else:
            nothing = torch.zeros_like(x)
        return replace(
            self,
            x=nothing,
            present=torch.zeros_like(self.present),
            observed=None,
            residual=None if self.residual is None else torch.zeros_like(self.residual),
            exposure=None if self.exposure is None else torch.zeros_like(self.exposure),
        )

    def to(self, device: torch.device | str) -> CohortView:
        """Return the view on another device."""
        return replace(
            self,
            x=self.x.to(device),
            present=self.present.to(device),
            observed=None if self.observed is None else self.observed.to(device),
            residual=None if self.residual is None else self.residual.to(device),
            exposure=None if self.exposure is None else self.exposure.to(device),
        )


@dataclass(frozen=True)
class Group:
    """Columns of the technical matrix that encode one covariate.

    Attributes
    ----------
    name
        The covariate's column in ``obs``.
    columns
        Where its columns are in `Cohort.technical`.
    kind
        ``"categorical"`` (one column a level, all zero where missing or unknown) or
        ``"continuous"``.
    levels
        A name for each of its columns.
    """

    name: str
    columns: slice
    kind: str
    levels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cohort:
    """N patients as aligned tensors.

    Attributes
    ----------
    obs_names
        Names of the patients, in the order of every tensor's rows.
    views
        Modalities by name: matrices (`CohortView`), or what else can be read into evidence.
    technical
        Encoded technical covariates, (N, q) float32; q may be 0.
    technical_groups
        Which columns of ``technical`` belong to which covariate.
    clinical
        Encoded clinical covariates, (N, c) float32; c may be 0.
    clinical_names
        A name for each column of ``clinical``.
    outcomes
        Outcomes by name; those that the patients lack are left out.
    lacking
        Clinical covariates that new patients have no column of: ``clinical`` is NaN there.
    """

    obs_names: tuple[str, ...]
    views: Mapping[str, ViewRows]
    technical: Tensor
    technical_groups: tuple[Group, ...]
    clinical: Tensor
    clinical_names: tuple[str, ...]
    outcomes: dict[str, OutcomeData] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()

    @property
    def survival(self) -> SurvivalData | None:
        """The first survival outcome that the patients have, ``None`` without."""
        return self.first(SurvivalData)

    @property
    def labels(self) -> LabelData | None:
        """The first classes that the patients have, ``None`` without."""
        return self.first(LabelData)

    def first(self, record: type[Held]) -> Held | None:
        """Return the first outcome of a record, ``None`` if there is none."""
        return next((v for v in self.outcomes.values() if isinstance(v, record)), None)

    def __len__(self) -> int:
        """Return the number of patients."""
        return len(self.obs_names)

    @property
    def presence(self) -> Tensor:
        """Which patient has which view, (N, M) bool, columns in the order of ``views``."""
        if not self.views:
            return torch.zeros(len(self), 0, dtype=torch.bool)
        return torch.stack([v.present for v in self.views.values()], dim=1)

    @property
    def matrices(self) -> dict[str, CohortView]:
        """The views that are matrices."""
        return {k: v for k, v in self.views.items() if isinstance(v, CohortView)}

    def subset(self, rows: Tensor | np.ndarray | list[int]) -> Cohort:
        """Return the patients given by integer index (in that order) or by a bool mask."""
        index = torch.as_tensor(rows)
        index = index.nonzero().squeeze(1) if index.dtype == torch.bool else index.long()
        return replace(
            self,
            obs_names=tuple(self.obs_names[i] for i in index.tolist()),
            views={k: v.subset(index) for k, v in self.views.items()},
            technical=self.technical[index],
            clinical=self.clinical[index],
            outcomes={k: v.subset(index) for k, v in self.outcomes.items()},
        )

    def chunks(self) -> Iterator[Tensor]:
        """Yield row numbers, all at once unless a view is sparse and too large to be dense."""
        step = min((len(next(v.chunks())) for v in self.views.values()), default=len(self))
        yield from torch.arange(len(self)).split(max(step, 1))

    def dense(self) -> Cohort:
        """Return the cohort with every view dense: what a batch is."""
        views = {k: v.dense() for k, v in self.views.items()}
        same = all(views[k] is v for k, v in self.views.items())
        return self if same else replace(self, views=views)

    def mask_views(self, given: Iterable[str]) -> Cohort:
        """Return the cohort with every view that is not in ``given`` marked absent.

        Raises
        ------
        KeyError
            If a name of ``given`` is not a view.
        """
        keep = [given] if isinstance(given, str) else list(given)
        for name in keep:
            if name not in self.views:
                raise KeyError(f"no view {name!r}; the views are {', '.join(self.views)}.")
        return replace(
            self, views={k: v if k in keep else v.absent() for k, v in self.views.items()}
        )

    def to(self, device: torch.device | str) -> Cohort:
        """Return the cohort on another device."""
        return replace(
            self,
            views={k: v.to(device) for k, v in self.views.items()},
            technical=self.technical.to(device),
            clinical=self.clinical.to(device),
            outcomes={k: v.to(device) for k, v in self.outcomes.items()},
        )
