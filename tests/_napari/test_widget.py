"""The dock in a real viewer, with mouse and keys, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_sam2._napari.layers.finding import camera_of
from napari_sam2._napari.state import Tool
from napari_sam2._napari.widget import Sam2Widget
from napari_sam2.prompts import FramePrompts
from tests._napari.dock import COUNT, MIDDLE, Dock, add_frames, frames, pause, until
from tests._napari.hand import CONTROL, SHIFT, Hand, settle
from tests._napari.layers.test_prompt_layers_end import callbacks, connections
from tests.fakes import FakeModel

pytestmark = pytest.mark.gui


def click(dock: Dock, hand: Hand, y: float, x: float) -> None:
    """Click with the mouse and wait for the answer."""
    hand.click(dock.layers.geometry.to_layer(dock.controller.space.frame, y, x))
    dock.wait()


def test_click_see_propagate_undo(dock: Dock, hand: Hand) -> None:
    assert dock.state.tools.tool is Tool.POINT
    assert dock.viewer.layers.selection.active is dock.layers.points
    click(dock, hand, 8, 10)
    assert dock.labels[MIDDLE, 8, 10] == 1
    assert dock.on == [MIDDLE]
    one = dock.labels.copy()
    click(dock, hand, 16, 10)
    assert dock.labels[MIDDLE, 16, 10] == 1
    hand.key(Qt.Key.Key_Z, CONTROL)
    dock.wait()
    np.testing.assert_array_equal(dock.labels, one)
    assert len(dock.layers.points.data) == 1
    assert dock.state.progress.can_redo
    hand.key(Qt.Key.Key_Z, CONTROL | SHIFT)
    dock.wait()
    assert len(dock.layers.points.data) == 2
    hand.key(Qt.Key.Key_G)
    dock.wait()
    assert len(dock.on) > 3
    np.testing.assert_array_equal(dock.labels, dock.session.labels)


def test_opened_by_its_name(viewer: napari.Viewer) -> None:
    add_frames(viewer, 3)
    dock, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
    assert isinstance(widget, Sam2Widget)
    assert widget.controller.space.viewer is viewer
    assert widget.controller.space.image is viewer.layers["cells"]
    widget.wait()
    assert widget.session is not None
    viewer.window.remove_dock_widget(dock)
    assert widget.controller.worker.is_closed


@pytest.mark.parametrize("what", ["dock", "viewer"])
def test_closing_in_the_middle_of_work_leaves_nothing(dock: Dock, what: str) -> None:
    """The fixtures fail if a thread or a widget is left."""
    dock.prompt(1, MIDDLE, 8, 10)
    dock.widget.propagate()
    if what == "dock":
        dock.viewer.window.remove_dock_widget(dock.widget)
    else:
        dock.viewer.close()
    until(lambda: dock.controller.worker.is_closed)


@pytest.mark.parametrize("turns", [1, 4])
def test_the_first_click_on_an_image_that_comes_after_the_dock(
    viewer: napari.Viewer, fake_model: FakeModel, turns: int
) -> None:
    dock = Dock(viewer, fake_model)
    viewer.window.add_dock_widget(dock.widget, name="SAM 2")
    dock.wait()
    viewer.add_labels(np.zeros((9, 24, 20), np.uint8))
    image = add_frames(viewer)
    settle(turns)
    assert viewer.layers.selection.active is dock.layers.points
    frame = int(viewer.dims.current_step[0])
    Hand(viewer).click(image.data_to_world((frame, 8, 10)))
    dock.wait()
    assert dock.labels[frame, 8, 10] == 1
    assert dock.state.tools.tool is Tool.POINT
    listed = viewer.window._qt_viewer.layers.selectionModel().selectedIndexes()
    assert [index.data() for index in listed] == ["cells points"]
    dock.controller.close()


def test_other_images_in_place_of_all_layers(bench: Dock, notices: list[str]) -> None:
    """Layers are made once, and nobody is told that one of them was deleted."""
    bench.prompt(1, MIDDLE, 8, 10)
    notices.clear()
    made = list[str]()
    bench.viewer.layers.events.inserted.connect(lambda event: made.append(event.value.name))
    for name in ("first", "second"):
        bench.viewer.add_image(frames(5), name=name)
    bench.viewer.layers.clear()
    bench.viewer.add_image(frames(6), name="third", contrast_limits=(0, 255))
    bench.wait()
    assert made == ["first", "second", "third", "third labels", "third boxes", "third points"]
    assert [layer.name for layer in bench.viewer.layers] == made[2:]
    assert not [notice for notice in notices if "deleted" in notice]
    bench.prompt(1, 2, 8, 10)
    assert bench.labels.shape[0] == 6
    assert bench.labels[2, 8, 10] == 1


def test_a_script_need_not_wait_for_the_viewer(model: ViewerModel, fake_model: FakeModel) -> None:
    dock = Dock(model, fake_model)
    add_frames(model, 5)
    dock.widget.set_prompts(1, 2, FramePrompts(((8, 10),), (True,)))
    dock.widget.propagate(wait=True)
    assert dock.session.volume.num_frames == 5
    model.layers.clear()
    assert dock.widget.session is None
    add_frames(model, 7)
    assert dock.session.volume.num_frames == 7
    dock.end()
    assert dock.widget.session is None


def test_a_dock_that_was_closed_in_the_middle_of_work_listens_to_nothing(
    model: ViewerModel, fake_model: FakeModel
) -> None:
    image = add_frames(model)
    pause(50)
    before = connections(model, image), len(model.mouse_drag_callbacks), callbacks(camera_of(model).events)
    for _ in range(2):
        dock = Dock(model, fake_model)
        dock.show(MIDDLE)
        dock.prompt(1, MIDDLE, 8, 10)
        dock.layers.hovered.emit(MIDDLE, 16.0, 10.0)
        dock.widget.propagate()
        pause(5)
        dock.end()
        for layer in [each for each in model.layers if each is not image]:
            model.layers.remove(layer)
        pause(50)
    after = connections(model, image), len(model.mouse_drag_callbacks), callbacks(camera_of(model).events)
    assert after == before


def test_two_viewers_do_not_meet(open_viewer: Callable[[], napari.Viewer], fake_model: FakeModel) -> None:
    docks = []
    for count in (COUNT, COUNT + 4):
        viewer = open_viewer()
        add_frames(viewer, count, scale=(1, 3, 3))
        dock = Dock(viewer, fake_model)
        viewer.window.add_dock_widget(dock.widget, name="SAM 2")
        dock.show(MIDDLE)
        dock.wait()
        docks.append(dock)
    for dock, y in zip(docks, (8, 16), strict=True):
        Hand(dock.viewer).click((MIDDLE, 3 * y, 30))
        dock.wait()
    docks[0].propagate()
    assert len(docks[0].on) > 3
    assert docks[1].on == [MIDDLE]
    assert [dock.labels[MIDDLE, y, 10] for dock, y in zip(docks, (8, 16), strict=True)] == [1, 1]
    assert [dock.session.volume.num_frames for dock in docks] == [COUNT, COUNT + 4]
    for dock in docks:
        dock.controller.close()


SCRIPT = """
import napari, numpy as np
viewer = napari.Viewer(show=False)
viewer.add_image(np.zeros((4, 32, 32), np.uint8))
dock, widget = viewer.window.add_plugin_dock_widget("napari-sam2", "SAM 2")
raise SystemExit(3)
"""


def test_a_script_that_breaks_off_ends(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, timeout=100, check=False
    )
    assert ended.returncode == 3, ended.stderr.decode()
