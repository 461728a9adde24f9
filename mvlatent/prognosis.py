"""What a fitted model says of prognosis: hazard ratios, ledger, times, and what to measure next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.outcomes.causes import CauseHeads, Head
from mvlatent.outcomes.head import BlockHead
from mvlatent.reading.blocks import head_blocks
from mvlatent.reading.hazard_ratios import (
    block_hazard_ratios,
    column_hazard_ratios,
    column_names,
    column_units,
)
from mvlatent.reading.ledger import ledger, ledger_head, residual_scores
from mvlatent.reading.outcome import Reported
from mvlatent.reading.refit import METHODS, refit
from mvlatent.reading.summaries import (
    Summary,
    median_time,
    restricted_mean,
    survival_summary,
    time_grid,
)
from mvlatent.reading.value import expected_reduction
from mvlatent.training import training_blocks

if TYPE_CHECKING:
    from mvlatent.data.cohort import Cohort
    from mvlatent.posterior import Latents
    from mvlatent.specs import Roles
    from mvlatent.trained import Trained

__all__ = ["Prognosis"]


class Prognosis:
    """Readings of the survival head, for `mvlatent.MVLatent`.

    ``outcome`` names the survival outcome by its time column; ``None`` is the only one.
    """

    if TYPE_CHECKING:
        roles: Roles
        _cohort: Cohort | None

        @property
        def trained(self) -> Trained:
            """The fitted parts."""
            ...

        def cohort(self, mdata: Any = None) -> Cohort:
            """Tensors of the patients."""
            ...

        def latents(self, mdata: Any = None, *, given: Any = None) -> Latents:
            """Posterior of every latent."""
            ...

        def _survival(self) -> Reported: ...

    def _reported(self, outcome: str | None) -> Reported:
        """Reported heads of a survival outcome."""
        reported, spec = self._survival(), self.roles.survival
        if outcome is not None and (spec is None or outcome != spec.time):
            known = "none" if spec is None else repr(spec.time)
            raise KeyError(f"no survival outcome {outcome!r}; known by time column: {known}.")
        return reported

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
        """Refit the survival heads, at weight 1, on the frozen posterior of the fitted patients.

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
            Which outcome.

        Raises
        ------
        ValueError
            If the method is not known, or the model was loaded without data.
        """
        if method not in METHODS:
            raise ValueError(f"method {method!r} is not one of {', '.join(map(repr, METHODS))}.")
        reported, cohort = self._reported(outcome), self.cohort()
        blocks, spec = training_blocks(self.trained, cohort), self.roles.survival
        assert spec is not None  # there is a head
        options = {"num_samples": num_samples, "warmup": warmup, "seed": seed}
        same = reported.shared_only is reported.full
        for name in ("full", "shared_only"):
            head = getattr(reported, name)
            again = refit(head, blocks, cohort, spec, method=method, **options)
            setattr(reported, name, again)
            if same:
                reported.shared_only = again
                break

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
            Columns ``hr`` (posterior median), ``lower``, ``upper``.

        Raises
        ------
        ValueError
            If an option is not one of the choices.
        """
        for what, value, choices in (("per", per, ("sd", "unit")), ("by", by, ("column", "block"))):
            if value not in choices:
                raise ValueError(f"{what} must be {choices[0]!r} or {choices[1]!r}, not {value!r}.")
        head = _of_cause(self._reported(outcome).head(blocks), cause)
        options: dict[str, Any] = {"level": level, "n_samples": n_samples, "seed": seed}
        if by == "block":
            features = head_blocks(self.latents(mdata), self.trained.bases)
            return block_hazard_ratios(head, _trimmed(features, head), **options)
        preparation = self.trained.preparation
        sizes = {b: len(c) for b, c in head.coef.items() if scores or not b.startswith("scores:")}
        technical = [level for group in preparation.technical_groups for level in group.levels]
        names = column_names(
            sizes, {"clinical": preparation.clinical_names, "technical": technical}
        )
        if per == "unit":
            units = column_units(sizes, preparation)
        else:
            features = head_blocks(self.latents(mdata), self.trained.bases)
            units = {b: features[b][:, :size].std(0) for b, size in sizes.items()}
        return column_hazard_ratios(head, names, units, **options)

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
            `mvlatent.pl.ledger`.

        Raises
        ------
        ValueError
            If the model was loaded without data and none is given.

        Notes
        -----
        A model that was loaded without its data refits the head on ``mdata``. The head takes the
        posterior means of the latents: variance that a view would reveal is in no share.
        """
        self._reported(outcome)
        fitted = self.cohort(mdata if self._cohort is None else None)
        training = training_blocks(self.trained, fitted)
        head = ledger_head(residual_scores(training), fitted, self.roles.survival)
        patients = head_blocks(self.latents(mdata), self.trained.bases)
        return ledger(
            _of_cause(head, cause),
            residual_scores(patients, training),
            level=level,
            n_samples=n_samples,
            seed=seed,
        )

    # --- predictions ------------------------------------------------------------------------------

    def predict_median(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        outcome: str | None = None,
    ) -> pd.Series | pd.DataFrame:
        """Median survival time: when the curve of `predict_survival` reaches one half.

        Infinite where it does not by the last training event, as in lifelines.

        Parameters
        ----------
        mdata
            Patients; the fitted ones by default.
        interval
            Level of an interval over the same draws that make the bands of `predict_survival`.
        given, n_samples, seed, blocks
            As in `predict_survival`.
        outcome
            Which outcome.

        Returns
        -------
        Series or DataFrame
            In the unit of the training times; with ``interval`` columns ``median``, ``lower``,
            ``upper``.
        """
        reported = self._reported(outcome)
        times = time_grid(reported.head(blocks), reported.horizon)
        return self._summary(
            "median", median_time, reported, times, mdata, interval, given, n_samples, seed, blocks
        )

    def predict_rmst(
        self,
        horizon: float,
        mdata: MuData | AnnData | None = None,
        *,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        outcome: str | None = None,
    ) -> pd.Series | pd.DataFrame:
        """Restricted mean survival time: expected time without the event, up to a horizon.

        Parameters
        ----------
        horizon
            In the unit of the training times; at most the last training event, beyond which
            nothing is known.
        mdata, interval, given, n_samples, seed, blocks, outcome
            As in `predict_median`.

        Returns
        -------
        Series or DataFrame
            With ``interval`` columns ``rmst``, ``lower``, ``upper``.

        Raises
        ------
        ValueError
            If the horizon is not positive or lies beyond the last training event.
        """
        reported = self._reported(outcome)
        _check_horizon(horizon, reported)
        times = time_grid(reported.head(blocks), float(horizon))
        return self._summary(
            "rmst",
            restricted_mean,
            reported,
            times,
            mdata,
            interval,
            given,
            n_samples,
            seed,
            blocks,
        )

    def predict_risk_at(
        self,
        horizon: float,
        mdata: MuData | AnnData | None = None,
        *,
        interval: float | None = None,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        outcome: str | None = None,
    ) -> pd.Series | pd.DataFrame:
        """Probability of the event (of any cause) by a horizon: ``1 - S(horizon)``.

        Parameters
        ----------
        horizon
            In the unit of the training times.
        mdata, interval, given, n_samples, seed, blocks, outcome
            As in `predict_median`.

        Returns
        -------
        Series or DataFrame
            With ``interval`` columns ``risk``, ``lower``, ``upper``.

        Raises
        ------
        ValueError
            If the horizon is not positive or lies beyond the last training event.
        """
        reported = self._reported(outcome)
        _check_horizon(horizon, reported)

        def risk(times: np.ndarray, curves: np.ndarray) -> np.ndarray:
            return 1.0 - curves[..., -1, :]

        times = np.array([float(horizon)])
        return self._summary(
            "risk", risk, reported, times, mdata, interval, given, n_samples, seed, blocks
        )

    def _summary(
        self,
        name: str,
        summary: Summary,
        reported: Reported,
        times: np.ndarray,
        mdata: Any,
        interval: float | None,
        given: Sequence[str] | str | None,
        n_samples: int,
        seed: int,
        blocks: str,
    ) -> pd.Series | pd.DataFrame:
        """One number a patient from drawn curves."""
        if interval is not None and not 0 < interval < 1:
            raise ValueError(f"interval must be between 0 and 1, not {interval!r}.")
        latents = self.latents(mdata, given=given)
        found = survival_summary(
            reported,
            latents,
            self.trained.bases,
            times,
            summary,
            level=interval,
            n_samples=n_samples,
            seed=seed,
            blocks=blocks,
        )
        index = list(latents.cohort.obs_names)
        if interval is None:
            return pd.Series(found[0], index, name=name)
        return pd.DataFrame(np.stack(found, 1), index, [name, "lower", "upper"])

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
            Expected reduction, sorted; empty if every patient has the view.

        Raises
        ------
        KeyError
            If there is no such view.
        ValueError
            If the horizon lies beyond the last training event, or is given for competing causes.
        """
        if view not in self.roles.views:
            raise KeyError(f"no view {view!r}; the views are {', '.join(self.roles.views)}.")
        reported = self._reported(outcome)
        head = reported.head(blocks)
        if horizon is not None:
            if isinstance(head, CauseHeads):
                raise ValueError("with competing causes value_of knows the log hazard only.")
            _check_horizon(horizon, reported)
        cohort = self.cohort(mdata)
        lacking = cohort.subset(~cohort.views[view].present)
        if not len(lacking):
            return pd.Series([], [], dtype=float, name=f"value of {view}")
        found = expected_reduction(
            _of_cause(head, cause),
            self.trained.latents(lacking),
            self.trained.bases,
            view,
            horizon=horizon,
            n_samples=n_samples,
            seed=seed,
        )
        series = pd.Series(found, list(lacking.obs_names), name=f"value of {view}")
        return series.sort_values(ascending=False, kind="stable")


def _of_cause(head: Head, cause: int) -> BlockHead:
    heads = head.heads if isinstance(head, CauseHeads) else [head]
    if cause not in range(1, len(heads) + 1):
        choices = ", ".join(map(str, range(1, len(heads) + 1)))
        raise ValueError(f"cause {cause!r} is not one of {choices}.")
    return heads[cause - 1]


def _trimmed(blocks: dict[str, Any], head: BlockHead) -> dict[str, Any]:
    return {name: blocks[name][:, : len(coef)] for name, coef in head.coef.items()}


def _check_horizon(horizon: float, reported: Reported) -> None:
    if not 0 < horizon <= reported.horizon * (1 + 1e-6):
        raise ValueError(
            f"horizon must be positive and at most the last training event "
            f"({reported.horizon:g}), not {horizon!r}."
        )
