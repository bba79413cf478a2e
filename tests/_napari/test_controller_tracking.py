"""Propagation: which way it goes, what is shown of it in the dock and by napari, what a click waits for."""

from __future__ import annotations

import threading
from pathlib import Path

import napari
import numpy as np
import pytest
from qtpy.QtWidgets import QProgressBar, QWidget

from napari_sam2._napari.model_choices import ModelChoice
from napari_sam2._napari.views.hints import hint
from tests._napari.dock import COUNT, MIDDLE, Dock, pause, until
from tests.fakes import click

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
    assert bar.maximum() == COUNT
    until(lambda: bar.value() == 4)
    gate.release(1000)
    dock.wait()
    until(lambda: bars(dock.viewer) == [])


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


def test_work_that_may_take_long_is_named(
    bench: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    session, gate, entered = bench.session, threading.Event(), threading.Event()
    export = session.export

    def slowly(path: str) -> None:
        entered.set()
        gate.wait(60)
        export(path)

    monkeypatch.setattr(session, "export", slowly, raising=False)
    bench.view.files.export_requested.emit(str(tmp_path / "labels.tif"))
    assert entered.wait(20)
    assert hint(bench.state).text == "Exporting ..."
    gate.set()
    bench.wait()
    assert (tmp_path / "labels.tif").is_file()


def test_frames_spread_by_themselves_only_with_a_fast_network(bench: Dock) -> None:
    ahead = bench.controller.ahead
    ahead._chosen = None  # as for somebody who has not touched the button
    live = [bench.state.progress.live]
    bench.controller.models.choice = ModelChoice("sam2.1-large")
    live.append(bench.state.progress.live)
    bench.view.progress.live_toggled.emit(True)
    live.append(bench.state.progress.live)
    assert live == [True, False, True]


def test_nothing_is_propagated_twice(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    before, asked = bench.labels.copy(), len(bench.fake.batches)
    bench.propagate()
    pause(1)
    np.testing.assert_array_equal(bench.labels, before)
    assert len(bench.fake.batches) == asked, "all is up to date"
