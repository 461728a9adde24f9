"""Where a model that is trained by gradients begins: spectral start, sweeps, priors."""

from __future__ import annotations

from mvlatent.data.cohort import Cohort
from mvlatent.fitting.build import build
from mvlatent.fitting.options import Options
from mvlatent.fitting.start.chosen_sweeps import choose_sweeps
from mvlatent.fitting.start.em import em_sweeps, hold_effects
from mvlatent.fitting.start.refine import refine_start
from mvlatent.fitting.start.spectral import spectral_start, start_experts
from mvlatent.process import seeded
from mvlatent.specs import Roles
from mvlatent.vae.structured import StructuredVAE

__all__ = ["started"]


def started(cohort: Cohort, roles: Roles, options: Options, seed: int) -> tuple[StructuredVAE, int]:
    """A model of the cohort's shape where the loop begins, and the sweeps it had."""

    def spectral(rows: Cohort) -> StructuredVAE:
        vae = build(rows, roles, options, seed)
        spectral_start(vae, rows, kind=options.start, rank=options.rank)
        return vae

    with seeded(seed):
        vae, sweeps = spectral(cohort), 0
        if options.start != "random":
            chosen = options.sweeps
            sweeps = choose_sweeps(spectral, cohort) if chosen is None else chosen
            em_sweeps(vae, cohort, sweeps)
            hold_effects(vae)
            start_experts(vae)
    refine_start(vae, cohort, seed=seed)
    return vae, sweeps
