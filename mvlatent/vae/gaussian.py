"""Gaussians in natural parameters: the arithmetic of products of experts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints, register_kl

__all__ = ["Patients", "PrecisionNormal", "StandardNormal"]


class Patients(TorchDistribution):
    """A distribution a patient whose batch is never widened."""

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012
    has_rsample = True

    def expand(self, batch_shape: Any, _instance: Any = None) -> Patients:
        if torch.Size(batch_shape) != self.batch_shape:
            raise ValueError(f"{self.batch_shape} patients cannot be expanded to {batch_shape}.")
        return self


class StandardNormal(Patients):
    r"""The prior :math:`N(0, I_k)` of ``n`` patients.

    Parameters
    ----------
    n
        Number of patients (batch shape).
    k
        Number of dimensions (event shape).
    like
        A tensor whose dtype and device are taken.

    Examples
    --------
    >>> StandardNormal(3, 2).sample().shape
    torch.Size([3, 2])
    """

    support = constraints.real_vector

    def __init__(self, n: int, k: int, like: Tensor | None = None) -> None:
        self._like = torch.zeros(()) if like is None else like
        super().__init__(torch.Size([n]), torch.Size([k]), validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self._like.new_zeros(self.batch_shape + self.event_shape)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        shape = self._extended_shape(sample_shape)
        return torch.randn(shape, dtype=self._like.dtype, device=self._like.device)

    def log_prob(self, value: Tensor) -> Tensor:
        k = self.event_shape[0]
        return -0.5 * value.square().sum(-1) - 0.5 * k * math.log(2 * math.pi)


class PrecisionNormal(Patients):
    r"""A Gaussian a patient, given by potential and precision.

    :math:`N(\Lambda^{-1} h, \Lambda^{-1})`, where the patients that share a precision
    share its factorisation: with exact experts there is one a pattern of missing views.

    Parameters
    ----------
    potential
        ``h``, natural location, (..., n, k).
    precision
        ``Λ``, (g, k, k), symmetric positive definite.
    group
        Index of each patient's precision, (n,), in ``0..g-1``; ``None`` means ``g == 1``
        (shared by all) or ``g == n`` (one each).
    cholesky
        Lower factor of ``Λ`` where it is known already.

    Examples
    --------
    >>> q = PrecisionNormal(torch.ones(3, 2), 4.0 * torch.eye(2)[None])
    >>> q.mean[0].tolist(), q.sd[0].tolist()
    ([0.25, 0.25], [0.5, 0.5])
    """

    support = constraints.real_vector

    def __init__(
        self,
        potential: Tensor,
        precision: Tensor,
        group: Tensor | None = None,
        *,
        cholesky: Tensor | None = None,
    ) -> None:
        self.potential, self.precision, self.group = potential, precision, group
        self._cholesky = torch.linalg.cholesky(precision) if cholesky is None else cholesky
        eye = torch.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
        # Λ = LL' hence Λ⁻¹ = FF' with F = L^{-T}
        inverse = torch.linalg.solve_triangular(self._cholesky, eye, upper=False)
        self._factor = inverse.mT
        self._mean = self._times(self._factor @ inverse, potential)
        super().__init__(potential.shape[:-1], potential.shape[-1:], validate_args=False)

    @classmethod
    def joined(cls, parts: Sequence[PrecisionNormal]) -> PrecisionNormal:
        """One distribution of consecutive patients, each part with one precision or one each."""
        potential = torch.cat([part.potential for part in parts], -2)
        if all(len(part.precision) == 1 for part in parts):
            return cls(potential, parts[0].precision, cholesky=parts[0]._cholesky)
        each = [p.precision.expand(p.batch_shape[-1], -1, -1) for p in parts]
        return cls(potential, torch.cat(each))

    def _times(self, matrices: Tensor, vectors: Tensor) -> Tensor:
        """Multiply each patient's vector by the matrix of the patient's group."""
        if matrices.shape[0] == 1:
            return vectors @ matrices[0].mT
        if self.group is not None:
            matrices = matrices[self.group]
        return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)

    def _of_patient(self, per_group: Tensor) -> Tensor:
        """Spread a quantity of the groups over the patients."""
        if self.group is not None:
            return per_group[self.group]
        n = self.batch_shape[-1]
        return per_group.expand(n, *per_group.shape[1:]) if per_group.shape[0] == 1 else per_group

    @property
    def mean(self) -> Tensor:
        return self._mean

    @property
    def covariance(self) -> Tensor:
        """Covariance of each patient, (n, k, k)."""
        return self._of_patient(self._factor @ self._factor.mT)

    @property
    def variance(self) -> Tensor:
        return self._of_patient(self._factor.square().sum(-1)).expand_as(self.mean)

    @property
    def sd(self) -> Tensor:
        """Marginal standard deviations, (..., n, k)."""
        return self.variance.sqrt()

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008
        noise = torch.randn(
            self._extended_shape(sample_shape), dtype=self.mean.dtype, device=self.mean.device
        )
        return self.mean + self._times(self._factor, noise)

    @property
    def log_det_precision(self) -> Tensor:
        """Log determinant of each patient's precision, (n,)."""
        return self._of_patient(2 * self._cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1))

    def log_prob(self, value: Tensor) -> Tensor:
        whitened = self._times(self._cholesky.mT, value - self.mean)
        k = self.event_shape[0]
        quadratic = whitened.square().sum(-1)
        return 0.5 * (self.log_det_precision - quadratic - k * math.log(2 * math.pi))


@register_kl(StandardNormal, StandardNormal)  # type: ignore[untyped-decorator]
def _kl_standard_standard(q: StandardNormal, p: StandardNormal) -> Tensor:
    return q._like.new_zeros(q.batch_shape)


@register_kl(PrecisionNormal, PrecisionNormal)  # type: ignore[untyped-decorator]
def _kl_precision_precision(q: PrecisionNormal, p: PrecisionNormal) -> Tensor:
    # Λp = LL': tr(Λp Σq) = ‖L'F‖², and the distance of the means is that of L'μ
    whitener = p._of_patient(p._cholesky).mT
    if q.precision.shape[0] == 1 and p.precision.shape[0] == 1:
        trace = (p._cholesky.mT @ q._factor).square().sum((-2, -1))
    else:
        trace = (whitener @ q._of_patient(q._factor)).square().sum((-2, -1))
    distance = p._times(p._cholesky.mT, q.mean - p.mean).square().sum(-1)
    k = q.event_shape[0]
    return 0.5 * (trace + distance - k + q.log_det_precision - p.log_det_precision)


@register_kl(PrecisionNormal, StandardNormal)  # type: ignore[untyped-decorator]
def _kl_precision_standard(q: PrecisionNormal, p: StandardNormal) -> Tensor:
    trace = q._of_patient(q._factor.square().sum((-2, -1)))
    k = q.event_shape[0]
    return 0.5 * (trace + q.mean.square().sum(-1) - k + q.log_det_precision)
