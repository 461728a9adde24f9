"""Names of a fit's patients, kept so that they are recognised and not listed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import blake2b

import numpy as np

__all__ = ["are_known", "name_digests"]

BYTES = 8  # a new name is taken for one of a million known ones once in 10^13


def name_digests(names: Iterable[object]) -> list[str]:
    """Digests of names, in an order of their own: who has a name can check it, none is listed.

    Examples
    --------
    >>> name_digests(["P2", "P1"]) == name_digests(["P1", "P2"])
    True
    """
    return sorted(_digest(name) for name in names)


def are_known(names: Iterable[object], digests: Collection[str]) -> np.ndarray:
    """Whether the digest of each name is among those, (n,).

    Examples
    --------
    >>> are_known(["P1", "P3"], name_digests(["P1", "P2"])).tolist()
    [True, False]
    """
    known = {*digests}
    return np.array([_digest(name) in known for name in names], dtype=bool)


def _digest(name: object) -> str:
    return blake2b(str(name).encode(), digest_size=BYTES, person=b"mvlatent").hexdigest()
