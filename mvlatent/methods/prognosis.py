"""What a fitted model says of prognosis: refits of the reported heads, and hazard ratios."""

from __future__ import annotations

from typing import Any

import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.fitting.crossed import training_blocks
from mvlatent.heads.block_head import BlockHead
from mvlatent.heads.blocks import block_kind, head_blocks, trim
from mvlatent.heads.causes import Head
from mvlatent.heads.refit import HEAD_METHODS, refit
from mvlatent.methods.arguments import (
    check_cause,
    check_level,
    check_one_of,
    checked_draws,
)
from mvlatent.methods.summaries import SummaryReader
from mvlatent.reading.hazard_ratios import (
    block_hazard_ratios,
    column_hazard_ratios,
    column_names,
    column_sds,
    column_units,
    with_numbers,
)
from mvlatent.specs.checks import check_choice, check_whole

__all__ = ["HeadReader", "of_cause"]


class HeadReader(SummaryReader):
    """Refits and readings of the reported heads, for `mvlatent.MVLatent`.

    ``outcome`` names one of several outcomes; by default it is the first survival outcome.
    """

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
        TypeError
            If a number of draws or the seed is not an integer.
        KeyError
            If there is no outcome of that name.
        ValueError
            If the method is not known, there are too few draws, no outcome is named where there is
            no survival outcome, or the model was loaded without data.

        Examples
        --------
        >>> model.refit_head()
        >>> model.refit_head(outcome="subtype")
        """
        check_choice("method", method, HEAD_METHODS)
        check_whole("num_samples", num_samples, 2)
        check_whole("warmup", warmup, 1)
        check_whole("seed", seed, 0)
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
        technical: bool = False,
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
        technical
            Show the rows of the site and other technical columns too (or, by block, of the whole
            block); they are held in either case, where the head has them.
        cause
            Competing cause.
        n_samples, seed
            Posterior draws.

        Returns
        -------
        DataFrame
            Columns ``hr`` (posterior median), ``lower``, ``upper`` and ``p_effect``. By column that
            is the posterior probability of the likelier sign, of a ratio above 1 or below it: near
            1 where the direction is sure, one half or less where nothing is known. By block it is
            the posterior probability that the block has an effect at all; NaN where that was no
            question, as ``head_blocks`` named the blocks, or the head is the shared one or was
            sampled. ``attrs["n"]`` and ``attrs["events"]`` count the model's own patients with
            this outcome and their events (of that cause); ``None`` where it was loaded without
            them. Factors that are switched off have no row.

        Raises
        ------
        TypeError
            If an argument is of another kind than it has to be.
        KeyError
            If there is no survival outcome of that name.
        ValueError
            If an option is not one of the choices or out of its range, or sds are asked of one
            patient.

        Examples
        --------
        >>> model.hazard_ratios(per="unit").loc["clinical:age"].index.tolist()
        ['hr', 'lower', 'upper', 'p_effect']
        >>> model.hazard_ratios().attrs["n"]
        80
        """
        check_one_of("per", per, ("sd", "unit"))
        check_one_of("by", by, ("column", "block"))
        draws = checked_draws(n_samples, seed, blocks)
        check_level("level", level)
        reported = self._survival(outcome)
        head = of_cause(reported.head(draws["blocks"]), cause)
        options: dict[str, Any] = {"level": level, "n_samples": n_samples, "seed": seed}
        hidden: tuple[str, ...] = () if scores or by == "block" else ("scores",)
        hidden += () if technical else ("technical",)
        sizes = {b: len(c) for b, c in head.coef.items() if block_kind(b) not in hidden}
        known = None if self._cohort is None else self._cohort.outcomes.get(reported.name)
        if by == "block":
            features = head_blocks(self.latents(mdata), self.trained.bases, head.coef)
            off = reported.off if blocks == "full" else 0.0
            found = block_hazard_ratios(head, trim(features, head.coef), **options, off=off)
            return with_numbers(found.loc[[*sizes]], known, cause)
        preparation = self.trained.preparation
        levels = [level for group in preparation.technical_groups for level in group.levels]
        names = column_names(sizes, {"clinical": preparation.clinical_names, "technical": levels})
        if per == "unit":
            units = column_units(sizes, preparation)
        else:
            features = head_blocks(self.latents(mdata), self.trained.bases, sizes)
            units = column_sds(sizes, features)
        found = column_hazard_ratios(head, names, units, **options)
        return with_numbers(found.loc[self._active_rows(names)], known, cause)

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


def of_cause(head: Head, cause: int) -> BlockHead:
    """The head of one cause, counted from 1.

    Raises
    ------
    TypeError, ValueError
        If there is no such cause.
    """
    check_cause(cause, len(head.parts))
    return head.parts[cause - 1]
