"""Survival: concordance of held-out patients, curves, risks and their words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.outcome_data import SurvivalData
from mvlatent.outcomes.likelihoods import SURVIVAL
from mvlatent.outcomes.role import Estimates, OutcomeRole, Reading, ReportedHeads
from mvlatent.outcomes.summaries import Summary
from mvlatent.specs import Survival

__all__ = ["SurvivalRole", "concordance_at_risk"]

HEADS = {"risk": "all blocks", "risk_shared": "z, clinical columns and site only"}


class SurvivalRole(OutcomeRole[Survival, SurvivalData]):
    """Survival; held-out rows are scored by their concordance, cause by cause.

    The partial likelihood would punish a head for its slope, which a small fold hardly knows.
    """

    likelihoods = SURVIVAL
    score_name: ClassVar[str] = "Harrell's C"

    @property
    def kind(self) -> str:
        return self.spec.kind

    # --- held-out rows ----------------------------------------------------------------------------

    def horizon(self, data: SurvivalData) -> float:
        """Last event time."""
        return float(data.time[data.observed & (data.event > 0)].max())

    def strata(self, data: SurvivalData) -> np.ndarray:
        """Cause of the event, 0 where censored."""
        return np.where(data.observed.numpy(), data.code.numpy(), -1).astype(int)

    def n_telling(self, strata: np.ndarray) -> int:
        """Those with an event: who was censored is only compared with them."""
        return int((strata > 0).sum())

    def score(self, data: SurvivalData, eta: Tensor) -> float:
        """Harrell's C of log relative hazards (n, K), the mean over causes."""
        seen = data.observed
        known = data.subset(seen)
        causes = [
            concordance_at_risk(known, known.code == k, eta[seen, k - 1])
            for k in range(1, eta.shape[1] + 1)
        ]
        return len(known.time) * float(np.mean(causes))

    # --- predictions ------------------------------------------------------------------------------

    def curves(
        self,
        read: Reading,
        times: np.ndarray,
        *,
        level: float | None = None,
        cause: int | None = None,
        summary: Summary | None = None,
    ) -> list[np.ndarray]:
        """Posterior mean survival (T, n) and, with a level, the ends of its band.

        With a ``cause`` the cumulative incidence of that competing cause instead. With a
        ``summary`` that of the mean curve, (n,), and a band of those of the drawn curves.

        Raises
        ------
        ValueError
            If there is no such cause.
        """
        if cause is not None and not self.spec.competing:
            raise ValueError(
                "the outcome has no competing causes; set it up with mv.Survival(time, event, "
                "kind='competing')."
            )
        grid = torch.as_tensor(times, dtype=torch.float64)
        strata = None if read.data is None else read.data.stratum
        n = len(read.latents.cohort)
        out = [
            np.empty((n,) if summary else (len(times), n)) for _ in range(1 if level is None else 3)
        ]
        for rows, head, features, generator in read.draws(len(times)):
            draw = head.survival_draws
            if cause is not None:
                draw = partial(head.incidence_draws, cause=cause)
            stratum = None if strata is None else strata[rows]
            curves = draw(grid, features, read.n_samples, generator, stratum=stratum)
            for whole, own in zip(out, _bands(times, curves, level, summary), strict=True):
                whole[..., rows] = own
        return out

    def columns(self, read: Reading) -> dict[str, Any]:
        """Risk; of competing causes the first without a number, the second as ``_2``."""
        return {
            f"mvlatent_risk{read.end}{'' if k == 1 else f'_{k}'}": column.numpy()
            for k, column in enumerate(read.predict().T, 1)
        }

    def table(self, read: Reading) -> dict[str, Any]:
        """Times, events and risks, of competing causes those of the first."""
        data, end = read.data, read.end
        seen = data.observed.numpy()
        if not seen.any():
            return {}
        event = (data.code == 1).float().numpy()
        found = {
            f"time{end}": np.where(seen, data.time.numpy(), np.nan),
            f"event{end}": np.where(seen, event, np.nan),
        }
        if data.entry is not None:
            found[f"entry{end}"] = data.entry.numpy()
        if data.stratum is not None:
            names = np.asarray(read.coder.strata.names, dtype=object)
            found[f"stratum{end}"] = names[data.stratum.numpy()]
        risks = {f"risk{end}": "full", f"risk_shared{end}": "shared"}
        return found | {name: read.predict(head)[:, 0].numpy() for name, head in risks.items()}

    # --- words ------------------------------------------------------------------------------------

    def remarks(self, heads: ReportedHeads, technical: Iterable[str]) -> Iterator[str]:
        """What the technical columns are worth."""
        if scores := heads.inner_scores:
            yield (
                f"  {self.score_name} in inner folds: {scores['full']:.3f}; without "
                f"{', '.join(technical)} {scores['no technical']:.3f}; "
                f"of z, clinical and technical columns alone {scores['shared']:.3f}"
            )

    def estimates(self, found: Estimates) -> list[str]:
        """Concordance of the two heads."""
        name = self.spec.name
        of = "" if found.first.get(self.spec.role) == name else f" of {name}"
        lines = []
        for column, head in HEADS.items():
            c, lower, upper = found.concordance(column, outcome=name)
            interval = f"(95 % interval {lower:.3f}-{upper:.3f})"
            lines.append(f"{self.score_name}{of}, {head}: {c:.3f} {interval}")
        return lines


def concordance_at_risk(data: SurvivalData, died: Tensor, risk: Tensor) -> float:
    """Harrell's C over the pairs that were at risk together, within strata; 0.5 if there is none.

    Parameters
    ----------
    data
        Outcomes, all observed.
    died, risk
        Whose event it was (bool), and the predicted risk, (n,) each.
    """
    time = data.time
    outlived = (time > time[:, None]) | ((time == time[:, None]) & ~died)
    pairs = outlived & died[:, None]
    if data.entry is not None:
        pairs &= data.entry < time[:, None]
    if data.stratum is not None:
        pairs &= data.stratum == data.stratum[:, None]
    right = (risk[:, None] > risk).double() + 0.5 * (risk[:, None] == risk).double()
    n = int(pairs.sum())
    return float((right * pairs).sum()) / n if n else 0.5


def _bands(
    times: np.ndarray, curves: Tensor, level: float | None, summary: Summary | None
) -> list[np.ndarray]:
    """Mean of drawn curves (S, T, n), or its summary, and with a level the ends of a band."""
    mean, drawn = curves.mean(0).numpy(), curves.numpy()
    if summary is not None:
        mean = summary(times, mean)
    if level is None:
        return [mean]
    ends = [0.5 - level / 2, 0.5 + level / 2]
    if summary is None:
        return [mean, *np.quantile(drawn, ends, axis=0)]
    # an infinite median is an order statistic like any other: no interpolation
    return [mean, *np.quantile(summary(times, drawn), ends, axis=0, method="inverted_cdf")]
