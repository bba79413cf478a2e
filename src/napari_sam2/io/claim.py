"""A folder that one run works in at a time: two would write their labels through one another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_sam2.io.atomic import remove

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "in-use.lock"
"""File in the folder. The system frees it with the process that holds it, whatever ends that."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep a folder for this run; it is made if it is not there.

    Parameters
    ----------
    folder : Path
        What is not complete lies there.

    Raises
    ------
    BlockingIOError
        If another run has it.
    OSError
        If it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(
            f"another run is at work on it, in {folder}: wait until that has ended, or end it; then the same "
            "command does what is missing"
        ) from None
    try:
        yield
    finally:
        _tidy(folder)
        lock.release()
        with suppress(OSError):  # where files that are open cannot be deleted, the folder is left
            folder.rmdir()


def _tidy(folder: Path) -> None:
    """Leave no lock where nothing else is left."""
    if folder.is_dir() and all(each.name == LOCK for each in folder.iterdir()):
        remove(folder)
