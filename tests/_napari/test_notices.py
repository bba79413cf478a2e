"""Errors become notifications that say what to do; what nobody foresaw keeps its traceback."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import (
    ErrorNotification,
    Notification,
    NotificationSeverity,
    notification_manager,
)

from napari_sam2._model.errors import CheckpointError
from napari_sam2._napari.notices import NotWrittenError, offer, sentence, show_failure, tell, warn, writing
from napari_sam2.prompts import check_object_id
from napari_sam2.refusals import ObjectLockedError


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Notification]:
    notes: list[Notification] = []
    monkeypatch.setattr(notification_manager, "dispatch", notes.append)
    return notes


def missing(path: Path) -> FileNotFoundError:
    with pytest.raises(FileNotFoundError) as caught:
        path.read_bytes()
    return caught.value


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("the saved session has other frames: choose the axis"), "The saved session has"),
        (CheckpointError("Could not fetch it: check the network."), "Could not fetch it"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "choose a smaller model"),
        (MemoryError(), "choose a smaller model"),
        (missing(Path("/nowhere/cells.sam2.json")), "There is no file /nowhere/cells.sam2.json"),
        (OSError("no space left"), "No space left"),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full: make room on it."),
        (OSError(errno.ENOSPC, "No space left", "/a.bin"), "The disk is full, /a.bin was not written: make"),
        (PermissionError(errno.EACCES, "Permission denied", "/a.pt"), "/a.pt cannot be opened: ask for"),
        (
            OSError(errno.EIO, "Input/output error", "/a.pt"),
            "/a.pt: Input/output error. Try again, or choose another",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "choose a smaller model"),
        (ObjectLockedError(3), "Object 3 is locked: unlock it in the table first"),
    ],
)
def test_foreseen_errors_are_sentences(error: Exception, said: str, told: list[Notification]) -> None:
    show_failure(error)
    (note,) = told
    assert note.message.startswith(said) or said in note.message
    assert note.severity is NotificationSeverity.ERROR
    assert not isinstance(note, ErrorNotification), "no traceback"


class UnforeseenError(RuntimeError):
    """What nobody foresaw."""


def raised(call: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        call()
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        UnforeseenError("x"),
        ValueError(""),
        raised(lambda: len(3)),  # type: ignore[arg-type]  # as a mistake of our own would
        raised(lambda: None.shape),  # type: ignore[attr-defined]
        raised(lambda: np.zeros(2) + np.zeros(3)),
        raised(lambda: int("x")),
    ],
    ids=lambda error: repr(error)[:40],
)
def test_surprises_keep_their_traceback(error: Exception, told: list[Notification]) -> None:
    assert sentence(error) is None
    show_failure(error)
    (note,) = told
    assert isinstance(note, ErrorNotification)
    assert note.exception is error


def test_words_of_a_statement_are_a_sentence() -> None:
    error = raised(lambda: check_object_id("x"))
    assert isinstance(error, TypeError)
    assert sentence(error) == "The object id is 'x' of type str: give a whole number"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/data/.x.tif.1a.part"), "choose another folder"),
        (
            OSError(errno.EROFS, "Read-only file system"),
            "/data/x.tif cannot be written there: choose another",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file", "/data/.x.tif.1a.part"), "cannot be written there"),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full: /data/x.tif was not written."),
        (
            OSError(errno.EIO, "Input/output error"),
            "/data/x.tif was not written (Input/output error): choose",
        ),
    ],
)
def test_what_cannot_be_written_has_the_name_that_the_user_gave_it(error: OSError, said: str) -> None:
    with pytest.raises(NotWrittenError) as caught, writing("/data/x.tif"):
        raise error
    text = sentence(caught.value)
    assert text is not None
    assert said in text
    assert "/data/x.tif" in text
    assert "part" not in text


def test_what_is_in_words_stays_as_it_is() -> None:
    with pytest.raises(FileExistsError, match="a folder is in the way"), writing("x.tif"):
        raise FileExistsError("a folder is in the way")


def test_the_rest_is_information_or_a_warning(told: list[Notification]) -> None:
    tell("one")
    warn("two")
    assert [(note.message, note.severity) for note in told] == [
        ("one", NotificationSeverity.INFO),
        ("two", NotificationSeverity.WARNING),
    ]


def test_an_offer_says_whose_it_is_and_its_buttons_do_what_they_say(told: list[Notification]) -> None:
    pressed = list[str]()
    offer("Shall it?", ("Yes", lambda: pressed.append("yes")), ("No", lambda: pressed.append("no")))
    (note,) = told
    assert (str(note.message), note.source, str(note.severity)) == ("Shall it?", "SAM 2", "info")
    for _, act in note.actions:
        act(object())  # as napari does
    assert pressed == ["yes", "no"]
