"""What all threads of a process share, touched in one place: random streams, warnings, defaults.

Torch draws from one stream a process, Pyro keeps one stack of handlers and Python one list of
warning filters. So whatever draws, traces or sets a default does it `alone`, and puts back what it
found, however its block ends and whatever other threads do meanwhile.
"""

from __future__ import annotations

import os
import random
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["alone", "as_found", "quiet", "seeded", "usual_torch"]

_lock = threading.RLock()


def _renew() -> None:
    """Give a forked child a lock of its own: a thread that it does not have may hold the parent's.

    The same holds for the blocks of `quiet` that were open.
    """
    global _lock
    _lock = threading.RLock()
    _filters.renew()


@contextmanager
def alone() -> Iterator[None]:
    """Run the block while no other thread is in such a block; blocks of one thread may be nested.

    Examples
    --------
    >>> with alone(), alone():
    ...     print("nobody else is here")
    nobody else is here
    """
    with _lock:
        yield


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's own stream, from a seed on; it comes back as it was.

    Parameters
    ----------
    seed
        Where the stream begins.

    Examples
    --------
    >>> import torch
    >>> def draw():
    ...     with seeded(3):
    ...         return torch.rand(1).item()
    >>> draw() == draw()
    True
    """
    import torch

    with alone(), torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def as_found() -> Iterator[None]:
    """Give Python's random stream and the warning filters back as they were.

    Libraries add filters when they are imported, and mudata draws names of columns.

    Examples
    --------
    >>> before = random.getstate()
    >>> with as_found():
    ...     _ = random.random()
    >>> random.getstate() == before
    True
    """
    with alone():
        block, before = _filters.enter(), random.getstate()
        try:
            yield
        finally:
            random.setstate(before)
            _filters.leave(block)


@contextmanager
def usual_torch() -> Iterator[None]:
    """Run the block with torch's usual defaults: float32, and gradients where they are asked for.

    What the caller has set, such as float64 or ``torch.inference_mode()``, comes back; so do the
    warning filters, which libraries that are first imported in the block may add to.

    Examples
    --------
    >>> import torch
    >>> with torch.no_grad(), usual_torch():
    ...     torch.is_grad_enabled(), torch.get_default_dtype()
    (True, torch.float32)
    """
    import torch

    with alone(), torch.inference_mode(False), torch.enable_grad():
        block, before = _filters.enter(), torch.get_default_dtype()
        try:
            if before != torch.float32:
                torch.set_default_dtype(torch.float32)
            yield
        finally:
            if torch.get_default_dtype() != before:
                torch.set_default_dtype(before)
            _filters.leave(block)


@contextmanager
def quiet(message: str = "") -> Iterator[None]:
    """Ignore warnings in the block, as ``warnings.catch_warnings`` does for one thread.

    Blocks may overlap in several threads: the filters are back when the last one ends.

    Parameters
    ----------
    message
        How the warnings begin that are ignored; all by default.

    Examples
    --------
    >>> before = list(warnings.filters)
    >>> with quiet():
    ...     warnings.warn("nobody reads this", stacklevel=1)
    >>> warnings.filters == before
    True
    """
    block = _filters.enter()
    try:
        warnings.filterwarnings("ignore", message)
        yield
    finally:
        _filters.leave(block)


class _Bracket:
    """One open block, and the filters it found."""

    def __init__(self) -> None:
        self.held = warnings.filters
        self.before = list(warnings.filters)
        self.is_open = True


class _Filters:
    """Open blocks of `quiet` in all threads, the latest last."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._lock = threading.RLock()
        self._blocks: list[_Bracket] = []

    def enter(self) -> _Bracket:
        with self._lock:
            self._blocks.append(_Bracket())
            return self._blocks[-1]

    def leave(self, block: _Bracket) -> None:
        """Undo the latest blocks as far as they are closed; one below an open one waits for it."""
        with self._lock:
            block.is_open = False
            while self._blocks and not self._blocks[-1].is_open:
                last = self._blocks.pop()
                if list(last.held) != last.before:
                    last.held[:] = last.before  # type: ignore[index]  # in place, for others
                    warnings._filters_mutated()  # type: ignore[attr-defined]


_filters = _Filters()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
