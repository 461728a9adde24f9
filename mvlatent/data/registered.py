"""What was set up: a manager of scvi-tools with the cohort as read, found by the user's object."""

from __future__ import annotations

import weakref
from typing import Any

from ml_collections import ConfigDict
from scvi.data import AnnDataManager

from mvlatent.data.tables import Tables
from mvlatent.specs import Roles

__all__ = [
    "CohortManager",
    "forget",
    "registered_manager",
    "registered_notes",
    "registered_roles",
    "remember",
]


class CohortManager(AnnDataManager):  # type: ignore[misc]
    """Manager of a private MuData that hands on what registration has read.

    Parameters
    ----------
    roles
        Roles, with the views and their likelihoods named.
    notes
        What was guessed, a sentence each.
    tables
        The cohort as read, which every model of it takes.
    **manager
        As of scvi-tools' manager.
    """

    def __init__(self, roles: Roles, notes: list[str], tables: Tables, **manager: Any) -> None:
        super().__init__(**manager)
        self.roles, self.notes, self.tables = roles, notes, tables

    @staticmethod
    def _get_data_registry_from_registry(registry: dict[str, Any]) -> ConfigDict:
        """Where the data are by view; names of views may hold dots, which scvi-tools refuses."""
        fields = registry["field_registries"]
        return _dotted({k: v["data_registry"] for k, v in fields.items() if v["data_registry"]})

    @staticmethod
    def _get_summary_stats_from_registry(registry: dict[str, Any]) -> ConfigDict:
        """Numbers of patients, features and sites."""
        fields = registry["field_registries"].values()
        return _dotted({k: n for v in fields for k, n in v["summary_stats"].items()})


def _dotted(held: dict[str, Any]) -> ConfigDict:
    return ConfigDict(held, allow_dotted_keys=True).lock()


class _Owner(weakref.ref[Any]):
    """The user's object, as long as it lives; hashed by itself, since an AnnData has no hash."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


_MANAGERS: dict[_Owner, CohortManager] = {}


def _owners(thing: object) -> list[_Owner]:
    """Entries of this very object; a copy is another one."""
    return [owner for owner in _MANAGERS.copy() if owner() is thing]


def remember(thing: object, manager: CohortManager) -> None:
    """Keep a manager for an object, until the object is gone."""
    forget(thing)
    _MANAGERS[_Owner(thing, _drop)] = manager


def forget(thing: object) -> None:
    """Drop what was registered for an object: its tables would stand beside newer ones."""
    for owner in _owners(thing):
        _drop(owner)


def _drop(owner: weakref.ref[Any]) -> None:
    _MANAGERS.pop(owner, None)  # type: ignore[call-overload]


def registered_manager(thing: object) -> CohortManager:
    """Return the latest manager that was registered for this very object.

    Raises
    ------
    ValueError
        If none was.
    """
    for owner in _owners(thing):
        if (manager := _MANAGERS.get(owner)) is not None:
            return manager
    raise ValueError("this object is not set up; call MVLatent.setup_mudata(mdata, ...) first.")


def registered_roles(manager: CohortManager) -> Roles:
    """Return the roles of a manager, with the views named."""
    return manager.roles


def registered_notes(manager: CohortManager) -> list[str]:
    """Return what was guessed while registering, a sentence each."""
    return list(manager.notes)
