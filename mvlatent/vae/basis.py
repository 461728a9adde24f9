"""Thin singular value bases of the views: saturated scores, and the rotation they allow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, CohortView
from mvlatent.data.sparse_rows import SparseRows
from mvlatent.vae.likelihoods import likelihood_of

__all__ = ["Basis", "can_rotate", "fit_bases", "rotate", "surface_of"]

MAX_RANK = 1024
TOLERANCE = 1e-3  # of the largest singular value
MAX_SPARSE_ROWS = 2000  # of a sparse view that its basis is learnt on


def surface_of(view: CohortView) -> Tensor:
    """Values of a view on the scale that is nearly linear in the latents, (n, p)."""
    return likelihood_of(view).surface(view.values, view.exposure)


@dataclass(frozen=True, eq=False)
class Basis:
    """Leading right singular vectors of a view's training rows.

    Attributes
    ----------
    centre
        Mean of the training rows, (p,), on the view's surface: scaled units of a normal view,
        log-normalised counts, logits of shares.
    directions
        Orthonormal columns, (p, r).
    rotated
        Whether the model sees the scores in place of the features.
    weights
        What each feature is multiplied by first, (p,): one over its own noise sd, so that noise is
        alike in all directions; ``None``: nothing.
    """

    centre: Tensor
    directions: Tensor
    rotated: bool = False
    weights: Tensor | None = None

    @classmethod
    def fit(cls, view: CohortView, *, rotated: bool = False) -> Basis:
        """Learn the saturated basis from the rows that have the view.

        Unobserved entries count as the centre.
        """
        rows = view.present.nonzero().squeeze(1)
        if isinstance(view.x, SparseRows) and len(rows) > MAX_SPARSE_ROWS:
            rows = rows[torch.linspace(0, len(rows) - 1, MAX_SPARSE_ROWS).long()]
        view = view.subset(rows)
        x, seen = surface_of(view), view.observed
        centre = x.mean(0) if seen is None else (x * seen).sum(0) / seen.sum(0).clamp_min(1)
        x = x - centre if seen is None else (x - centre) * seen
        gram = (x @ x.T if len(x) <= x.shape[1] else x.T @ x).double()
        values, vectors = torch.linalg.eigh(gram)
        values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
        keep = int((values > TOLERANCE**2 * values[0]).sum().clamp(1, MAX_RANK))
        vectors = vectors[:, :keep]
        if len(x) <= x.shape[1]:
            vectors = x.double().T @ vectors / values[:keep].sqrt()
        return cls(centre, vectors.float().contiguous(), rotated)

    def scores(self, view: CohortView) -> Tensor:
        """Scores of the rows, (N, r); 0 where the patient lacks the view."""
        if self.rotated and view.residual is not None:
            return view.values
        parts = []
        for rows in view.chunks():
            some = view.subset(rows)
            weights = some.present[:, None] if some.observed is None else some.observed
            parts.append(self.project(surface_of(some), weights))
        return torch.cat(parts)

    def project(self, surface: Tensor, weights: Tensor | None = None) -> Tensor:
        """Scores of rows of the surface, (..., n, r); entries with weight 0 count as the centre."""
        x = surface - self.centre
        return self.lower(x if weights is None else x * weights)

    def rotate(self, view: CohortView) -> CohortView:
        """The view in its own basis, with the energy that lies outside of it.

        Entries that were not observed, in a view complete in training, count as the centre.
        """
        seen = view.present[:, None] if view.observed is None else view.observed
        x = torch.where(seen, view.values - self.centre, 0.0)
        x = x if self.weights is None else x * self.weights
        scores = x @ self.directions
        residual = (x.square().sum(1) - scores.square().sum(1)).clamp_min(0.0)
        rank = scores.shape[1]
        features = tuple(f"direction_{j}" for j in range(rank))
        outside = view.x.shape[1] - rank
        return replace(
            view, x=scores, features=features, residual=residual, n_outside=outside, observed=None
        )

    def lift(self, linear: Tensor) -> Tensor:
        """Loadings on the features, (..., p), of loadings on the model's columns, (..., r or p)."""
        if not self.rotated:
            return linear
        lifted = linear @ self.directions.T
        return lifted if self.weights is None else lifted / self.weights

    def lower(self, linear: Tensor) -> Tensor:
        """Loadings on the directions, (..., r), of loadings on the features, (..., p)."""
        return (linear if self.weights is None else linear * self.weights) @ self.directions

    def variance(self, along: Tensor, outside: Tensor) -> Tensor:
        """Variance of the features, (..., p), of independent parts along and outside the basis."""
        square = self.directions.square()
        found = along @ square.T + (1.0 - square.sum(1)).clamp_min(0.0) * outside
        return found if self.weights is None else found / self.weights.square()

    @property
    def log_volume(self) -> float:
        """Log density of a row that the weights add."""
        return 0.0 if self.weights is None else float(self.weights.double().log().sum())

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Arrays that rebuild the basis."""
        found = {
            f"{prefix}/centre": self.centre.numpy(),
            f"{prefix}/directions": self.directions.numpy(),
        }
        return (
            found if self.weights is None else {**found, f"{prefix}/weights": self.weights.numpy()}
        )


def can_rotate(view: CohortView) -> bool:
    """Whether the rotation of a view is exact and saves work.

    Exact needs one noise scale for all features, normal noise and no missing entry.
    """
    n = int(view.present.sum())
    plain = likelihood_of(view).gaussian and view.noise == "view" and view.observed is None
    return plain and n < view.x.shape[1]


def fit_bases(cohort: Cohort) -> dict[str, Basis]:
    """Bases of all matrices, learnt on the training patients."""
    return {
        name: Basis.fit(view, rotated=can_rotate(view)) for name, view in cohort.matrices.items()
    }


def rotate(cohort: Cohort, bases: dict[str, Basis]) -> Cohort:
    """The cohort as the model sees it: rotated where the basis says so."""
    turned = {
        name: bases[name].rotate(view)
        for name, view in cohort.matrices.items()
        if bases[name].rotated
    }
    return replace(cohort, views={**cohort.views, **turned})
