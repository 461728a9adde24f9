r"""The linear shared/private model in closed form: generalized CCA, then EM that only climbs.

Every view is Gaussian around :math:`z A_m + b_m` with a free, shrunk private covariance
:math:`\Psi_m` (see `mvlatent.fitting.private`). With such a covariance the most probable z is that
of a regularised canonical correlation analysis: what one view alone knows stays in its
:math:`\Psi`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvlatent.fitting.private import PrivateCovariance, regress
from mvlatent.fitting.surfaces import Scores

__all__ = ["Groups", "Latent", "SharedModel", "group_means"]

MIN_ENERGY = 1e-6  # of the strongest direction, in those that patients leave empty
LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True, eq=False)
class Groups:
    """Technical columns (N, q) along which z may have means of its own while it is fitted.

    Subtypes that are commoner at one hospital would otherwise cost z their square for every
    patient. ``variance`` (q,) is that of a mean.
    """

    design: Tensor
    variance: Tensor


@dataclass(frozen=True, eq=False)
class Latent:
    """Posterior of z: means (N, k), covariances (g, k, k) of the patterns of views, and whose."""

    mean: Tensor
    covariance: Tensor
    pattern: Tensor

    def second_moment(self, rows: Tensor) -> Tensor:
        """Sum of E[uu'] over the rows (bool), u = [z, 1], (k + 1, k + 1)."""
        u = _with_one(self.mean[rows])
        gram = (u.T @ u).double()
        count = torch.bincount(self.pattern[rows], minlength=len(self.covariance)).double()
        k = self.mean.shape[1]
        gram[:k, :k] += torch.einsum("g,gkl->kl", count, self.covariance)
        return gram


def _with_one(z: Tensor) -> Tensor:
    return torch.cat([z, torch.ones_like(z[:, :1])], 1)


class SharedModel:
    """Loadings and private covariances of all views, climbed by EM.

    Parameters
    ----------
    views
        Thin-SVD scores of each view.
    ridges
        What the prior of each private covariance adds to the energies, (r,).
    z
        Scores to start from, (N, k).
    groups
        Technical columns along which z has means of its own, ``None`` for none.
    widths
        Features of each view, p; the columns of the scores by default.

    Attributes
    ----------
    private
        Loadings, intercept and private covariance of each view.
    caution
        Factor by which evidence is weakened when z is read.
    """

    def __init__(
        self,
        views: Sequence[Scores],
        ridges: Sequence[Tensor],
        z: Tensor,
        *,
        groups: Groups | None = None,
        widths: Sequence[int] | None = None,
    ) -> None:
        self.views, self.ridges, self.groups = list(views), list(ridges), groups
        self.k, self.z = z.shape[1], z
        self.widths = [len(v.energy) for v in views] if widths is None else list(widths)
        self.presence = torch.stack([v.present for v in views], 1)
        codes = self.presence.long() @ (2 ** torch.arange(len(self.views)))
        self.codes, self.pattern = torch.unique(codes, return_inverse=True)
        self.caution = 1.0
        self.means = z.new_zeros(0 if groups is None else groups.design.shape[1], self.k)
        none = z.new_zeros(len(self.codes), self.k, self.k).double()
        latent = Latent(z, none, self.pattern)
        flat = torch.full((self.k + 1,), 1e-6, dtype=torch.float64)
        flat[-1] = 0.0
        self.priors = [flat] * len(self.views)
        self.private: list[PrivateCovariance] = []
        self.maximise(latent)
        self.priors = [self._prior(m) for m in range(len(self.views))]
        self.maximise(latent)

    def _prior(self, m: int) -> Tensor:
        """Precision of a view's loadings, factor by factor, in units of its private covariance."""
        view, psi = self.views[m], self.private[m]
        free = self._freedoms(m)
        size = psi.precision.diagonal() + free / max(view.n, 1)
        prior = free / size.clamp_min(1e-12)
        prior[-1] = 0.0
        return prior

    def _freedoms(self, m: int) -> float:
        """Degrees of freedom of regression on a view."""
        view = self.views[m]
        return float(
            (view.energy / (view.energy + self.ridges[m]).clamp_min(1e-12)).clamp_max(1).sum()
        )

    # --- the two steps ------------------------------------------------------------------------

    def evidence(self, m: int, values: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Potential (N, k) and precision (k, k) of a view on z."""
        psi, k = self.private[m], self.k
        values = self.views[m].values if values is None else values
        potential = values @ psi.pull[:, :k].to(values.dtype)
        return potential - psi.precision[:k, k].to(values.dtype), psi.precision[:k, :k]

    def posterior(
        self,
        presence: Tensor | None = None,
        values: Sequence[Tensor] | None = None,
        *,
        grouped: bool = True,
    ) -> Latent:
        """Posterior of z given the views of ``presence`` (all that there are by default).

        ``grouped`` is how the climb sees it, around the means of groups; without, it is read as
        that of any patient, with `caution`.
        """
        seen = self.presence if presence is None else presence
        codes = seen.long() @ (2 ** torch.arange(len(self.views)))
        codes, pattern = torch.unique(codes, return_inverse=True)
        potential = torch.zeros(len(seen), self.k, dtype=self.views[0].values.dtype)
        precision = torch.eye(self.k, dtype=torch.float64).expand(len(codes), -1, -1).clone()
        trust = 1.0 if grouped else 1.0 / self.caution
        for m in range(len(self.views)):
            own, sure = self.evidence(m, None if values is None else values[m])
            potential += trust * own * seen[:, m, None]
            precision += trust * ((codes >> m) & 1).double()[:, None, None] * sure
        if grouped and self.groups is not None:
            potential += self.groups.design @ self.means
        covariance = torch.linalg.inv(precision)
        each = covariance.to(potential.dtype)[pattern]
        return Latent((each @ potential[..., None])[..., 0], covariance, pattern)

    def maximise(self, latent: Latent) -> None:
        """Means of groups, then loadings and private covariance of every view, given z."""
        if self.groups is not None:
            self.means = group_means(self.groups, latent.mean)
        u = _with_one(latent.mean)
        private = []
        for view, ridge, prior in zip(self.views, self.ridges, self.priors, strict=True):
            gram = latent.second_moment(view.present)
            projection = (u * view.present[:, None]).T @ view.values
            found = regress(
                view.energy.double(), ridge.double(), view.n, gram, projection.double(), prior
            )
            private.append(found)
        self.private = private

    def sweep(self) -> Latent:
        """One sweep of EM; the posterior of z where it began."""
        latent = self.posterior()
        self.maximise(latent)
        return latent

    def terms(
        self, latent: Latent | None = None, names: Sequence[str] | None = None
    ) -> dict[str, float]:
        r"""The criterion by its terms, in nats: a bound that is tight at the posterior, priors.

        ``x:<view>`` is :math:`E_q \log p(x_m \mid z)`, ``kl:z`` minus the divergence of q from the
        prior of z. Directions without energy, of which a view of p features and n patients has p -
        r, count too: their private variance is that of the prior.
        """
        latent = self.posterior() if latent is None else latent
        views = range(len(self.views))
        names = [str(m) for m in views] if names is None else names
        found = {f"x:{name}": self._log_view(m, latent) for m, name in enumerate(names)}
        found["kl:z"] = self._kl(latent)
        priors = [self._log_prior(m) for m in views]
        found["prior:loadings"] = sum(loadings for loadings, _ in priors)
        found["prior:private"] = sum(private for _, private in priors)
        if self.groups is not None:
            size = self.means.double().square().sum(1) / self.groups.variance
            found["prior:means"] = -0.5 * float(size.sum())
        return found

    def criterion(self, latent: Latent | None = None) -> float:
        """Log density of all views with z integrated out, and of the priors, in nats."""
        return sum(self.terms(latent).values())

    def _kl(self, latent: Latent) -> float:
        """Minus the divergence of the posterior of z from its prior."""
        mean = latent.mean.double()
        if self.groups is not None:
            mean = mean - (self.groups.design @ self.means).double()
        count = torch.bincount(latent.pattern, minlength=len(latent.covariance)).double()
        trace = latent.covariance.diagonal(dim1=1, dim2=2).sum(1)
        volume = torch.logdet(latent.covariance)
        unsure = (count * (trace - volume - self.k)).sum()
        return -0.5 * float(mean.square().sum() + unsure)

    def _log_view(self, m: int, latent: Latent) -> float:
        """Expected log density of a view, summed over its patients."""
        view, psi = self.views[m], self.private[m]
        own = view.values[view.present]
        scaled = own @ psi.scaled.T.to(own.dtype)
        energy = (view.energy.double() / psi.diagonal).sum()
        energy = energy + (psi.kernel * (scaled.T @ scaled).double()).sum()
        u = _with_one(latent.mean[view.present])
        cross = ((own @ psi.pull.to(own.dtype)) * u).double().sum()
        fitted = (psi.precision * latent.second_moment(view.present)).sum()
        constant = psi.log_det + self.widths[m] * LOG_2PI + self._outside(m)
        return -0.5 * float(energy - 2 * cross + fitted + view.n * constant)

    def _outside(self, m: int) -> float:
        """Log variance of the directions of a view that its patients leave empty, summed."""
        empty = self.widths[m] - len(self.views[m].energy)
        return empty * math.log(self.empty_variance(m)) if empty else 0.0

    def empty_variance(self, m: int) -> float:
        """Private variance of a direction without energy."""
        view = self.views[m]
        return max(float(self.empty_energy(m)), MIN_ENERGY * float(view.energy[0])) / (
            view.n + self.k
        )

    def empty_energy(self, m: int) -> Tensor:
        """What the prior adds to a direction without energy: as to the faintest there is."""
        return self.ridges[m][-1] + self.views[m].energy[-1]

    def _log_prior(self, m: int) -> tuple[float, float]:
        """Log density of a view's loadings, and of its private covariance (up to a constant)."""
        psi, p, k = self.private[m], self.widths[m], self.k
        alpha = self.priors[m][:k]
        ridge = self.ridges[m].double()
        trace = (ridge / psi.diagonal).sum()
        trace = trace + (psi.kernel * ((psi.scaled * ridge) @ psi.scaled.T)).sum()
        empty = (p - len(psi.diagonal)) * (self.views[m].n + k)
        loadings = 0.5 * (p * (alpha.log() - LOG_2PI) - alpha * psi.precision.diagonal()[:k]).sum()
        volume = 0.5 * k * (psi.log_det + self._outside(m))
        return float(loadings - volume), -0.5 * float(trace + empty)

    # --- what comes of it -----------------------------------------------------------------------

    def predict(self, m: int, latent: Latent) -> Tensor:
        """Expected scores of a view given z, (N, r)."""
        return _with_one(latent.mean) @ self.private[m].loadings.to(latent.mean.dtype)

    def first(self, k: int) -> SharedModel:
        """The model of the first k scores that it was started from, before any sweep."""
        z = self.z[:, :k]
        return SharedModel(self.views, self.ridges, z, groups=self.groups, widths=self.widths)


def group_means(groups: Groups, z: Tensor) -> Tensor:
    """Most probable means of z along the technical columns, (q, k)."""
    design = groups.design
    gram = (design.T @ design).double() + torch.diag(1.0 / groups.variance.double())
    means: Tensor = torch.linalg.solve(gram, (design.T @ z).double())
    return means.to(z.dtype)
