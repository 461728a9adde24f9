"""Classes named by path: what a registry without torch knows of those that need it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["implementation_of"]


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
