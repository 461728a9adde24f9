"""What ordering a view is worth: how much it is expected to narrow a patient's prognosis."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from mvlatent.data.cohort import Cohort, SurvivalData
from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.blocks import head_blocks, head_draws, trim
from mvlatent.outcomes.bound import BaselineShape
from mvlatent.outcomes.curves import survival_curves
from mvlatent.posterior import Latents
from mvlatent.process import seeded
from mvlatent.vae.basis import Basis
from mvlatent.vae.exposure import exposed

__all__ = ["expected_reduction", "with_drawn_view"]

HERMITE_NODES = 15


def expected_reduction(
    head: BlockHead,
    latents: Latents,
    bases: dict[str, Basis],
    view: str,
    *,
    horizon: float | None,
    n_samples: int,
    seed: int,
    outcome: str | None = None,
) -> np.ndarray:
    """Expected reduction of a patient's posterior variance once a missing view is measured, (n,).

    By the law of total variance it is the variance, over what the view may turn out to be, of the
    posterior mean that would follow. So one draw of the view from its posterior predictive and one
    exact update of the latents do for each outcome: no inner simulation. Another patient's view
    says nothing new of the coefficients, which stay at their mean.

    Parameters
    ----------
    head
        Survival head of one cause.
    latents
        Posterior of patients who all lack the view.
    bases
        Bases of the views.
    view
        The view that may be ordered.
    horizon
        ``None``: the variance is that of the log hazard. A time: that of the probability of the
        event by then, with the baseline at its mode.
    n_samples, seed
        Draws of the view.
    outcome
        Name of the outcome, whose strata the baseline has; ``None`` where it has none.
    """
    means = []
    with seeded(seed):
        for _ in range(n_samples):
            measured = Latents(latents.vae, with_drawn_view(latents, bases, view))
            means.append(_log_hazard(head, measured, bases))
    mean = torch.stack(means)
    if horizon is None:
        return mean.var(0).numpy()
    left = (_head_variance(head, latents, bases, n_samples, seed) - mean.var(0)).clamp(min=0.0)
    data = cast(SurvivalData | None, latents.cohort.outcomes.get(outcome or ""))
    stratum = None if data is None else data.stratum
    return _mean_risk(head.baseline, horizon, mean, left, stratum).var(0).numpy()


@torch.no_grad()
def with_drawn_view(latents: Latents, bases: dict[str, Basis], view: str) -> Cohort:
    """The cohort with a view that nobody has, drawn from its posterior predictive."""
    part, cohort = latents.vae.part(view), latents.cohort
    z, private = latents.draw(1, int(torch.randint(2**31, (1,))))
    technical, effect = cohort.technical, part.expected_effect()
    eta = part.decoder(z[0], private[view][0], technical, effect)
    exposure = None if part.exposure is None else part.exposure.draw(z[0], technical)
    x = part.draw(exposed(eta, exposure))
    held = cohort.matrices[view]
    drawn = replace(
        held,
        x=x,
        exposure=exposure,
        present=torch.ones_like(held.present),
        observed=None if held.observed is None else torch.ones_like(held.observed),
    )
    return replace(cohort, views={**cohort.views, view: drawn})


def _log_hazard(head: BlockHead, latents: Latents, bases: dict[str, Basis]) -> Tensor:
    """Posterior mean log hazard, (n,): linear in the blocks, so at their means."""
    return head.mean(trim(head_blocks(latents, bases, head.coef), head.coef))[:, 0]


def _head_variance(
    head: BlockHead, latents: Latents, bases: dict[str, Basis], n_samples: int, seed: int
) -> Tensor:
    """Variance of the log hazard that the unknown blocks leave, coefficients at their mean."""
    drawn = head_draws(latents, bases, head.coef, n_samples, seed)
    return head.mean(trim(drawn, head.coef))[..., 0].var(0)


def _mean_risk(
    baseline: BaselineShape, horizon: float, mean: Tensor, variance: Tensor, stratum: Tensor | None
) -> Tensor:
    """Expected risk by the horizon where the log hazard is N(mean, variance), (S, n)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(HERMITE_NODES)
    time = torch.tensor([horizon], dtype=torch.float64)
    risk = torch.zeros_like(mean)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        eta = mean + float(node) * variance.sqrt()
        alive = survival_curves(time, eta, baseline, stratum=stratum)[..., 0, :]
        risk += float(weight) * (1 - alive)
    return risk
