"""Peak memory of a process."""

from __future__ import annotations

import resource
from pathlib import Path


def peak() -> float:
    """Return the high-water mark of this process, bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would count the parent's pages at the fork
        (line,) = [x for x in status.read_text().splitlines() if x.startswith("VmHWM")]
        return 1024.0 * int(line.split()[1])
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
