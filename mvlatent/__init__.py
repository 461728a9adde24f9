"""Shared and private structure of multi-view cohorts, with outcomes and honest uncertainty.

Names are imported when they are first used, so that ``import mvlatent`` is quick.
"""

from __future__ import annotations

import typing as _typing
from importlib import import_module as _import_module
from sys import modules as _modules

from mvlatent._version import __version__ as __version__

_PLACES = {
    "Labels": "mvlatent.specs",
    "Survival": "mvlatent.specs",
    "Target": "mvlatent.specs",
    "View": "mvlatent.specs",
    "MVLatent": "mvlatent.model",
    "fit": "mvlatent._fit",
    "read_tables": "mvlatent.data.read_tables",
    "Imputation": "mvlatent.methods.results",
    "Posterior": "mvlatent.posterior",
    "SurvivalCurves": "mvlatent.methods.results",
    "TargetPrediction": "mvlatent.methods.results",
}
_FOLDERS = ("datasets", "objectives", "pl", "sim", "study", "tl")

__all__ = [
    "Imputation",
    "Labels",
    "MVLatent",
    "Posterior",
    "Survival",
    "SurvivalCurves",
    "Target",
    "TargetPrediction",
    "View",
    "datasets",
    "fit",
    "objectives",
    "pl",
    "read_tables",
    "sim",
    "study",
    "tl",
]

if _typing.TYPE_CHECKING:
    from mvlatent import datasets, objectives, pl, sim, study, tl
    from mvlatent._fit import fit
    from mvlatent.data.read_tables import read_tables
    from mvlatent.methods.results import Imputation, SurvivalCurves, TargetPrediction
    from mvlatent.model import MVLatent
    from mvlatent.posterior import Posterior
    from mvlatent.specs import Labels, Survival, Target, View


def __getattr__(name: str) -> _typing.Any:
    if name in _FOLDERS:
        return _imported(f"mvlatent.{name}")
    if name in _PLACES:
        return getattr(_imported(_PLACES[name]), name)
    names = ", ".join(__all__)
    raise AttributeError(f"module 'mvlatent' has no attribute {name!r}; it has {names}.")


def _imported(module: str) -> _typing.Any:
    """A module of the package; what it imports leaves no trace in the process's state."""
    if module in _modules:
        return _import_module(module)
    from mvlatent.process import as_found

    with as_found():
        return _import_module(module)


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
