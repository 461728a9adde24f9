"""Views as the closed-form fit takes them: surfaces in their thin-SVD bases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mvlatent.data.cohort import CohortView
from mvlatent.fitting.private import noise_edge
from mvlatent.vae.basis import surface_of

__all__ = ["Scores", "filled_surface", "noise_weights", "scores_of", "thin_svd"]

TOLERANCE = 1e-5  # of the largest squared singular value
NOISE_ROUNDS, MIN_NOISE, MIN_NOISE_DISCRETE = 3, 0.03, 0.5
NOISE_ROWS = 1000  # patients that noise is learnt on at most
MAX_SPIKES = 60  # directions of a view that are taken for more than noise


@dataclass(frozen=True, eq=False)
class Scores:
    """A view in the thin-SVD basis of its patients.

    Attributes
    ----------
    values
        Scores of all patients, (N, r); 0 where the view is missing. Their columns are orthogonal
        and have mean 0 over the patients who have the view.
    present
        Who has the view, (N,) bool.
    energy
        Squared norm of each column, (r,), falling.
    total
        Squared norm of the view, directions beyond the r included.
    centre
        Mean of the surface, (p,).
    directions
        Orthonormal columns, (p, r).
    features
        Features of the view; ``None``: the rows of the directions.
    """

    values: Tensor
    present: Tensor
    energy: Tensor
    total: float
    centre: Tensor
    directions: Tensor
    features: int | None = None

    @property
    def width(self) -> int:
        """Features of the view."""
        return len(self.directions) if self.features is None else self.features

    @property
    def n(self) -> int:
        """Patients who have the view."""
        return int(self.present.sum())

    def subset(self, rows: Tensor) -> Scores:
        """The patients of a fold (bool, (N,)), in a basis of their own."""
        here = self.present & rows
        own = self.values[here]
        mean = own.mean(0)
        turn, energy = thin_svd(own - mean)
        values = torch.where(self.present[:, None], (self.values - mean) @ turn, 0.0)
        beyond = self.total - float(self.energy.sum())  # along directions that were left out
        total = float(energy.sum()) + max(beyond, 0.0) * len(own) / max(self.n, 1)
        return Scores(values, here, energy, total, mean, turn, self.width)


def thin_svd(x: Tensor) -> tuple[Tensor, Tensor]:
    """Right singular vectors (p, r) and squared singular values (r,), from the smaller gram."""
    wide = x.shape[0] <= x.shape[1]
    gram = (x @ x.T if wide else x.T @ x).double()
    values, vectors = torch.linalg.eigh(gram)
    keep = int((values > TOLERANCE * values[-1].clamp_min(1e-30)).sum().clamp_min(1))
    values, vectors = values.flip(0)[:keep].clamp_min(1e-12), vectors.flip(1)[:, :keep]
    if wide:
        return x.T @ (vectors / values.sqrt()).to(x.dtype), values.to(x.dtype)
    return vectors.to(x.dtype), values.to(x.dtype)


def filled_surface(view: CohortView) -> tuple[Tensor, Tensor]:
    """Surface of a view less its mean, (N, p), 0 where nothing was seen; and that mean, (p,)."""
    x = surface_of(view)
    weights = view.present[:, None] if view.observed is None else view.observed
    weights = (weights & view.present[:, None]).to(x.dtype)
    centre = (x * weights).sum(0) / weights.expand_as(x).sum(0).clamp_min(1)
    return (x - centre) * weights, centre


def scores_of(x: Tensor, present: Tensor) -> Scores:
    """Thin-SVD scores of rows x (N, p), which are 0 where the view is missing.

    Parameters
    ----------
    x
        Rows of the surface.
    present
        Who has the view.
    """
    own = x[present]
    mean = own.mean(0)
    own = own - mean
    directions, energy = thin_svd(own)
    values = x.new_zeros(len(x), len(energy))
    values[present] = own @ directions
    return Scores(values, present, energy, float(own.square().sum()), mean, directions)


def even_rows(x: Tensor, most: int) -> Tensor:
    """At most so many rows, at even distances."""
    return x if len(x) <= most else x[torch.linspace(0, len(x) - 1, most).long()]


def noise_weights(x: Tensor, least: float = MIN_NOISE) -> Tensor:
    """One over the noise sd of each feature, (p,), by principal axis factoring.

    Leading directions explain part of a feature; the rest is its noise, by which it is scaled, and
    directions are taken anew.

    Parameters
    ----------
    x
        Rows of a view, (n, p).
    least
        Share of a feature's own variance that is noise at least.

    References
    ----------
    Owen & Wang (2016), Bi-cross-validation for factor analysis.
    """
    x = even_rows(x, NOISE_ROWS)
    x = x - x.mean(0)
    n, p = x.shape
    sd = x.square().mean(0).sqrt()
    weights = 1.0 / sd.clamp_min(1e-3 * float(sd.max().clamp_min(1e-12)))
    for _ in range(NOISE_ROUNDS):
        directions, energy = thin_svd(x * weights)
        k = min(int((energy > noise_edge(energy, n, p)).sum()), len(energy) // 3, MAX_SPIKES)
        level = energy[k:].sum() / max(p - k, 1)
        explained = directions[:, :k].square() @ (energy[:k] - level).clamp_min(0.0)
        total = (x * weights).square().sum(0)
        noise = ((total - explained) / total.clamp_min(1e-12)).clamp_min(least) * total / n
        weights = weights / noise.sqrt().clamp_min(1e-6)
    return weights
