"""A disk that is full: this process can write no file of more than so many bytes, and the system says so."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

resource = pytest.importorskip("resource", reason="there are no limits of file sizes on this system")
SAID = os.strerror(errno.EFBIG)
"""What is said in place of `No space left on device`."""


def fill(room: int = 0) -> None:
    """Let files become no larger than `room` until `full_disk` ends."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@contextmanager
def full_disk(room: int | None = None) -> Iterator[None]:
    """Let files become no larger than `room`; None: than what `fill` is told meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        if room is not None:
            fill(room)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
