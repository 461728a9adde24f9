"""What prognosis rests on, and which view would tell most of it."""

from __future__ import annotations

import warnings
from typing import cast

import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.fitting.crossed import training_blocks
from mvlatent.heads.blocks import head_blocks
from mvlatent.heads.ledger import ledger_head, residual_scores
from mvlatent.methods.arguments import (
    check_cause,
    check_horizon,
    check_level,
    check_view,
    checked_draws,
)
from mvlatent.methods.outcomes import n_causes
from mvlatent.methods.prognosis import HeadReader, of_cause
from mvlatent.reading.ledger import ledger
from mvlatent.reading.value import expected_reduction
from mvlatent.specs import Survival
from mvlatent.specs.checks import check_whole

__all__ = ["WorthReader"]


class WorthReader(HeadReader):
    """Worth of what is known of a patient, and of what may be measured next."""

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
        TypeError
            If an argument is of another kind than it has to be.
        KeyError
            If there is no survival outcome of that name.
        ValueError
            If an argument is out of its range, or the model was loaded without data and none is
            given.

        Notes
        -----
        A model that was loaded without its data refits the head on ``mdata``. The head takes the
        posterior means of the latents: variance that a view would reveal is in no share.

        Examples
        --------
        >>> table = model.ledger(n_samples=200)
        >>> table.columns.tolist(), table.index[:2].tolist()
        (['share', 'lower', 'upper'], ['shared', 'private:img'])
        """
        check_level("level", level)
        check_whole("n_samples", n_samples, 1)
        check_whole("seed", seed, 0)
        check_cause(cause, n_causes(self._survival(outcome)))
        spec = cast(Survival, self.trained.roles.outcome("survival", outcome))
        fitted = self.cohort(mdata if self._cohort is None else None)
        same = mdata is None or self._cohort is None
        cohort = fitted if same else self._read(mdata)
        patients = head_blocks(self.trained.latents(cohort), self.trained.bases)
        training = training_blocks(self.trained, fitted)
        head = ledger_head(residual_scores(training), fitted, spec)
        return ledger(
            of_cause(head, cause),
            residual_scores(patients, training),
            level=level,
            n_samples=n_samples,
            seed=seed,
        )

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
        missing_features: str = "refuse",
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
        missing_features
            As in `posterior`.

        Returns
        -------
        Series
            Expected reduction, sorted; empty, with a warning that names the view, if every patient
            has it, so that a loop over views and cohorts can go on.

        Raises
        ------
        TypeError
            If an argument is of another kind than it has to be.
        KeyError
            If there is no such view, or no survival outcome of that name.
        ValueError
            If an argument is out of its range, or a horizon is given for competing causes.

        Examples
        --------
        >>> gain = model.value_of("img", n_samples=20)
        >>> bool((gain.diff().dropna() <= 0).all())
        True
        """
        check_view(view, self.roles.views)
        options = checked_draws(n_samples, seed, blocks)
        reported = self._survival(outcome)
        head = reported.head(options["blocks"])
        of_this_cause = of_cause(head, cause)
        if horizon is not None:
            if len(head.parts) > 1:
                raise ValueError("with competing causes value_of knows the log hazard only.")
            check_horizon(horizon, reported.horizon)
        cohort = self._read(mdata, missing_features)
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
            of_this_cause,
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
