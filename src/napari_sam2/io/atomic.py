"""Write beside, then rename: files and folders are there whole, or not at all."""

from __future__ import annotations

import glob
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PATIENCE = (0.0, 0.02, 0.1)
"""Seconds before each try to delete a folder: when a chunk fails, Zarr's threads still write the others."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write a file or folder to; rename it to `path` at the end.

    Raises and cleans up as `replacing_all` does.
    """
    with replacing_all(path) as (temporary,):
        yield temporary


@contextmanager
def replacing_all(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """Give temporary paths to write to; rename them together at the end.

    If anything goes wrong, an interrupt included, what was written is deleted and what was there stays.

    Parameters
    ----------
    *paths : Path
        Files or folders to be written. Those that are there are replaced; links stay, and what they lead to
        is replaced.

    Raises
    ------
    FileNotFoundError
        If the folder to write into is missing.
    OSError
        If the file system refuses.
    """
    paths = tuple(map(followed, paths))
    for path in paths:
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(
                f"there is no folder {path.absolute().parent} to write {path.name} into: choose another one"
            )
    temporaries = tuple(_beside(path) for path in paths)
    try:
        yield temporaries
        _exchange(temporaries, paths)
    except BaseException as error:
        for temporary, path in zip(temporaries, paths, strict=True):
            _discard(temporary)
            _name(error, temporary, path)
        raise


def followed(path: Path) -> Path:
    """Return what a link leads to, or the path itself: results are written there, and links stay."""
    return path.resolve() if path.is_symlink() else path


def _discard(temporary: Path) -> None:
    """Delete what was written, and what other threads still add to a folder."""
    for seconds in _PATIENCE if temporary.is_dir() else _PATIENCE[:1]:
        time.sleep(seconds)
        remove(temporary)


def _name(error: BaseException, temporary: Path, path: Path) -> None:
    """Let an error name the file that was to be written: nobody knows of the one beside it."""
    known = error.filename if isinstance(error, OSError) else None
    if isinstance(error, OSError) and known and Path(known).is_relative_to(temporary):
        error.filename = str(path)


def _beside(path: Path) -> Path:
    """Make up a name in the folder of `path`, so that renaming never has to copy."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")


def sweep(*paths: Path) -> None:
    """Delete what killed runs have left of files and folders; nobody else may be writing to them."""
    for path in paths:
        for left in path.parent.glob(f".{glob.escape(path.name)}.????????.part"):
            remove(left)


def _exchange(temporaries: Sequence[Path], paths: Sequence[Path]) -> None:
    """Rename all. What is in the way goes aside first, and comes back should a later renaming fail."""
    asides: list[Path] = []
    with ExitStack() as undo:
        for temporary, path in zip(temporaries, paths, strict=True):
            last = path == paths[-1]
            if path.exists() and not (last and path.is_file()):
                asides.append(_beside(path))
                path.rename(asides[-1])
                undo.callback(asides[-1].rename, path)
            # The last file is replaced in one step: at no time is there none under its name.
            temporary.replace(path)
            undo.callback(path.replace, temporary)
        undo.pop_all()
    for aside in asides:
        remove(aside)


def remove(path: Path) -> None:
    """Delete a file or folder if it is there; what cannot be deleted stays: another error is on its way."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
