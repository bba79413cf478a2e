"""Errors as sentences that say what to do."""

from __future__ import annotations

from napari.utils.notifications import notification_manager, show_error, show_info, show_warning

from napari_sam2._model.errors import CheckpointError
from napari_sam2.refusals import ObjectLockedError

_OWN_WORDS = (ValueError, TypeError, OSError, CheckpointError)
_MEMORY_MARKS = ("out of memory", "can't allocate memory", "not enough memory")


def sentence(error: Exception) -> str | None:
    """Return what a user is told of an error; None if it is one that only a traceback explains."""
    text = str(error).strip()
    if isinstance(error, MemoryError) or any(mark in text.lower() for mark in _MEMORY_MARKS):
        return "There is not enough memory for this model here: choose a smaller model, or the CPU as device."
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"There is no file {error.filename}: it may have been moved or deleted."
    if isinstance(error, ObjectLockedError):
        return f"Object {error.obj} is locked: unlock it in the table first"
    if type(error) is RuntimeError or isinstance(error, _OWN_WORDS):
        return f"{text[:1].upper()}{text[1:]}" if text else None
    return None


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
