"""A line that names the stage a fit is in, and its total time at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stages", "stages"]


class Stages:
    """Tells which stage a fit is in.

    Parameters
    ----------
    show
        Whether anybody is told.
    """

    def __init__(self, show: bool) -> None:
        from tqdm.auto import tqdm

        self.begun = time.perf_counter()
        layout = "fit: {desc} [{elapsed}]"
        self.bar = tqdm(disable=not show, bar_format=layout, mininterval=0.0, leave=True)

    def __call__(self, stage: str) -> None:
        """Name the stage that begins."""
        self.bar.set_description_str(stage)

    def close(self) -> None:
        """Say how long it took."""
        self.bar.set_description_str(f"done in {time.perf_counter() - self.begun:.1f} s")
        self.bar.close()


@contextmanager
def stages(show: bool) -> Iterator[Stages]:
    """Tell the stages of what is done inside.

    Examples
    --------
    >>> with stages(False) as say:
    ...     say("start")
    """
    told = Stages(show)
    try:
        yield told
    finally:
        told.close()
