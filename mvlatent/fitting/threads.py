"""One thread for small problems, which several would spend waiting for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["MOST_ELEMENTS", "small_work_on_one_thread"]

MOST_ELEMENTS = 20_000_000  # patients × features, up to which one thread is the faster or as fast


@contextmanager
def small_work_on_one_thread(n_elements: int) -> Iterator[int]:
    """Run the block on one thread of torch and BLAS if the problem is small.

    Blocks may be nested and may overlap in several Python threads. Torch keeps a number a Python
    thread, and hands the last one set to threads that begin: so each thread gets back, when its
    outermost block ends however it ends, the number that the first of the overlapping blocks found.
    The pools of BLAS are one for all: they are given back when the last block ends.

    Parameters
    ----------
    n_elements
        Patients times features, all views together. Nothing changes above `MOST_ELEMENTS`.

    Yields
    ------
    int
        Number of torch's threads in the block.

    Examples
    --------
    >>> before = torch.get_num_threads()
    >>> with small_work_on_one_thread(500 * 2_000) as n_threads:
    ...     n_threads, torch.get_num_threads()
    (1, 1)
    >>> torch.get_num_threads() == before
    True
    """
    if n_elements > MOST_ELEMENTS:
        yield torch.get_num_threads()
        return
    block = _Block(threading.get_ident())
    try:
        _guard.enter(block)
        yield torch.get_num_threads()
    finally:
        _guard.leave(block)


class _Block:
    """One block, of one Python thread; equal to itself alone."""

    def __init__(self, thread: int) -> None:
        self.thread = thread


class _Guard:
    """The blocks that are open, and what the first of them found."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open: set[_Block] = set()
        self._before = 1
        self._blas: Any = None

    def enter(self, block: _Block) -> None:
        with self._lock:
            if not self._open:
                self._before, self._blas = torch.get_num_threads(), _limited_blas()
            self._open.add(block)
            torch.set_num_threads(1)

    def leave(self, block: _Block) -> None:
        """Close the block, if it was opened: an interrupt may have come first."""
        with self._lock:
            if block not in self._open:
                return
            self._open.remove(block)
            if all(other.thread != block.thread for other in self._open):
                torch.set_num_threads(self._before)
            if not self._open and self._blas is not None:
                self._blas.restore_original_limits()


def _limited_blas() -> Any:
    """Limit the pools of numpy and scipy; what undoes it, or ``None`` without threadpoolctl."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return None
    return threadpool_limits(limits=1, user_api="blas")


_guard = _Guard()
