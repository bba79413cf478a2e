"""Labels that cannot be written where they were wanted go to another folder, and the error says so."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.session import Session

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a disk that is full."""


@contextmanager
def kept_elsewhere(tracked: Session, output: Path) -> Iterator[None]:
    """Where labels cannot be written to `output`, write them elsewhere; the error goes on with word of it.

    Raises
    ------
    OSError
        That of the writing.
    """
    try:
        yield
    except OSError as error:
        place = _written_elsewhere(tracked, output, error)
        error.add_note(
            f"The labels are kept in {place}: move them from there soon."
            if place is not None
            else "The labels could not be kept in another folder either: with --labels-on-disk the same "
            "command would go on where it was."
        )
        raise


def _written_elsewhere(tracked: Session, output: Path, error: OSError) -> Path | None:
    for folder in _folders(output, error):
        with suppress(OSError):
            place = Path(tempfile.mkdtemp(prefix="napari-sam2-labels-", dir=folder)) / output.name
            try:
                tracked.export(place)
            except BaseException:
                place.parent.rmdir()
                raise
            return place
    return None


def _folders(output: Path, error: OSError) -> Iterator[Path]:
    """List folders that may take labels: not those on a disk that is known to be full."""
    for folder in (Path(tempfile.gettempdir()), Path.home()):
        if error.errno not in FULL or _device(folder) != _device(output.absolute().parent):
            yield folder


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None
