"""The cores that a process may use."""

import os


def cores() -> list[int]:
    """Return the numbers of the cores that this process may use: of all, or of its share."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
