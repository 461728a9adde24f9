"""What the data stage knows of an outcome: a coder, learnt on the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd

from mvlatent.data.outcome_data import OutcomeData
from mvlatent.data.tables import Tables
from mvlatent.specs import Roles
from mvlatent.specs.implementation import implementation_of
from mvlatent.specs.outcomes import OUTCOME_ROLES

__all__ = ["Coder", "coder_of", "fit_coders"]


class Coder(Protocol):
    """An outcome as learnt on the training rows: it makes numbers of an outcome's columns.

    A role's coder is named in `mvlatent.specs.outcomes.OUTCOME_ROLES`. It holds no patient's row.
    """

    @property
    def taken(self) -> str:
        """What its columns were taken as, with numbers of patients; empty where it does not say."""
        ...

    @classmethod
    def check(
        cls, spec: Any, obs: pd.DataFrame, *, others: pd.DataFrame, shared: frozenset[str]
    ) -> None:
        """Raise ValueError on what can be seen wrong at registration.

        Parameters
        ----------
        spec
            What the user says of the outcome, an `mvlatent.specs.OutcomeSpec`.
        obs
            Its columns, of all patients.
        others
            Every column of the patients, to suggest what the user may have meant.
        shared
            Parts of the outcome whose column is another outcome's as well.
        """
        ...

    @classmethod
    def fit(
        cls, spec: Any, obs: pd.DataFrame, what: str, *, shared: frozenset[str]
    ) -> tuple[Self, list[str]]:
        """Learn from training rows; also notes, which begin with ``what`` the outcome is called.

        Raises
        ------
        ValueError
            If the outcome is not sound.
        """
        ...

    def data(self, spec: Any, tables: Tables) -> OutcomeData | None:
        """Outcomes of patients as tensors, ``None`` where they lack the columns."""
        ...

    def to_dict(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return a JSON-safe dictionary and arrays."""
        ...

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Inverse of `to_dict`."""
        ...


def coder_of(role: str) -> type[Coder]:
    """Return the coder of a role.

    Examples
    --------
    >>> coder_of("labels").__name__
    'LabelCoder'
    """
    kind: type[Coder] = implementation_of(OUTCOME_ROLES[role].coder)
    return kind


def fit_coders(roles: Roles, obs: pd.DataFrame) -> tuple[dict[str, Coder], list[str]]:
    """Learn every outcome from the training rows of the role columns; also notes.

    Raises
    ------
    ValueError
        If an outcome is not what its role needs.
    """
    coders: dict[str, Coder] = {}
    notes: list[str] = []
    for spec in roles.outcome_specs:
        learn, shared = coder_of(spec.role).fit, roles.shared_parts(spec)
        coders[spec.name], said = learn(spec, obs, roles.title(spec), shared=shared)
        notes += said
    return coders, notes
