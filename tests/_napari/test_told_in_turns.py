"""Edits of many frames: what is shown is told first, the rest little by little, and clicks go between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam2._napari import desk
from napari_sam2._napari.answers import Answer
from napari_sam2._napari.differences import Untold
from napari_sam2.prompts import FramePrompts
from napari_sam2.session import Session
from tests._napari.dock import COUNT, MIDDLE, Dock
from tests.fakes import SHAPE, FakeModel, plain_frames

pytestmark = [pytest.mark.gui]


@pytest.fixture
def frame_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every turn end with its first frame."""
    monkeypatch.setattr(desk, "_TURN", 0.0)


def watched(dock: Dock) -> list[Answer]:
    answers: list[Answer] = []
    dock.controller.space.answered.connect(lambda _sequence, answer: answers.append(answer))
    return answers


def frames_told(answers: list[Answer]) -> list[list[int]]:
    return [[change.frame for change in answer.changes] for answer in answers if answer.changes]


def tracked(dock: Dock) -> NDArray[np.uint16]:
    dock.prompt(1, MIDDLE, 8, 10)
    dock.prompt(2, MIDDLE, 16, 10)
    dock.propagate()
    labels: NDArray[np.uint16] = dock.labels.copy()
    assert labels.any(axis=(1, 2)).all()
    return labels


@pytest.mark.usefixtures("frame_by_frame")
def test_the_frame_that_is_shown_is_told_first(bench: Dock) -> None:
    labels = tracked(bench)
    bench.show(6)
    answers = watched(bench)
    bench.view.progress.undo_requested.emit()
    bench.wait()
    told = frames_told(answers)
    assert told[0] == [6]
    assert all(len(frames) == 1 for frames in told)
    assert sorted(frames[0] for frames in told) == [f for f in range(COUNT) if f != MIDDLE]
    assert [answer.is_behind for answer in answers] == [True] * (len(answers) - 1) + [False]
    assert bench.on == [MIDDLE]
    bench.view.progress.redo_requested.emit()
    bench.wait()
    np.testing.assert_array_equal(bench.labels, labels)
    assert bench.state.objects.rows[0].frames == COUNT


@pytest.mark.usefixtures("frame_by_frame")
def test_a_click_goes_between(bench: Dock) -> None:
    tracked(bench)
    bench.show(0)
    said: list[bool] = []

    def click(_sequence: object, answer: Answer) -> None:
        if answer.result is not None and answer.result.frame == 0:
            said.append(answer.is_behind)
        elif answer.is_behind and not bench.controller.space.sequence.waiting and not said:  # type: ignore[union-attr]
            bench.set(3, 0, FramePrompts([(8, 14)], [True]))

    bench.controller.space.answered.connect(click)
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert said == [True]
    assert 3 in bench.session.objects
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    assert bench.on == [0, MIDDLE]


@pytest.mark.usefixtures("frame_by_frame")
@pytest.mark.parametrize("edit", ["merge", "delete"])
def test_edits_of_several_objects_are_shown_whole(bench: Dock, edit: str) -> None:
    labels = tracked(bench)
    getattr(bench.controller.objects, edit)((1, 2))
    bench.wait()
    np.testing.assert_array_equal(bench.labels, (labels > 0) if edit == "merge" else np.zeros_like(labels))
    np.testing.assert_array_equal(bench.session.labels, bench.labels)
    bench.view.progress.undo_requested.emit()
    bench.wait()
    np.testing.assert_array_equal(bench.labels, labels)


@pytest.mark.usefixtures("frame_by_frame")
def test_other_work_is_told_frame_by_frame(bench: Dock, tmp_path: Path) -> None:
    labels = tracked(bench)
    bench.view.files.save_requested.emit(str(tmp_path / "w"))
    bench.wait()
    bench.controller.objects.delete((1, 2))
    bench.wait()
    bench.show(5)
    answers = watched(bench)
    bench.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
    bench.wait()
    told = frames_told(answers)
    assert told[0] == [5]
    assert all(len(frames) == 1 for frames in told)
    np.testing.assert_array_equal(bench.labels, labels)


@pytest.fixture
def sessions(fake_model: FakeModel) -> tuple[Session, ...]:
    """Three sessions that differ on frames 1, 2 and 3, alike by pairs."""
    made = []
    for rows in ((1, 2, 3), (1, 5, 6), (7, 5, 3)):
        session = Session(plain_frames(4), model=fake_model.as_model())
        for frame, row in enumerate(rows, start=1):
            mask = np.zeros(SHAPE, bool)
            mask[row] = True
            session.paint(1, frame, mask)
        made.append(session)
    return tuple(made)


@pytest.mark.parametrize("taken", range(4))
def test_sessions_may_take_each_others_place_before_all_is_told(
    sessions: tuple[Session, ...], taken: int
) -> None:
    first, second, third = sessions
    first.take_changes()
    shown, untold = first.labels.copy(), Untold()
    first.set_prompts(1, 0, FramePrompts([(8, 8)], [True]))  # nobody was told of it
    untold.replace(first, second)
    for _ in range(taken):
        follow(untold, second, shown)
    untold.replace(second, third)
    while untold.is_left(third):
        follow(untold, third, shown)
    np.testing.assert_array_equal(shown, third.labels)
    assert untold.take(third, 0, 1.0) == ()


def follow(untold: Untold, session: Session, shown: NDArray[np.uint16]) -> None:
    for change in untold.take(session, first=3, seconds=0):
        shown[(change.frame, *change.box.slices)] = change.values
