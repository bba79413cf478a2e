"""Propagation: which way it goes, what is shown of it in the dock and by napari, what a click waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from qtpy.QtWidgets import QApplication, QProgressBar, QWidget
from torch import Tensor

from napari_sam2._model.results import ImageFeatures
from napari_sam2._napari.controls.tracking import Pace
from napari_sam2._napari.keys import Command
from napari_sam2._napari.views.hints import hint
from napari_sam2._napari.work.worker import InferenceWorker
from napari_sam2.prompts import FramePrompts
from tests._napari.dock import COUNT, MIDDLE, Dock, Held, four_axes, pause, until
from tests.fakes import FakeModel, click

pytestmark = pytest.mark.gui


@pytest.mark.parametrize(
    ("direction", "wanted"),
    [("both", range(COUNT)), ("forward", range(MIDDLE, COUNT)), ("backward", range(MIDDLE + 1))],
)
def test_directions(bench: Dock, direction: str, wanted: range) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.progress._directions[direction].trigger()
    bench.wait()
    assert bench.on == list(wanted)


def test_what_was_said_and_not_answered_yet_is_propagated(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, "declare")
    bench.widget.set_prompts(1, MIDDLE, click(8, 10))
    bench.show(MIDDLE + 2)
    assert bench.state.progress.can_propagate
    for command in (Command.ENDS_HERE, Command.PROPAGATE):
        bench.layers.commanded.emit(command)
    held.gate.set()
    bench.wait()
    assert bench.on == list(range(MIDDLE + 3))


def test_a_mask_that_was_locked_is_enough_to_propagate(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.show(MIDDLE + 1)
    bench.layers.commanded.emit(Command.LOCK)
    bench.wait()
    bench.set(1, MIDDLE, FramePrompts())
    assert [row.prompts for row in bench.state.objects.rows] == [0]
    assert bench.state.progress.can_propagate
    bench.view.objects.object_locked.emit(1, True)
    bench.wait()
    assert not bench.state.progress.can_propagate, "it must not change"


def test_speed_and_time_left_are_shown(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    gate = bench.hold_steps(monkeypatch, 4)
    bench.widget.propagate()
    until(lambda: len(bench.on) == 5)
    progress = bench.state.progress
    assert progress.frames_per_second is not None
    assert progress.frames_per_second > 0
    assert progress.seconds_left == pytest.approx((COUNT - 5) / progress.frames_per_second, rel=1e-6)
    bench.view.show_state(bench.state)
    assert "frames/s" in bench.view.progress._pace.text()
    assert "left" in bench.view.progress._pace.text()
    gate.release(1000)
    bench.wait()
    assert bench.state.progress.frames_per_second is None


@pytest.mark.parametrize(
    ("frames", "objects", "direction", "total"),
    [
        (None, (1,), "both", COUNT - 1),
        (None, None, "both", 2 * (COUNT - 1)),  # one object comes from the first frame, one from the last
        (None, None, "forward", COUNT),
        (range(MIDDLE, MIDDLE + 3), (1,), "both", 2),
    ],
)
def test_the_total_is_what_is_to_be_computed(
    bench: Dock, frames: range | None, objects: tuple[int, ...] | None, direction: str, total: int
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    if objects is None:
        bench.controller.objects.delete((1,))
        bench.prompt(2, 0, 16, 10)
        bench.prompt(3, COUNT - 1, 8, 10)
    shown: list[tuple[int, int]] = []
    bench.controller.space.answered.connect(
        lambda *_: shown.append((bench.state.progress.done, bench.state.progress.total))
    )
    bench.controller.tracking.start(direction, frames, objects)
    assert bench.state.progress.total == 0, "not known before the passes are planned"
    bench.wait()
    # A frame may be prepared before and after.
    known = [each for each in shown if each[1]]
    assert {of for _, of in known} == {total}
    assert known[-1] == (total, total)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is told."""
    notes: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controller.tell", notes.append)
    return notes


def test_an_object_without_prompts_gets_advice(bench: Dock, told: list[str]) -> None:
    bench.view.progress.propagate_active_requested.emit()
    assert told.pop().startswith("Object 1 has no prompt to set out from: click on it")
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.tools.new_object.emit()
    bench.view.progress.propagate_active_requested.emit()
    assert told.pop().startswith("Object 2 has no prompt to set out from: click on it")
    bench.set(2, MIDDLE, FramePrompts(mask=np.zeros(bench.labels.shape[1:], bool)))
    bench.view.progress.propagate_active_requested.emit()
    assert told.pop().startswith("Object 2 has no prompt to set out from: click on it")
    bench.wait()
    until(lambda: bench.activity == "idle")
    assert bench.on == [MIDDLE]


