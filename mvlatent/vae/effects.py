"""Effects of technical covariates on a view: random, free, or none."""

from __future__ import annotations

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor, nn

__all__ = ["EFFECTS", "TechnicalEffects"]

EFFECTS = ("random", "free", "none")
FREE_SD = 100.0  # a prior so wide that it explains nothing away
MIN_SD = 1e-3


class TechnicalEffects(nn.Module):
    r"""Effects :math:`B_{qj} \sim N(0, \omega_q^2)` of technical columns on a view's features.

    The posterior is Gaussian; its location is learnt and its sd follows in closed form
    from the noise, ``(energy_q · weight_j + 1/ω_q²)^{-1/2}``, so that a site with few patients
    stays uncertain. ω is estimated by moments and held: a joint point estimate of B and ω is
    unbounded and collapses.

    Parameters
    ----------
    n_columns
        Technical columns ``q`` of the design matrix.
    n_features
        Features ``p`` of the view.
    kind
        ``"random"``, or ``"free"`` for a prior too wide to matter.

    References
    ----------
    Laird & Ware (1982), Random-effects models for longitudinal data.
    """

    prior_sd: Tensor
    energy: Tensor

    def __init__(self, n_columns: int, n_features: int, *, kind: str = "random") -> None:
        super().__init__()
        self.kind = kind
        self.loc = nn.Parameter(torch.zeros(n_columns, n_features))
        self.register_buffer("prior_sd", torch.full((n_columns,), FREE_SD))
        self.register_buffer("energy", torch.ones(n_columns))

    def prior(self) -> dist.Independent:
        """Prior of B, one event of shape (q, p)."""
        sd = self.prior_sd.unsqueeze(-1).expand_as(self.loc)
        return dist.Normal(torch.zeros_like(self.loc), sd).to_event(2)

    def sd(self, weight: Tensor) -> Tensor:
        """Posterior sd of B, (q, p), for the working weights (p,) of the view's features."""
        precision = (
            self.energy.unsqueeze(-1) * weight + self.prior_sd.square().reciprocal()[:, None]
        )
        return precision.rsqrt()

    def posterior(self, weight: Tensor) -> dist.Independent:
        """Posterior of B, one event of shape (q, p)."""
        return dist.Normal(self.loc, self.sd(weight)).to_event(2)

    def variance_of_rows(self, design: Tensor, groups: Sequence[slice], weight: Tensor) -> Tensor:
        """Variance of ``design @ B``, (n, p).

        A categorical covariate whose row is all zero (unknown level) adds ``ω²`` of its group.
        """
        variance = design.square() @ self.sd(weight).square()
        for columns in groups:
            unknown = design[:, columns].abs().sum(1) == 0
            variance = variance + (unknown * self.prior_sd[columns].square().mean()).unsqueeze(-1)
        return variance

    @torch.no_grad()
    def start(
        self, residual: Tensor, design: Tensor, groups: Sequence[slice], *, n_features: int = 0
    ) -> None:
        """Set ω by moments and B by shrunken group means.

        Parameters
        ----------
        residual
            What is to be explained, (n, p), on the scale of the linear predictor.
        design
            Technical design matrix, (n, q).
        groups
            Columns of the design that share one ω.
        n_features
            Features over which variances are averaged, where a rotated view has more of them than
            columns; the columns by default.
        """
        share = residual.shape[1] / max(n_features, residual.shape[1])
        self.energy.copy_(design.square().sum(0).clamp_min(1e-6))
        estimate = design.T @ residual / self.energy[:, None]  # means of levels, or slopes
        noise = share * (residual - design @ estimate).square().mean(0)  # (p,)
        for columns in groups:
            if self.kind == "free":
                omega2 = torch.tensor(FREE_SD**2)
            else:
                seen = self.energy[columns] > 1
                sampling = noise.mean() / self.energy[columns]
                between = share * estimate[columns].square().mean(1)
                weight = self.energy[columns] * seen
                omega2 = ((between - sampling) * weight).sum() / weight.sum().clamp_min(1e-6)
            self.prior_sd[columns] = omega2.clamp_min(MIN_SD**2).sqrt()
        shrink = self.energy / (self.energy + noise.mean() / self.prior_sd.square())
        self.loc.copy_(estimate * shrink[:, None])
