"""What a fitted model says of prognosis: hazard ratios, ledger, and what to measure next."""

from __future__ import annotations

import warnings
from typing import Any, cast

import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.fitting.crossed import training_blocks
from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.blocks import head_blocks, trim
from mvlatent.heads.causes import Head
from mvlatent.heads.ledger import ledger_head, residual_scores
from mvlatent.heads.refit import METHODS, refit
from mvlatent.methods.summaries import Predictions, check_horizon
from mvlatent.reading.hazard_ratios import (
    block_hazard_ratios,
    column_hazard_ratios,
    column_names,
    column_sds,
    column_units,
)
from mvlatent.reading.ledger import ledger
from mvlatent.reading.value import expected_reduction
from mvlatent.specs import Survival

__all__ = ["Prognosis"]


class Prognosis(Predictions):
    """Readings of the survival head, for `mvlatent.MVLatent`.

    ``outcome`` names one of several survival outcomes; by default it is the first.
    """

    # --- the head ---------------------------------------------------------------------------------

    def refit_head(
        self,
        *,
        method: str = "laplace",
        num_samples: int = 500,
        warmup: int = 300,
        seed: int = 0,
        outcome: str | None = None,
    ) -> None:
        """Refit an outcome's heads, at weight 1, on the frozen posterior of the fitted patients.

        Those of one outcome at a time: the heads of other outcomes stay as they are.

        A model that was loaded with a cohort takes that one: load it with the patients it was
        fitted on, unless the head is to be learnt anew on others. The last event time, up to which
        curves are known, and the factor of the logits of classes are then theirs too.

        Parameters
        ----------
        method
            ``"laplace"``, as `fit` does it (seconds), or ``"nuts"``: coefficients, sds of the
            blocks and baseline sampled together by Pyro's No-U-Turn sampler (minutes with hundreds
            of columns), the reference on small problems. Blocks stay those that were chosen.
        num_samples, warmup
            Draws kept, and draws of adaptation before them (``"nuts"``).
        seed
            Seed of the sampler.
        outcome
            Name of the outcome: survival, labels or a target; by default the first survival
            outcome. Of competing risks the heads of all causes are refitted.

        Raises
        ------
        ValueError
            If the method is not known, there are too few draws, no outcome is named where there is
            no survival outcome, or the model was loaded without data.
        KeyError
            If there is no outcome of that name.
        """
        if method not in METHODS:
            raise ValueError(f"method {method!r} is not one of {', '.join(map(repr, METHODS))}.")
        if num_samples < 2 or warmup < 1:
            raise ValueError(
                f"num_samples must be 2 or more and warmup 1 or more, not {num_samples}, {warmup}."
            )
        roles = self.trained.roles
        spec = roles.outcome(roles.named.get(outcome or "", "survival"), outcome)
        reported, cohort = self.trained.outcomes[spec.name], self.cohort()
        blocks = training_blocks(self.trained, cohort)
        options = {"num_samples": num_samples, "warmup": warmup, "seed": seed}
        refit(reported, blocks, cohort, spec, method=method, **options)

    def hazard_ratios(
        self,
        outcome: str | None = None,
        *,
        level: float = 0.9,
        per: str = "sd",
        by: str = "column",
        mdata: MuData | AnnData | None = None,
        blocks: str = "full",
        scores: bool = False,
        cause: int = 1,
        n_samples: int = 2000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Hazard ratios with credible intervals, ready for `mvlatent.pl.forest`.

        Parameters
        ----------
        outcome
            Which outcome.
        level
            Level of the central interval.
        per
            ``"sd"``: of patients one sd (over ``mdata``) apart; ``"unit"``: one unit apart, of
            continuous clinical columns in the user's units, of 0/1 columns between the two.
        by
            ``"column"``: each column with the others held, ``clinical:age``, ``shared_0``, ...;
            ``"block"``: patients one sd apart in what a whole block says of the log hazard, which
            does not change when latents are rotated, and is at least 1.
        mdata
            Patients over whom sds are taken; the fitted ones by default.
        blocks
            ``"full"`` or ``"shared"``, as in `predict_risk`.
        scores
            Show columns of the views' scores too: hundreds of rows.
        cause
            Competing cause.
        n_samples, seed
            Posterior draws.

        Returns
        -------
        DataFrame
            Columns ``hr`` (posterior median), ``lower``, ``upper``. Factors that are switched off
            have no row.

        Raises
        ------
        ValueError
            If an option is not one of the choices, or sds are asked of one patient.
        """
        for what, value, choices in (("per", per, ("sd", "unit")), ("by", by, ("column", "block"))):
            if value not in choices:
                raise ValueError(f"{what} must be {choices[0]!r} or {choices[1]!r}, not {value!r}.")
        head = _of_cause(self._survival(outcome).head(blocks), cause)
        options: dict[str, Any] = {"level": level, "n_samples": n_samples, "seed": seed}
        if by == "block":
            features = head_blocks(self.latents(mdata), self.trained.bases, head.coef)
            return block_hazard_ratios(head, trim(features, head.coef), **options)
        preparation = self.trained.preparation
        sizes = {b: len(c) for b, c in head.coef.items() if scores or not b.startswith("scores:")}
        technical = [level for group in preparation.technical_groups for level in group.levels]
        names = column_names(
            sizes, {"clinical": preparation.clinical_names, "technical": technical}
        )
        if per == "unit":
            units = column_units(sizes, preparation)
        else:
            features = head_blocks(self.latents(mdata), self.trained.bases, sizes)
            units = column_sds(sizes, features)
        found = column_hazard_ratios(head, names, units, **options)
        return found.loc[self._active_rows(names)]

    def _active_rows(self, names: dict[str, list[str]]) -> list[str]:
        """Names of columns but those of factors that are switched off."""
        vae = self.trained.vae
        active = {"shared": vae.active} | {f"private:{v}": part.shown for v, part in vae.members}
        on = {block: mask.tolist() for block, mask in active.items()}
        return [
            row
            for block, rows in names.items()
            for row, is_on in zip(rows, on.get(block, [True] * len(rows)), strict=True)
            if is_on
        ]

    def ledger(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
        level: float = 0.9,
        cause: int = 1,
        n_samples: int = 2000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Where prognosis lives: share of the log hazard's variance that each block carries.

        A head is refitted on the fitted patients with every block, each view's scores being what
        they say beyond z and the view's own latent, so that shares are identified. Where blocks are
        correlated nonetheless, their covariance is shared evenly: see
        `mvlatent.reading.ledger.variance_shares`.

        Parameters
        ----------
        mdata
            Patients over whom the variance is taken; the fitted ones by default.
        outcome
            Which outcome.
        level
            Level of the intervals: the shortest that hold this much of the posterior.
        cause
            Competing cause.
        n_samples, seed
            Posterior draws.

        Returns
        -------
        DataFrame
            One row a block, ``shared``, ``private:<view>``, ``scores:<view>``, ``clinical``,
            ``technical``; columns ``share`` (they sum to 1), ``lower``, ``upper``. For
            `mvlatent.pl.ledger`. They are shares of what variance there is:
            ``attrs["constant"]`` is the posterior probability that there is none, because no block
            says anything of prognosis. Where that is more likely than not, or the patients do not
            differ, all three are NaN, with a warning.

        Raises
        ------
        ValueError
            If the model was loaded without data and none is given.

        Notes
        -----
        A model that was loaded without its data refits the head on ``mdata``. The head takes the
        posterior means of the latents: variance that a view would reveal is in no share.
        """
        spec = cast(Survival, self.trained.roles.outcome("survival", outcome))
        fitted = self.cohort(mdata if self._cohort is None else None)
        same = mdata is None or self._cohort is None
        cohort = fitted if same else self.cohort(mdata)
        training = training_blocks(self.trained, fitted)
        head = ledger_head(residual_scores(training), fitted, spec)
        patients = head_blocks(self.trained.latents(cohort), self.trained.bases)
        return ledger(
            _of_cause(head, cause),
            residual_scores(patients, training),
            level=level,
            n_samples=n_samples,
            seed=seed,
        )

    # --- what to measure next ---------------------------------------------------------------------

    def value_of(
        self,
        view: str,
        mdata: MuData | AnnData | None = None,
        *,
        horizon: float | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        cause: int = 1,
        outcome: str | None = None,
    ) -> pd.Series:
        """How much a missing view is expected to narrow each patient's prognosis, largest first.

        Parameters
        ----------
        view
            View that may be ordered for the patients who lack it; others are left out.
        mdata
            Patients; the fitted ones by default.
        horizon
            ``None``: reduction of the posterior variance of the log hazard (squared log hazard
            ratio). A time: of the variance of the probability of the event by then.
        n_samples
            Draws of what the view may turn out to be.
        seed
            Seed of the draws; the same for all patients.
        blocks
            ``"full"`` or ``"shared"``, as in `predict_risk`.
        cause
            Competing cause whose log hazard is meant.
        outcome
            Which outcome.

        Returns
        -------
        Series
            Expected reduction, sorted; empty, with a warning that names the view, if every patient
            has it, so that a loop over views and cohorts can go on.

        Raises
        ------
        KeyError
            If there is no such view.
        ValueError
            If the horizon lies beyond the last training event, or is given for competing causes.
        """
        if view not in self.roles.views:
            raise KeyError(f"no view {view!r}; the views are {', '.join(self.roles.views)}.")
        reported = self._survival(outcome)
        head = reported.head(blocks)
        if horizon is not None:
            if len(head.parts) > 1:
                raise ValueError("with competing causes value_of knows the log hazard only.")
            check_horizon(horizon, reported)
        cohort = self.cohort(mdata)
        lacking = cohort.subset(~cohort.views[view].present)
        if not len(lacking):
            warnings.warn(
                f"all {len(cohort)} patients have view {view!r}: there is nobody to order it for, "
                "so the ranking is empty.",
                UserWarning,
                stacklevel=2,
            )
            return pd.Series([], [], dtype=float, name=f"value of {view}")
        found = expected_reduction(
            _of_cause(head, cause),
            self.trained.latents(lacking),
            self.trained.bases,
            view,
            horizon=horizon,
            n_samples=n_samples,
            seed=seed,
            outcome=reported.name,
        )
        series = pd.Series(found, list(lacking.obs_names), name=f"value of {view}")
        return series.sort_values(ascending=False, kind="stable")


def _of_cause(head: Head, cause: int) -> BlockHead:
    causes = range(1, len(head.parts) + 1)
    if cause not in causes:
        raise ValueError(f"cause {cause!r} is not one of {', '.join(map(str, causes))}.")
    return head.parts[cause - 1]
