"""What an outcome role is: its likelihood, held-out score, predictions, columns and words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mvlatent.data.outcome_data import OutcomeData
from mvlatent.data.taken import level_name
from mvlatent.outcomes.likelihood import OutcomeLikelihood
from mvlatent.posterior import Latents
from mvlatent.specs.implementation import implementation_of
from mvlatent.specs.outcomes import OUTCOME_ROLES, OutcomeSpec
from mvlatent.vae.basis import Basis

__all__ = ["Estimates", "OutcomeRole", "Reading", "ReportedHeads", "level_columns", "role_of"]

Spec = TypeVar("Spec", bound=OutcomeSpec)
Data = TypeVar("Data", bound=OutcomeData)
Drawn = tuple[slice, Any, dict[str, Tensor], torch.Generator]
"""Rows, their head, draws of its blocks, and the generator of the coefficients."""


class ReportedHeads(Protocol):
    """What a role asks of reported heads, see `mvlatent.heads.reported.Reported`."""

    inner_scores: dict[str, float]
    slopes: dict[str, float]

    def predict(self, latents: Latents, bases: dict[str, Basis], *, blocks: str = "full") -> Tensor:
        """Linear predictors at the posterior mean, (n, C)."""
        ...

    def draws(
        self,
        latents: Latents,
        bases: dict[str, Basis],
        *,
        n_samples: int,
        seed: int,
        blocks: str,
        n_times: int = 0,
    ) -> Iterator[Drawn]:
        """Draws of the blocks, a chunk of patients at a time."""
        ...


class Estimates(Protocol):
    """What a role asks of out-of-fold predictions, see `mvlatent.study.OutOfFold`."""

    @property
    def table(self) -> pd.DataFrame:
        """One row a patient: what `OutcomeRole.table` returned, fold by fold."""
        ...

    @property
    def first(self) -> dict[str, str]:
        """Name of the first outcome of each role."""
        ...

    def concordance(
        self, column: str = "risk", *, outcome: str | None = None
    ) -> tuple[float, float, float]:
        """Harrell's C with an interval."""
        ...

    def accuracy(self, outcome: str | None = None) -> float:
        """Share of the patients whose class is predicted."""
        ...

    def r2(self, outcome: str) -> float:
        """Share of a continuous target's variance that is predicted."""
        ...


@dataclass(frozen=True, eq=False)
class Reading:
    """Patients of whom an outcome is predicted, and how.

    Attributes
    ----------
    heads
        Reported heads of the outcome.
    latents, bases
        Latents of the patients, and the bases of the views.
    name
        Name of the outcome.
    coder
        The outcome as learnt on the training rows.
    end
        What its columns end in.
    n_samples, seed
        Posterior draws.
    blocks
        ``"full"`` or ``"shared"``: which of the two heads.
    """

    heads: ReportedHeads
    latents: Latents
    bases: dict[str, Basis]
    name: str
    coder: Any
    end: str = ""
    n_samples: int = 200
    seed: int = 0
    blocks: str = "full"

    @property
    def data(self) -> Any:
        """The patients' own outcomes, ``None`` where they have none."""
        return self.latents.cohort.outcomes.get(self.name)

    def predict(self, blocks: str | None = None) -> Tensor:
        """Linear predictors at the posterior mean, (n, C)."""
        return self.heads.predict(self.latents, self.bases, blocks=blocks or self.blocks)

    def draws(self, n_times: int = 0) -> Iterator[Drawn]:
        """Draws of the blocks, a chunk of patients at a time."""
        return self.heads.draws(
            self.latents,
            self.bases,
            n_samples=self.n_samples,
            seed=self.seed,
            blocks=self.blocks,
            n_times=n_times,
        )