def test_a_locked_object_gets_advice(bench: Dock, told: list[str]) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.controller.objects.lock(1, True)
    bench.wait()
    bench.view.objects.propagate_object_requested.emit(1)
    assert told == ["Object 1 is locked: unlock it in the table, then it can be propagated."]


def test_nothing_but_locked_objects_gets_advice(bench: Dock, told: list[str]) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.controller.objects.lock(1, True)
    bench.wait()
    assert not bench.state.progress.can_propagate
    bench.layers.commanded.emit(Command.PROPAGATE)
    assert told == ["All objects are locked: unlock one in the table, then it can be propagated."]
    bench.prompt(2, MIDDLE, 16, 10)
    assert bench.state.progress.can_propagate


def test_an_object_with_a_locked_mask_alone_is_propagated(bench: Dock, told: list[str]) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.show(MIDDLE + 1)
    bench.controller.objects.split(1)
    bench.wait()
    assert bench.state.objects.active == 2
    bench.view.progress.propagate_active_requested.emit()
    assert "lock a mask" in told.pop()
    bench.view.progress.lock_here.emit()
    bench.wait()
    bench.view.progress.propagate_active_requested.emit()
    bench.wait()
    assert told == []
    assert (bench.labels[0] == 2).any()


def test_what_spreads_counts_what_is_out_of_date(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    bench.view.progress.live_toggled.emit(True)
    gate = bench.hold_steps(monkeypatch, 1)
    bench.widget.set_prompts(1, COUNT - 1, click(8, 10))
    until(lambda: bench.state.progress.done == 1)
    assert bench.state.progress.total == COUNT - 2 - MIDDLE
    gate.release(1000)
    bench.wait()


def bars(viewer: napari.Viewer) -> list[QProgressBar]:
    """Progress bars outside of the dock: those of napari's activity dock."""
    (window,) = [each for each in [viewer.window._qt_window] if isinstance(each, QWidget)]
    return [
        each
        for each in window.findChildren(QProgressBar)
        if each.accessibleName() != "Progress" and not each.accessibleName().startswith("Progress of")
    ]


def test_napari_shows_the_progress_too(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    dock.prompt(1, MIDDLE, 8, 10)
    assert bars(dock.viewer) == []
    gate = dock.hold_steps(monkeypatch, 3)
    dock.widget.propagate()
    until(lambda: len(bars(dock.viewer)) == 1)
    (bar,) = bars(dock.viewer)
    until(lambda: bar.value() == 3)
    assert bar.maximum() == COUNT - 1, "the prompted frame is not computed"
    gate.release(1000)
    dock.wait()
    until(lambda: bars(dock.viewer) == [])


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Collect, of each time that the event loop is entered, whether answers were being taken."""
    deliver, turn = InferenceWorker._deliver, QApplication.processEvents
    taking: list[InferenceWorker] = []
    turns: list[bool] = []

    def watched(worker: InferenceWorker) -> None:
        taking.append(worker)
        deliver(worker)
        taking.pop()

    def turning(*args: Any) -> None:
        turns.append(bool(taking))
        turn(*args)

    monkeypatch.setattr(InferenceWorker, "_deliver", watched)
    monkeypatch.setattr(QApplication, "processEvents", staticmethod(turning))
    return turns


@pytest.fixture
def watched(turns: list[bool], viewer: napari.Viewer, fake_model: FakeModel) -> Iterator[Dock]:
    """Return a dock over (t, z, y, x) in a real viewer."""
    yield from four_axes(viewer, fake_model)


def test_no_event_loop_is_entered_where_answers_are_taken(
    watched: Dock, turns: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    for t in (1, 2):
        watched.viewer.dims.set_current_step((0, 1), (t, 2))
        watched.prompt(1, 2, 8, 10)
    gate = watched.hold_steps(monkeypatch, 0)
    for t in (1, 2):
        watched.viewer.dims.set_current_step((0, 1), (t, 2))
        watched.widget.propagate()
    until(lambda: len(bars(watched.viewer)) == 1)
    assert "at another position" in watched.state.progress.message
    turns.clear()
    gate.release(3)  # the other one begins where the end of this one is told
    until(lambda: watched.state.progress.message == "")
    until(lambda: bool(turns))
    assert not any(turns)
    gate.release(1000)
    watched.wait()


@pytest.mark.parametrize("seconds", [0.5, 4.0, 7.0, 60.0])
def test_a_slow_network_has_a_pace_too(seconds: float) -> None:
    pace = Pace()
    for count in range(20):
        pace.count(seconds * count)
    assert pace.per_second() == pytest.approx(1 / seconds)


def test_the_pace_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    for now in (*range(0, 100, 10), *np.arange(100, 110, 0.5)):
        pace.count(now)
    assert pace.per_second() == pytest.approx(2)


def test_the_pace_is_that_of_the_work_not_that_of_telling(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume that is drawn holds the GUI thread; then it is told of many frames at once."""
    bench.prompt(1, MIDDLE, 8, 10)
    step, told = bench.fake.step, list[float | None]()

    def slowly(*args: Any) -> Any:
        time.sleep(0.05)
        return step(*args)

    monkeypatch.setattr(bench.fake, "step", slowly)
    bench.controller.space.answered.connect(lambda *_: time.sleep(0.5 if not told else 0))
    bench.controller.space.answered.connect(lambda *_: told.append(bench.state.progress.frames_per_second))
    bench.propagate()
    paces = [pace for pace in told if pace is not None]
    assert paces
    assert max(paces) < 1 / 0.05 + 1


def test_what_was_done_before_a_rest_and_is_told_after_it_does_not_count() -> None:
    pace = Pace(10.0)
    for done in (1.0, 11.0, 12.0):
        pace.count(done)
    assert pace.per_second() == pytest.approx(1)


def test_a_rest_is_no_slow_frame(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    gate = bench.hold_steps(monkeypatch, 2)
    bench.widget.propagate()
    until(lambda: bench.state.progress.done == 2)
    paces = [bench.state.progress.frames_per_second]
    for _ in range(2):
        bench.view.progress.pause_toggled.emit()
    paces.append(bench.state.progress.frames_per_second)
    assert [pace is None for pace in paces] == [False, True]
    gate.release(1000)
    bench.wait()


def test_the_dock_says_what_a_click_waits_for(bench: Dock) -> None:
    entered, gate = threading.Event(), threading.Event()

    def hold(_session: object) -> None:
        entered.set()
        gate.wait(60)

    bench.prompt(1, MIDDLE, 8, 10)
    bench.controller.objects.edit(hold)
    assert entered.wait(20)
    bench.widget.set_prompts(1, MIDDLE, click(9, 10))
    assert hint(bench.state).text == "Editing; a click waits for it"
    assert bench.activity == "answering"
    gate.set()
    bench.wait()
    assert "waits" not in hint(bench.state).text


def test_the_dock_says_that_a_click_takes_long(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, gate = bench.fake.encode_image, threading.Event()
    bench.prompt(1, MIDDLE, 8, 10)
    said = [hint(bench.state).text]

    def slow(images: Tensor) -> ImageFeatures:
        assert gate.wait(60)
        return encode(images)

    monkeypatch.setattr(bench.fake, "encode_image", slow)
    bench.widget.set_prompts(2, 0, click(8, 10))
    until(lambda: bench.controller.worker.running == "Looking at frame 0")
    assert hint(bench.state).text == said[0], "it may be quick"
    until(lambda: hint(bench.state).text == "Looking at frame 0 ...")
    gate.set()
    bench.wait()
    assert "Looking" not in hint(bench.state).text
    bench.prompt(2, 0, 9, 10)
    assert "Looking" not in hint(bench.state).text


def test_work_that_may_take_long_is_named(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    session, gate, entered = bench.session, threading.Event(), threading.Event()
    export = session.export_steps

    def slowly(path: str) -> Iterator[None]:
        entered.set()
        gate.wait(60)
        yield from export(path)

    monkeypatch.setattr(session, "export_steps", slowly, raising=False)
    bench.view.files.export_requested.emit(str(tmp_path / "labels.tif"))
    assert entered.wait(20)
    assert hint(bench.state).text == "Exporting ..."
    gate.set()
    bench.wait()
    assert (tmp_path / "labels.tif").is_file()


def test_nothing_is_propagated_twice(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    before, asked = bench.labels.copy(), len(bench.fake.batches)
    bench.propagate()
    pause(1)
    np.testing.assert_array_equal(bench.labels, before)
    assert len(bench.fake.batches) == asked, "all is up to date"


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("others", [True, False])
def test_a_point_may_be_deleted_while_it_spreads(
    bench: Dock, monkeypatch: pytest.MonkeyPatch, steps: int, others: bool
) -> None:
    if others:
        bench.prompt(2, 0, 16, 10)
    bench.controller.ahead.choose_live(True)
    gate = bench.hold_steps(monkeypatch, steps)
    bench.layers.points.add([MIDDLE, 8, 10])
    until(lambda: bench.controller.tracking.running)
    bench.layers.points.remove([len(bench.layers.points.data) - 1])
    pause(1)
    gate.release(100)
    bench.wait()
    assert [key.obj for key in bench.session.prompts] == ([2] if others else [])
    assert not (bench.labels[MIDDLE] == 1).any()
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
