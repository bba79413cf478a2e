"""Propagating, pausing, undoing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sam2._napari.state import Activity, ProgressState
from napari_sam2._napari.views.progress_panel import ProgressPanel, pace, time_left

READY = ProgressState(can_propagate=True)
RUNNING = ProgressState(Activity.PROPAGATING, done=34, total=120, frames_per_second=5.2, seconds_left=17.4)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(qtbot: QtBot) -> ProgressPanel:
    panel = ProgressPanel({"undo": "Ctrl+Z"})
    qtbot.addWidget(panel)
    panel.show()
    panel.show_state(READY)
    panel.show_place(12, active=2, locked=False)
    return panel


def test_propagate_goes_both_ways_unless_told_otherwise(panel: ProgressPanel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(panel.propagate_requested) as told:
        qtbot.mouseClick(panel._start, LEFT)
    assert told.args == ["both"]
    for direction in ("both", "forward", "backward"):
        with qtbot.waitSignal(panel.propagate_requested) as told:
            panel._directions[direction].trigger()
        assert told.args == [direction]
    with qtbot.waitSignal(panel.propagate_active_requested):
        panel._directions["object"].trigger()


def test_a_range_is_asked_for_in_place(panel: ProgressPanel, qtbot: QtBot) -> None:
    assert not panel._range.isVisible()
    panel._directions["range"].trigger()
    assert panel._range.isVisible()
    assert (panel._range._first.value(), panel._range._last.value()) == (0, 11)
    panel._range._first.setValue(9)
    panel._range._last.setValue(4)
    with qtbot.waitSignal(panel.propagate_range_requested) as told:
        qtbot.mouseClick(panel._range._go, LEFT)
    assert told.args == [4, 9]
    qtbot.mouseClick(panel._range._close, LEFT)
    assert not panel._range.isVisible()


def test_a_range_stays_within_the_frames(panel: ProgressPanel) -> None:
    panel.show_place(5, active=2, locked=False)
    assert (panel._range._first.value(), panel._range._last.value()) == (0, 4)
    panel.show_place(0, active=None, locked=False)
    assert panel._range._last.maximum() == 0


def test_progress_is_shown_while_it_runs(panel: ProgressPanel, qtbot: QtBot) -> None:
    assert not panel._pause.isEnabled()
    assert panel._bar.text() == ""
    panel.show_state(RUNNING)
    assert (panel._bar.value(), panel._bar.maximum(), panel._bar.text()) == (34, 120, "34 of 120")
    assert panel._pace.text() == "5.2 frames/s · 17 s left"
    for button, signal in ((panel._pause, panel.pause_toggled), (panel._cancel, panel.cancel_requested)):
        with qtbot.waitSignal(signal):
            qtbot.mouseClick(button, LEFT)


def test_pause_becomes_resume(panel: ProgressPanel) -> None:
    panel.show_state(RUNNING)
    assert panel._pause.accessibleName() == "Pause"
    panel.show_state(replace(RUNNING, activity=Activity.PAUSED))
    assert panel._pause.accessibleName() == "Resume"
    assert panel._pause._glyph == "play"
    assert panel._pace.text() == "Paused"


def test_nothing_to_propagate_is_disabled(panel: ProgressPanel) -> None:
    panel.show_state(ProgressState())
    assert not panel._start.isEnabled()


def test_undo_and_redo_say_what(panel: ProgressPanel, qtbot: QtBot) -> None:
    assert not panel._undo.isEnabled()
    assert panel._undo.toolTip() == "There is nothing to undo. (Ctrl+Z)"
    panel.show_state(replace(READY, can_undo=True, undo_label="Prompt (frame 3)", can_redo=True))
    assert panel._undo.full_text() == "Undo: Prompt"
    assert panel._undo.toolTip() == "Undo: Prompt (frame 3). (Ctrl+Z)"
    assert panel._redo.full_text() == "Redo"
    for button, signal in ((panel._undo, panel.undo_requested), (panel._redo, panel.redo_requested)):
        with qtbot.waitSignal(signal):
            qtbot.mouseClick(button, LEFT)


def test_live_is_toggled_by_the_user_only(panel: ProgressPanel, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(panel.live_toggled):
        panel.show_state(replace(READY, live=True))
    assert panel._live.isChecked()
    with qtbot.waitSignal(panel.live_toggled) as told:
        qtbot.mouseClick(panel._live, LEFT)
    assert told.args == [False]


def test_places_need_an_active_object(panel: ProgressPanel, qtbot: QtBot) -> None:
    pairs = (
        (panel._begin, panel.begins_here),
        (panel._end, panel.ends_here),
        (panel._divide, panel.divides_here),
        (panel._lock, panel.lock_here),
    )
    for button, signal in pairs:
        with qtbot.waitSignal(signal):
            qtbot.mouseClick(button, LEFT)
    panel.show_place(12, active=None, locked=False)
    assert not any(button.isEnabled() for button, _ in pairs)
    assert not panel._directions["object"].isEnabled()


def test_lock_becomes_unlock(panel: ProgressPanel) -> None:
    assert panel._lock.full_text() == "Lock frame"
    panel.show_place(12, active=2, locked=True)
    assert (panel._lock.full_text(), panel._lock._glyph) == ("Unlock frame", "unlock")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (-1.0, "0 s left"),
        (17.4, "17 s left"),
        (99, "99 s left"),
        (600, "10 min left"),
        (4800, "1 h 20 min left"),
    ],
)
def test_time_left(seconds: float | None, said: str) -> None:
    assert time_left(seconds) == said


def test_pace_leaves_out_what_is_not_known() -> None:
    assert pace(replace(RUNNING, frames_per_second=None)) == "17 s left"
    assert pace(replace(RUNNING, frames_per_second=41.6, seconds_left=None)) == "42 frames/s"
    assert pace(replace(RUNNING, frames_per_second=None, seconds_left=None)) == "Measuring the speed ..."
    assert pace(READY) == ""
