"""What a fitted model says of patients' outcomes: risk, classes, targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pandas as pd
from anndata import AnnData
from mudata import MuData

from mvlatent.heads.reported import Reported
from mvlatent.methods.arguments import Draws, check_cause, check_level, check_one_of, checked_draws
from mvlatent.methods.results import TargetPrediction
from mvlatent.methods.views import ViewReader
from mvlatent.outcomes.role import Reading
from mvlatent.outcomes.roles.labels import LabelRole
from mvlatent.outcomes.roles.target import TargetRole
from mvlatent.reading.outcomes import reading_of
from mvlatent.specs import Labels, Target

__all__ = ["OutcomeReader", "n_causes"]


class OutcomeReader(ViewReader):
    """Readings of outcomes, for `mvlatent.MVLatent`.

    ``outcome`` names one of several outcomes of a kind; by default it is the first.
    """

    def predict_risk(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
        given: Sequence[str] | str | None = None,
        blocks: str = "full",
        cause: int = 1,
        missing_features: str = "refuse",
    ) -> pd.Series:
        """Posterior mean log hazard, relative to an average patient (of the stratum).

        Parameters
        ----------
        mdata
            Patients; the fitted ones by default.
        outcome
            Which of several survival outcomes; by default the first.
        given
            Views that may be looked at; all by default.
        blocks
            ``"full"``: the head on every block; ``"shared"``: the one on z, the clinical covariates
            and the site alone.
        cause
            Which of competing causes, as coded in the event column, from 1.
        missing_features
            As in `posterior`.

        Returns
        -------
        Series
            Log hazard ratios by patient, higher is worse; of a discrete hazard log odds ratios.

        Raises
        ------
        TypeError
            If an argument is of another kind than it has to be.
        KeyError
            If there is no survival outcome of that name, or no view of a name.
        ValueError
            If there is no such cause, or the model has no survival outcome.

        Examples
        --------
        >>> risk = model.predict_risk(given=["rna", "img"])
        >>> risk.name, len(risk)
        ('risk', 80)
        """
        reported = self._survival(outcome)
        check_one_of("blocks", blocks, ("full", "shared"))
        check_cause(cause, n_causes(reported))
        latents = self.latents(mdata, given=given, missing_features=missing_features)
        eta = reported.predict(latents, self.trained.bases, blocks=blocks)
        return pd.Series(eta[:, cause - 1].numpy(), list(latents.cohort.obs_names), name="risk")

    def predict_labels(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
        proba: bool = False,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        missing_features: str = "refuse",
    ) -> pd.Series | pd.DataFrame:
        """Most probable class of each patient, or the probabilities of all classes.

        Parameters
        ----------
        mdata
            Patients; the fitted ones by default.
        outcome
            Which of several label columns; by default the first.
        proba
            Probabilities in place of the most probable class.
        given
            Views that may be looked at; all by default.
        n_samples, seed
            Posterior draws over which probabilities are averaged.
        blocks
            ``"full"`` or ``"shared"``, as in `predict_risk`.
        missing_features
            As in `posterior`.

        Returns
        -------
        Series or DataFrame
            Classes by patient; with ``proba`` mean probabilities, patients × classes.

        Raises
        ------
        TypeError
            If an argument is of another kind than it has to be.
        KeyError
            If there are no labels of that name, or no view of a name.
        ValueError
            If the model has no labels, or an argument is out of its range.

        Examples
        --------
        >>> probabilities = model.predict_labels(proba=True)
        >>> bool((probabilities.sum(axis=1).round(6) == 1).all())
        True
        """
        spec = cast(Labels, self.trained.roles.outcome("labels", outcome))
        options = checked_draws(n_samples, seed, blocks)
        read = self._reading(spec.name, mdata, given, options, missing_features)
        frame = _probabilities(LabelRole(spec), read, read.coder.categories)
        return frame if proba else frame.idxmax(axis=1).rename("label")

    def predict_target(
        self,
        mdata: MuData | AnnData | None = None,
        *,
        outcome: str | None = None,
        interval: float | None = None,
        proba: bool = False,
        given: Sequence[str] | str | None = None,
        n_samples: int = 200,
        seed: int = 0,
        blocks: str = "full",
        missing_features: str = "refuse",
    ) -> pd.Series | pd.DataFrame | TargetPrediction:
        """Predicted values of a continuous target, or levels of an ordinal one.

        Parameters
        ----------
        mdata
            Patients; the fitted ones by default.
        outcome
            Which of several targets; by default the first.
        interval
            Level of an interval for a new measurement, of a continuous target.
        proba
            Probabilities of the levels of an ordinal target.
        given, n_samples, seed, blocks
            As in `predict_labels`.
        missing_features
            As in `posterior`.

        Returns
        -------
        Series, DataFrame or TargetPrediction
            Continuous: means in the column's own units; with ``interval`` also sd and bounds.
            Ordinal: the most probable level; with ``proba`` probabilities, patients × levels.

        Raises
        ------
        TypeError
            If an argument is of another kind than it has to be.
        KeyError
            If there is no target of that name, or no view of a name.
        ValueError
            If the model has no target, an argument is out of its range, or an option does not go
            with the target's kind.

        Examples
        --------
        >>> model.predict_target().name
        'purity'
        >>> found = model.predict_target(interval=0.9)
        >>> bool((found.lower < found.upper).all())
        True
        """
        spec = cast(Target, self.trained.roles.outcome("target", outcome))
        name, ordered = spec.name, spec.ordered
        options = checked_draws(n_samples, seed, blocks)
        if interval is not None:
            check_level("interval", interval)
        if ordered and interval is not None:
            raise ValueError(f"target {name!r} is ordinal: take proba=True, not an interval.")
        if not ordered and proba:
            raise ValueError(f"target {name!r} is continuous: take interval=0.9, not proba.")
        read = self._reading(name, mdata, given, options, missing_features)
        if ordered:
            frame = _probabilities(TargetRole(spec), read, read.coder.levels)
            return frame if proba else frame.idxmax(axis=1).rename(name)
        found = TargetRole(spec).values(read, interval)
        columns = [
            pd.Series(x, list(read.latents.cohort.obs_names), name=name)
            for x in (found.mean, found.sd, found.lower, found.upper)
            if x is not None
        ]
        return columns[0] if interval is None else TargetPrediction(*columns)

    def _reading(
        self,
        name: str,
        mdata: MuData | AnnData | None,
        given: Sequence[str] | str | None,
        options: Draws,
        missing_features: str = "refuse",
    ) -> Reading:
        """What the role of an outcome predicts from."""
        latents = self.latents(mdata, given=given, missing_features=missing_features)
        return reading_of(self.trained, latents, name, **options)

    def _survival(self, outcome: str | None = None) -> Reported:
        return self.trained.outcomes[self.trained.roles.outcome("survival", outcome).name]


def n_causes(reported: Reported) -> int:
    """How many causes compete in a survival outcome; 1 where none do."""
    return len(reported.full.parts)


def _probabilities(
    role: LabelRole | TargetRole, read: Reading, levels: Sequence[str]
) -> pd.DataFrame:
    """Mean probabilities, patients × classes (or ordered levels)."""
    index = list(read.latents.cohort.obs_names)
    return pd.DataFrame(role.probabilities(read), index, list(levels))
