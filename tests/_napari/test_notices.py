"""Errors become notifications that say what to do; what nobody foresaw keeps its traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from napari.utils.notifications import (
    ErrorNotification,
    Notification,
    NotificationSeverity,
    notification_manager,
)

from napari_sam2._model.errors import CheckpointError
from napari_sam2._napari.notices import sentence, show_failure, tell, warn
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


@pytest.mark.parametrize("error", [KeyError("x"), UnforeseenError("x"), ValueError("")])
def test_surprises_keep_their_traceback(error: Exception, told: list[Notification]) -> None:
    assert sentence(error) is None
    show_failure(error)
    (note,) = told
    assert isinstance(note, ErrorNotification)
    assert note.exception is error


def test_the_rest_is_information_or_a_warning(told: list[Notification]) -> None:
    tell("one")
    warn("two")
    assert [(note.message, note.severity) for note in told] == [
        ("one", NotificationSeverity.INFO),
        ("two", NotificationSeverity.WARNING),
    ]
