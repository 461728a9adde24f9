"""Classes named by path: what a registry without torch knows of those that need it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

__all__ = ["Implementations", "implementation_of"]


def implementation_of(path: str) -> Any:
    """Import the class that ``"module:Class"`` names.

    Raises
    ------
    ValueError
        If the path is not of that form.

    Examples
    --------
    >>> implementation_of("fractions:Fraction")(1, 2)
    Fraction(1, 2)
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ValueError(f"implementation {path!r} is not a path; write it as 'module:Class'.")
    return getattr(import_module(module), name)


class Implementations(Mapping[str, Any]):
    """Classes of a registry's members by name, each imported when it is asked for.

    Parameters
    ----------
    registry
        Members by name; what is registered later is there at once.
    part
        Attribute of a member that names its class, as ``"module:Class"``.

    Examples
    --------
    >>> from mvlatent.specs.likelihoods import LIKELIHOODS
    >>> Implementations(LIKELIHOODS, "implementation")["nb"].__name__
    'NegativeBinomial'
    """

    def __init__(self, registry: Mapping[str, Any], part: str) -> None:
        self._registry, self._part = registry, part

    def __getitem__(self, name: str) -> Any:
        return implementation_of(getattr(self._registry[name], self._part))

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)