class OutcomeRole(Generic[Spec, Data]):
    """All that one role knows of its outcomes; a role is a subclass and a line in a registry.

    Parameters
    ----------
    spec
        What the user says of the outcome.

    Attributes
    ----------
    likelihoods
        Likelihoods by kind.
    n_folds
        Inner folds of the reported head.
    n_draws
        Draws of the linear predictor that held-out rows are scored by; 0: the one at the mode.
    sloped
        Whether inner folds are asked for a factor of the linear predictors.
    score_name
        What inner folds score held-out rows by; empty where they are not asked what blocks tell.
    max_scores
        Most leading scores of a view that its heads take; ``None``: all.
    """

    likelihoods: ClassVar[Mapping[str, type[OutcomeLikelihood[Any]]]]
    n_folds: ClassVar[int] = 5
    n_draws: ClassVar[int] = 0
    sloped: ClassVar[bool] = False
    score_name: ClassVar[str] = ""
    max_scores: ClassVar[int | None] = None

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    # --- likelihood -------------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """Which of the likelihoods; the only one unless the role says otherwise."""
        (only,) = self.likelihoods
        return only

    def likelihood(self, data: Data) -> OutcomeLikelihood[Data]:
        """Likelihood of the outcome, started on the patients whose outcome is observed.

        Raises
        ------
        ValueError
            If there is nothing to learn from: no event, or no value.
        """
        return self.likelihoods[self.kind].from_data(data, self.spec)

    # --- held-out rows, which inner folds ask about -----------------------------------------------

    def horizon(self, data: Data) -> float:
        """Time up to which the training patients tell of the outcome; 0 without times."""
        return 0.0

    def strata(self, data: Data) -> np.ndarray:
        """What inner folds are balanced by, (N,) int; -1 where there is no outcome."""
        return data.observed.numpy().astype(int) - 1

    def n_telling(self, strata: np.ndarray) -> int:
        """How many patients of the strata (n,) tell candidates apart."""
        return len(strata)

    def score(self, data: Data, eta: Tensor) -> float:
        """Score of held-out rows, summed over patients; asked where there is a `score_name`.

        Parameters
        ----------
        data
            Outcomes of the rows.
        eta
            Their linear predictors, (n, C), or `n_draws` draws of them, (S, n, C).
        """
        raise NotImplementedError(
            f"{self.spec.phrase} has no score in inner folds; give its role one."
        )

    def slope(self, data: Data, eta: Tensor) -> float:
        """Factor of the predictors that held-out rows ask for; asked where `sloped`."""
        return 1.0

    # --- predictions ------------------------------------------------------------------------------

    def columns(self, read: Reading) -> dict[str, Any]:
        """Predictions as columns for ``obs``, by name, one value a patient each."""
        raise NotImplementedError(f"{self.spec.phrase} writes no columns; give its role some.")

    def table(self, read: Reading) -> dict[str, Any]:
        """What held-out patients have and what is predicted of them, columns by name."""
        raise NotImplementedError(
            f"{self.spec.phrase} has no out-of-fold table; give its role one."
        )

    # --- words ------------------------------------------------------------------------------------

    def remarks(self, heads: ReportedHeads, technical: Iterable[str]) -> Iterator[str]:
        """Lines of the summary on the reported heads; ``technical`` names the columns."""
        yield from ()

    def estimates(self, found: Estimates) -> list[str]:
        """Lines on out-of-fold predictions."""
        return []


def level_columns(
    what: str, end: str, levels: Sequence[Any], probabilities: np.ndarray
) -> dict[str, Any]:
    """Columns for ``obs`` of classes or levels: the most probable, and the probability of each.

    Parameters
    ----------
    what, end
        Name of the column of the most probable, and what those of the probabilities end in.
    levels
        The classes or levels.
    probabilities
        Of each patient, (n, L).

    Examples
    --------
    >>> import numpy as np
    >>> level_columns("grade", "", ["low", "high"], np.array([[0.2, 0.8]]))["grade"]
    ['high']
    """
    named = {
        f"mvlatent_probability{end}_{level_name(level)}": column
        for level, column in zip(levels, probabilities.T, strict=True)
    }
    return {what: [levels[i] for i in probabilities.argmax(1)], **named}


def role_of(spec: OutcomeSpec) -> OutcomeRole[Any, Any]:
    """Return the role of an outcome, bound to what the user says of it.

    Examples
    --------
    >>> from mvlatent.specs import Survival
    >>> type(role_of(Survival("months", "dead"))).__name__
    'SurvivalRole'
    """
    role: type[OutcomeRole[Any, Any]] = implementation_of(OUTCOME_ROLES[spec.role].role)
    return role(spec)
