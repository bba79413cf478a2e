"""What was done when an error came is kept beside the output, or in another folder; the error says where."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.refusals import FULL_DISK

if TYPE_CHECKING:
    from napari_sam2._cli.inputs import Inputs
    from napari_sam2.session import Session


_ENDINGS = re.compile(r"(\.ome\.zarr|\.ome\.tiff?|_RES|\.\w+)$", re.IGNORECASE)


@contextmanager
def kept_so_far(tracked: Session, output: Path, save_session: Path | None, inputs: Inputs) -> Iterator[None]:
    """Where tracking fails in its middle, write the labels up to there beside `output`, and the session.

    The error goes on with word of it. Where the images have changed meanwhile, nothing is written.
    """
    try:
        yield
    except Exception as error:
        with suppress(OSError):  # an image that can no longer be read is none that has changed
            inputs.check()
        if tracked.undo_run is not None:  # more than prompts
            error.add_note(
                _kept("What was tracked until then", partial(_write_labels, tracked), unfinished(output))
            )
            if save_session is not None:
                error.add_note(_kept("The session", tracked.save, save_session))
        raise


def _kept(what: str, write: Callable[[Path], object], path: Path) -> str:
    """Write, and say where it is, or why it is not."""
    try:
        write(path)
    except OSError as error:
        notes = getattr(error, "__notes__", ())
        return " ".join([f"{what} cannot be written to {path}: {error}.", *notes])
    return f"{what} is kept in {path}."


def _write_labels(tracked: Session, path: Path) -> None:
    with kept_elsewhere(tracked, path):
        tracked.export(path)


def unfinished(output: Path) -> Path:
    """Find a name beside `output` that says that labels are not complete, and that nothing has."""
    for number in count(1):
        tag = ".unfinished" if number == 1 else f".unfinished-{number}"
        path = output.with_name(_ENDINGS.sub(rf"{tag}\1", output.name))
        if not path.exists():
            break
    return path


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
        if error.errno not in FULL_DISK or _device(folder) != _device(output.absolute().parent):
            yield folder


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None
