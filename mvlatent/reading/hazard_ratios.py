"""Hazard ratios of a head's columns and blocks, with credible intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mvlatent.data.outcome_data import OutcomeData, SurvivalData
from mvlatent.data.preparation import Preparation
from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.mixture import LaplaceMixture

__all__ = [
    "block_hazard_ratios",
    "column_hazard_ratios",
    "column_names",
    "column_sds",
    "column_units",
    "with_numbers",
]


def column_names(
    sizes: Mapping[str, int], named: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Row names of each block's columns: ``clinical:age`` where named, ``shared_0`` elsewhere."""
    return {
        block: [f"{block}:{name}" for name in named[block]]
        if block in named
        else [f"{block}_{j}" for j in range(size)]
        for block, size in sizes.items()
    }


def column_units(sizes: Mapping[str, int], preparation: Preparation) -> dict[str, Tensor]:
    """One user's unit of each column by block: 1 but for covariates that were scaled."""
    out = {block: torch.ones(size) for block, size in sizes.items()}
    covariates = {"clinical": preparation.clinical, "technical": preparation.technical}
    for block, encoders in covariates.items():
        if block in out:
            scale = [
                1.0 / encoder.scale if column == encoder.name else 1.0
                for encoder in encoders
                for column in encoder.columns
            ]
            out[block] = torch.tensor(scale)
    return out


def column_sds(sizes: Mapping[str, int], blocks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sd over patients of each column by block, of blocks (n, at least p_b).

    Raises
    ------
    ValueError
        If there is one patient only.
    """
    _check_several(all(len(x) > 1 for x in blocks.values()))
    return {block: blocks[block][:, :size].std(0) for block, size in sizes.items()}


def column_hazard_ratios(
    head: BlockHead,
    names: Mapping[str, Sequence[str]],
    units: Mapping[str, Tensor],
    *,
    level: float,
    n_samples: int,
    seed: int,
) -> pd.DataFrame:
    """Hazard ratio of each column, all others held.

    Parameters
    ----------
    head
        A survival head.
    names
        Blocks to show and the names of their columns.
    units
        Size of the step of each column that the ratio is of, (p_b,) by block.
    level
        Level of the central credible interval.
    n_samples, seed
        Draws of the coefficients.

    Returns
    -------
    DataFrame
        One row a column: ``hr`` (posterior median), ``lower``, ``upper`` and ``p_effect``, the
        posterior probability of the likelier sign: that of draws of a ratio above 1, or of those
        below 1, whichever are more. Draws in which the column's block has no effect are neither.
    """
    drawn = head.coefficient_draws(n_samples, torch.Generator().manual_seed(seed))
    log_hr = [drawn[block][..., 0] * units[block].double() for block in names]
    index = [name for block in names for name in names[block]]
    values = torch.cat(log_hr, 1).numpy()
    table = _table(values, index, level)
    table["p_effect"] = np.maximum((values > 0).mean(0), (values < 0).mean(0))
    return table


def block_hazard_ratios(
    head: BlockHead,
    blocks: Mapping[str, Tensor],
    *,
    level: float,
    n_samples: int,
    seed: int,
    off: float = 0.0,
) -> pd.DataFrame:
    """Hazard ratio of patients one sd apart in what a block says of the log hazard, at least 1.

    Parameters
    ----------
    head
        A survival head.
    blocks
        Features of the patients over whom the sd is taken, (n, p_b).
    level, n_samples, seed
        As in `column_hazard_ratios`.
    off
        Prior probability that a block has no effect, with which the head was fitted.

    Returns
    -------
    DataFrame
        One row a block: ``hr``, ``lower``, ``upper`` and ``p_effect``, the posterior probability
        that the block has any effect at all; NaN where ``off`` is 0, as the head then takes for
        granted that it has one, or where the head was sampled with all blocks on.
    """
    _check_several(all(len(x) > 1 for x in blocks.values()))
    drawn = head.coefficient_draws(n_samples, torch.Generator().manual_seed(seed))
    spread = []
    for name, beta in drawn.items():
        x = blocks[name].double()
        spread.append(((x - x.mean(0)) @ beta[..., 0].T).std(0, correction=0))
    table = _table(torch.stack(spread, 1).numpy(), list(drawn), level)
    asked = off > 0 and isinstance(head.posterior, LaplaceMixture)
    table["p_effect"] = pd.Series(head.effect_probability if asked else {}, dtype=float)
    return table


def with_numbers(table: pd.DataFrame, data: OutcomeData | None, cause: int) -> pd.DataFrame:
    """The table, with patients and events of the outcome in ``attrs``: ``n`` and ``events``.

    Parameters
    ----------
    table
        Hazard ratios.
    data
        Outcomes of the model's patients; ``None`` where it has none, and the numbers then are too.
    cause
        Of competing causes the one whose events are counted, from 1.
    """
    numbers: dict[str, int | None] = {"n": None, "events": None}
    if isinstance(data, SurvivalData):
        own = data.event > 0 if data.cause is None else data.cause == cause
        numbers = {"n": int(data.observed.sum()), "events": int((own & data.observed).sum())}
    table.attrs |= numbers
    return table


def _check_several(several: bool) -> None:
    """Raise ValueError unless there are patients over whom an sd can be taken."""
    if not several:
        raise ValueError("one patient has no sd; take mdata of several, or per='unit'.")


def _table(log_hr: np.ndarray, index: list[str], level: float) -> pd.DataFrame:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level!r}.")
    ends = np.quantile(log_hr, [0.5, 0.5 - level / 2, 0.5 + level / 2], axis=0)
    return pd.DataFrame(np.exp(ends).T, index, ["hr", "lower", "upper"])
