"""Survival outcomes as learnt on the training rows: what a time of 0 becomes, and the strata."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from mvlatent.data.coding import (
    SurvivalValues,
    code_survival,
    count_causes,
    positive_times,
    time_floor,
    warn_of_zero_times,
)
from mvlatent.data.events import turned_round
from mvlatent.data.outcome_data import SurvivalData
from mvlatent.data.strata import Strata, fit_strata
from mvlatent.data.tables import Tables
from mvlatent.data.taken import sentinel_notes
from mvlatent.specs import Survival

__all__ = ["SurvivalCoder"]


@dataclass(frozen=True, eq=False)
class SurvivalCoder:
    """A survival outcome as learnt on the training rows.

    Attributes
    ----------
    floor
        What a time of 0 becomes, in the user's unit.
    strata
        Strata of the baseline hazard; ``None`` without.
    shared_time
        Whether another outcome has the same time column.
    taken
        What the columns were taken as, for the summary.
    """

    floor: float
    strata: Strata | None = None
    shared_time: bool = False
    taken: str = ""

    @classmethod
    def check(
        cls, spec: Survival, obs: pd.DataFrame, *, others: pd.DataFrame, shared: frozenset[str]
    ) -> None:
        """Raise ValueError if the outcome is not sound, as `mvlatent.data.coder.Coder` says."""
        values = code_survival(obs, spec, others=others, shared_time="time" in shared)
        if not np.nansum(values.event):
            raise ValueError(f"survival event {spec.event!r} has no events at all.")
        count_causes(values, spec)
        if spec.strata is not None:
            fit_strata(obs[spec.strata], values)

    @classmethod
    def fit(
        cls, spec: Survival, obs: pd.DataFrame, what: str, *, shared: frozenset[str]
    ) -> tuple[SurvivalCoder, list[str]]:
        """Learn from training rows; also notes on what was pooled, moved or is missing.

        Raises
        ------
        ValueError
            If the outcome is not sound.
        """
        shared_time = "time" in shared
        values = code_survival(obs, spec, shared_time=shared_time)
        floor, strata = time_floor(values, spec), None
        notes: list[str] = []
        count_causes(values, spec)
        if spec.strata is not None:
            strata, notes = fit_strata(obs[spec.strata], values)
        if n := int((~values.observed).sum()):
            notes.append(f"{what}: {n} of {len(obs)} patients have no outcome")
        if n := warn_of_zero_times(values, floor, np.asarray(obs.index)):
            notes.append(f"{what}: time is 0 for {n} patients, taken as {floor:g}")
        notes += _likely_slips(obs, spec, values, what)
        return cls(floor, strata, shared_time, _taken(values, spec)), notes

    def data(self, spec: Survival, tables: Tables) -> SurvivalData | None:
        """Outcomes; patients without any still have a stratum, which their curves need."""
        n = len(tables)
        found: dict[str, Any] = {}
        if self.strata is not None:
            codes = self.strata.encode(tables.obs.get(self.strata.column), n)
            found = {"stratum": torch.from_numpy(codes), "n_strata": len(self.strata.names)}
        if not {spec.time, spec.event} <= set(tables.obs):
            nobody = torch.zeros(n)
            return SurvivalData(nobody + 1, nobody, nobody > 0, **found) if found else None
        values = code_survival(tables.obs, spec, shared_time=self.shared_time)
        seen = values.observed
        if values.entry is not None:
            found["entry"] = torch.from_numpy(values.entry.astype(np.float32))
        if values.cause is not None:
            found["cause"] = torch.from_numpy(np.where(seen, values.cause, 0.0).astype(np.int64))
        time = positive_times(values, self.floor)
        return SurvivalData(
            time=torch.from_numpy(np.where(seen, time, 1.0).astype(np.float32)),
            event=torch.from_numpy(np.where(seen, values.event, 0.0).astype(np.float32)),
            observed=torch.from_numpy(seen),
            **found,
        )

    def to_dict(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return a JSON-safe dictionary and (no) arrays."""
        strata = None if self.strata is None else self.strata.to_dict()
        own = {"shared_time": self.shared_time, "taken": self.taken}
        return {"floor": self.floor, "strata": strata, **own}, {}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SurvivalCoder:
        """Inverse of `to_dict`."""
        strata = state["strata"]
        known = None if strata is None else Strata.from_dict(strata)
        return cls(state["floor"], known, state["shared_time"], state["taken"])


def _taken(values: SurvivalValues, spec: Survival) -> str:
    """How many events there are among how many patients, of each cause, and up to when."""
    time, seen = values.time[values.observed], values.observed
    events = f"{int(values.event[seen].sum())} events"
    if values.cause is not None:
        codes, counts = np.unique(values.cause[seen], return_counts=True)
        causes = [f"{n} of cause {int(c)}" for c, n in zip(codes, counts, strict=True) if c > 0]
        events += f" ({', '.join(causes)})"
    missing = int((~seen).sum()) or "none"
    last = f"{spec.time} up to {time.max():g}, median {np.median(time):g}"
    return f"{events} in {len(time)} patients, {last}, {missing} missing"


def _likely_slips(
    obs: pd.DataFrame, spec: Survival, values: SurvivalValues, what: str
) -> list[str]:
    """Note what is likely meant otherwise; an event turned round is warned of as well."""
    notes = sentinel_notes(obs[spec.time], values.time, f"{what} time {spec.time!r}")
    turned = None if spec.competing else turned_round(obs[spec.event])
    if turned is not None:
        notes.append(f"{what} event {spec.event!r}: {turned}")
        warnings.warn(notes[-1], UserWarning, stacklevel=6)
    return notes
