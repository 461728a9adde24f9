"""Library size or burden of patients whose view is absent: what the latents say of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ExposureOfAbsent", "exposed"]

RIDGE = 1.0  # patients' worth of no relation at all


def exposed(eta: Tensor, exposure: Tensor | None) -> Tensor:
    """Linear predictor (..., n, p) with the exposure of its rows, (..., n)."""
    return eta if exposure is None else eta + exposure.unsqueeze(-1)


class ExposureOfAbsent(nn.Module):
    r"""A log-normal exposure given the latents and the technical covariates.

    :math:`\log e_i \sim N(m + a'z_i + c's_i, \omega^2)`, by least squares on the training rows
    that have the view. A total depends on the latents through the features it is the total of, so
    that an exposure independent of them would count their variance twice.

    Parameters
    ----------
    n_shared, n_technical
        Dimensions of z and of s.
    """

    coefficients: Tensor
    sd: Tensor

    def __init__(self, n_shared: int, n_technical: int) -> None:
        super().__init__()
        self.register_buffer("coefficients", torch.zeros(1 + n_shared + n_technical))
        self.register_buffer("sd", torch.zeros(()))

    @torch.no_grad()
    def fit(self, exposure: Tensor, mean: Tensor, covariance: Tensor, technical: Tensor) -> None:
        """Learn from exposures (n,), posteriors of z (n, k), (n, k, k), and s (n, q)."""
        design = self._design(mean, technical)
        gram = design.T @ design + RIDGE * torch.eye(design.shape[1])
        z = slice(1, 1 + mean.shape[1])
        gram[z, z] += covariance.sum(0)  # z is not known but to its posterior
        product = design.T @ exposure
        self.coefficients.copy_(torch.linalg.solve(gram, product))
        left = exposure.square().mean() - self.coefficients @ product / len(exposure)
        self.sd.copy_(left.clamp_min(0.0).sqrt())

    def mean(self, z: Tensor, technical: Tensor) -> Tensor:
        """Expected log exposure, (..., n), for z (..., n, k) and s (n, q)."""
        return self._design(z, technical) @ self.coefficients

    def draw(self, z: Tensor, technical: Tensor) -> Tensor:
        """One draw of it, (..., n)."""
        mean = self.mean(z, technical)
        return mean + self.sd * torch.randn_like(mean)

    @staticmethod
    def _design(z: Tensor, technical: Tensor) -> Tensor:
        s = technical.expand(*z.shape[:-1], technical.shape[-1])
        return torch.cat([z.new_ones(*z.shape[:-1], 1), z, s], -1)
