"""Settings of the whole process, which only a program of its own may touch."""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1


def keep_memory() -> bool:
    """Let glibc reuse the network's large buffers instead of returning them to the system after each use.

    Returns
    -------
    bool
        Whether the C library took the settings; elsewhere than on Linux with glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST_INT))


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
