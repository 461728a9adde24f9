"""An outcome as inner folds see it: fitted on some patients, scored on the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, OutcomeData
from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.causes import Head
from mvlatent.heads.search import predicted_at_mode
from mvlatent.outcomes.bound import BoundCauses, BoundLikelihood, bound_parts
from mvlatent.outcomes.role import role_of
from mvlatent.specs import OutcomeSpec

__all__ = ["HeldOutOutcome"]

SETTLED = 0.1  # nats of evidence by which an inner fold may miss the sds of its blocks


class HeldOutOutcome:
    """An outcome that can be fitted on some patients and scored on others, as its role says.

    Parameters
    ----------
    cohort
        The patients.
    spec
        The outcome.

    Raises
    ------
    ValueError
        If the patients have no such outcome.
    """

    def __init__(self, cohort: Cohort, spec: OutcomeSpec) -> None:
        data = cohort.outcomes.get(spec.name)
        if data is None:
            raise ValueError(f"the patients have no outcome {spec.name!r}.")
        self.data: OutcomeData = data
        self.role = role_of(spec)
        self.horizon = self.role.horizon(data)

    def bound(self, rows: np.ndarray | None = None) -> Any:
        """Likelihood bound to the outcomes of the rows (all by default)."""
        data = self.data if rows is None else self.data.subset(torch.as_tensor(rows))
        return self.role.likelihood(data).bind(data)

    def predictive(
        self,
        blocks: Mapping[str, Tensor],
        bound: BoundLikelihood | BoundCauses,
        new: Mapping[str, Tensor],
        start: Head | None = None,
    ) -> Tensor:
        """What held-out rows are scored by: linear predictors (n, C), or draws of them (S, n, C).

        Parameters
        ----------
        blocks, bound
            Blocks of training rows, and the likelihood bound to their outcomes.
        new
            Blocks of the held-out rows.
        start
            Head with whose sds the search begins.
        """
        parts, n_draws = bound_parts(bound), self.role.n_draws
        sds = [None] * len(parts) if start is None else [head.tau for head in start.parts]
        eta = []
        for part, tau in zip(parts, sds, strict=True):
            if n_draws:
                head = BlockHead.fit(blocks, part, n_sds=0, start=tau, settled=SETTLED)
                eta.append(head.sample(new, n_draws, torch.Generator().manual_seed(0)))
            else:
                eta.append(predicted_at_mode(blocks, part, new, start=tau, settled=SETTLED))
        return torch.cat(eta, -1)

    def score(self, eta: Tensor, rows: np.ndarray) -> float:
        """Score of held-out rows for what is predicted of them, summed over patients."""
        return self.role.score(self.data.subset(torch.as_tensor(rows)), eta)

    def slope(self, eta: Tensor, rows: np.ndarray) -> float:
        """Factor of the predictors that all held-out rows together ask for; 1 for most roles."""
        if not self.role.sloped:
            return 1.0
        return self.role.slope(self.data.subset(torch.as_tensor(rows)), eta)

    def strata(self) -> np.ndarray:
        """What the folds are balanced by, (N,) int; -1 where there is no outcome."""
        return self.role.strata(self.data)
