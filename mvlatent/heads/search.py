"""The search for the sds of a head's blocks, and predictions at where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mvlatent.heads.evidence import SLOPE_TOLERANCE, EmpiricalBayes, fit_block_sds
from mvlatent.heads.scaling import BlockScaling, checked_blocks, starting_sds
from mvlatent.heads.spaces import Space, make_space
from mvlatent.outcomes.bound import BoundLikelihood

__all__ = ["Search", "predicted_at_mode"]


@dataclass
class Search:
    """Scaled blocks of the rows with an outcome, and where the search for their sds begins."""

    scaling: BlockScaling
    x: list[Tensor]
    space: Space
    bound: BoundLikelihood
    offset: Tensor
    tau: Tensor
    fixed: Tensor

    @classmethod
    def of(
        cls,
        blocks: Mapping[str, Tensor],
        bound: BoundLikelihood,
        start: Mapping[str, float] | None = None,
        fixed_sd: Mapping[str, float] | None = None,
        offset: Tensor | None = None,
    ) -> Search:
        rows = {k: v.detach().double()[bound.rows] for k, v in checked_blocks(blocks).items()}
        scaling = BlockScaling.fit(rows)
        x = scaling(rows)
        tau, fixed = starting_sds(scaling, fixed_sd or {})
        if start is not None:
            near = [start.get(name, 0.0) for name in scaling.names]
            tau = torch.where(fixed, tau, torch.tensor(near, dtype=torch.float64))
        shape = (len(bound.rows), bound.n_outputs)
        known = torch.zeros(shape, dtype=torch.float64)
        if offset is not None:
            known = known + offset.double()[bound.rows].reshape(shape[0], -1)
        return cls(scaling, x, make_space(x), bound, known, tau, fixed)

    def run(self, *, max_iter: int = 50, settled: float = SLOPE_TOLERANCE) -> EmpiricalBayes:
        """Sds of the largest evidence."""
        return fit_block_sds(
            self.space,
            self.bound,
            self.offset,
            self.tau,
            self.fixed,
            max_iter=max_iter,
            settled=settled,
        )


def predicted_at_mode(
    blocks: Mapping[str, Tensor],
    bound: BoundLikelihood,
    new: Mapping[str, Tensor],
    *,
    start: Mapping[str, float] | None = None,
    settled: float = SLOPE_TOLERANCE,
) -> Tensor:
    """Linear predictors (n, C) of new rows by a head without a posterior, for inner folds.

    Parameters
    ----------
    blocks, bound, start, settled
        As in `BlockHead.fit`.
    new
        Blocks of the new rows, (n, p_b).
    """
    search = Search.of(blocks, bound, start)
    found = search.run(settled=settled)
    mode = search.space.coefficients(found.mode.coord) * search.scaling.by_column(found.tau)
    return torch.cat(search.scaling(new), -1) @ mode.T
