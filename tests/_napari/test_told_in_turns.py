"""Edits of many frames: what is shown is told first, the rest little by little, and clicks go between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam2._napari.image.network_view import View
from napari_sam2._napari.work import desk
from napari_sam2._napari.work.answers import Answer
from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.differences import Untold
from napari_sam2._napari.work.opening import Opening
from napari_sam2.prompts import FramePrompts
from napari_sam2.session import Session
from napari_sam2.steps import result_of
from tests._napari.dock import COUNT, MIDDLE, Dock, frames, pause, until
from tests.fakes import SHAPE, FakeModel, click, plain_frames

pytestmark = [pytest.mark.gui]


@pytest.fixture
def frame_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every turn end with its first frame."""
    monkeypatch.setattr(desk, "WRITING_SECONDS", 0.0)


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
    assert [bool(answer.behind) for answer in answers] == [True] * (len(answers) - 1) + [False]
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
            said.append(bool(answer.behind))
        elif answer.behind and not bench.controller.space.sequence.waiting and not said:  # type: ignore[union-attr]
            bench.set(3, 0, FramePrompts([(8, 14)], [True]))

    bench.controller.space.answered.connect(click)
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert said == [True]
    assert 3 in bench.session.objects
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    assert bench.on == [0, MIDDLE]


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def do(work: Desk, edit: Callable[[Session], object], *, in_steps: bool) -> Answer:
    def steps(session: Session) -> Iterator[None]:
        yield
        edit(session)

    return result_of(work.edit_in_steps(steps)) if in_steps else work.edit(edit)


@pytest.mark.parametrize("in_steps", [False, True])
@pytest.mark.parametrize(("seconds", "told"), [(0, COUNT - 1), (200, 1)])
def test_a_long_edit_leaves_more_to_be_written_later(
    fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch, in_steps: bool, seconds: float, told: int
) -> None:
    work, clock = Desk(), Clock()
    work.open(Opening(View(frames(), frames())), fake_model.as_model())
    work.opened.set_prompts(1, MIDDLE, click(8, 10))
    list(work.opened.propagate())
    work.answer()
    monkeypatch.setattr(desk, "time", clock)
    monkeypatch.setattr(desk, "WRITING_SECONDS", 100.0)

    def undo(session: Session) -> None:
        session.undo()
        clock.now += seconds

    answer = do(work, undo, in_steps=in_steps)
    assert len(answer.changes) == told
    assert bool(answer.behind) == (told < COUNT - 1)


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
    with first.postponed():  # nobody was told of it
        first.set_prompts(1, 0, FramePrompts([(8, 8)], [True]))
    follow(untold, first, shown, seconds=60)
    untold.replace(first, second)
    for number in range(taken):
        second.set_prompts(2, number, FramePrompts([(12, 8)], [True]))
        follow(untold, second, shown)
    follow(untold, second, shown, seconds=60)
    for before, other in ((second, third), (third, second)):
        untold.replace(before, other)
        while untold.frames(other):
            follow(untold, other, shown)
        np.testing.assert_array_equal(shown, other.labels)
        assert untold.take(other, 0, 1.0) == ()


@pytest.mark.parametrize("told", range(4))
@pytest.mark.parametrize("behind", [False, True])
def test_another_may_come_before_all_of_one_is_told(
    sessions: tuple[Session, ...], told: int, behind: bool
) -> None:
    first, second, third = sessions
    first.take_changes()
    shown, untold = first.labels.copy(), Untold()
    untold.replace(first, second)
    for number in range(told):
        second.set_prompts(2, number, FramePrompts([(12, 8)], [True]))
        for change in second.take_changes():  # as what is tracked is told
            shown[(change.frame, *change.box.slices)] = change.values
    if behind:
        with second.postponed():
            second.remove_object(1)
    untold.replace(second, third)
    while untold.frames(third):
        follow(untold, third, shown)
    np.testing.assert_array_equal(shown, third.labels)


def follow(untold: Untold, session: Session, shown: NDArray[np.uint16], seconds: float = 0) -> None:
    for change in untold.take(session, first=3, seconds=seconds):
        shown[(change.frame, *change.box.slices)] = change.values


# ------------------------------------------------- while frames are behind


@pytest.fixture
def slow_turns(monkeypatch: pytest.MonkeyPatch, frame_by_frame: None) -> None:
    """Let turns take so long that much can be done between them."""
    write_on = Desk.write_on

    def slowly(desk: Desk) -> Answer:
        time.sleep(0.05)
        return write_on(desk)

    monkeypatch.setattr(Desk, "write_on", slowly)


def begun(dock: Dock, edit: Callable[[], object]) -> None:
    """Do something and wait until it was answered, and not until it was shown."""
    answers = watched(dock)
    edit()
    until(lambda: any(answer.behind for answer in answers))


@pytest.mark.usefixtures("slow_turns")
@pytest.mark.parametrize("edit", ["delete", "merge", "undo"])
def test_a_stroke_over_what_is_not_shown_yet_brings_nothing_back(bench: Dock, edit: str) -> None:
    labels = tracked(bench)
    objects, undo = bench.controller.objects, bench.view.progress.undo_requested
    y, x = np.argwhere(labels[2] == 2)[0].tolist()
    edits: dict[str, Callable[[], object]] = {
        "delete": lambda: objects.delete((2,)),
        "merge": lambda: objects.merge((1, 2)),
        "undo": undo.emit,
    }
    begun(bench, edits[edit])
    bench.show(2)
    layer = bench.layers.labels
    layer.selected_label, layer.brush_size = 1, 1
    layer.paint((2, y, x), 1)
    pause(5)
    bench.wait()
    expected = {
        "delete": np.where(labels[2] == 1, 1, 0),
        "merge": (labels[2] > 0).astype(int),
        "undo": np.zeros(SHAPE, int),
    }[edit]
    expected[y, x] = 1
    np.testing.assert_array_equal(bench.labels[2], expected)
    np.testing.assert_array_equal(bench.session.labels, bench.labels)
    assert 2 not in bench.session.objects or edit == "undo"


@pytest.mark.usefixtures("slow_turns")
@pytest.mark.parametrize("then", ["close", "other image", "load", "undo again"])
def test_what_is_behind_is_shown_whatever_comes_then(bench: Dock, tmp_path: Path, then: str) -> None:
    tracked(bench)
    bench.view.files.save_requested.emit(str(tmp_path / "w"))
    bench.wait()
    saved, layer = bench.labels.copy(), bench.layers.labels
    begun(bench, bench.view.progress.undo_requested.emit)
    left = bench.session.labels.copy()
    if then == "close":
        bench.controller.close()
    elif then == "other image":
        bench.controller.image.begin_anew()
    elif then == "load":
        bench.view.files.load_requested.emit(str(tmp_path / "w.sam2.json"))
        bench.wait()
        left = saved
    else:
        bench.view.progress.undo_requested.emit()
        bench.wait()
        left = bench.session.labels.copy()
    np.testing.assert_array_equal(np.asarray(layer.data), left)


@pytest.mark.usefixtures("slow_turns")
def test_tables_have_what_is_behind(bench: Dock, tmp_path: Path) -> None:
    tracked(bench)
    begun(bench, bench.view.progress.undo_requested.emit)
    bench.view.files.export_requested.emit(str(tmp_path / "o.csv"))
    bench.wait()
    rows = (tmp_path / "o.csv").read_text().strip().splitlines()
    assert len(rows) == 1 + 2
    assert len(bench.session.tracks().data) == 2
