"""A prior of the latents learnt by flow matching, and the latents estimated again under it.

A fitted model gives each patient N(μ, Σ), the posterior of z under the prior N(0, I). A velocity
field carries N(0, I) at t = 0 to the patients' z at t = 1 along straight paths (conditional optimal
transport); with its density p, the posterior under the learnt prior is that of the model times
p(z) / N(z; 0, I), so that weighted draws of the former estimate the latter: no step of it knows the
truth, and the encoder and decoder are those of the model. Two rounds, as the z that the prior is
learnt from change with it; the number of steps is chosen by the loss of patients left out.

References
----------
Lipman, Chen, Ben-Hamu, Nickel and Le (2023), Flow matching for generative modeling.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Reestimated", "Velocity", "log_density", "reestimated", "train"]

WIDTH, FREQUENCIES = 128, 4
STEPS, CHECK, BATCH, LR = 2000, 50, 512, 2e-3
SHARE_LEFT_OUT = 0.2
N_TIMES = 16  # of the midpoint rule
N_DRAWS, N_ROUNDS = 32, 2
CHUNK = 20_000


class Velocity(nn.Module):
    """Velocity of latents (n, k) at times (n,)."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(k + 2 * FREQUENCIES, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, WIDTH),
            nn.SiLU(),
            nn.Linear(WIDTH, k),
        )

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """Velocity, (n, k)."""
        angles = t[:, None] * torch.pi * torch.arange(1, FREQUENCIES + 1)
        return self.net(torch.cat([z, angles.sin(), angles.cos()], 1))

    def with_divergence(self, z: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (n, k) and its divergence (n,), exact."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            out = self(z, t)
            divergence = torch.zeros(len(z))
            for j in range(z.shape[1]):
                (slope,) = torch.autograd.grad(out[:, j].sum(), z, retain_graph=True)
                divergence += slope[:, j]
        return out.detach(), divergence


class Reestimated(NamedTuple):
    """Of each patient: posterior mean (N, k), covariance (N, k, k), and the code of the mean."""

    mean: Tensor
    covariance: Tensor
    code: Tensor


def train(draws: Tensor, weights: Tensor, generator: torch.Generator) -> Velocity:
    """Learn the velocity field from weighted draws of each patient, (N, S, k) and (N, S)."""
    n, _, k = draws.shape
    field = Velocity(k)
    optimiser = torch.optim.Adam(field.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    order = torch.randperm(n, generator=generator)
    left_out, kept = order.split([round(SHARE_LEFT_OUT * n), n - round(SHARE_LEFT_OUT * n)])

    def batch(rows: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
        patients = rows[torch.randint(len(rows), (size,), generator=generator)]
        chosen = torch.multinomial(weights[patients], 1, generator=generator)[:, 0]
        end = draws[patients, chosen]
        begin = torch.randn(size, k, generator=generator)
        t = torch.rand(size, generator=generator)
        return begin + t[:, None] * (end - begin), t, end - begin

    judged_on = batch(left_out, 8 * BATCH)  # fixed, so that steps are comparable
    least, best = float("inf"), copy.deepcopy(field.state_dict())
    for step in range(1, STEPS + 1):
        z, t, wanted = batch(kept, BATCH)
        optimiser.zero_grad()
        (field(z, t) - wanted).square().mean().backward()
        optimiser.step()
        schedule.step()
        if step % CHECK == 0:
            with torch.no_grad():
                z, t, wanted = judged_on
                loss = float((field(z, t) - wanted).square().mean())
            if loss < least:
                least, best = loss, copy.deepcopy(field.state_dict())
    field.load_state_dict(best)
    return field


def log_density(field: Velocity, z: Tensor) -> tuple[Tensor, Tensor]:
    """Log density (n,) of latents (n, k) under the flow, and their codes at t = 0 (n, k)."""
    logs, codes = [], []
    for x in z.split(CHUNK):
        growth = torch.zeros(len(x))
        h = 1 / N_TIMES
        for step in range(N_TIMES):
            t = torch.full((len(x),), 1 - step * h)
            with torch.no_grad():
                middle = x - h / 2 * field(x, t)
            velocity, divergence = field.with_divergence(middle, t - h / 2)
            x, growth = x - h * velocity, growth + h * divergence
        logs.append(standard_log_density(x) - growth)
        codes.append(x)
    return torch.cat(logs), torch.cat(codes)


def standard_log_density(z: Tensor) -> Tensor:
    """Log density of N(0, I), (n,)."""
    return -0.5 * (z.square() + np.log(2 * np.pi)).sum(1)


def reestimated(mean: Tensor, covariance: Tensor, seed: int) -> Reestimated:
    """Posterior of z under a prior learnt from the patients' own posteriors.

    Parameters
    ----------
    mean, covariance
        Of each patient's z under the prior N(0, I), (N, k) and (N, k, k).
    seed
        Of the draws and the network.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    mean, covariance = mean.float(), covariance.float()
    n, k = mean.shape
    noise = torch.randn(n, N_DRAWS, k, generator=generator)
    draws = mean[:, None] + torch.einsum("nkl,nsl->nsk", torch.linalg.cholesky(covariance), noise)
    weights = torch.full((n, N_DRAWS), 1 / N_DRAWS)
    for _ in range(N_ROUNDS):
        field = train(draws, weights, generator)
        flat = draws.reshape(-1, k)
        gain = log_density(field, flat)[0] - standard_log_density(flat)
        weights = gain.reshape(n, N_DRAWS).softmax(1)
    found = torch.einsum("ns,nsk->nk", weights, draws)
    away = draws - found[:, None]
    spread = torch.einsum("ns,nsk,nsl->nkl", weights, away, away)
    return Reestimated(found, spread, log_density(field, found)[1])
