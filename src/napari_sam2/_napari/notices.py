"""Errors as sentences that say what to do."""

from __future__ import annotations

import dis
import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari.utils.notifications import (
    Notification,
    NotificationSeverity,
    notification_manager,
    show_error,
    show_info,
    show_warning,
)

from napari_sam2._model.errors import CheckpointError
from napari_sam2.refusals import FULL_DISK, ObjectLockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OWN_WORDS = (ValueError, TypeError, OSError, CheckpointError)
_MEMORY_MARKS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR})
_RAISE = dis.opmap["RAISE_VARARGS"]


class NotWrittenError(OSError):
    """A file of the user's cannot be written; the message says what to do."""


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Let errors of the system tell of a file that is written meanwhile, with the name that the user gave it.

    Raises
    ------
    NotWrittenError
        In place of an error that has a number.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # it is in words already
            raise
        raise NotWrittenError(_of_writing(path, error)) from error


def _of_writing(path: str, error: OSError) -> str:
    if error.errno in FULL_DISK:
        return f"the disk is full: {path} was not written. Make room on it, or choose another disk."
    if error.errno in _FORBIDDEN:
        return (
            f"{path} cannot be written there: choose another folder, ask for the right to write into this "
            "one, or close the program that has the file open."
        )
    if error.errno in _NOWHERE:
        return f"{path} cannot be written there, no file can be made in that folder: choose another one."
    return f"{path} was not written ({reason(error)}): choose another name, folder or disk."


def reason(error: Exception) -> str:
    """Return what an error says, without the numbers and paths that the system puts around it."""
    return (isinstance(error, OSError) and error.strerror) or str(error).strip()


def sentence(error: Exception) -> str | None:
    """Return what a user is told of an error; None if it is one that only a traceback explains."""
    text = str(error).strip()
    if isinstance(error, MemoryError) or any(mark in text.lower() for mark in _MEMORY_MARKS):
        return "There is not enough memory for this model here: choose a smaller model, or the CPU as device."
    if isinstance(error, OSError) and error.errno is not None:
        return _of_the_system(error)
    if isinstance(error, ObjectLockedError):
        return f"Object {error.obj} is locked: unlock it in the table first"
    if (type(error) is RuntimeError or isinstance(error, _OWN_WORDS)) and _is_worded(error):
        return f"{text[:1].upper()}{text[1:]}" if text else None
    return None


def _of_the_system(error: OSError) -> str:
    """Put an error with a number into words; mostly nobody knows whether it was read or written."""
    name = f"{error.filename or ''}"
    if error.errno in FULL_DISK:
        return f"The disk is full{f', {name} was not written' if name else ''}: make room on it."
    if name and error.errno == errno.ENOENT:
        return f"There is no file {name}: it may have been moved or deleted."
    if name and error.errno in _FORBIDDEN:
        return f"{name} cannot be opened: ask for the right to it, or choose another file or folder."
    what = f"{name}: {reason(error)}" if name else reason(error)
    return f"{what}. Try again, or choose another file or folder."


def _is_worded(error: Exception) -> bool:
    """Whether somebody wrote its words: it was raised by a statement, not by an operation that failed.

    What Python says of a wrong call, or a library of wrong shapes, is of use with a traceback only.
    """
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return True
    code = place.tb_frame.f_code.co_code
    return code[place.tb_lasti : place.tb_lasti + 1] == bytes([_RAISE])


def show_failure(error: Exception) -> None:
    """Tell the user of an error, in a notification."""
    text = sentence(error)
    if text is None:
        notification_manager.receive_error(type(error), error, error.__traceback__)
    else:
        show_error(text)


def tell(text: str) -> None:
    """Tell the user something in a notification."""
    show_info(text)


def warn(text: str) -> None:
    """Warn the user in a notification."""
    show_warning(text)


class _Offer(Notification):  # type: ignore[misc]  # napari has no types
    """A notification with buttons: beside them napari writes where it comes from."""

    @property
    def source(self) -> str:
        return "SAM 2"


def offer(text: str, *choices: tuple[str, Callable[[], object]]) -> None:
    """Tell the user something that can be answered by the press of a button, each with what it does."""
    # napari calls back with the notification.
    actions = [(name, lambda _=None, act=act: act()) for name, act in choices]
    notification_manager.dispatch(_Offer(text, NotificationSeverity.INFO, actions))
