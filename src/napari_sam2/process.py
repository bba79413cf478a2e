"""Settings of the whole process, which only a program of its own may touch."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1


def return_memory() -> bool:
    """Give the system back what the process does not use, as after `keep_memory` only this does.

    What is kept for a short time and for long lies side by side, so that buffers of the network find less and
    less room between masks. Now and then in a long run this keeps the process as large as what it holds.

    Returns
    -------
    bool
        Whether anything was returned; elsewhere than on Linux with glibc nothing is done.
    """
    trim = _c_function("malloc_trim")
    return trim is not None and bool(trim(0))


def keep_memory() -> bool:
    """Let glibc reuse the network's large buffers instead of returning them to the system after each use.

    Returns
    -------
    bool
        Whether the C library took the settings; elsewhere than on Linux with glibc nothing is done.
    """
    mallopt = _c_function("mallopt")
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST_INT))


def _c_function(name: str) -> Callable[..., int] | None:
    """Return a function of glibc; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return function


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
