"""Where prognosis lives: shares of the log hazard's variance by block, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort
from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.causes import Head, fit_head
from mvlatent.outcomes.likelihoods import outcome_target
from mvlatent.specs import Survival

__all__ = ["ledger", "ledger_head", "residual_scores", "variance_shares"]

OFF = 0.5  # prior probability that a block has nothing to say of prognosis
N_SDS = 48  # points of the posterior of which blocks do, and how much
NEGLIGIBLE = 0.01  # a share below one per cent is no share
MOSTLY = 0.5  # probability that nothing varies, above which shares would be those of rare draws


def residual_scores(
    blocks: Mapping[str, Tensor], training: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Blocks with each view's scores replaced by what they say beyond z and the view's w.

    The scores are regressed (least squares, intercept) on the means of z and of the view's private
    latent. So scores are given only what no latent can say, and shares are identified.

    Parameters
    ----------
    blocks
        Blocks of patients, as `mvlatent.heads.blocks.head_blocks` makes them.
    training
        Blocks of the patients the regression is learnt on; the same patients by default.
    """
    known = blocks if training is None else training
    out = {name: x.double() for name, x in blocks.items()}
    for name in blocks:
        kind, _, view = name.partition(":")
        if kind == "scores":
            slope = torch.linalg.lstsq(_latents(known, view), known[name].double(), driver="gelsd")
            out[name] = blocks[name].double() - _latents(blocks, view) @ slope.solution
    return out


def ledger_head(blocks: Mapping[str, Tensor], cohort: Cohort, spec: Survival) -> Head:
    """Survival head on every block of the patients, for `ledger`.

    Raises
    ------
    ValueError
        If the patients have no survival outcome.
    """
    if spec.name not in cohort.outcomes:
        raise ValueError("the patients have no survival outcome to learn a ledger from.")
    target = outcome_target(cohort.outcomes[spec.name], spec)
    return fit_head(blocks, target, n_sds=N_SDS, off=OFF)


def _latents(blocks: Mapping[str, Tensor], view: str) -> Tensor:
    """Intercept, z and the view's w side by side, (n, 1 + k + d)."""
    parts = [blocks[name].double() for name in ("shared", f"private:{view}") if name in blocks]
    return torch.cat([torch.ones(len(parts[0]), 1, dtype=torch.float64), *parts], 1)


def variance_shares(parts: Tensor) -> Tensor:
    """Share of each part of a sum in its variance over patients; never negative, sum one.

    With standard deviations s and correlations R of the parts, the share of part b is the square of
    element b of ``R^1/2 s``, over the variance ``s' R s``: parts are decorrelated with as little
    change as possible, and each correlation counts half for either side. Uncorrelated parts have
    their own variance. Where all parts are constant every share is zero.

    Parameters
    ----------
    parts
        Parts of the log hazard, (..., n, B).

    Returns
    -------
    Tensor
        Shares, (..., B).

    References
    ----------
    Zuber & Strimmer (2011). High-dimensional regression and variable selection using CAR scores.
    Genizi (1993). Decomposition of R^2 in multiple regression with correlated regressors.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[1.0, 2.0], [-1.0, 2.0], [1.0, -2.0], [-1.0, -2.0]])
    >>> [round(share, 3) for share in variance_shares(x).tolist()]
    [0.2, 0.8]
    """
    centred = parts - parts.mean(-2, keepdim=True)
    rounding = torch.finfo(parts.dtype).eps ** 0.75 * parts.abs().amax(-2, keepdim=True)
    centred = torch.where(centred.abs().amax(-2, keepdim=True) > rounding, centred, 0.0)
    covariance = centred.mT @ centred / parts.shape[-2]
    sd = covariance.diagonal(dim1=-2, dim2=-1).clamp(min=0.0).sqrt()
    safe = torch.where(sd > 0, sd, 1.0)
    correlation = covariance / safe[..., None] / safe[..., None, :]
    values, vectors = torch.linalg.eigh(correlation)
    root = (vectors * values.clamp(min=0.0).sqrt()[..., None, :]) @ vectors.mT
    squared = (root @ sd[..., None])[..., 0].square()
    total = squared.sum(-1, keepdim=True)
    return torch.where(total > 0, squared / torch.where(total > 0, total, 1.0), 0.0)


def ledger(
    head: BlockHead, blocks: Mapping[str, Tensor], *, level: float, n_samples: int, seed: int
) -> pd.DataFrame:
    """Shares of the log hazard's variance by block.

    Where no block says anything of prognosis there is no variance to share. So the shares are those
    of the draws in which the log hazard varies; if it is constant in most of them, or the patients
    do not differ, the shares are NaN, with a warning.

    Parameters
    ----------
    head
        Survival head on blocks with residual scores.
    blocks
        The blocks of the patients over whom the variance is taken, (n, p_b).
    level
        Level of the intervals: the shortest that hold this much of the posterior, so that a block
        without prognosis has a lower end of 0.
    n_samples, seed
        Draws of the coefficients.

    Returns
    -------
    DataFrame
        One row a block: ``share`` (posterior mean), ``lower``, ``upper``. Its
        ``attrs["constant"]`` is the posterior probability that the log hazard is constant.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level!r}.")
    drawn = head.coefficient_draws(n_samples, torch.Generator().manual_seed(seed))
    parts = torch.stack([(blocks[b].double() @ beta[..., 0].T).T for b, beta in drawn.items()], -1)
    shares = variance_shares(parts).numpy()
    varies = shares.any(-1)
    constant = 1.0 - float(varies.mean())
    if constant > MOSTLY:
        warnings.warn(
            f"the log hazard is the same for all {parts.shape[1]} patients with probability "
            f"{constant:.2f}: there is no variance to share, so the ledger holds NaN.",
            UserWarning,
            stacklevel=3,
        )
        table = pd.DataFrame(np.nan, list(drawn), ["share", "lower", "upper"])
    else:
        mean = shares[varies].mean(0)
        lower, upper = _shortest(shares[varies], level)
        lower, upper = np.minimum(lower, mean), np.maximum(upper, mean)
        table = pd.DataFrame({"share": mean, "lower": lower, "upper": upper}, list(drawn))
    table.attrs["constant"] = constant
    return table


def _shortest(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the shortest intervals that hold ``level`` of the draws (S, B), opened at 0 and 1."""
    ordered = np.sort(draws, axis=0)
    inside = max(1, int(np.ceil(level * len(ordered))))
    width = ordered[inside - 1 :] - ordered[: len(ordered) - inside + 1]
    start = width.argmin(0)
    columns = np.arange(draws.shape[1])
    lower, upper = ordered[start, columns], ordered[start + inside - 1, columns]
    return (
        np.where(lower < NEGLIGIBLE, 0.0, lower),
        np.where(upper > 1 - NEGLIGIBLE, 1.0, upper),
    )
