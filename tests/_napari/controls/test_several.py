"""Propagations of several positions: one goes on after the other, and none ends what goes on elsewhere."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import QTimer

from napari_sam2._napari.views.hints import hint
from tests._napari.dock import COUNT, Dock, pause, until

pytestmark = pytest.mark.gui
ALL = 3
"""How many of the four frames this network fills: it skips one."""


def to(dock: Dock, position: int) -> None:
    dock.viewer.dims.set_current_step(0, position)
    pause(20)


def on(dock: Dock, position: int) -> int:
    """On how many frames of a position anything is seen."""
    return int(np.count_nonzero(dock.labels[position].any(axis=(1, 2))))


def begin(dock: Dock, monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Propagate at t = 0, up to the first frame, with clicks at t = 0, 1 and 2."""
    for position in (2, 1, 0):
        to(dock, position)
        dock.prompt(1, 2, 10, 10)
    gate = dock.hold_steps(monkeypatch, 2)
    dock.view.progress.propagate_requested.emit("both")
    until(lambda: on(dock, 0) > 1)
    return gate


def end(dock: Dock, gate: threading.Semaphore) -> list[int]:
    gate.release(1000)
    dock.wait()
    assert not dock.controller.tracking.running
    return [on(dock, position) for position in range(3)]


def test_the_next_position_comes_after_it(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = begin(four, monkeypatch)
    assert four.state.progress.message == ""
    for position in (1, 2):
        to(four, position)
        assert four.state.progress.message == "Following the objects at another position."
        four.view.progress.propagate_requested.emit("both")
        following = "Following the objects at another position; this one comes after it."
        assert four.state.progress.message == following
    assert end(four, gate) == [ALL, ALL, ALL]
    assert four.state.progress.message == ""


def test_the_dock_says_that_it_is_paused_elsewhere(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = begin(four, monkeypatch)
    to(four, 1)
    four.view.progress.pause_toggled.emit()
    assert hint(four.state).text == "Paused at another position."
    four.view.progress.pause_toggled.emit()
    assert hint(four.state).text == "Following the objects at another position."
    assert end(four, gate) == [ALL, 1, 1]


def test_undo_elsewhere_leaves_it_alone(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = begin(four, monkeypatch)
    to(four, 1)
    four.view.progress.undo_requested.emit()
    pause(20)
    assert end(four, gate) == [ALL, 0, 1]


@pytest.mark.parametrize("where", [0, 1])
def test_cancel_ends_all(four: Dock, monkeypatch: pytest.MonkeyPatch, where: int) -> None:
    gate = begin(four, monkeypatch)
    to(four, 1)
    four.view.progress.propagate_requested.emit("both")
    to(four, where)
    four.view.progress.cancel_requested.emit()
    assert end(four, gate) == [2, 1, 1]


def test_what_is_paused_goes_on_after_what_is_asked_for_elsewhere(
    four: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = begin(four, monkeypatch)
    four.view.progress.pause_toggled.emit()
    to(four, 1)
    four.view.progress.propagate_requested.emit("both")
    assert not four.controller.worker.paused
    assert four.state.progress.message == ""
    assert end(four, gate) == [ALL, ALL, 1]


def test_a_click_elsewhere_does_not_end_what_spreads(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    four.controller.ahead.choose_live(True)
    gate = four.hold_steps(monkeypatch, 1)
    for position in (0, 1):
        to(four, position)
        four.layers.points.add([position, 2, 10, 10])
        pause(50)
    assert end(four, gate) == [ALL, ALL, 0]


def test_a_click_spreads_after_what_is_propagated_elsewhere(
    four: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = begin(four, monkeypatch)
    four.controller.ahead.choose_live(True)
    to(four, 1)
    four.layers.points.add([1, 2, 18, 4])
    pause(20)
    assert end(four, gate) == [ALL, ALL, 1]


def test_what_waits_ends_with_its_image(four: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = begin(four, monkeypatch)
    to(four, 1)
    four.view.progress.propagate_requested.emit("both")
    image = four.controller.space.image
    assert image is not None
    four.viewer.layers.remove(image)
    gate.release(1000)
    four.wait()
    assert not four.controller.tracking.running


def test_a_script_waits_also_while_the_user_pauses(bench: Dock, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.prompt(1, 4, 8, 10)
    gate, paused = bench.hold_steps(monkeypatch, 2), list[bool]()

    def pause_and_resume() -> None:
        bench.view.progress.pause_toggled.emit()
        paused.append(bench.controller.worker.paused)
        gate.release(1000)
        QTimer.singleShot(100, bench.view.progress.pause_toggled.emit)

    QTimer.singleShot(50, pause_and_resume)
    bench.widget.propagate(wait=True)
    assert paused == [True]
    assert bench.on == list(range(COUNT))


def test_the_active_object_stays_so_while_it_is_at_any_position(four: Dock) -> None:
    four.prompt(1, 1, 5, 5)
    four.propagate()
    four.view.objects.divide_requested.emit(1)
    four.wait()
    first = four.state.objects.active
    to(four, 2)
    assert first is not None
    four.prompt(first, 2, 8, 8)
    four.view.progress.undo_requested.emit()
    four.wait()
    assert four.state.objects.active == first
