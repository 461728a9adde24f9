"""Strata of the baseline hazard: levels with too few events are pooled."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mvlatent.data.coding import SurvivalValues
from mvlatent.data.names import quote
from mvlatent.data.obs_columns import as_text, refuse_dates

__all__ = ["MIN_EVENTS", "Strata", "fit_strata"]

MIN_EVENTS = 20  # that a stratum needs, of every cause
POOL = "other"


@dataclass(frozen=True)
class Strata:
    """Which level of a column is in which stratum.

    Attributes
    ----------
    column
        Column of ``obs``.
    names
        Strata, in the order of their codes.
    member
        Stratum of each level of the training rows.
    usual
        Stratum of patients whose level is missing or unknown: that of most training patients.
    """

    column: str
    names: tuple[str, ...]
    member: dict[str, str]
    usual: str

    def encode(self, column: pd.Series | None, n: int) -> np.ndarray:
        """Codes of the strata, (n,) int64; unknown levels are named in a warning.

        ``None`` says that the patients lack the column: all are taken as in the usual stratum.
        """
        text = (
            np.full(n, None, dtype=object) if column is None else as_text(column, known=self.member)
        )
        unknown = sorted({t for t in text if t is not None and t not in self.member})
        lacking = sum(t is None for t in text)
        if (unknown or lacking) and len(self.names) > 1:
            what = f"levels that the training rows do not: {quote(unknown)}" if unknown else ""
            gap = f"no value for {lacking} patients" if lacking else ""
            warnings.warn(
                f"strata {self.column!r} hold {' and '.join(p for p in (what, gap) if p)}; "
                f"taken as {self.usual!r}, the stratum of most training patients.",
                UserWarning,
                stacklevel=4,
            )
        place = {name: i for i, name in enumerate(self.names)}
        return np.array([place[self.member.get(t, self.usual)] for t in text], dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types."""
        return {
            "column": self.column,
            "names": list(self.names),
            "member": dict(self.member),
            "usual": self.usual,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Strata:
        """Build strata from what `to_dict` returned."""
        return cls(state["column"], tuple(state["names"]), dict(state["member"]), state["usual"])


def fit_strata(column: pd.Series, values: SurvivalValues) -> tuple[Strata, list[str]]:
    """Learn the strata from the training rows.

    A level needs 20 events, of every cause where causes compete. The others are pooled; a pool that
    is still too small joins the stratum with the fewest events.

    Parameters
    ----------
    column
        Training rows.
    values
        Their outcomes.

    Returns
    -------
    strata, notes
        And which levels were pooled.

    Raises
    ------
    ValueError
        If all levels together have fewer than 20 events.

    Examples
    --------
    >>> obs = pd.DataFrame({"t": 1.0, "e": 1, "arm": ["a"] * 30 + ["b"] * 25 + ["c"] * 3})
    >>> from mvlatent.data.coding import code_survival
    >>> from mvlatent.specs import Survival
    >>> strata, notes = fit_strata(obs["arm"], code_survival(obs, Survival("t", "e")))
    >>> strata.names
    ('a', 'b')
    >>> notes
    ["strata 'arm': 'c' with fewer than 20 events joined to 'b'"]
    """
    what = f"strata {str(column.name)!r}"
    refuse_dates(column, what)
    text = as_text(column)
    counts = {t: _events(values, text == t) for t in sorted({t for t in text if t is not None})}
    if _events(values, np.array([t is not None for t in text])) < MIN_EVENTS:
        raise ValueError(
            f"{what} have fewer than {MIN_EVENTS} events of each kind in all: a baseline a "
            f"stratum cannot be learnt; leave strata out."
        )
    kept = [level for level, n in counts.items() if n >= MIN_EVENTS]
    pooled = [level for level in counts if level not in kept]
    member = {level: level for level in kept}
    notes = []
    if pooled:
        enough = _events(values, np.isin(text.astype(str), pooled)) >= MIN_EVENTS
        pool = POOL if enough or not kept else min(kept, key=lambda level: counts[level])
        member |= dict.fromkeys(pooled, pool)
        done = "pooled as" if pool == POOL else "joined to"
        notes.append(f"{what}: {quote(pooled)} with fewer than {MIN_EVENTS} events {done} {pool!r}")
    names = tuple(sorted(set(member.values())))
    sizes = {
        name: sum((text == level).sum() for level in member if member[level] == name)
        for name in names
    }
    usual = max(names, key=lambda name: sizes[name])
    if n := sum(t is None for t in text):
        notes.append(f"{what}: {n} missing, taken as {usual!r}")
    if len(names) == 1:
        notes.append(f"{what}: one stratum is left, so nothing is stratified")
    return Strata(str(column.name), names, member, usual), notes


def _events(values: SurvivalValues, rows: np.ndarray) -> int:
    """Events among the rows, of the rarest cause."""
    outcome = values.event if values.cause is None else values.cause
    causes = np.unique(outcome[values.observed & (outcome > 0)])
    return min((int((outcome[rows] == cause).sum()) for cause in causes), default=0)
